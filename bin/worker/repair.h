/*
 * Once a day, by one worker: what Creem's webhooks did not tell is asked for
 * and repaired. In a thread of its own, since it may take long.
 */
#ifndef SHOTAI_WORKER_REPAIR_H
#define SHOTAI_WORKER_REPAIR_H

/* Until STOP_DRAIN. context is the struct worker. */
void *repair_run(void *context);

#endif
