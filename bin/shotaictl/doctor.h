/*
 * shotaictl doctor: one line per fact about an installation, OK, WARN or FAIL,
 * and what to do. The checks of one kind are in one file.
 */
#ifndef SHOTAI_DOCTOR_H
#define SHOTAI_DOCTOR_H

#include <stdint.h>

#include "service/http.h"
#include "shotaictl.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR__COUNT };

struct doctor {
	struct ctl *ctl;
	struct http *http;
	int64_t hosts; /* that run the web programs and a worker */
	bool failed;   /* a FAIL was told */
};

/* Prints one line. */
void doctor_tell(struct doctor *doctor, enum doctor_level level, const char *check, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Each connection and its role, migrations, clocks, and what the database says about itself. */
void doctor_database(struct doctor *doctor);
/* Supabase, Creem, the model provider, SMTP, the public address. */
void doctor_services(struct doctor *doctor);
/* Writes, reads and deletes an object; whether strangers can read it. */
void doctor_storage(struct doctor *doctor);
/* What runs here: nginx and what it logs, processes and core dumps. */
void doctor_host(struct doctor *doctor);

#endif
