#include "screen.h"

#include <string.h>

#include "again.h"
#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "crew.h"
#include "feature/job.h"
#include "service/creem.h"
#include "service/db.h"
#include "worker.h"

/* How long Creem may be away for one prompt. */
#define PATIENCE_SECONDS 120

struct screen {
	struct hand *hand;
	const struct job *job;
	const char **ret_reason;
};

/* A call that could not be made: away for as long as we cared to wait, or a bug. */
static enum screen_result
result_of(struct screen *screen, enum problem problem)
{
	if (problem == PROBLEM_DATABASE_UNAVAILABLE)
		return SCREEN_LOST;
	*screen->ret_reason = problem_describe(problem)->code;
	return SCREEN_FAILED;
}

/* Stores a decision, after which it holds. */
static enum screen_result
record(struct screen *screen, const char *decision, enum screen_result result)
{
	struct again again = {.hand = screen->hand};
	struct db_pool *pool = screen->hand->worker->pool;
	enum problem problem;
	bool held = false;
	do {
		struct db *db = db_pool_take(pool);
		problem = job_record_screening(db, screen->job, decision, &held);
		db_pool_give(pool, db);
	} while (again_after(&again, problem));
	if (problem != PROBLEM_NONE)
		return result_of(screen, problem);
	return held ? result : SCREEN_LOST;
}

static enum screen_result
refuse(struct screen *screen, const char *decision)
{
	*screen->ret_reason = strcmp(decision, "deny") == 0 ? "moderation_deny" : "moderation_flag";
	return SCREEN_REFUSED;
}

static enum screen_result
decide(struct screen *screen, enum creem_decision decision)
{
	bool lenient = config_integer(screen->hand->worker->config, CONFIG_MODERATION_FLAG) != 0;
	if (decision == CREEM_FLAG && lenient) {
		log_event(LOG_INFO, "flag_allowed", "generation", screen->job->generation_id, NULL);
		decision = CREEM_ALLOW;
	}
	const char *name = creem_decision_name(decision);
	if (decision == CREEM_ALLOW)
		return record(screen, name, SCREEN_PASSED);
	return record(screen, name, refuse(screen, name));
}

/* Nobody answered: again later, while the time of the whole lasts. */
static enum screen_result
postpone(struct screen *screen, int64_t *ret_wait)
{
	struct again again = {.hand = screen->hand};
	struct db_pool *pool = screen->hand->worker->pool;
	enum problem problem;
	int64_t patience_ms = 0, wait = job_backoff(screen->job->attempt, 0);
	bool held = false;
	if (stop_level(&screen->hand->worker->stop) >= STOP_DRAIN)
		return hand_lost(screen->hand) ? SCREEN_LOST : SCREEN_STOPPED;
	do {
		struct db *db = db_pool_take(pool);
		problem = job_postpone_screening(db, screen->job, PATIENCE_SECONDS, &held, &patience_ms);
		db_pool_give(pool, db);
	} while (again_after(&again, problem));
	if (problem != PROBLEM_NONE)
		return result_of(screen, problem);
	if (!held)
		return SCREEN_LOST;
	*screen->ret_reason = "moderation_away";
	if (patience_ms == 0)
		return SCREEN_UNAVAILABLE;
	int64_t left = (patience_ms + 999) / 1000;
	*ret_wait = wait < left ? wait : left;
	return SCREEN_LATER;
}

enum screen_result
screen_prompt(struct hand *hand, const struct job *job, int64_t *ret_wait, const char **ret_reason)
{
	struct screen screen = {.hand = hand, .job = job, .ret_reason = ret_reason};
	const struct config *config = hand->worker->config;
	const char *before = job->moderation != NULL ? job->moderation : "";
	bool required = config_integer(config, CONFIG_MODERATION) != 0;
	enum creem_decision decision;
	if (strcmp(before, "allow") == 0)
		return SCREEN_PASSED;
	if (strcmp(before, "deny") == 0 || strcmp(before, "flag") == 0)
		return refuse(&screen, before);
	if (!required)
		return record(&screen, "not_required", SCREEN_PASSED);
	AUTO_ARENA arena = arena_new();
	const struct creem creem = {.config = config, .http = hand->http, .cancel = hand->cancel};
	if (creem_moderate(&creem, arena, job->prompt, &decision) != PROBLEM_NONE)
		return postpone(&screen, ret_wait);
	return decide(&screen, decision);
}
