#include "feature/upload.h"

#include <stdlib.h>
#include <time.h>

#include "base/digest.h"
#include "base/log.h"
#include "feature/job.h"
#include "feature/refusal.h"

enum { ADMIT, CONFIRM, ABANDON, REMOVE, FINISH_REMOVAL, CLAIM_DUE, RELEASE, BURY, UNOWNED, PRUNE, REFERENCES };

static const struct db_statement statements[] = {
    [ADMIT] = {"select * from shotai.admit_upload($1, $2, $3, $4, $5, $6)", false},
    [CONFIRM] = {"select * from shotai.confirm_upload($1, $2, $3, $4, $5, $6)", true},
    [ABANDON] = {"select * from shotai.abandon_upload($1, $2, $3)", true},
    [REMOVE] = {"select * from shotai.remove_upload($1, $2, $3)", true},
    [FINISH_REMOVAL] = {"select * from shotai.finish_removal($1, $2)", true},
    [CLAIM_DUE] = {"select * from shotai.claim_due_uploads($1)", true},
    [RELEASE] = {"select * from shotai.release_uploads($1)", true},
    [BURY] = {"select * from shotai.bury_uploads($1)", true},
    [UNOWNED] = {"select * from shotai.unowned_uploads($1, $2)", true},
    [PRUNE] = {"select * from shotai.prune_uploads()", true},
    [REFERENCES] = {"select * from shotai.job_references($1, $2)", true},
};

#define RANDOM_BYTES 16
#define PRUNED_MAX 10000 /* of one call */
#define PARAMETERS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* uploads/<minute>/<random>: says nothing about anybody, and lists in order of age. */
static const char *
fresh_key(struct arena *arena)
{
	uint8_t random[RANDOM_BYTES];
	char hex[2 * RANDOM_BYTES + 1];
	digest_random(random, sizeof random);
	digest_hex(random, sizeof random, hex);
	return arena_printf(arena, "uploads/%lld/%s", (long long)time(NULL) / 60, hex);
}

static enum problem
no_rows(const struct db_statement *statement)
{
	log_event(LOG_ERROR, "no_rows", "statement", statement->sql, NULL);
	return PROBLEM_INTERNAL;
}

/* Calls a statement that answers with one row. */
static enum problem
call_one(struct call *call, const struct db_statement *statement, const char *const *parameters, size_t count,
    struct db_result **ret_rows)
{
	enum problem problem = refusal_call(call, statement, parameters, count, ret_rows);
	if (problem == PROBLEM_NONE && db_rows(*ret_rows) == 0)
		return no_rows(statement);
	return problem;
}

static void
write_upload(struct call *call, const struct db_result *rows)
{
	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "id", db_text(rows, 0, "id"));
	text_json_string(call->json, "content_type", db_text(rows, 0, "content_type"));
	text_json_int(call->json, "width", db_integer(rows, 0, "width"));
	text_json_int(call->json, "height", db_integer(rows, 0, "height"));
	text_json_int(call->json, "bytes", db_integer(rows, 0, "bytes"));
	text_json_string(call->json, "created_at", db_text(rows, 0, "created_at"));
	text_json_string(call->json, "expires_at", db_text(rows, 0, "expires_at"));
	text_json_close(call->json, '}');
}

enum problem
upload_admit(struct call *call, int64_t ttl_seconds, const char *idempotency_key, const char *hash,
    struct upload_ticket *ret_ticket)
{
	AUTO_DB_RESULT rows = NULL;
	const char *key = fresh_key(call->arena);
	enum problem problem = call_one(call, &statements[ADMIT],
	    PARAMETERS(call->user->user_id, call->user->session_id, key, db_parameter(call->arena, ttl_seconds),
		idempotency_key, hash),
	    &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	bool replayed = db_boolean(rows, 0, "replayed");
	if (replayed)
		write_upload(call, rows);
	*ret_ticket = (struct upload_ticket){
	    .id = arena_strdup(call->arena, db_text(rows, 0, "id")), .key = key, .replayed = replayed};
	return PROBLEM_NONE;
}

enum problem
upload_confirm(struct call *call, const char *id, const struct image *image)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_one(call, &statements[CONFIRM],
	    PARAMETERS(call->user->user_id, id, image_content_type(image->format),
		db_parameter(call->arena, image->width), db_parameter(call->arena, image->height),
		db_parameter(call->arena, (int64_t)image->len)),
	    &rows);
	if (problem == PROBLEM_NONE)
		write_upload(call, rows);
	return problem;
}

