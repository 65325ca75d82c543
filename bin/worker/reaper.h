/*
 * The thread that keeps the promise about uploads: it deletes what is due
 * within seconds, whatever else the worker does, and every five minutes what
 * lies in storage without a row. It goes on while the worker drains. Nothing is
 * remembered here: after a crash or an outage the next round finds all that is
 * due, and several workers may do this side by side.
 */
#ifndef SHOTAI_WORKER_REAPER_H
#define SHOTAI_WORKER_REAPER_H

/* Until STOP_END. context is the struct worker. */
void *reaper_run(void *context);

#endif
