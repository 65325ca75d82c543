#include "feature/job.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/digest.h"
#include "base/log.h"
#include "service/db.h"

enum statement {
	CLAIM_JOBS,
	RENEW_LEASES,
	POSTPONE_MODERATION,
	RECORD_MODERATION,
	START_CALL,
	RECORD_CALL,
	SETTLE_IMAGE,
	FINISH_GENERATION,
	RELEASE_JOB,
	UNNAMED_OBJECTS,
	CLAIM_CHORE,
	SWEEP,
	KEEP_TELEMETRY,
};

static const struct db_statement statements[] = {
    [CLAIM_JOBS] = {.sql = "select * from shotai.claim_jobs($1, $2, $3)"},
    [RENEW_LEASES] = {.sql = "select * from shotai.renew_leases($1, $2, $3)", .read_only = true},
    [POSTPONE_MODERATION] = {.sql = "select * from shotai.postpone_moderation($1, $2, $3)", .read_only = true},
    [RECORD_MODERATION] = {.sql = "select * from shotai.record_moderation($1, $2, $3, $4)", .read_only = true},
    [START_CALL] = {.sql = "select * from shotai.start_call($1, $2, $3, $4, $5)"},
    [RECORD_CALL] = {.sql = "select * from shotai.record_call($1, $2, $3, $4)"},
    [SETTLE_IMAGE] = {.sql = "select * from shotai.settle_image($1, $2, $3, $4, $5, $6, $7, $8, $9)"},
    [FINISH_GENERATION] = {.sql = "select * from shotai.finish_generation($1, $2, $3, $4)"},
    [RELEASE_JOB] = {.sql = "select * from shotai.release_job($1, $2, $3, $4)"},
    [UNNAMED_OBJECTS] = {.sql = "select * from shotai.unnamed_objects($1)", .read_only = true},
    [CLAIM_CHORE] = {.sql = "select * from shotai.claim_chore($1, $2)"},
    [SWEEP] = {.sql = "select * from shotai.sweep()"},
    [KEEP_TELEMETRY] = {.sql = "select * from shotai.keep_telemetry($1, $2)"},
};

#define PARAMETERS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

int64_t
job_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
job_random(int64_t min, int64_t max)
{
	uint32_t number;
	digest_random(&number, sizeof(number));
	return min + (int64_t)(number % (uint64_t)(max - min + 1));
}

/* A JSON array of integers. */
static void
read_missing(struct job *job, const char *json)
{
	AUTO_BODY_TREE tree = body_tree_parse(json, strlen(json));
	const struct body_value *list = tree != NULL ? body_root(tree) : NULL;
	size_t count = body_count(list);
	job->missing = arena_array(job->arena, count + 1, sizeof(*job->missing));
	for (size_t i = 0; i < count; i++) {
		int64_t index;
		if (body_integer(body_element(list, i), &index))
			job->missing[job->missing_count++] = (int)index;
	}
}

static struct job *
read_job(const struct db_result *result, size_t row)
{
	struct arena *arena = arena_new();
	struct job *job = arena_alloc(arena, sizeof(*job));
	const char *seed = db_text(result, row, "seed");
	const char *missing = db_text(result, row, "missing");
	const char *uploads = db_text(result, row, "upload_ids");
	*job = (struct job){
	    .arena = arena,
	    .generation_id = arena_strdup(arena, db_text(result, row, "generation_id")),
	    .attempt = db_integer(result, row, "attempt"),
	    .adapter = arena_strdup(arena, db_text(result, row, "adapter")),
	    .vendor_model = arena_strdup(arena, db_text(result, row, "vendor_model")),
	    .model = arena_strdup(arena, db_text(result, row, "model")),
	    .options = arena_strdup(arena, db_text(result, row, "options")),
	    .prompt = arena_strdup(arena, db_text(result, row, "prompt")),
	    .aspect_ratio = arena_strdup(arena, db_text(result, row, "aspect_ratio")),
	    .moderation = arena_strdup(arena, db_text(result, row, "moderation")),
	    .seed = seed != NULL ? db_integer(result, row, "seed") : -1,
	    .deadline_at = job_clock() + db_integer(result, row, "deadline_ms"),
	    .uncertain = db_integer(result, row, "uncertain_calls"),
	    .wants_references = uploads != NULL && strcmp(uploads, "[]") != 0,
	};
	read_missing(job, missing != NULL ? missing : "[]");
	return job;
}

enum problem
job_claim(struct db *db, struct arena *arena, const char *worker, size_t limit, int64_t timeout_seconds,
    struct job ***ret_jobs, size_t *ret_count)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(db, arena, &statements[CLAIM_JOBS],
	    PARAMETERS(worker, db_parameter(arena, (int64_t)limit), db_parameter(arena, timeout_seconds)), &result,
	    NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	size_t count = db_rows(result);
	struct job **jobs = arena_array(arena, count + 1, sizeof(struct job *));
	for (size_t row = 0; row < count; row++)
		jobs[row] = read_job(result, row);
	*ret_jobs = jobs;
	*ret_count = count;
	return PROBLEM_NONE;
}

