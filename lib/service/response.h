/*
 * An answer: a body with headers, or a problem that becomes
 * application/problem+json (RFC 9457). Only app sends it.
 */
#ifndef SHOTAI_RESPONSE_H
#define SHOTAI_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/problem.h"
#include "base/text.h"
#include "service/db.h"

struct request;

#define RESPONSE_HEADERS 12

struct response {
	struct arena *arena;
	int status;                /* 200 unless the handler sets it */
	const char *content_type;  /* "application/json" unless the handler sets it */
	const char *cache_control; /* "no-store" unless the handler sets it */
	bool etag;                 /* the body's ETag is added, If-None-Match answered with 304 */
	struct text body;
	/*
	 * NULL, or what makes the rest of the body while it is sent: each time the next part, in memory of its own.
	 * A problem cuts the answer off, so that it must be of a kind that shows it.
	 */
	enum problem (*more)(void *context, struct text *body, bool *ret_more);
	void *more_context;
	struct {
		const char *name, *value;
	} headers[RESPONSE_HEADERS];
	size_t header_count;
	/* of a problem */
	enum problem problem;
	struct db_refusal refusal; /* named extras and Retry-After; its rate tells itself in every answer */
	const char *detail;        /* what it means here, in the request's language; NULL: what it always means */
	const char *errors;        /* members of invalid_request's `errors` */
};

void response_open(struct response *response, struct arena *arena);
/* Adds a header; values come from us, a line break in one aborts. At most RESPONSE_HEADERS. */
void response_header(struct response *response, const char *name, const char *value);
/* Fills `errors` with one entry and returns PROBLEM_INVALID_REQUEST. pointer is a JSON pointer, or the parameter's
 * name. */
[[nodiscard]] enum problem response_invalid(struct response *response, const char *pointer, const char *detail);
/* Turns a problem into the answer, replacing what the handler wrote. */
void response_problem(struct response *response, const struct request *request, enum problem problem);
/*
 * Completes the answer (ETag, 304, X-Request-Id, RateLimit fields) and writes status line and
 * headers to ret_head. A 304 or an answer to HEAD leaves response->body empty.
 */
void response_finish(struct response *response, const struct request *request, struct text *ret_head);

#endif
