/*
 * A request as handlers see it: decoded path and query, headers, body, the
 * person behind it. It knows nothing of FastCGI but the CGI variables.
 */
#ifndef SHOTAI_REQUEST_H
#define SHOTAI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/problem.h"
#include "service/auth.h"

struct body_field;
struct response;

#define REQUEST_PARAMETERS 2

struct request {
	struct arena *arena;
	const char *id;                             /* the request id, a UUID */
	const char *method;                         /* HEAD stays HEAD; GET routes serve it and app drops the body */
	const char *path;                           /* decoded, without the query */
	const char *query;                          /* raw, "" when there is none */
	const char *route;                          /* the route's path as it stands in the table, NULL: none */
	const char *parameters[REQUEST_PARAMETERS]; /* what the {name}s of the route's path matched */
	const char *body;                           /* NUL-terminated, read before the handler runs */
	size_t body_len;
	struct arena *body_arena; /* holds the body of a BODY_RAW route, which may be large; else NULL */
	enum language language;
	struct claims user; /* only on routes that need one */
	char *const *cgi;   /* NAME=value, valid while the request is handled */
};

/*
 * Fills id, method, path, query and language from the CGI variables.
 * PROBLEM_INVALID_REQUEST: a path that is no UTF-8 or holds a control character.
 */
[[nodiscard]] enum problem request_open(struct arena *arena, char *const *cgi, struct request *ret_request);

/* A CGI variable ("HTTP_IDEMPOTENCY_KEY"), NULL when absent; valid while the request is handled. */
const char *request_header(const struct request *request, const char *cgi_name);
/* The decoded value of a query parameter, NULL when absent. A malformed or repeated one is PROBLEM_INVALID_REQUEST. */
[[nodiscard]] enum problem request_query(
    struct request *request, struct response *response, const char *name, const char **ret_value);
/* As request_query, for whole numbers: fallback when absent, PROBLEM_INVALID_REQUEST outside min..max. */
[[nodiscard]] enum problem request_query_integer(struct request *request, struct response *response, const char *name,
    int64_t min, int64_t max, int64_t fallback, int64_t *ret_value);
/* Gives up a body that is not needed any more: it is empty from here on. Done by app after the handler, if not before.
 */
void request_drop_body(struct request *request);
/* body_read with the request's language and the response's errors. */
[[nodiscard]] enum problem request_json(struct request *request, struct response *response,
    const struct body_field *fields, size_t field_count, void *ret_struct);
/* The Idempotency-Key header, NULL when absent. PROBLEM_INVALID_REQUEST unless it is 1 to 255 visible ASCII characters.
 */
[[nodiscard]] enum problem request_idempotency_key(
    struct request *request, struct response *response, const char **ret_key);
/* The hex SHA-256 of the body, in the request's arena. */
const char *request_body_hash(struct request *request);
/*
 * The value of a field of an application/x-www-form-urlencoded body, the first of that name, NULL when absent; line
 * ends are kept as LF.
 */
[[nodiscard]] enum problem request_form(
    struct request *request, struct response *response, const char *name, const char **ret_value);
/* The token of an `Authorization: Bearer` header, or NULL. */
const char *request_bearer(const struct request *request);
/* Whether the Content-Type is this media type, whatever its parameters. */
bool request_is(const struct request *request, const char *media_type);
/* Percent-decodes len bytes; NULL when they are malformed, hold a control character or are no UTF-8. */
char *request_decode(struct arena *arena, const char *text, size_t len);

#endif
