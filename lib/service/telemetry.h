/*
 * What is recorded of the requests that a process answered, when TELEMETRY is
 * not off: time, route, status, duration, whose it was, and with requests+ip
 * the address it came from. Never a path, a parameter or a header.
 *
 * Recording only copies into memory. A side thread with a connection of its
 * own hands the records to the database in batches, at the latest after two
 * seconds; what the database does not take, and what comes while 1024 wait, is
 * dropped and counted. No request waits for it or fails by it.
 */
#ifndef SHOTAI_TELEMETRY_H
#define SHOTAI_TELEMETRY_H

#include <stdint.h>

struct config;
struct telemetry;

struct telemetry_record {
	int64_t at_ms;       /* when the request came, of the unix epoch */
	int64_t duration_ms; /* until its answer was written */
	const char *method;
	const char *route;   /* lives as long as the program; NULL: no route */
	const char *user_id; /* NULL: nobody in particular */
	const char *address; /* NULL: unknown */
	int status;
};

/*
 * Starts the side thread; url is that of the program's own database. NULL with
 * TELEMETRY=off, or when no thread is to be had (logged). For a child that
 * forks no more.
 */
struct telemetry *telemetry_new(const struct config *config, const char *url, const char *program);
/* Hands in what is left, within the database's own timeouts. */
void telemetry_free(struct telemetry *telemetry);
/* Copies record; does nothing when telemetry is NULL. */
void telemetry_add(struct telemetry *telemetry, const struct telemetry_record *record);

#endif
