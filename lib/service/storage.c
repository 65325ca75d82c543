#include "service/storage.h"

#include <string.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/storage_file.h"

#define KEY_MAX 512

struct storage {
	struct arena *arena;
	struct storage_file *file;
};

struct storage *
storage_new(const struct config *config)
{
	static const char scheme[] = "file:";
	const char *place = config_text(config, CONFIG_STORAGE);
	if (place == NULL || strncmp(place, scheme, sizeof scheme - 1) != 0 || place[sizeof scheme - 1] != '/') {
		log_event(LOG_ERROR, "storage_setting_unusable", NULL);
		return NULL;
	}
	struct storage_file *file = storage_file_new(place + sizeof scheme - 1);
	if (file == NULL)
		return NULL;
	struct arena *arena = arena_new();
	struct storage *storage = arena_alloc(arena, sizeof *storage);
	*storage = (struct storage){.arena = arena, .file = file};
	return storage;
}

void
storage_free(struct storage *storage)
{
	if (storage == NULL)
		return;
	storage_file_free(storage->file);
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
	/* Files have no type of their own; the row that names the object holds it. */
	(void)content_type;
	return key_valid(key) ? storage_file_put(storage->file, key, bytes, len) : key_refused("put");
}

enum problem
storage_get(
    struct storage *storage, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
	if (!key_valid(key))
		return PROBLEM_NOT_FOUND;
	return storage_file_get(storage->file, arena, key, max, ret_bytes, ret_len);
}

enum problem
storage_delete(struct storage *storage, const char *key)
{
	return key_valid(key) ? storage_file_delete(storage->file, key) : key_refused("delete");
}

enum problem
storage_list(struct storage *storage, struct arena *arena, const char *prefix, const char *after,
    struct storage_object **ret_objects, size_t *ret_count)
{
	return storage_file_list(storage->file, arena, prefix, after == NULL ? "" : after, ret_objects, ret_count);
}

const char *
storage_accel(struct storage *storage, struct arena *arena, const char *key)
{
	(void)storage;
	return key_valid(key) ? arena_printf(arena, "/_storage/%s", key) : NULL;
}
