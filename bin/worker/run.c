#include "run.h"

#include <stdio.h>

#include "again.h"
#include "base/arena.h"
#include "base/log.h"
#include "crew.h"
#include "deliver.h"
#include "feature/job.h"
#include "references.h"
#include "screen.h"
#include "service/db.h"
#include "worker.h"

/* Calls in one attempt that may bring fewer pictures than were asked for. */
#define SHORT_CALLS_MAX 2
/* A call is not begun with less time left. */
#define CALL_MS_MIN 1000
/* Before the one repeat of a call whose answer was lost. */
#define AGAIN_MS 1000

enum ending {
	ENDING_NONE,
	ENDING_FINISH, /* the generation is over */
	ENDING_LATER,  /* nothing was accepted: another try after a while */
	ENDING_WAIT,   /* nobody screens prompts now: another try after retry_after */
	ENDING_BACK,   /* the worker ends: for another one, at once */
	ENDING_DROP,   /* no longer ours */
};

struct run {
	struct hand *hand;
	struct job *job;
	int per_call;
	size_t done; /* of job->missing, from the front */
	int calls, short_calls;
	int64_t retry_after;
	const char *code, *reason; /* with ENDING_FINISH */
	struct deliver_objects objects;
};

static enum ending
finish_with(struct run *run, const char *code, const char *reason)
{
	run->code = code;
	run->reason = reason;
	return ENDING_FINISH;
}

/* A call that could not be made: away for as long as we cared to wait, or a bug. */
static enum ending
ending_of(struct run *run, enum problem problem)
{
	if (problem == PROBLEM_DATABASE_UNAVAILABLE)
		return ENDING_DROP;
	return finish_with(run, "internal", problem_describe(problem)->code);
}

static enum ending
start_call(struct run *run, int count, int64_t *ret_call)
{
	struct again again = {.hand = run->hand};
	struct db_pool *pool = run->hand->worker->pool;
	enum problem problem;
	bool held = false;
	do {
		struct db *db = db_pool_take(pool);
		problem = job_start_call(db, run->job, run->job->missing[run->done], count, &held, ret_call);
		db_pool_give(pool, db);
	} while (again_after(&again, problem));
	if (problem != PROBLEM_NONE)
		return ending_of(run, problem);
	if (!held)
		return ENDING_DROP;
	if (*ret_call == JOB_UNSCREENED)
		return finish_with(run, "moderation_unavailable", "not_screened");
	if (*ret_call == 0)
		return finish_with(run, "provider_error", "no_repeat_left");
	run->calls++;
	return ENDING_NONE;
}

/* Also after the lease is lost: what a call cost is recorded whoever holds the attempt. */
static enum ending
record_call(struct run *run, int64_t call, const char *state, const char *vendor_id)
{
	struct again again = {.hand = run->hand};
	struct db_pool *pool = run->hand->worker->pool;
	enum problem problem;
	bool held = false;
	do {
		struct db *db = db_pool_take(pool);
		problem = job_record_call(db, run->job, call, state, vendor_id, &held);
		db_pool_give(pool, db);
	} while (again_after(&again, problem));
	if (problem != PROBLEM_NONE)
		return ending_of(run, problem);
	return held ? ENDING_NONE : ENDING_DROP;
}

struct references {
	const struct provider_reference *items;
	size_t count;
};

static enum ending
read_references(struct run *run, struct arena *arena, struct references *ret_references)
{
	switch (references_read(run->hand, run->job, arena, &ret_references->items, &ret_references->count)) {
	case REFERENCES_READY:
		return ENDING_NONE;
	case REFERENCES_EXPIRED:
		return finish_with(run, "reference_expired", "reference_gone");
	case REFERENCES_AWAY:
		run->code = "internal";
		run->reason = "reference_unreadable";
		return ENDING_LATER;
	case REFERENCES_FAILED:
		break;
	case REFERENCES_LOST:
		return ENDING_DROP;
	}
	return finish_with(run, "internal", "reference_unreadable");
}

