#include "repair.h"

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "feature/job.h"
#include "feature/reconcile.h"
#include "service/creem.h"
#include "service/db.h"
#include "service/http.h"
#include "worker.h"

#define LOOK_MS 10000
#define EVERY_SECONDS 86400
/* After it could not be brought to its end. */
#define AGAIN_MS 600000

struct repair {
	struct worker *worker;
	struct db *db;
	struct http *http;
	int64_t again_at; /* -1: it came to its end */
};

static bool
go_on(void *context)
{
	const struct repair *repair = context;
	return stop_level(&repair->worker->stop) == STOP_NOT;
}

static void
reconcile(struct repair *repair)
{
	AUTO_ARENA arena = arena_new();
	const struct creem creem = {.config = repair->worker->config, .http = repair->http};
	const struct reconcile run = {
	    .db = repair->db,
	    .creem = &creem,
	    .who = "worker",
	    .go_on = go_on,
	    .context = repair,
	};
	struct reconcile_counts counts;
	enum problem problem = reconcile_run(&run, &counts);
	for (int i = 0; i < RECONCILE__COUNT; i++) {
		enum reconcile_outcome outcome = (enum reconcile_outcome)i;
		bool odd = outcome == RECONCILE_PARKED || outcome == RECONCILE_AMBIGUOUS;
		if (counts.of[i] > 0)
			log_event(odd ? LOG_WARN : LOG_INFO, "reconciled", "outcome", reconcile_outcome_name(outcome),
			    "count", db_parameter(arena, counts.of[i]), NULL);
	}
	if (problem != PROBLEM_NONE)
		log_event(LOG_WARN, "reconcile_stopped", "problem", problem_describe(problem)->code, NULL);
	repair->again_at = problem != PROBLEM_NONE ? job_clock() + AGAIN_MS : -1;
}

void *
repair_run(void *context)
{
	struct worker *worker = context;
	if (config_text(worker->config, CONFIG_CREEM_API_KEY) == NULL)
		return NULL;
	struct repair repair = {
	    .worker = worker,
	    .db = db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
		config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0),
	    .http = http_new(),
	    .again_at = -1,
	};
	while (!stop_sleep(&worker->stop, STOP_DRAIN, job_random(LOOK_MS / 2, LOOK_MS))) {
		bool due = repair.again_at >= 0 && job_clock() >= repair.again_at;
		if (!due && job_claim_chore(repair.db, "reconcile", EVERY_SECONDS, &due) != PROBLEM_NONE)
			continue;
		if (due)
			reconcile(&repair);
	}
	http_free(repair.http);
	db_free(repair.db);
	return NULL;
}
