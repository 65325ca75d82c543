/*
 * The keys for one purpose, derived from SECRET_KEY: the current one, which
 * makes signatures, and the previous one, which is still accepted while a
 * rotation is under way.
 */
#ifndef SHOTAI_SECRET_H
#define SHOTAI_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define SECRET_KEYS 2

struct arena;

struct secret_keys {
	uint8_t key[SECRET_KEYS][DIGEST_SHA256];
	size_t count; /* 1, or 2 with a previous secret */
};

/* secrets is SECRET_KEY's value, current[,previous]; purpose a constant of the caller's module. */
void secret_derive(struct arena *arena, const char *secrets, const char *purpose, struct secret_keys *ret_keys);

static inline void
secret_cleanup(struct secret_keys *keys)
{
	digest_cleanse(keys, sizeof *keys);
}
#define AUTO_SECRET_KEYS __attribute__((cleanup(secret_cleanup))) struct secret_keys

#endif
