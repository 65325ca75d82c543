/*
 * The worker's chores beside the queue, in one thread: the database's sweep
 * and the watch over accounts every minute, objects that no row names every
 * hour, and every few seconds the pictures that people deleted and the sign-ins
 * that are to be deleted at Supabase Auth.
 */
#ifndef SHOTAI_WORKER_UPKEEP_H
#define SHOTAI_WORKER_UPKEEP_H

/* Until STOP_DRAIN. context is the struct worker. */
void *upkeep_run(void *context);

#endif