static void
ask_provider(struct run *run, struct arena *arena, const struct references *references, int count,
    struct provider_answer *ret_answer)
{
	const struct job *job = run->job;
	struct provider_request request = {
	    .adapter = job->adapter,
	    .vendor_model = job->vendor_model,
	    .options = job->options,
	    .prompt = job->prompt,
	    .aspect_ratio = job->aspect_ratio,
	    .count = count,
	    .seed = job->seed,
	    .references = references->items,
	    .reference_count = references->count,
	    .deadline_ms = job->deadline_at - job_clock(),
	    .cancel = run->hand->cancel,
	};
	*ret_answer = (struct provider_answer){.outcome = PROVIDER_UNCERTAIN};
	provider_generate(run->hand->worker->config, run->hand->http, arena, &request, ret_answer);
}

/* Delivers what came; the pictures that are still missing move to the front of the rest. */
static enum ending
deliver(struct run *run, const struct provider_answer *answer, int count)
{
	enum ending ending = ENDING_NONE;
	size_t came = answer->picture_count < (size_t)count ? answer->picture_count : (size_t)count;
	for (size_t i = 0; i < came; i++) {
		switch (deliver_picture(
		    run->hand, run->job, run->job->missing[run->done], &answer->pictures[i], &run->objects)) {
		case DELIVER_DONE:
			run->done++;
			break;
		case DELIVER_INVALID:
			ending = finish_with(run, "invalid_output", "picture_unusable");
			break;
		case DELIVER_FAILED:
			return finish_with(run, "internal", "picture_not_stored");
		case DELIVER_LOST:
			return ENDING_DROP;
		}
	}
	if (came < (size_t)count && ending == ENDING_NONE && ++run->short_calls >= SHORT_CALLS_MAX)
		ending = finish_with(run, "provider_error", "fewer_pictures");
	return ending;
}

static enum ending
after_call(struct run *run, const struct provider_answer *answer)
{
	const struct job_verdict *verdict = job_judge(answer->outcome);
	const char *reason = provider_outcome_name(answer->outcome);
	if (verdict->alert) {
		log_event(LOG_ERROR, "provider_needs_operator", "adapter", run->job->adapter, "model", run->job->model,
		    "reason", reason, NULL);
	}
	switch (verdict->next) {
	case JOB_LATER:
		run->retry_after = answer->retry_after;
		run->code = verdict->code;
		run->reason = reason;
		return ENDING_LATER;
	case JOB_AGAIN:
		stop_sleep(&run->hand->worker->stop, STOP_DRAIN, job_random(AGAIN_MS / 2, AGAIN_MS));
		return ENDING_NONE;
	case JOB_STORE:
		return ENDING_NONE;
	case JOB_STOP:
		return hand_lost(run->hand) ? ENDING_DROP : ENDING_BACK;
	case JOB_FINISH:
	case JOB_NEXT__COUNT:
		break;
	}
	return finish_with(run, verdict->code, reason);
}

/* How many pictures the next call asks for: its row names a first index and a number. */
static int
pictures_in_a_row(const struct run *run)
{
	const int *missing = &run->job->missing[run->done];
	size_t left = run->job->missing_count - run->done;
	int count = 1;
	while (count < run->per_call && (size_t)count < left && missing[count] == missing[0] + count)
		count++;
	return count;
}

/* The call's row stays `sent` until its pictures are settled: should we die before, it counts as a lost answer. */
static enum ending
run_call(struct run *run)
{
	AUTO_ARENA arena = arena_new();
	struct provider_answer answer;
	struct references references;
	int64_t call;
	int count = pictures_in_a_row(run);
	enum ending ending = read_references(run, arena, &references);
	if (ending == ENDING_NONE)
		ending = start_call(run, count, &call);
	if (ending != ENDING_NONE)
		return ending;
	ask_provider(run, arena, &references, count, &answer);
	if (answer.outcome == PROVIDER_OK)
		ending = deliver(run, &answer, count);
	else
		ending = after_call(run, &answer);
	enum ending recorded = record_call(run, call, job_judge(answer.outcome)->call_state, answer.vendor_id);
	return recorded != ENDING_NONE ? recorded : ending;
}

