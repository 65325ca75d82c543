/*
 * The two threads that stand between the queue and the crew: claim takes as
 * many jobs as there are idle hands, renew keeps the leases of those that run.
 * Each has a database connection of its own, so that neither waits for a job.
 */
#ifndef SHOTAI_WORKER_LEASE_H
#define SHOTAI_WORKER_LEASE_H

/* Until STOP_DRAIN, when it closes the crew. context is the struct worker. */
void *lease_claim(void *context);
/* Until STOP_END. */
void *lease_renew(void *context);

#endif
