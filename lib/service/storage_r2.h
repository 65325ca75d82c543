/*
 * Objects in two buckets of Cloudflare R2, or of another server that speaks
 * S3: keys under uploads/ in R2_UPLOAD_BUCKET, all others in R2_BUCKET. Inside
 * of service/storage, which checks the keys.
 *
 * Every request is signed with the hash of its body. What the server refuses
 * for the moment (429, 5xx), or does not answer, is asked again a few times
 * with growing, random pauses, signed anew, within 25 s in all. Neither keys of
 * the account nor URLs are logged.
 */
#ifndef SHOTAI_STORAGE_R2_H
#define SHOTAI_STORAGE_R2_H

#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct arena;
struct config;
struct storage_object;
struct storage_piece;
struct storage_source;
struct storage_unfinished;
struct storage_r2;

/* The settings R2_* must be there. May be used by many threads. */
struct storage_r2 *storage_r2_new(const struct config *config);
void storage_r2_free(struct storage_r2 *r2);

[[nodiscard]] enum problem storage_r2_put(
    struct storage_r2 *r2, const char *key, const char *content_type, const void *bytes, size_t len);
[[nodiscard]] enum problem storage_r2_get(
    struct storage_r2 *r2, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len);
[[nodiscard]] enum problem storage_r2_read(struct storage_r2 *r2, const char *key, int64_t offset,
    const struct storage_piece *piece, size_t *ret_len, int64_t *ret_total);
[[nodiscard]] enum problem storage_r2_put_file(
    struct storage_r2 *r2, const char *key, const char *content_type, const struct storage_source *source);
[[nodiscard]] enum problem storage_r2_list_unfinished(struct storage_r2 *r2, struct arena *arena, const char *prefix,
    struct storage_unfinished **ret_objects, size_t *ret_count);
[[nodiscard]] enum problem storage_r2_give_up(struct storage_r2 *r2, const struct storage_unfinished *object);
[[nodiscard]] enum problem storage_r2_delete(struct storage_r2 *r2, const char *key);
[[nodiscard]] enum problem storage_r2_delete_many(struct storage_r2 *r2, const char *const *keys, size_t count);
[[nodiscard]] enum problem storage_r2_list(struct storage_r2 *r2, struct arena *arena, const char *prefix,
    const char *after, struct storage_object **ret_objects, size_t *ret_count);

/* Path and query that give the object from that time (unix seconds) on, for so many seconds. */
const char *storage_r2_presign(
    const struct config *config, struct arena *arena, const char *key, int64_t from, int64_t seconds);

#endif