enum problem
upload_abandon(struct call *call, const char *id, bool clean)
{
	AUTO_DB_RESULT rows = NULL;
	return db_call(call->db, call->arena, &statements[ABANDON],
	    PARAMETERS(call->user->user_id, id, clean ? "true" : "false"), &rows, NULL);
}

enum problem
upload_remove(struct call *call, const char *id, const char **ret_key)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    call_one(call, &statements[REMOVE], PARAMETERS(call->user->user_id, call->user->session_id, id), &rows);
	if (problem == PROBLEM_NONE)
		*ret_key = arena_strdup(call->arena, db_text(rows, 0, "key"));
	return problem;
}

enum problem
upload_finish_removal(struct call *call, const char *id)
{
	AUTO_DB_RESULT rows = NULL;
	return db_call(
	    call->db, call->arena, &statements[FINISH_REMOVAL], PARAMETERS(call->user->user_id, id), &rows, NULL);
}

/* The values of a text column, in the arena. */
static const char **
read_column(struct arena *arena, const struct db_result *rows, const char *column)
{
	const char **items = arena_array(arena, db_rows(rows) + 1, sizeof(char *));
	for (size_t row = 0; row < db_rows(rows); row++)
		items[row] = arena_strdup(arena, db_text(rows, row, column));
	return items;
}

enum problem
upload_claim_due(struct db *db, struct arena *arena, size_t limit, struct upload_batch *ret_batch)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    db_call(db, arena, &statements[CLAIM_DUE], PARAMETERS(db_parameter(arena, (int64_t)limit)), &rows, NULL);
	if (problem == PROBLEM_NONE)
		*ret_batch = (struct upload_batch){.ids = read_column(arena, rows, "id"),
		    .keys = read_column(arena, rows, "key"),
		    .count = db_rows(rows)};
	return problem;
}

enum problem
upload_release(struct db *db, struct arena *arena, const struct upload_batch *batch)
{
	AUTO_DB_RESULT rows = NULL;
	return db_call(
	    db, arena, &statements[RELEASE], PARAMETERS(db_array(arena, batch->ids, batch->count)), &rows, NULL);
}

enum problem
upload_bury(struct db *db, struct arena *arena, const struct upload_batch *batch, int64_t *ret_count, double *ret_lag)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    db_call(db, arena, &statements[BURY], PARAMETERS(db_array(arena, batch->ids, batch->count)), &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(rows) == 0)
		return no_rows(&statements[BURY]);
	*ret_count = db_integer(rows, 0, "deleted");
	*ret_lag = strtod(db_text(rows, 0, "lag"), NULL);
	return PROBLEM_NONE;
}

enum problem
upload_unowned(struct db *db, struct arena *arena, const struct upload_batch *all, const struct upload_batch *old,
    struct upload_batch *ret_unowned)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &statements[UNOWNED],
	    PARAMETERS(db_array(arena, all->keys, all->count), db_array(arena, old->keys, old->count)), &rows, NULL);
	if (problem == PROBLEM_NONE)
		*ret_unowned = (struct upload_batch){.keys = read_column(arena, rows, "key"), .count = db_rows(rows)};
	return problem;
}

enum problem
upload_prune(struct db *db, bool *ret_more)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &statements[PRUNE], NULL, 0, &rows, NULL);
	if (problem == PROBLEM_NONE)
		*ret_more = db_rows(rows) > 0 && db_integer(rows, 0, "pruned") >= PRUNED_MAX;
	return problem;
}

enum problem
upload_references(struct db *db, struct arena *arena, const struct job *job, bool *ret_held,
    struct upload_reference **ret_references, size_t *ret_count)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &statements[REFERENCES],
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt)), &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	size_t count = db_rows(rows);
	struct upload_reference *references = arena_array(arena, count + 1, sizeof *references);
	for (size_t row = 0; row < count; row++)
		references[row] = (struct upload_reference){.key = arena_strdup(arena, db_text(rows, row, "key")),
		    .content_type = arena_strdup(arena, db_text(rows, row, "content_type")),
		    .bytes = (size_t)db_integer(rows, row, "bytes")};
	*ret_held = count == 0 || db_boolean(rows, 0, "held");
	*ret_references = references;
	*ret_count = count;
	return PROBLEM_NONE;
}
