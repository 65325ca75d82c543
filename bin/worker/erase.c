#include "erase.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "feature/erasure.h"
#include "feature/job.h"
#include "feature/journal.h"
#include "service/db.h"
#include "service/http.h"
#include "service/storage.h"
#include "worker.h"

#define TICK_MS 1000
#define VANISHED_SECONDS 600
#define PRUNE_SECONDS 86400
#define CHORES_MS 5000
#define SAY_MS 60000

static struct db *
open_database(const struct worker *worker)
{
	return db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
	    config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0);
}

bool
erase_may_start(struct worker *worker)
{
	static int64_t say_at;
	struct db *db = db_pool_take(worker->pool);
	bool ahead = true;
	enum problem problem = journal_ahead(db, worker->storage, &ahead);
	db_pool_give(worker->pool, db);
	if (problem == PROBLEM_NONE && ahead && job_clock() >= say_at) {
		log_event(LOG_ERROR, "journal_ahead", "run", "shotaictl erasures replay", NULL);
		say_at = job_clock() + SAY_MS;
	}
	return problem == PROBLEM_NONE && !ahead;
}

static bool
go_on(void *context)
{
	struct worker *worker = context;
	return stop_level(&worker->stop) == STOP_NOT;
}

static enum problem
tell_journal(const struct erasure_work *work)
{
	bool told = true;
	enum problem problem = PROBLEM_NONE;
	while (problem == PROBLEM_NONE && told && work->go_on(work->context))
		problem = journal_tell(work->db, work->storage, &told);
	return problem;
}

static void
look_for_vanished(struct db *db)
{
	AUTO_ARENA arena = arena_new();
	bool due = false;
	int64_t vanished = 0;
	if (job_claim_chore(db, "vanished", VANISHED_SECONDS, &due) != PROBLEM_NONE || !due)
		return;
	if (erasure_find(db, &vanished) == PROBLEM_NONE && vanished > 0)
		log_event(LOG_WARN, "users_vanished", "count", db_parameter(arena, vanished), NULL);
}

static void
prune(const struct erasure_work *work)
{
	bool due = false;
	if (job_claim_chore(work->db, "journal", PRUNE_SECONDS, &due) == PROBLEM_NONE && due &&
	    journal_prune(work->db, work->storage) != PROBLEM_NONE)
		log_event(LOG_WARN, "journal_not_pruned", NULL);
}

void *
erase_run(void *context)
{
	struct worker *worker = context;
	const struct erasure_work work = {
	    .db = open_database(worker),
	    .storage = worker->storage,
	    .http = http_new(),
	    .config = worker->config,
	    .go_on = go_on,
	    .context = worker,
	};
	bool found = false;
	int64_t chores_at = 0;
	while (!stop_sleep(&worker->stop, STOP_DRAIN, found ? 0 : job_random(TICK_MS / 2, TICK_MS))) {
		found = false;
		if (job_clock() >= chores_at) {
			look_for_vanished(work.db);
			prune(&work);
			chores_at = job_clock() + CHORES_MS;
		}
		/* While storage is away erasures whose journal was told go on all the same. */
		(void)tell_journal(&work);
		if (erasure_carry_out(&work, &found) != PROBLEM_NONE)
			found = false;
	}
	http_free(work.http);
	db_free(work.db);
	return NULL;
}
