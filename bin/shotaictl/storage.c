#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "service/storage.h"
#include "shotaictl.h"

#define OBJECT_MAX ((size_t)256 << 20)

/* One place, object by object in order of their keys. */
struct side {
	struct storage *storage;
	struct arena *page;
	struct storage_object *objects;
	size_t at, count;
	bool ended;
};

struct copy {
	struct side from, to;
	bool write;
	int64_t copied, bytes, there, missing, different;
};

static void
copy_close(struct copy *copy)
{
	arena_free(copy->from.page);
	arena_free(copy->to.page);
	storage_free(copy->from.storage);
	storage_free(copy->to.storage);
}

/* The next object, without passing it; NULL at the end. */
static enum problem
side_peek(struct side *side, const struct storage_object **ret_object)
{
	if (side->at == side->count && !side->ended) {
		AUTO_ARENA last = arena_new();
		const char *after = side->count > 0 ? arena_strdup(last, side->objects[side->count - 1].key) : NULL;
		arena_reset(side->page);
		side->at = side->count = 0;
		enum problem problem = storage_list(side->storage, side->page, "", after, &side->objects, &side->count);
		if (problem != PROBLEM_NONE)
			return problem;
		side->ended = side->count == 0;
	}
	*ret_object = side->ended ? NULL : &side->objects[side->at];
	return PROBLEM_NONE;
}

static const char *
content_type(const char *key)
{
	static const char *const types[][2] = {
	    {".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}, {".webp", "image/webp"}};
	const char *dot = strrchr(key, '.');
	for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

/* Whether the object over there holds these bytes: by its size and MD5, or read where that is not known. */
static enum problem
compare(struct copy *copy, struct arena *arena, const struct storage_object *there, const uint8_t *bytes, size_t len,
    bool *ret_same)
{
	uint8_t digest[16], *other = NULL;
	char md5[2 * sizeof digest + 1];
	size_t other_len = 0;
	*ret_same = there->bytes == len;
	if (!*ret_same)
		return PROBLEM_NONE;
	if (there->md5 != NULL) {
		digest_md5(bytes, len, digest);
		digest_hex(digest, sizeof digest, md5);
		*ret_same = strcmp(md5, there->md5) == 0;
		return PROBLEM_NONE;
	}
	enum problem problem = storage_get(copy->to.storage, arena, there->key, len, &other, &other_len);
	*ret_same = problem == PROBLEM_NONE && other_len == len && memcmp(other, bytes, len) == 0;
	return problem == PROBLEM_NOT_FOUND || problem == PROBLEM_TOO_LARGE ? PROBLEM_NONE : problem;
}

/* there: the object of the same key on the other side, or NULL. */
static enum problem
copy_object(struct copy *copy, const struct storage_object *object, const struct storage_object *there)
{
	AUTO_ARENA arena = arena_new();
	uint8_t *bytes = NULL;
	size_t len = 0;
	bool same = false;
	if (there == NULL && !copy->write) {
		copy->missing++;
		return PROBLEM_NONE;
	}
	enum problem problem = storage_get(copy->from.storage, arena, object->key, OBJECT_MAX, &bytes, &len);
	if (problem != PROBLEM_NONE)
		return problem == PROBLEM_NOT_FOUND ? PROBLEM_NONE : problem; /* deleted since it was listed */
	if (there == NULL) {
		problem = storage_put(copy->to.storage, object->key, content_type(object->key), bytes, len);
		if (problem == PROBLEM_NONE) {
			copy->copied++;
			copy->bytes += (int64_t)len;
		}
		return problem;
	}
	problem = compare(copy, arena, there, bytes, len, &same);
	copy->there += problem == PROBLEM_NONE && same;
	copy->different += problem == PROBLEM_NONE && !same;
	if (problem == PROBLEM_NONE && !same)
		(void)fprintf(stderr, "different: %s\n", object->key);
	return problem;
}

/* Walks both sides together. */
static enum problem
copy_all(struct copy *copy)
{
	for (;;) {
		const struct storage_object *object = NULL, *there = NULL;
		enum problem problem = side_peek(&copy->from, &object);
		if (problem != PROBLEM_NONE || object == NULL)
			return problem;
		do {
			problem = side_peek(&copy->to, &there);
			if (problem != PROBLEM_NONE)
				return problem;
			copy->to.at += there != NULL && strcmp(there->key, object->key) < 0;
		} while (there != NULL && strcmp(there->key, object->key) < 0);
		bool both = there != NULL && strcmp(there->key, object->key) == 0;
		problem = copy_object(copy, object, both ? there : NULL);
		if (problem != PROBLEM_NONE) {
			(void)fprintf(stderr, "failed: %s\n", object->key);
			return problem;
		}
		copy->from.at++;
	}
}

static struct storage *
open_place(struct ctl *ctl, const char *place)
{
	const char *setting = config_text(ctl->config, CONFIG_STORAGE);
	if (strcmp(place, "file") == 0)
		place = setting != NULL && strncmp(setting, "file:", 5) == 0 ? setting : "";
	return storage_open(ctl->config, place);
}

static enum exit_status
copy_pass(struct ctl *ctl, const char *from, const char *to, bool write, struct copy *copy)
{
	*copy = (struct copy){.from = {.storage = open_place(ctl, from), .page = arena_new()},
	    .to = {.storage = open_place(ctl, to), .page = arena_new()},
	    .write = write};
	if (copy->from.storage == NULL || copy->to.storage == NULL)
		return ctl_fail("storage copy: %s cannot be used", copy->from.storage == NULL ? from : to);
	enum problem problem = copy_all(copy);
	if (write)
		printf("copied %" PRId64 " (%" PRId64 " bytes), already there %" PRId64 ", different %" PRId64 "\n",
		    copy->copied, copy->bytes, copy->there, copy->different);
	else
		printf("there %" PRId64 ", missing %" PRId64 ", different %" PRId64 "\n", copy->there, copy->missing,
		    copy->different);
	if (problem != PROBLEM_NONE) {
		ctl_refuse("storage copy", problem);
		return EXIT_FAILED;
	}
	return copy->different > 0 ? EXIT_FOUND : EXIT_DONE;
}

enum exit_status
ctl_storage_copy(struct ctl *ctl, int argc, char **argv)
{
	bool dry_run = argc == 3 && strcmp(argv[2], "--dry-run") == 0;
	if (argc < 2 || (argc > 2 && !dry_run) || argv[0][0] == '-' || argv[1][0] == '-')
		return ctl_fail("storage copy: FROM TO [--dry-run]; a place is file, file:/PATH or r2");
	if (!dry_run) {
		__attribute__((cleanup(copy_close))) struct copy copy = {0};
		enum exit_status status = copy_pass(ctl, argv[0], argv[1], true, &copy);
		if (status != EXIT_DONE)
			return status;
	}
	/* What was there or is there now is read once more and compared. */
	__attribute__((cleanup(copy_close))) struct copy check = {0};
	enum exit_status status = copy_pass(ctl, argv[0], argv[1], false, &check);
	return status == EXIT_DONE && !dry_run && check.missing > 0 ? EXIT_FOUND : status;
}
