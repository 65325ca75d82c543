/*
 * What every web program shares: the command line, the accept loop, the route
 * table, authentication, bodies in, answers out. With events the only module
 * that touches libfcgi.
 *
 * A program is one const struct program and `return app_main(...)`. Options of
 * every program: --socket PATH (else descriptor 0 is the listening socket),
 * --processes N, --routes, --check-config, --version, --help. app_main runs
 * prefork's parent; each child opens its own connections and serves one
 * request at a time.
 */
#ifndef SHOTAI_APP_H
#define SHOTAI_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/problem.h"
#include "base/text.h"
#include "service/auth.h"
#include "service/db.h"
#include "service/request.h"
#include "service/response.h"
#include "service/route.h"
#include "service/telemetry.h"

/* A process' only long-lived state. */
struct app {
	const struct program *program;
	struct config *config;
	struct db *db;               /* NULL unless the program needs DATABASE_URL or prepare opens one */
	struct auth *auth;           /* NULL unless a route wants a person */
	void *context;               /* of the program, made by prepare */
	struct telemetry *telemetry; /* NULL: off */
	int children;                /* how many processes like this one there are */
};

struct program {
	const char *name, *summary; /* summary: one sentence for --help */
	const struct route *routes;
	size_t route_count;
	const enum config_name *needs; /* settings that must be set, ended by CONFIG_NAME__COUNT */
	bool scales;                   /* PROCESSES children instead of two */
	int children;                  /* instead of two; 0: not so */
	bool (*prepare)(
	    struct app *app); /* in each child before the first thread; false ends it. NULL: nothing to do */
	void (*release)(struct app *app);  /* undoes prepare */
	const struct db_statement *health; /* what /healthz asks the database; NULL: service_state */
};

int app_main(int argc, char **argv, const struct program *program);

/*
 * Finds the route for request and runs it under its policy; problems are
 * already turned into the answer. For app's loop and for tests.
 */
void app_handle(struct app *app, struct request *request, struct response *response,
    bool (*read_body)(void *context, char *buffer, size_t len), void *context);

#endif
