/*
 * Where pictures and uploads are kept: one interface, one implementation per
 * kind of place (storage_file; storage_r2). Keys are made by us from
 * [a-z0-9/._-] and tell nothing about a person.
 */
#ifndef SHOTAI_STORAGE_H
#define SHOTAI_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct storage;
struct config;
struct arena;

struct storage_object {
	const char *key;
	int64_t modified_at; /* unix seconds */
	size_t bytes;
};

/* From STORAGE; NULL when the setting is unusable (logged). May be used by many threads. */
struct storage *storage_new(const struct config *config);
void storage_free(struct storage *storage);

/*
 * Every failure is PROBLEM_STORAGE_UNAVAILABLE, logged with its cause, unless
 * said otherwise. A key that cannot be one (other characters, a leading or
 * doubled slash, a part that begins with a dot, "..", over 512 bytes) is a bug:
 * PROBLEM_INTERNAL, or for storage_get PROBLEM_NOT_FOUND.
 */
/*
 * Stores bytes under a fresh key, durably and at once: a reader sees all of it
 * or nothing. PROBLEM_INTERNAL: the key is taken; what is there stays.
 */
[[nodiscard]] enum problem storage_put(
    struct storage *storage, const char *key, const char *content_type, const void *bytes, size_t len);
/* PROBLEM_NOT_FOUND when there is none; PROBLEM_TOO_LARGE over max bytes; into the arena. */
[[nodiscard]] enum problem storage_get(
    struct storage *storage, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len);
/* An absent object counts as deleted. */
[[nodiscard]] enum problem storage_delete(struct storage *storage, const char *key);
/*
 * Up to 1000 objects under prefix ("": all) after the key `after` (NULL: from
 * the start), in order of their keys. What an interrupted storage_put left
 * behind is never listed, and removed here once it is an hour old.
 */
[[nodiscard]] enum problem storage_list(struct storage *storage, struct arena *arena, const char *prefix,
    const char *after, struct storage_object **ret_objects, size_t *ret_count);
/* The internal nginx location that serves the object, for X-Accel-Redirect; in the arena. NULL: no possible key. */
const char *storage_accel(struct storage *storage, struct arena *arena, const char *key);

#endif
