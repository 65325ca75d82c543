/*
 * The worker's side of the queue: claims, leases, provider calls, settlement,
 * and the chores that only the worker may do. Every rule is in SQL; here are
 * the calls, and what a provider's outcome means for a job.
 *
 * Each write names the attempt. `held` false means that the attempt is no
 * longer this worker's (lease lost, canceled, or ended): nothing was changed,
 * and whatever was made must be dropped.
 *
 * A call that answers PROBLEM_DATABASE_UNAVAILABLE may have been carried out.
 * All of these may be repeated within an attempt, and then answer as the first
 * one did, but for job_finish and job_release: once carried out, the attempt is
 * over and a repeat finds it no longer held.
 */
#ifndef SHOTAI_JOB_H
#define SHOTAI_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "provider/provider.h"

#define JOB_LEASE_MS 10000
#define JOB_RENEW_MS 3000

struct arena;
struct db;

struct job {
	struct arena *arena; /* everything of this job */
	const char *generation_id;
	int64_t attempt;
	const char *adapter, *vendor_model, *model, *options, *prompt, *aspect_ratio;
	const char *moderation; /* what was decided of the prompt before; NULL: nothing */
	int64_t seed;           /* -1: none */
	int *missing;           /* indexes of the pictures that are not settled yet */
	size_t missing_count;
	int64_t deadline_at;   /* on job_clock */
	int64_t uncertain;     /* calls of earlier attempts whose answer was lost */
	bool wants_references; /* it names uploads */
};

/* A clock in milliseconds that only runs forward. */
int64_t job_clock(void);
/* A number in min..max, for jitter. */
int64_t job_random(int64_t min, int64_t max);

/*
 * Claims up to limit jobs for this worker (its name is for people to read).
 * timeout_seconds is the deadline of a whole generation, counted from its first
 * start. ret_jobs lives in the arena; each job owns its own and is freed with
 * job_free.
 */
[[nodiscard]] enum problem job_claim(struct db *db, struct arena *arena, const char *worker, size_t limit,
    int64_t timeout_seconds, struct job ***ret_jobs, size_t *ret_count);
void job_free(struct job *job);

struct job_lease {
	const char *generation_id;
	int64_t attempt;
	bool held;
};

/* Renews all leases of this worker in one statement and sets `held` of each. */
[[nodiscard]] enum problem job_renew(
    struct db *db, struct arena *arena, const char *worker, struct job_lease *leases, size_t count);

/* Nobody screens its prompt now: how long that may go on, of so many seconds since it first failed. */
[[nodiscard]] enum problem job_postpone_screening(
    struct db *db, const struct job *job, int64_t patience_seconds, bool *ret_held, int64_t *ret_patience_ms);
/* decision: allow, flag, deny or not_required; stored with the time and the prompt's hash. */
[[nodiscard]] enum problem job_record_screening(
    struct db *db, const struct job *job, const char *decision, bool *ret_held);

/* job_start_call: no decision is stored that lets the prompt pass. */
#define JOB_UNSCREENED (-1)

/*
 * Commits the row of one provider call, which must exist before anything is
 * sent. ret_call 0 with held true: a call's answer was lost before, and the one
 * blind repeat that a generation may have is used up.
 */
[[nodiscard]] enum problem job_start_call(
    struct db *db, const struct job *job, int first_index, int count, bool *ret_held, int64_t *ret_call);
/* state: done, refused, failed or uncertain. vendor_id may be NULL. */
[[nodiscard]] enum problem job_record_call(
    struct db *db, const struct job *job, int64_t call, const char *state, const char *vendor_id, bool *ret_held);

struct job_picture {
	int index;
	const char *key, *thumbnail_key, *content_type;
	int width, height;
	size_t bytes;
};

/* Counts a stored picture as delivered. */
[[nodiscard]] enum problem job_settle(
    struct db *db, const struct job *job, const struct job_picture *picture, bool *ret_held);

struct job_end {
	bool held;
	const char *status; /* in the job's arena */
	int64_t refunded;
};

/* Ends the generation and refunds what was not settled. code and reason are NULL when nothing went wrong. */
[[nodiscard]] enum problem job_finish(
    struct db *db, const struct job *job, const char *code, const char *reason, struct job_end *ret_end);
/* Hands the job back, to be claimed after a number of seconds. started: this attempt started a provider call. */
[[nodiscard]] enum problem job_release(
    struct db *db, const struct job *job, int64_t after_seconds, bool started, bool *ret_held);

/* Those of the keys that no row names and no live attempt can still name; they live in the arena. */
[[nodiscard]] enum problem job_unnamed(struct db *db, struct arena *arena, const char *const *keys, size_t count,
    const char ***ret_keys, size_t *ret_count);

/* Whether this worker is to do a chore that is done by one worker at most once in so many seconds. */
[[nodiscard]] enum problem job_claim_chore(struct db *db, const char *name, int64_t every_seconds, bool *ret_due);

/* One round of the chores of every minute; logs what was done. ret_more: there is more to do now. */
[[nodiscard]] enum problem job_sweep(struct db *db, bool *ret_more);

/* Forgets the requests of days that ended more than so many days ago and, when any are recorded, makes room for more.
 */
[[nodiscard]] enum problem job_keep_telemetry(struct db *db, int64_t days, bool recorded);

/* What a job does after a call came back. */
enum job_next {
	JOB_STORE,  /* settle the pictures */
	JOB_FINISH, /* end with the verdict's code */
	JOB_AGAIN,  /* ask for another call; start_call says whether there is one */
	JOB_LATER,  /* nothing was accepted: hand back and try again while the deadline lasts */
	JOB_STOP,   /* leave the job to whoever claims it next */
	JOB_NEXT__COUNT
};

struct job_verdict {
	const char *call_state; /* for job_record_call */
	enum job_next next;
	const char *code; /* the generation's error code, should the job end here */
	bool alert;       /* the operator has to act */
};

const struct job_verdict *job_judge(enum provider_outcome outcome);

/* Seconds to wait before the next try of this attempt: growing, with jitter, never less than the vendor asked for. */
int64_t job_backoff(int64_t attempt, int64_t retry_after);

#endif
