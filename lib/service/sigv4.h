/*
 * AWS Signature Version 4: signs one request, in a header or in its URL. It
 * knows nothing of S3's operations and sends nothing.
 *
 * The path is taken as it is, without removing dots or doubled slashes, and is
 * encoded once, as S3 and R2 want it. The encoded form in `target` must go out
 * byte for byte.
 */
#ifndef SHOTAI_SIGV4_H
#define SHOTAI_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct arena;

#define SIGV4_DATE 17 /* 20151231T235959Z and NUL */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

struct sigv4_pair {
	const char *name, *value;
};

struct sigv4_key {
	const char *id, *secret, *region, *service;
};

struct sigv4_request {
	const char *method;
	const char *path;               /* before any encoding */
	const struct sigv4_pair *query; /* before any encoding */
	size_t query_count;
	const struct sigv4_pair *headers; /* those to be signed; a name may come twice */
	size_t header_count;
	const char *payload_hash; /* hex SHA-256 of the body, or SIGV4_UNSIGNED */
};

struct sigv4_signed {
	const char *target; /* encoded path, and ? and query where there is one */
	const char *scope, *headers;
	char signature[DIGEST_HEX];
};

/* now (unix seconds) as X-Amz-Date wants it. */
void sigv4_date(int64_t now, char ret_date[static SIGV4_DATE]);
/* The signature at that date, and what it was made of; strings in the arena. */
void sigv4_sign(struct arena *arena, const struct sigv4_key *key, const struct sigv4_request *request, const char *date,
    struct sigv4_signed *ret_signed);
/* The value of the Authorization header; *ret_target is what to request. */
const char *sigv4_authorization(struct arena *arena, const struct sigv4_key *key, const struct sigv4_request *request,
    const char *date, const char **ret_target);
/* What to request instead of an Authorization header, until seconds after date. */
const char *sigv4_presign(struct arena *arena, const struct sigv4_key *key, const struct sigv4_request *request,
    const char *date, int64_t seconds);

#endif
