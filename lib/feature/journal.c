#include "feature/journal.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "service/db.h"
#include "service/storage.h"

#define PREFIX "journal/"
/* A thousand lines of less than 80 bytes. */
#define OBJECT_MAX ((size_t)128 << 10)

enum { NEXT, TOLD, FROM, UNKNOWN, REPLAY, PRUNE };

static const struct db_statement statements[] = {
    [NEXT] = {"select * from shotai.journal_next()", true},
    [TOLD] = {"select * from shotai.journal_told($1)", true},
    [FROM] = {"select * from shotai.journal_from()", true},
    [UNKNOWN] = {"select * from shotai.journal_unknown($1)", true},
    [REPLAY] = {"select * from shotai.replay_journal($1, $2, $3)", true},
    [PRUNE] = {"select * from shotai.prune_journal()", true},
};

/* An object that is there was stored by somebody who died before he could say so. */
static enum problem
store(struct storage *storage, struct arena *arena, const char *key, const struct text *lines)
{
	uint8_t *bytes;
	size_t len;
	enum problem problem = storage_get(storage, arena, key, OBJECT_MAX, &bytes, &len);
	return problem == PROBLEM_NOT_FOUND ? storage_put(storage, key, "text/plain", lines->data, lines->len)
					    : problem;
}

enum problem
journal_tell(struct db *db, struct storage *storage, bool *ret_told)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	AUTO_DB_RESULT none = NULL;
	struct text lines;
	enum problem problem = db_call(db, arena, &statements[NEXT], NULL, 0, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_told = db_rows(rows) > 0;
	if (!*ret_told)
		return PROBLEM_NONE;
	text_init(&lines, arena, OBJECT_MAX);
	for (size_t row = 0; row < db_rows(rows); row++)
		text_printf(&lines, "%s\n", db_text(rows, row, "line"));
	const char *key = db_text(rows, 0, "key");
	problem = store(storage, arena, key, &lines);
	if (problem != PROBLEM_NONE)
		return problem;
	return db_call(db, arena, &statements[TOLD], (const char *const[]){key}, 1, &none, NULL);
}

/* A page of objects that the database does not know; *ret_after is the last one that was looked at, NULL at the end. */
static enum problem
unknown_page(
    struct db *db, struct storage *storage, struct arena *arena, const char **ret_after, struct db_result **ret_keys)
{
	struct storage_object *objects = NULL;
	size_t count = 0;
	enum problem problem = storage_list(storage, arena, PREFIX, *ret_after, &objects, &count);
	if (problem != PROBLEM_NONE)
		return problem;
	const char **keys = arena_array(arena, count + 1, sizeof *keys);
	for (size_t i = 0; i < count; i++)
		keys[i] = objects[i].key;
	*ret_after = count > 0 ? keys[count - 1] : NULL;
	return db_call(
	    db, arena, &statements[UNKNOWN], (const char *const[]){db_array(arena, keys, count)}, 1, ret_keys, NULL);
}

static enum problem
first_key(struct db *db, struct arena *arena, const char **ret_after)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &statements[FROM], NULL, 0, &rows, NULL);
	if (problem == PROBLEM_NONE)
		*ret_after = arena_strdup(arena, db_text(rows, 0, "key"));
	return problem;
}

enum problem
journal_ahead(struct db *db, struct storage *storage, bool *ret_ahead)
{
	AUTO_ARENA arena = arena_new();
	const char *after = NULL;
	bool ahead = false;
	enum problem problem = first_key(db, arena, &after);
	while (problem == PROBLEM_NONE && after != NULL && !ahead) {
		AUTO_DB_RESULT keys = NULL;
		problem = unknown_page(db, storage, arena, &after, &keys);
		ahead = problem == PROBLEM_NONE && db_rows(keys) > 0;
	}
	if (problem == PROBLEM_NONE)
		*ret_ahead = ahead;
	return problem;
}

/* The lines of an object as the items of an array. */
static const char *
read_lines(struct arena *arena, char *text, size_t len)
{
	const char **lines = arena_array(arena, len + 1, sizeof *lines);
	size_t count = 0;
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t length = end != NULL ? (size_t)(end - (text + at)) : len - at;
		lines[count++] = arena_strndup(arena, text + at, length);
		at += length + 1;
	}
	return db_array(arena, lines, count);
}

static enum problem
replay_object(struct db *db, struct storage *storage, const char *key, bool dry, struct journal_counts *counts)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	uint8_t *bytes;
	size_t len;
	enum problem problem = storage_get(storage, arena, key, OBJECT_MAX, &bytes, &len);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *const parameters[] = {key, read_lines(arena, (char *)bytes, len), dry ? "true" : "false"};
	/* A user is found by hashing them all. */
	problem = db_call_patiently(db, arena, &statements[REPLAY], parameters, 3, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	counts->objects++;
	counts->accounts += db_integer(rows, 0, "accounts");
	counts->generations += db_integer(rows, 0, "generations");
	return PROBLEM_NONE;
}

enum problem
journal_replay(struct db *db, struct storage *storage, bool dry, struct journal_counts *ret_counts)
{
	AUTO_ARENA arena = arena_new();
	const char *after = NULL;
	*ret_counts = (struct journal_counts){0};
	enum problem problem = first_key(db, arena, &after);
	while (problem == PROBLEM_NONE && after != NULL) {
		AUTO_DB_RESULT keys = NULL;
		problem = unknown_page(db, storage, arena, &after, &keys);
		for (size_t row = 0; problem == PROBLEM_NONE && row < db_rows(keys); row++)
			problem = replay_object(db, storage, db_text(keys, row, "key"), dry, ret_counts);
	}
	return problem;
}

enum problem
journal_prune(struct db *db, struct storage *storage)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	const char *after = NULL;
	enum problem problem = db_call(db, arena, &statements[PRUNE], NULL, 0, &rows, NULL);
	bool more = problem == PROBLEM_NONE;
	while (problem == PROBLEM_NONE && more) {
		struct storage_object *objects = NULL;
		size_t count = 0, old = 0;
		problem = storage_list(storage, arena, PREFIX, after, &objects, &count);
		const char **keys = arena_array(arena, count + 1, sizeof *keys);
		while (
		    problem == PROBLEM_NONE && old < count && strcmp(objects[old].key, db_text(rows, 0, "key")) < 0) {
			keys[old] = objects[old].key;
			old++;
		}
		if (problem == PROBLEM_NONE && old > 0)
			problem = storage_delete_many(storage, keys, old);
		more = count > 0 && old == count;
		after = more ? keys[count - 1] : NULL;
	}
	return problem;
}
