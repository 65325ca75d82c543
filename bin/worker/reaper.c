#include "reaper.h"

#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "feature/job.h"
#include "feature/upload.h"
#include "service/db.h"
#include "service/storage.h"
#include "worker.h"

#define TICK_MS 1000
#define SWEEP_MS 300000
#define RETRY_MS 10000
#define BATCH 250
#define LATE_SECONDS 30
/* After a batch failed its objects are tried one by one, until so many fail. */
#define FAILURES_MAX 3
/* Storage's clock against ours. */
#define CLOCK_SECONDS 60

struct reaper {
	struct worker *worker;
	struct db *db;
	bool failing; /* storage, at the last try */
	int64_t sweep_at;
};

static bool
ending(const struct reaper *reaper)
{
	return stop_level(&reaper->worker->stop) >= STOP_END;
}

/* Deletes the objects of a batch and leaves in it those that are gone; the others go to ret_left. */
static enum problem
delete_objects(struct reaper *reaper, struct arena *arena, struct upload_batch *batch, struct upload_batch *ret_left)
{
	struct storage *storage = reaper->worker->storage;
	enum problem problem = storage_delete_many(storage, batch->keys, batch->count);
	if (problem == PROBLEM_NONE)
		return PROBLEM_NONE;
	struct upload_batch left = {.ids = arena_array(arena, batch->count, sizeof(char *))};
	size_t gone = 0;
	for (size_t i = 0; i < batch->count; i++) {
		if (left.count >= FAILURES_MAX || ending(reaper) ||
		    storage_delete(storage, batch->keys[i]) != PROBLEM_NONE)
			left.ids[left.count++] = batch->ids[i];
		else
			batch->ids[gone++] = batch->ids[i];
	}
	batch->count = gone;
	*ret_left = left;
	return problem;
}

static enum problem
bury(struct reaper *reaper, struct arena *arena, const struct upload_batch *batch)
{
	int64_t count = 0;
	double lag = 0;
	if (batch->count == 0)
		return PROBLEM_NONE;
	enum problem problem = upload_bury(reaper->db, arena, batch, &count, &lag);
	if (problem == PROBLEM_NONE && count > 0)
		log_event(lag > LATE_SECONDS ? LOG_WARN : LOG_INFO, "uploads_deleted", "count",
		    db_parameter(arena, count), "lag", arena_printf(arena, "%.1f", lag), NULL);
	return problem;
}

/* One batch of what is due, of one object while storage fails; *ret_more: there may be more. */
static enum problem
reap(struct reaper *reaper, bool *ret_more)
{
	AUTO_ARENA arena = arena_new();
	struct upload_batch batch = {0}, left = {0};
	size_t limit = reaper->failing ? 1 : BATCH;
	enum problem problem = upload_claim_due(reaper->db, arena, limit, &batch);
	*ret_more = problem == PROBLEM_NONE && batch.count == limit;
	if (problem != PROBLEM_NONE || batch.count == 0)
		return problem;
	enum problem deleted = delete_objects(reaper, arena, &batch, &left);
	problem = bury(reaper, arena, &batch);
	if (problem == PROBLEM_NONE && left.count > 0)
		problem = upload_release(reaper->db, arena, &left);
	reaper->failing = deleted != PROBLEM_NONE;
	*ret_more = *ret_more && !reaper->failing;
	return deleted != PROBLEM_NONE ? deleted : problem;
}

/* Deletes what no live row names of one page of objects. */
static enum problem
sweep_page(
    struct reaper *reaper, struct arena *arena, const struct storage_object *objects, size_t count, int64_t *deleted)
{
	int64_t limit = time(NULL) - config_integer(reaper->worker->config, CONFIG_UPLOAD_TTL_SECONDS) - CLOCK_SECONDS;
	struct upload_batch all = {.keys = arena_array(arena, count, sizeof(char *))}, old = all, unowned = {0};
	old.keys = arena_array(arena, count, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		all.keys[all.count++] = objects[i].key;
		if (objects[i].modified_at < limit)
			old.keys[old.count++] = objects[i].key;
	}
	enum problem problem = upload_unowned(reaper->db, arena, &all, &old, &unowned);
	if (problem == PROBLEM_NONE && unowned.count > 0)
		problem = storage_delete_many(reaper->worker->storage, unowned.keys, unowned.count);
	*deleted += problem == PROBLEM_NONE ? (int64_t)unowned.count : 0;
	return problem;
}

static enum problem
sweep_objects(struct reaper *reaper)
{
	AUTO_ARENA last = arena_new();
	const char *after = NULL;
	int64_t deleted = 0;
	size_t count;
	enum problem problem;
	do {
		AUTO_ARENA arena = arena_new();
		struct storage_object *objects = NULL;
		count = 0;
		problem = storage_list(reaper->worker->storage, arena, "uploads/", after, &objects, &count);
		if (problem == PROBLEM_NONE && count > 0) {
			problem = sweep_page(reaper, arena, objects, count, &deleted);
			arena_reset(last);
			after = arena_strdup(last, objects[count - 1].key);
		}
	} while (problem == PROBLEM_NONE && count > 0 && !ending(reaper));
	if (deleted > 0) {
		char number[24];
		snprintf(number, sizeof(number), "%lld", (long long)deleted);
		log_event(LOG_WARN, "swept", "what", "uploads", "count", number, NULL);
	}
	return problem;
}

/* Every five minutes; after a failure again a little later. */
static void
sweep(struct reaper *reaper)
{
	bool more = true;
	if (job_clock() < reaper->sweep_at)
		return;
	enum problem problem = sweep_objects(reaper);
	while (problem == PROBLEM_NONE && more && !ending(reaper))
		problem = upload_prune(reaper->db, &more);
	reaper->sweep_at = job_clock() + (problem == PROBLEM_NONE ? job_random(SWEEP_MS * 9 / 10, SWEEP_MS) : RETRY_MS);
}

void *
reaper_run(void *context)
{
	struct worker *worker = context;
	struct reaper reaper = {
	    .worker = worker,
	    .db = db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
		config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0),
	};
	bool more = false;
	while (!stop_sleep(&worker->stop, STOP_END, more ? 0 : job_random(TICK_MS / 2, TICK_MS))) {
		if (reap(&reaper, &more) == PROBLEM_NONE && !more)
			sweep(&reaper);
	}
	db_free(reaper.db);
	return NULL;
}
