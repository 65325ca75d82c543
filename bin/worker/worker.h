/*
 * What the worker's threads share. Everything here is made in main before the
 * first thread starts and outlives the last one.
 */
#ifndef SHOTAI_WORKER_H
#define SHOTAI_WORKER_H

#include <stdint.h>

#include "stop.h"

struct config;
struct crew;
struct db_pool;
struct image_decoder;
struct mail_route;
struct storage;

struct worker {
	const char *name; /* host and process id, for people */
	struct config *config;
	int64_t timeout_seconds;
	struct image_decoder *decoder;
	struct storage *storage;
	struct db_pool *pool;    /* the jobs' connections; the other threads have one each */
	struct mail_route *mail; /* NULL: mail is off; post's own */
	struct crew *crew;
	struct stop stop;
};

#endif
