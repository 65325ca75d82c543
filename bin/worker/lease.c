#include "lease.h"

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "crew.h"
#include "feature/job.h"
#include "service/db.h"
#include "worker.h"

#define POLL_MS 250
#define POLL_MS_AWAY 1000

static struct db *
open_database(const struct worker *worker)
{
	return db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
	    config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0);
}

/* Claims for every idle hand; *ret_more: there may be more jobs than were claimed. */
static enum problem
claim(struct worker *worker, struct db *db, bool *ret_more)
{
	AUTO_ARENA arena = arena_new();
	struct job **jobs = NULL;
	size_t count = 0, idle = crew_idle(worker->crew, POLL_MS);
	*ret_more = idle == 0;
	if (idle == 0 || stop_level(&worker->stop) >= STOP_DRAIN)
		return PROBLEM_NONE;
	enum problem problem = job_claim(db, arena, worker->name, idle, worker->timeout_seconds, &jobs, &count);
	for (size_t i = 0; problem == PROBLEM_NONE && i < count; i++)
		crew_give(worker->crew, jobs[i]);
	*ret_more = count == idle;
	return problem;
}

void *
lease_claim(void *context)
{
	struct worker *worker = context;
	struct db *db = open_database(worker);
	bool more = false;
	while (!stop_sleep(&worker->stop, STOP_DRAIN, more ? 0 : job_random(POLL_MS * 3 / 4, POLL_MS * 5 / 4))) {
		if (claim(worker, db, &more) != PROBLEM_NONE) {
			more = false;
			stop_sleep(&worker->stop, STOP_DRAIN, job_random(POLL_MS_AWAY / 2, POLL_MS_AWAY));
		}
	}
	crew_close(worker->crew);
	db_free(db);
	return NULL;
}

static enum problem
renew(struct worker *worker, struct db *db)
{
	AUTO_ARENA arena = arena_new();
	struct job_lease *leases;
	size_t count = crew_leases(worker->crew, arena, &leases);
	if (count == 0)
		return PROBLEM_NONE;
	enum problem problem = job_renew(db, arena, worker->name, leases, count);
	for (size_t i = 0; problem == PROBLEM_NONE && i < count; i++)
		if (!leases[i].held)
			crew_lose(worker->crew, &leases[i]);
	return problem;
}

void *
lease_renew(void *context)
{
	struct worker *worker = context;
	struct db *db = open_database(worker);
	int64_t pause = JOB_RENEW_MS;
	while (!stop_sleep(&worker->stop, STOP_END, pause))
		pause = renew(worker, db) == PROBLEM_NONE ? JOB_RENEW_MS : JOB_RENEW_MS / 10;
	db_free(db);
	return NULL;
}
