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
	const char *md5; /* in hex; NULL where the place does not keep it */
};

/* Where a piece of one goes. */
struct storage_piece {
	void *bytes;
	size_t size;
};

/* What becomes one: the first len bytes of a regular file. */
struct storage_source {
	int fd;
	int64_t len;
	bool (*go_on)(void *context); /* NULL, or asked before each part; false gives up */
	void *context;
};

/* An object that was begun and, maybe, never will be whole. */
struct storage_unfinished {
	const char *key, *id;
};

/* From STORAGE; NULL when the setting is unusable (logged). May be used by many threads. */
struct storage *storage_new(const struct config *config);
/* The same of another place, written as STORAGE is; stops the program when r2 lacks a setting. */
struct storage *storage_open(const struct config *config, const char *place);
void storage_free(struct storage *storage);

/*
 * Every failure is PROBLEM_STORAGE_UNAVAILABLE, logged with its cause, unless
 * said otherwise. A key that cannot be one (other characters, a leading or
 * doubled slash, a part that begins with a dot, "..", over 512 bytes) is a bug:
 * PROBLEM_INTERNAL, or for storage_get PROBLEM_NOT_FOUND.
 */
/*
 * Stores bytes under a fresh key, durably and at once: a reader sees all of it
 * or nothing. PROBLEM_INTERNAL: the key is taken; what is there stays (in r2
 * the same bytes there count as stored, since an answer may have been lost).
 */
[[nodiscard]] enum problem storage_put(
    struct storage *storage, const char *key, const char *content_type, const void *bytes, size_t len);
/* PROBLEM_NOT_FOUND when there is none; PROBLEM_TOO_LARGE over max bytes; into the arena. */
[[nodiscard]] enum problem storage_get(
    struct storage *storage, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len);
/*
 * A piece of an object: up to size bytes from offset on; *ret_len is 0 at its
 * end, *ret_total the size of all of it. PROBLEM_NOT_FOUND when there is none.
 */
[[nodiscard]] enum problem storage_read(struct storage *storage, const char *key, int64_t offset,
    const struct storage_piece *piece, size_t *ret_len, int64_t *ret_total);
/*
 * storage_put of a file, of which no more than a part is ever in memory. The
 * key must be fresh: r2 overwrites.
 */
[[nodiscard]] enum problem storage_put_file(
    struct storage *storage, const char *key, const char *content_type, const struct storage_source *source);
/*
 * Up to 1000 objects under prefix whose storage_put_file has not ended, be it
 * under way or dead; storage_give_up ends one. Only r2 has such.
 */
[[nodiscard]] enum problem storage_list_unfinished(struct storage *storage, struct arena *arena, const char *prefix,
    struct storage_unfinished **ret_objects, size_t *ret_count);
[[nodiscard]] enum problem storage_give_up(struct storage *storage, const struct storage_unfinished *object);
/* An absent object counts as deleted. */
[[nodiscard]] enum problem storage_delete(struct storage *storage, const char *key);
/* The same for any number of keys. After a problem some are deleted; to repeat it does no harm. */
[[nodiscard]] enum problem storage_delete_many(struct storage *storage, const char *const *keys, size_t count);
/*
 * Up to 1000 objects under prefix ("": all) after the key `after` (NULL: from
 * the start), in order of their keys. What an interrupted storage_put left
 * behind (nothing, but on file systems without nameless files) is never listed,
 * and removed here once it is ten minutes old.
 */
[[nodiscard]] enum problem storage_list(struct storage *storage, struct arena *arena, const char *prefix,
    const char *after, struct storage_object **ret_objects, size_t *ret_count);
/*
 * The internal nginx location that serves the object, for X-Accel-Redirect; in
 * the arena. In r2 it holds a signature for a minute, and nothing is cached.
 * NULL: no possible key, or an upload.
 */
const char *storage_accel(struct storage *storage, struct arena *arena, const char *key);
/* The same for a thumbnail, which nginx may keep for less than 10 minutes where it does not have the file itself. */
const char *storage_accel_thumbnail(struct storage *storage, struct arena *arena, const char *key);
/*
 * With STORAGE_LINKS=direct the URL under which R2 itself gives the picture
 * from one time to another (unix seconds), the same for the same times. NULL:
 * links are ours.
 */
const char *storage_link(
    const struct config *config, struct arena *arena, const char *key, int64_t from, int64_t until);

#endif
