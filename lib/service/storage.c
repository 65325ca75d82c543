#include "service/storage.h"

#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/storage_file.h"
#include "service/storage_r2.h"

#define KEY_MAX 512
#define ACCEL_SECONDS 60

struct storage {
	struct arena *arena;
	const struct config *config;
	struct storage_file *file; /* either this */
	struct storage_r2 *r2;     /* or this */
};

struct storage *
storage_new(const struct config *config)
{
	const char *place = config_text(config, CONFIG_STORAGE);
	return storage_open(config, place == NULL ? "" : place);
}

struct storage *
storage_open(const struct config *config, const char *place)
{
	static const char scheme[] = "file:";
	static const enum config_name needs[] = {CONFIG_R2_ENDPOINT, CONFIG_R2_BUCKET, CONFIG_R2_UPLOAD_BUCKET,
	    CONFIG_R2_ACCESS_KEY_ID, CONFIG_R2_SECRET_ACCESS_KEY, CONFIG_NAME__COUNT};
	struct storage_file *file = NULL;
	struct storage_r2 *r2 = NULL;
	if (strcmp(place, "r2") == 0) {
		config_require(config, needs);
		r2 = storage_r2_new(config);
	} else if (strncmp(place, scheme, sizeof scheme - 1) == 0 && place[sizeof scheme - 1] == '/') {
		file = storage_file_new(place + sizeof scheme - 1);
	} else {
		log_event(LOG_ERROR, "storage_setting_unusable", NULL);
	}
	if (file == NULL && r2 == NULL)
		return NULL;
	struct arena *arena = arena_new();
	struct storage *storage = arena_alloc(arena, sizeof *storage);
	*storage = (struct storage){.arena = arena, .config = config, .file = file, .r2 = r2};
	return storage;
}

void
storage_free(struct storage *storage)
{
	if (storage == NULL)
		return;
	storage_file_free(storage->file);
	storage_r2_free(storage->r2);
	arena_free(storage->arena);
}

static bool
key_valid(const char *key)
{
	size_t len = strlen(key);
	if (len == 0 || len > KEY_MAX || strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789/._-") != len)
		return false;
	if (*key == '/' || *key == '.' || key[len - 1] == '/')
		return false;
	return strstr(key, "//") == NULL && strstr(key, "/.") == NULL && strstr(key, "..") == NULL;
}

static enum problem
key_refused(const char *action)
{
	log_event(LOG_ERROR, "storage_key_impossible", "action", action, NULL);
	return PROBLEM_INTERNAL;
}

enum problem
storage_put(struct storage *storage, const char *key, const char *content_type, const void *bytes, size_t len)
{
	if (!key_valid(key))
		return key_refused("put");
	/* Files have no type of their own; the row that names the object holds it. */
	return storage->r2 != NULL ? storage_r2_put(storage->r2, key, content_type, bytes, len)
				   : storage_file_put(storage->file, key, bytes, len);
}

enum problem
storage_get(
    struct storage *storage, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
	if (!key_valid(key))
		return PROBLEM_NOT_FOUND;
	return storage->r2 != NULL ? storage_r2_get(storage->r2, arena, key, max, ret_bytes, ret_len)
				   : storage_file_get(storage->file, arena, key, max, ret_bytes, ret_len);
}

enum problem
storage_read(struct storage *storage, const char *key, int64_t offset, const struct storage_piece *piece,
    size_t *ret_len, int64_t *ret_total)
{
	if (!key_valid(key))
		return PROBLEM_NOT_FOUND;
	return storage->r2 != NULL ? storage_r2_read(storage->r2, key, offset, piece, ret_len, ret_total)
				   : storage_file_read(storage->file, key, offset, piece, ret_len, ret_total);
}

enum problem
storage_put_file(
    struct storage *storage, const char *key, const char *content_type, const struct storage_source *source)
{
	if (!key_valid(key))
		return key_refused("put");
	return storage->r2 != NULL ? storage_r2_put_file(storage->r2, key, content_type, source)
				   : storage_file_put_file(storage->file, key, source);
}

enum problem
storage_list_unfinished(struct storage *storage, struct arena *arena, const char *prefix,
    struct storage_unfinished **ret_objects, size_t *ret_count)
{
	if (storage->r2 != NULL)
		return storage_r2_list_unfinished(storage->r2, arena, prefix, ret_objects, ret_count);
	*ret_count = 0;
	return PROBLEM_NONE;
}

enum problem
storage_give_up(struct storage *storage, const struct storage_unfinished *object)
{
	if (!key_valid(object->key))
		return key_refused("give up");
	return storage->r2 != NULL ? storage_r2_give_up(storage->r2, object) : PROBLEM_NONE;
}

enum problem
storage_delete(struct storage *storage, const char *key)
{
	if (!key_valid(key))
		return key_refused("delete");
	return storage->r2 != NULL ? storage_r2_delete(storage->r2, key) : storage_file_delete(storage->file, key);
}

enum problem
storage_delete_many(struct storage *storage, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!key_valid(keys[i]))
			return key_refused("delete");
	return storage->r2 != NULL ? storage_r2_delete_many(storage->r2, keys, count)
				   : storage_file_delete_many(storage->file, keys, count);
}

enum problem
storage_list(struct storage *storage, struct arena *arena, const char *prefix, const char *after,
    struct storage_object **ret_objects, size_t *ret_count)
{
	const char *from = after == NULL ? "" : after;
	return storage->r2 != NULL ? storage_r2_list(storage->r2, arena, prefix, from, ret_objects, ret_count)
				   : storage_file_list(storage->file, arena, prefix, from, ret_objects, ret_count);
}

static bool
is_upload(const char *key)
{
	static const char uploads[] = "uploads/";
	return strncmp(key, uploads, sizeof uploads - 1) == 0;
}

/* nginx puts scheme, host and bucket before the key, and passes on the query. */
static const char *
accel(struct storage *storage, struct arena *arena, const char *location, const char *key)
{
	if (!key_valid(key) || is_upload(key))
		return NULL;
	if (storage->r2 == NULL)
		return arena_printf(arena, "/_storage/%s", key);
	const char *target = storage_r2_presign(storage->config, arena, key, time(NULL), ACCEL_SECONDS);
	return arena_printf(arena, "/%s/%s%s", location, key, strchr(target, '?'));
}

const char *
storage_accel(struct storage *storage, struct arena *arena, const char *key)
{
	return accel(storage, arena, "_storage", key);
}

const char *
storage_accel_thumbnail(struct storage *storage, struct arena *arena, const char *key)
{
	return accel(storage, arena, "_thumbnail", key);
}

const char *
storage_link(const struct config *config, struct arena *arena, const char *key, int64_t from, int64_t until)
{
	if (strcmp(config_text(config, CONFIG_STORAGE_LINKS), "direct") != 0 || !key_valid(key) || is_upload(key))
		return NULL;
	return arena_printf(arena, "%s%s", config_text(config, CONFIG_R2_ENDPOINT),
	    storage_r2_presign(config, arena, key, from, until - from));
}