/* Why a job has no time left. */
static const char *
late_code(const struct run *run)
{
	const struct job *job = run->job;
	return job->uncertain > 0 || run->calls > 0 ? "provider_timeout" : "provider_overloaded";
}

/* A prompt that was not let pass never reaches a provider. */
static enum ending
screen(struct run *run)
{
	switch (screen_prompt(run->hand, run->job, &run->retry_after, &run->reason)) {
	case SCREEN_PASSED:
		return ENDING_NONE;
	case SCREEN_REFUSED:
		return finish_with(run, "content_policy", run->reason);
	case SCREEN_LATER:
		return ENDING_WAIT;
	case SCREEN_UNAVAILABLE:
		return finish_with(run, "moderation_unavailable", run->reason);
	case SCREEN_STOPPED:
		return ENDING_BACK;
	case SCREEN_FAILED:
		return finish_with(run, "internal", run->reason);
	case SCREEN_LOST:
		break;
	}
	return ENDING_DROP;
}

static enum ending
run_calls(struct run *run)
{
	struct job *job = run->job;
	enum ending screened = screen(run);
	if (screened != ENDING_NONE)
		return screened;
	while (run->done < job->missing_count) {
		if (hand_lost(run->hand))
			return ENDING_DROP;
		if (stop_level(&run->hand->worker->stop) >= STOP_DRAIN)
			return ENDING_BACK;
		if (job->deadline_at - job_clock() < CALL_MS_MIN)
			return finish_with(run, late_code(run), "deadline");
		enum ending ending = run_call(run);
		if (ending != ENDING_NONE)
			return ending;
	}
	return finish_with(run, NULL, NULL);
}

static void
hand_back(struct run *run, int64_t after_seconds)
{
	struct again again = {.hand = run->hand};
	struct db_pool *pool = run->hand->worker->pool;
	bool held = false;
	enum problem problem;
	do {
		struct db *db = db_pool_take(pool);
		problem = job_release(db, run->job, after_seconds, run->calls > 0, &held);
		db_pool_give(pool, db);
	} while (again_after(&again, problem));
	if (problem == PROBLEM_NONE && held) {
		char seconds[24];
		snprintf(seconds, sizeof(seconds), "%lld", (long long)after_seconds);
		log_event(LOG_INFO, "job_handed_back", "reason", run->reason, "after", seconds, NULL);
	}
}

static void
finish(struct run *run)
{
	struct again again = {.hand = run->hand};
	struct db_pool *pool = run->hand->worker->pool;
	struct job_end end = {0};
	enum problem problem;
	do {
		struct db *db = db_pool_take(pool);
		problem = job_finish(db, run->job, run->code, run->reason, &end);
		db_pool_give(pool, db);
	} while (again_after(&again, problem));
	if (problem == PROBLEM_NONE && end.held) {
		log_event(LOG_INFO, "job_ended", "status", end.status, "code", run->code, "reason", run->reason,
		    "refunded", db_parameter(run->job->arena, end.refunded), NULL);
	}
}

static void
end_run(struct run *run, enum ending ending)
{
	if (ending == ENDING_LATER) {
		int64_t wait = job_backoff(run->job->attempt, run->retry_after);
		if (job_clock() + wait * 1000 + CALL_MS_MIN < run->job->deadline_at) {
			hand_back(run, wait);
			return;
		}
		ending = ENDING_FINISH;
	}
	if (ending == ENDING_WAIT)
		hand_back(run, run->retry_after);
	else if (ending == ENDING_BACK)
		hand_back(run, 0);
	else if (ending == ENDING_FINISH)
		finish(run);
	else
		log_event(LOG_WARN, "job_dropped", NULL);
	if (ending == ENDING_DROP || run->objects.count > 2 * run->done)
		deliver_discard(run->hand, &run->objects);
}

void
run_job(struct hand *hand, struct job *job)
{
	struct run run = {.hand = hand, .job = job, .per_call = provider_pictures_per_call(job->adapter, job->options)};
	log_generation(job->generation_id);
	deliver_init(&run.objects, job->arena, job->missing_count);
	end_run(&run, run_calls(&run));
	log_generation(NULL);
}
