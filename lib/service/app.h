/*
 * What every web program shares: the command line, the accept loop, the route
 * table, authentication, bodies in, JSON and problems out. The only module
 * besides events that touches libfcgi.
 *
 * A program is one const struct program and `return app_main(...)`. main's
 * options: --socket PATH (else descriptor 0 is the listening socket),
 * --processes N, --routes, --check-config, --version, --help. app runs
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

struct http;
struct body_field;

/* A process' only long-lived state. */
struct app {
	const struct program *program;
	struct config *config;
	struct db *db;
	struct auth *auth;
	struct http *http;
};

#define REQUEST_PARAMETERS 2

struct request {
	struct arena *arena;
	const char *id;                             /* the request id, a UUID */
	const char *method;                         /* HEAD stays HEAD; GET routes serve it and app drops the body */
	const char *path;                           /* decoded, without the query */
	const char *query;                          /* raw, "" when there is none */
	const char *parameters[REQUEST_PARAMETERS]; /* what the {name}s of the route's path matched */
	const char *body;                           /* NUL-terminated, read before the handler runs */
	size_t body_len;
	enum language language;
	struct claims user; /* only on AUTH_USER routes */
	void *fcgi;         /* FCGX_Request, for request_header only */
};

#define RESPONSE_HEADERS 8

struct response {
	struct arena *arena;
	int status;                /* 200 unless the handler sets it */
	const char *content_type;  /* "application/json" unless the handler sets it */
	const char *cache_control; /* "no-store" unless the handler sets it */
	bool etag;                 /* app adds the body's ETag and answers If-None-Match with 304 */
	struct text body;
	struct {
		const char *name, *value;
	} headers[RESPONSE_HEADERS];
	size_t header_count;
	/* of a problem */
	const char *detail;        /* NULL: none */
	struct db_refusal refusal; /* named extras and Retry-After */
	const char *errors;        /* members of invalid_request's `errors`, from body_read */
};

enum auth_kind {
	AUTH_NONE,
	AUTH_USER,  /* a person's token */
	AUTH_SPEND, /* AUTH_USER, and neither anonymous nor of another application */
};

enum body_policy {
	BODY_NONE, /* a body is ignored */
	BODY_JSON, /* application/json or 415 */
	BODY_RAW,
};

struct route {
	const char *method, *path; /* "/api/generate/{id}"; {id} matches a UUID only, other names one segment */
	enum auth_kind auth;
	enum body_policy body;
	size_t body_max;
	enum problem (*run)(struct app *app, struct request *request, struct response *response);
};

struct program {
	const char *name, *summary; /* summary: one sentence for --help */
	const struct route *routes;
	size_t route_count;
	const enum config_name *needs; /* settings that must be set, ended by CONFIG_NAME__COUNT */
	bool scales;                   /* PROCESSES children instead of two */
};

int app_main(int argc, char **argv, const struct program *program);

/* A request header by its CGI name ("HTTP_IDEMPOTENCY_KEY"), NULL when absent; copied into the arena. */
const char *request_header(struct request *request, const char *cgi_name);
/* The decoded value of a query parameter, NULL when absent. A malformed or repeated one is PROBLEM_INVALID_REQUEST. */
[[nodiscard]] enum problem request_query(
    struct request *request, struct response *response, const char *name, const char **ret_value);
/* As request_query, for whole numbers: fallback when absent, PROBLEM_INVALID_REQUEST outside min..max. */
[[nodiscard]] enum problem request_query_integer(struct request *request, struct response *response, const char *name,
    int64_t min, int64_t max, int64_t fallback, int64_t *ret_value);
/* body_read with the request's language and the response's errors. */
[[nodiscard]] enum problem request_json(struct request *request, struct response *response,
    const struct body_field *fields, size_t field_count, void *ret_struct);
/* Fills `errors` with one entry and returns PROBLEM_INVALID_REQUEST. pointer is a JSON pointer, or the parameter's
 * name. */
[[nodiscard]] enum problem response_invalid(struct response *response, const char *pointer, const char *detail);
void response_header(struct response *response, const char *name, const char *value);

#endif
