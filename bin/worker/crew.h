/*
 * The threads that run jobs, one job each at a time, and the list of leases
 * that follows from it.
 */
#ifndef SHOTAI_WORKER_CREW_H
#define SHOTAI_WORKER_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct crew;
struct http;
struct job;
struct job_lease;
struct worker;

/* One of the threads, as the job that it runs sees it. */
struct hand {
	struct worker *worker;
	struct http *http;
	const volatile bool *cancel; /* true: give up what is being waited for */
	const bool *lost;
};

/* Starts size threads; NULL when they cannot be had (logged). */
struct crew *crew_new(struct worker *worker, size_t size);
/* Waits for the threads to return, which they do at STOP_END. */
void crew_free(struct crew *crew);

/* Waits up to ms for an idle thread; the number of idle ones. */
size_t crew_idle(struct crew *crew, int64_t ms);
/* Gives a job to an idle thread, of which there must be one; the crew owns the job from here. */
void crew_give(struct crew *crew, struct job *job);
/* Says that nothing will be given any more. */
void crew_close(struct crew *crew);
/* True once the crew is closed and no job runs. */
bool crew_done(struct crew *crew);
/* The leases of the jobs that run, in the arena. */
size_t crew_leases(struct crew *crew, struct arena *arena, struct job_lease **ret_leases);
/* Tells the thread that runs this attempt that its lease is lost. */
void crew_lose(struct crew *crew, const struct job_lease *lease);
/* Cancels every wait for a provider. */
void crew_cancel(struct crew *crew);

/* In a job: the lease is lost. */
bool hand_lost(const struct hand *hand);

#endif
