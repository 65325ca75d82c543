/*
 * One call of an S3 API: signed, sent, and asked again as storage_r2.h tells.
 * Inside of service/storage_r2.
 */
#ifndef SHOTAI_STORAGE_R2_CALL_H
#define SHOTAI_STORAGE_R2_CALL_H

#include <stddef.h>

#include "base/problem.h"
#include "service/http.h"
#include "service/sigv4.h"
#include "service/storage_xml.h"

/* The least that an answer may hold: a list of 1000 keys of 512 bytes, and what is said about each. */
#define STORAGE_R2_ANSWER ((size_t)4 << 20)

struct arena;
struct storage_r2_caller;

/* What is not set is not sent. */
struct storage_r2_call {
	const char *action; /* for the log */
	const char *method, *bucket, *key;
	struct sigv4_pair query[4], headers[3];
	size_t query_count, header_count;
	const void *body;
	size_t body_len, answer_max;
};

/* endpoint and key must stay. May be used by many threads. */
struct storage_r2_caller *storage_r2_caller_new(const char *endpoint, const struct sigv4_key *key);
void storage_r2_caller_free(struct storage_r2_caller *caller);

/* What became of the last try; the answer is in the arena, and empty unless there was one. */
enum http_outcome storage_r2_call(struct storage_r2_caller *caller, struct arena *arena,
    const struct storage_r2_call *call, struct http_answer *ret_answer);
/* Logs how the call failed, with the server's code; gives PROBLEM_STORAGE_UNAVAILABLE. */
enum problem storage_r2_failed(struct arena *arena, const struct storage_r2_call *call, enum http_outcome outcome,
    const struct http_answer *answer);

/* The code in an error's XML, in the arena; NULL when it is no word of letters, and so not fit for the log. */
const char *storage_r2_code(struct arena *arena, struct storage_xml error);

/* The host, and port where there is one, of an endpoint: what is signed and sent as Host. */
const char *storage_r2_host(const char *endpoint);

#endif
