/*
 * HTTP client, with smtp the only module that touches libcurl.
 *
 * One blocking request per call. Redirects are never followed, answers are
 * capped in bytes while they arrive, TLS is verified, https is required except
 * to loopback, and no proxy or cookie of the environment is used. Neither
 * bodies nor URLs are ever logged.
 */
#ifndef SHOTAI_HTTP_H
#define SHOTAI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct http;

/* What became of a request, told by how much the other side can have seen. */
enum http_outcome {
	HTTP_ANSWERED,  /* a whole answer came, whatever its status */
	HTTP_NOT_SENT,  /* nothing can have been accepted: name, connection or TLS failed, or no time was left */
	HTTP_TIMEOUT,   /* the deadline passed after the request was sent */
	HTTP_LOST,      /* the connection broke after the request was (partly) sent */
	HTTP_ABORTED,   /* *cancel became true */
	HTTP_TOO_LARGE, /* the answer exceeded answer_max */
	HTTP__COUNT
};

struct http_header {
	const char *name, *value;
};

/* One part of a multipart/form-data body. */
struct http_part {
	const char *name;
	const char *filename;     /* NULL: a plain field */
	const char *content_type; /* NULL: none */
	const void *bytes;
	size_t len;
};

struct http_request {
	const char *method, *url;
	const struct http_header *headers;
	size_t header_count;
	const void *body;
	size_t body_len;
	const struct http_part *parts; /* instead of body */
	size_t part_count;
	int64_t connect_timeout_ms; /* 0: 10 s */
	int64_t timeout_ms;         /* of all of it; must be positive */
	size_t answer_max;
	bool repeatable;  /* not only GET and HEAD do no harm twice: may go out on a connection used before */
	bool public_only; /* a private, loopback or link-local address is not connected to, whatever its name */
	const volatile bool *cancel; /* NULL, or looked at at least once a second */
};

struct http_answer {
	int status;
	const struct http_header *headers; /* names lower-cased */
	size_t header_count;
	char *body; /* NUL-terminated */
	size_t body_len;
};

/* From the first call on, SIGPIPE is ignored in this process. */
struct http *http_new(void);
void http_free(struct http *http);
/*
 * Sends the request once; the answer lives in the arena. Only GET, HEAD and
 * what is repeatable may go out on a connection that was used before, since
 * curl would repeat the request when such a connection turns out to be closed.
 * A struct http serves one thread at a time.
 */
enum http_outcome http_send(
    struct http *http, struct arena *arena, const struct http_request *request, struct http_answer *ret_answer);
/* The value of the last header of that lower-case name, or NULL. */
const char *http_answer_header(const struct http_answer *answer, const char *name);
/* Seconds of a Retry-After or retry-after-ms header, rounded up and capped at max; 0 when there is none. */
int64_t http_retry_after(const struct http_answer *answer, int64_t max);

#endif
