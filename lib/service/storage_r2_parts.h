/*
 * Objects that go up in parts, since one request is too small for them. Inside
 * of service/storage_r2.
 */
#ifndef SHOTAI_STORAGE_R2_PARTS_H
#define SHOTAI_STORAGE_R2_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

/* What fits into one part goes up in one request instead. */
#define STORAGE_R2_PART ((int64_t)8 << 20)

struct arena;
struct storage_r2_caller;
struct storage_source;
struct storage_unfinished;

struct storage_r2_object {
	const char *bucket, *key, *content_type;
};

/* len bytes of the file fd from offset on. */
[[nodiscard]] enum problem storage_r2_parts_read(int fd, uint8_t *bytes, size_t len, int64_t offset);
/* A part at a time in memory; given up at the server when it fails. */
[[nodiscard]] enum problem storage_r2_parts_put(
    struct storage_r2_caller *caller, const struct storage_r2_object *object, const struct storage_source *source);
/* Up to 1000 that were begun and neither ended nor given up. */
[[nodiscard]] enum problem storage_r2_parts_list(struct storage_r2_caller *caller, struct arena *arena,
    const char *bucket, const char *prefix, struct storage_unfinished **ret_uploads, size_t *ret_count);
/* Gives one up; one that is not there counts as given up. */
[[nodiscard]] enum problem storage_r2_parts_abort(
    struct storage_r2_caller *caller, const char *bucket, const struct storage_unfinished *upload);

#endif
