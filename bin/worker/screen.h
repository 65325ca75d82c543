/*
 * Whether a prompt may go to a provider, as Creem's moderation decides it. The
 * prompt and nothing else is sent; the decision is stored before anything
 * follows from it, and asked for once.
 */
#ifndef SHOTAI_WORKER_SCREEN_H
#define SHOTAI_WORKER_SCREEN_H

#include <stdint.h>

struct hand;
struct job;

enum screen_result {
	SCREEN_PASSED,
	SCREEN_REFUSED,
	SCREEN_LATER,       /* nobody answers: again after *ret_wait seconds */
	SCREEN_UNAVAILABLE, /* nobody answered for as long as it may take */
	SCREEN_STOPPED,     /* the worker ends */
	SCREEN_FAILED,      /* a bug */
	SCREEN_LOST,        /* no longer ours */
};

/* *ret_reason: a word for the log and the generation's record, of all but SCREEN_PASSED, SCREEN_STOPPED and
 * SCREEN_LOST. */
enum screen_result screen_prompt(struct hand *hand, const struct job *job, int64_t *ret_wait, const char **ret_reason);

#endif
