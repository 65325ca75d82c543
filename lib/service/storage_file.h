/*
 * Objects as files below one folder: key K is the file FOLDER/K. Inside of
 * service/storage, which checks the keys.
 *
 * An object is written under a temporary name (".tmp-...") in its folder,
 * synced and linked to its own name. Folders come and go with what they hold;
 * a put whose folder was just removed makes it again.
 */
#ifndef SHOTAI_STORAGE_FILE_H
#define SHOTAI_STORAGE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct arena;
struct storage_object;
struct storage_piece;
struct storage_source;
struct storage_file;

/* folder is absolute and is made when it is absent. NULL (logged) when it cannot be used. */
struct storage_file *storage_file_new(const char *folder);
void storage_file_free(struct storage_file *file);

[[nodiscard]] enum problem storage_file_put(struct storage_file *file, const char *key, const void *bytes, size_t len);
[[nodiscard]] enum problem storage_file_get(
    struct storage_file *file, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len);
[[nodiscard]] enum problem storage_file_read(struct storage_file *file, const char *key, int64_t offset,
    const struct storage_piece *piece, size_t *ret_len, int64_t *ret_total);
[[nodiscard]] enum problem storage_file_put_file(
    struct storage_file *file, const char *key, const struct storage_source *source);
[[nodiscard]] enum problem storage_file_delete(struct storage_file *file, const char *key);
[[nodiscard]] enum problem storage_file_delete_many(struct storage_file *file, const char *const *keys, size_t count);
[[nodiscard]] enum problem storage_file_list(struct storage_file *file, struct arena *arena, const char *prefix,
    const char *after, struct storage_object **ret_objects, size_t *ret_count);

#endif
