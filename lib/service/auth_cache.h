/*
 * Tokens that were verified, so that a busy user costs no signature check per
 * request. Part of service/auth; may be used by many threads.
 *
 * Bounded: a fixed number of entries in sets of a few, the least recently used
 * of a full set gives way. An entry is found by the token's SHA-256 only and
 * says by which key the token was verified; whether that key still counts and
 * whether the token has expired is for the caller to check on each hit.
 */
#ifndef SHOTAI_AUTH_CACHE_H
#define SHOTAI_AUTH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "service/auth.h"

struct auth_cache;

struct auth_cache *auth_cache_new(struct arena *arena);
void auth_cache_free(struct auth_cache *cache);

/* False when it is not there; else the claims, in the arena, and the id of the key that verified them. */
bool auth_cache_get(struct auth_cache *cache, struct arena *arena, const uint8_t token[static DIGEST_SHA256],
    struct claims *ret_claims, uint8_t ret_key_id[static DIGEST_SHA256]);
/* Claims too long for an entry are not kept. */
void auth_cache_put(struct auth_cache *cache, const uint8_t token[static DIGEST_SHA256],
    const uint8_t key_id[static DIGEST_SHA256], const struct claims *claims);
void auth_cache_drop(struct auth_cache *cache, const uint8_t token[static DIGEST_SHA256]);

#endif
