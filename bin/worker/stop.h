/*
 * How far the worker has come in ending, and the one place where its threads
 * sleep, so that every sleeper wakes at once when it has to.
 */
#ifndef SHOTAI_WORKER_STOP_H
#define SHOTAI_WORKER_STOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum stop_level {
	STOP_NOT,
	STOP_DRAIN, /* nothing new; calls that run are waited for */
	STOP_HURRY, /* calls that run are given up */
	STOP_END,   /* all jobs are gone: every thread returns */
};

struct stop {
	pthread_mutex_t mutex;
	pthread_cond_t raised;
	enum stop_level level;
};

void stop_init(struct stop *stop);
/* Levels only rise. */
void stop_raise(struct stop *stop, enum stop_level level);
enum stop_level stop_level(struct stop *stop);
/* Sleeps for ms, less when the level is reached; true when it is. */
bool stop_sleep(struct stop *stop, enum stop_level level, int64_t ms);

/* A condition on the clock of stop_deadline. */
void stop_cond_init(pthread_cond_t *cond);
struct timespec stop_deadline(int64_t ms);

#endif