void
job_free(struct job *job)
{
	if (job != NULL)
		arena_free(job->arena);
}

static void
read_lease(const struct db_result *result, size_t row, struct job_lease *leases, size_t count)
{
	const char *id = db_text(result, row, "generation_id");
	int64_t attempt = db_integer(result, row, "attempt");
	for (size_t i = 0; i < count; i++)
		if (leases[i].attempt == attempt && strcmp(leases[i].generation_id, id) == 0)
			leases[i].held = db_boolean(result, row, "held");
}

enum problem
job_renew(struct db *db, struct arena *arena, const char *worker, struct job_lease *leases, size_t count)
{
	AUTO_DB_RESULT result = NULL;
	const char **ids = arena_array(arena, count + 1, sizeof(char *));
	const char **attempts = arena_array(arena, count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		ids[i] = leases[i].generation_id;
		attempts[i] = db_parameter(arena, leases[i].attempt);
	}
	enum problem problem = db_call(db, arena, &statements[RENEW_LEASES],
	    PARAMETERS(worker, db_array(arena, ids, count), db_array(arena, attempts, count)), &result, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	for (size_t i = 0; i < count; i++)
		leases[i].held = false;
	for (size_t row = 0; row < db_rows(result); row++)
		read_lease(result, row, leases, count);
	return PROBLEM_NONE;
}

/* Calls a fenced function; the first row of *ret_result says whether the attempt is held. */
static enum problem
call_fenced(struct db *db, struct arena *arena, enum statement statement, const char *const *parameters, size_t count,
    struct db_result **ret_result, bool *ret_held)
{
	enum problem problem = db_call(db, arena, &statements[statement], parameters, count, ret_result, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_held = db_rows(*ret_result) > 0 && db_boolean(*ret_result, 0, "held");
	return PROBLEM_NONE;
}

enum problem
job_postpone_screening(
    struct db *db, const struct job *job, int64_t patience_seconds, bool *ret_held, int64_t *ret_patience_ms)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	enum problem problem = call_fenced(db, arena, POSTPONE_MODERATION,
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt), db_parameter(arena, patience_seconds)),
	    &result, ret_held);
	if (problem == PROBLEM_NONE && *ret_held)
		*ret_patience_ms = db_integer(result, 0, "patience_ms");
	return problem;
}

enum problem
job_record_screening(struct db *db, const struct job *job, const char *decision, bool *ret_held)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	uint8_t hash[DIGEST_SHA256];
	char hex[DIGEST_HEX];
	digest_sha256(job->prompt, strlen(job->prompt), hash);
	digest_hex(hash, sizeof(hash), hex);
	return call_fenced(db, arena, RECORD_MODERATION,
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt), decision, hex), &result, ret_held);
}

enum problem
job_start_call(struct db *db, const struct job *job, int first_index, int count, bool *ret_held, int64_t *ret_call)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	enum problem problem = call_fenced(db, arena, START_CALL,
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt), db_parameter(arena, first_index),
		db_parameter(arena, count), job->adapter),
	    &result, ret_held);
	if (problem == PROBLEM_NONE)
		*ret_call = *ret_held ? db_integer(result, 0, "call_id") : 0;
	if (problem == PROBLEM_NONE && *ret_held && !db_boolean(result, 0, "moderated"))
		*ret_call = JOB_UNSCREENED;
	return problem;
}

enum problem
job_record_call(
    struct db *db, const struct job *job, int64_t call, const char *state, const char *vendor_id, bool *ret_held)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	return call_fenced(db, arena, RECORD_CALL,
	    PARAMETERS(db_parameter(arena, call), db_parameter(arena, job->attempt), state, vendor_id), &result,
	    ret_held);
}

enum problem
job_settle(struct db *db, const struct job *job, const struct job_picture *picture, bool *ret_held)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	return call_fenced(db, arena, SETTLE_IMAGE,
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt), db_parameter(arena, picture->index),
		picture->key, picture->thumbnail_key, db_parameter(arena, picture->width),
		db_parameter(arena, picture->height), picture->content_type,
		db_parameter(arena, (int64_t)picture->bytes)),
	    &result, ret_held);
}

enum problem
job_finish(struct db *db, const struct job *job, const char *code, const char *reason, struct job_end *ret_end)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	bool held;
	enum problem problem = call_fenced(db, arena, FINISH_GENERATION,
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt), code, reason), &result, &held);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_end = (struct job_end){.held = held};
	if (held) {
		ret_end->status = arena_strdup(job->arena, db_text(result, 0, "status"));
		ret_end->refunded = db_integer(result, 0, "refunded");
	}
	return PROBLEM_NONE;
}

