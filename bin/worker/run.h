/*
 * One job from claim to end: which provider calls to make, what each outcome
 * means, and how the attempt ends. Pictures are stored by deliver.
 */
#ifndef SHOTAI_WORKER_RUN_H
#define SHOTAI_WORKER_RUN_H

struct hand;
struct job;

/* Returns when the attempt is over, whichever way. */
void run_job(struct hand *hand, struct job *job);

#endif
