/*
 * The worker's sender of mails: one thread, one mail at a time.
 */
#ifndef SHOTAI_WORKER_POST_H
#define SHOTAI_WORKER_POST_H

/* Until STOP_DRAIN; at once when mail is off. context is the struct worker. */
void *post_run(void *context);

#endif
