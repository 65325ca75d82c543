/*
 * A key set (JWKS) read strictly: EC keys on P-256 and RSA keys of 2048 to
 * 8192 bits, turned into the PEM that libjwt takes. The algorithm belongs to
 * the key and is never taken from a token. Part of service/auth.
 *
 * A key that is unknown, weak, meant for something else, without a kid or with
 * one seen before is skipped; only what is no key set at all is refused. A set
 * is never changed: a newer one replaces it as a whole.
 */
#ifndef SHOTAI_AUTH_KEYS_H
#define SHOTAI_AUTH_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define AUTH_KID_MAX 128
#define AUTH_KEYS_MAX 32

struct arena;

enum auth_algorithm { AUTH_ES256, AUTH_RS256, AUTH_HS256, AUTH_ALGORITHM__COUNT };

struct auth_key {
	const char *kid;
	enum auth_algorithm algorithm;
	const char *material; /* PEM, or the bytes of a secret; never empty */
	size_t len;
	uint8_t id[DIGEST_SHA256]; /* of algorithm, kid and material: two keys are the same when their ids are */
};

struct auth_keys;

/* NULL: not a key set. Free with auth_keys_free. */
struct auth_keys *auth_keys_parse(const char *json, size_t len);
void auth_keys_free(struct auth_keys *keys);
size_t auth_keys_count(const struct auth_keys *keys);
/* NULL when there is none; lives as long as the set. */
const struct auth_key *auth_keys_by_kid(const struct auth_keys *keys, const char *kid);
const struct auth_key *auth_keys_by_id(const struct auth_keys *keys, const uint8_t id[static DIGEST_SHA256]);
/* Fills key->id from the other members. */
void auth_keys_identify(struct arena *arena, struct auth_key *key);

#endif
