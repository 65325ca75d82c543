#include "upkeep.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "feature/abuse.h"
#include "feature/disposal.h"
#include "feature/job.h"
#include "feature/policy.h"
#include "service/db.h"
#include "service/storage.h"
#include "worker.h"

#define TICK_MS 2000
#define SWEEP_MS 60000
#define WATCH_MS 60000
#define OBJECTS_MS 3600000
/* Younger objects may belong to a picture that is being settled. */
#define OBJECT_AGE_SECONDS 3600
#define POLICY_MS 60000

struct upkeep {
	struct worker *worker;
	struct db *db;
	int64_t sweep_at, objects_at;
};

/* Deletes those of one page of objects that are old and named by no row. */
static enum problem
sweep_page(
    struct upkeep *upkeep, struct arena *arena, const struct storage_object *objects, size_t count, int64_t *deleted)
{
	const char **old = arena_array(arena, count + 1, sizeof(char *));
	const char **unnamed = NULL;
	size_t old_count = 0, unnamed_count = 0;
	for (size_t i = 0; i < count; i++)
		if (objects[i].modified_at < time(NULL) - OBJECT_AGE_SECONDS)
			old[old_count++] = objects[i].key;
	if (old_count == 0)
		return PROBLEM_NONE;
	enum problem problem = job_unnamed(upkeep->db, arena, old, old_count, &unnamed, &unnamed_count);
	for (size_t i = 0; problem == PROBLEM_NONE && i < unnamed_count; i++) {
		problem = storage_delete(upkeep->worker->storage, unnamed[i]);
		*deleted += problem == PROBLEM_NONE;
	}
	return problem;
}

static enum problem
sweep_below(struct upkeep *upkeep, const char *prefix, int64_t *deleted)
{
	AUTO_ARENA last = arena_new();
	const char *after = NULL;
	size_t count;
	enum problem problem;
	do {
		AUTO_ARENA arena = arena_new();
		struct storage_object *objects = NULL;
		count = 0;
		problem = storage_list(upkeep->worker->storage, arena, prefix, after, &objects, &count);
		if (problem == PROBLEM_NONE && count > 0) {
			problem = sweep_page(upkeep, arena, objects, count, deleted);
			arena_reset(last);
			after = arena_strdup(last, objects[count - 1].key);
		}
	} while (problem == PROBLEM_NONE && count > 0 && stop_level(&upkeep->worker->stop) == STOP_NOT);
	return problem;
}

/* Gives up the uploads of archives that nobody makes any more. */
static enum problem
sweep_unfinished(struct upkeep *upkeep, int64_t *deleted)
{
	AUTO_ARENA arena = arena_new();
	struct storage *storage = upkeep->worker->storage;
	struct storage_unfinished *left = NULL;
	const char **unnamed = NULL;
	size_t count = 0, unnamed_count = 0;
	enum problem problem = storage_list_unfinished(storage, arena, "archives/", &left, &count);
	if (problem != PROBLEM_NONE || count == 0)
		return problem;
	const char **keys = arena_array(arena, count, sizeof(char *));
	for (size_t i = 0; i < count; i++)
		keys[i] = left[i].key;
	problem = job_unnamed(upkeep->db, arena, keys, count, &unnamed, &unnamed_count);
	for (size_t i = 0; problem == PROBLEM_NONE && i < count; i++)
		for (size_t k = 0; problem == PROBLEM_NONE && k < unnamed_count; k++)
			if (strcmp(left[i].key, unnamed[k]) == 0) {
				problem = storage_give_up(storage, &left[i]);
				*deleted += problem == PROBLEM_NONE;
				break;
			}
	return problem;
}

static enum problem
sweep_objects(struct upkeep *upkeep)
{
	int64_t deleted = 0;
	enum problem problem = sweep_below(upkeep, "gen/", &deleted);
	if (problem == PROBLEM_NONE)
		problem = sweep_below(upkeep, "archives/", &deleted);
	if (problem == PROBLEM_NONE)
		problem = sweep_unfinished(upkeep, &deleted);
	if (deleted > 0) {
		char number[24];
		snprintf(number, sizeof(number), "%lld", (long long)deleted);
		log_event(LOG_INFO, "swept", "what", "objects", "count", number, NULL);
	}
	return problem;
}

/* The objects of what people deleted. */
static enum problem
dispose_objects(struct upkeep *upkeep)
{
	enum problem problem;
	size_t count = 0, total = 0;
	bool more = false;
	do {
		problem = disposal_round(upkeep->db, upkeep->worker->storage, &count, &more);
		total += problem == PROBLEM_NONE ? count : 0;
	} while (problem == PROBLEM_NONE && more && stop_level(&upkeep->worker->stop) == STOP_NOT);
	if (total > 0) {
		char number[24];
		snprintf(number, sizeof(number), "%zu", total);
		log_event(LOG_INFO, "deleted", "what", "objects", "count", number, NULL);
	}
	return problem;
}

/* How the newest version of the policy reads. */
static enum problem
record_policy(struct upkeep *upkeep)
{
	return policy_record(upkeep->db, upkeep->worker->config);
}

/* Runs a chore that is due; after a failure it is due again a little later. */
static void
chore(struct upkeep *upkeep, enum problem (*run)(struct upkeep *), int64_t *due_at, int64_t every_ms)
{
	if (job_clock() < *due_at)
		return;
	int64_t next = run(upkeep) == PROBLEM_NONE ? job_random(every_ms * 9 / 10, every_ms) : 5 * TICK_MS;
	*due_at = job_clock() + next;
}

static enum problem
sweep_rows(struct upkeep *upkeep)
{
	bool more = false;
	enum problem problem;
	do {
		problem = job_sweep(upkeep->db, &more);
	} while (problem == PROBLEM_NONE && more && stop_level(&upkeep->worker->stop) == STOP_NOT);
	return problem;
}

static enum problem
keep_telemetry(struct upkeep *upkeep)
{
	const struct config *config = upkeep->worker->config;
	return job_keep_telemetry(
	    upkeep->db, config_integer(config, CONFIG_TELEMETRY_DAYS), config_integer(config, CONFIG_TELEMETRY) != 0);
}

static enum problem
watch_accounts(struct upkeep *upkeep)
{
	bool more = false;
	enum problem problem;
	do {
		problem = abuse_watch(upkeep->db, &more);
	} while (problem == PROBLEM_NONE && more && stop_level(&upkeep->worker->stop) == STOP_NOT);
	return problem;
}

void *
upkeep_run(void *context)
{
	struct worker *worker = context;
	struct upkeep upkeep = {
	    .worker = worker,
	    .db = db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
		config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0),
	};
	int64_t disposal_at = 0, policy_at = 0, telemetry_at = 0, watch_at = 0;
	while (!stop_sleep(&worker->stop, STOP_DRAIN, job_random(TICK_MS / 2, TICK_MS))) {
		chore(&upkeep, dispose_objects, &disposal_at, TICK_MS);
		chore(&upkeep, sweep_rows, &upkeep.sweep_at, SWEEP_MS);
		chore(&upkeep, keep_telemetry, &telemetry_at, SWEEP_MS);
		chore(&upkeep, watch_accounts, &watch_at, WATCH_MS);
		chore(&upkeep, sweep_objects, &upkeep.objects_at, OBJECTS_MS);
		chore(&upkeep, record_policy, &policy_at, POLICY_MS);
	}
	db_free(upkeep.db);
	return NULL;
}