enum problem
job_release(struct db *db, const struct job *job, int64_t after_seconds, bool started, bool *ret_held)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	return call_fenced(db, arena, RELEASE_JOB,
	    PARAMETERS(job->generation_id, db_parameter(arena, job->attempt), db_parameter(arena, after_seconds),
		started ? "true" : "false"),
	    &result, ret_held);
}

/* The values of one text column, copied into the arena. */
static void
read_column(
    struct arena *arena, const struct db_result *result, const char *column, const char ***ret_items, size_t *ret_count)
{
	size_t count = db_rows(result);
	const char **items = arena_array(arena, count + 1, sizeof(char *));
	for (size_t row = 0; row < count; row++)
		items[row] = arena_strdup(arena, db_text(result, row, column));
	*ret_items = items;
	*ret_count = count;
}

enum problem
job_unnamed(struct db *db, struct arena *arena, const char *const *keys, size_t count, const char ***ret_keys,
    size_t *ret_count)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem =
	    db_call(db, arena, &statements[UNNAMED_OBJECTS], PARAMETERS(db_array(arena, keys, count)), &result, NULL);
	if (problem == PROBLEM_NONE)
		read_column(arena, result, "key", ret_keys, ret_count);
	return problem;
}

enum problem
job_claim_chore(struct db *db, const char *name, int64_t every_seconds, bool *ret_due)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(
	    db, arena, &statements[CLAIM_CHORE], PARAMETERS(name, db_parameter(arena, every_seconds)), &result, NULL);
	if (problem == PROBLEM_NONE)
		*ret_due = db_boolean(result, 0, "due");
	return problem;
}

/* Logs what was done by its name and number; true when one is called more and not 0. */
static bool
log_swept(const struct db_result *result)
{
	bool more = false;
	for (size_t row = 0; row < db_rows(result); row++) {
		const char *name = db_text(result, row, "name");
		int64_t value = db_integer(result, row, "value");
		if (strcmp(name, "more") == 0)
			more = value != 0;
		else if (value != 0)
			log_event(LOG_INFO, "swept", "what", name, "count", db_text(result, row, "value"), NULL);
	}
	return more;
}

enum problem
job_sweep(struct db *db, bool *ret_more)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(db, arena, &statements[SWEEP], NULL, 0, &result, NULL);
	if (problem == PROBLEM_NONE)
		*ret_more = log_swept(result);
	return problem;
}

enum problem
job_keep_telemetry(struct db *db, int64_t days, bool recorded)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(db, arena, &statements[KEEP_TELEMETRY],
	    PARAMETERS(db_parameter(arena, days), recorded ? "true" : "false"), &result, NULL);
	if (problem == PROBLEM_NONE)
		log_swept(result);
	return problem;
}

static const struct job_verdict verdicts[PROVIDER__COUNT] = {
    [PROVIDER_OK] = {.call_state = "done", .next = JOB_STORE, .code = "provider_error"},
    [PROVIDER_REFUSED] = {.call_state = "refused", .next = JOB_FINISH, .code = "content_policy"},
    [PROVIDER_BAD_INPUT] = {.call_state = "failed", .next = JOB_FINISH, .code = "provider_error"},
    [PROVIDER_BAD_KEY] = {.call_state = "failed", .next = JOB_FINISH, .code = "provider_error", .alert = true},
    [PROVIDER_NO_CREDIT] = {.call_state = "failed", .next = JOB_FINISH, .code = "provider_error", .alert = true},
    [PROVIDER_RATE_LIMITED] = {.call_state = "failed", .next = JOB_LATER, .code = "provider_overloaded"},
    [PROVIDER_NOT_SENT] = {.call_state = "failed", .next = JOB_LATER, .code = "provider_overloaded"},
    [PROVIDER_UPSTREAM_ERROR] = {.call_state = "failed", .next = JOB_FINISH, .code = "provider_error"},
    [PROVIDER_TIMEOUT] = {.call_state = "uncertain", .next = JOB_FINISH, .code = "provider_timeout"},
    [PROVIDER_UNCERTAIN] = {.call_state = "uncertain", .next = JOB_AGAIN, .code = "provider_error"},
    [PROVIDER_INVALID_OUTPUT] = {.call_state = "done", .next = JOB_FINISH, .code = "invalid_output"},
    [PROVIDER_ABORTED] = {.call_state = "uncertain", .next = JOB_STOP, .code = "provider_error"},
};

const struct job_verdict *
job_judge(enum provider_outcome outcome)
{
	assert(outcome < PROVIDER__COUNT);
	return &verdicts[outcome];
}

int64_t
job_backoff(int64_t attempt, int64_t retry_after)
{
	int64_t exponent = attempt < 1 ? 0 : attempt > 5 ? 4 : attempt - 1;
	int64_t most = (int64_t)1 << exponent;
	int64_t wait = job_random((most + 1) / 2, most);
	return wait > retry_after ? wait : retry_after + job_random(0, 1);
}
