#include "stop.h"

#include <time.h>

void
stop_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct timespec
stop_deadline(int64_t ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

void
stop_init(struct stop *stop)
{
	pthread_mutex_init(&stop->mutex, NULL);
	stop_cond_init(&stop->raised);
	stop->level = STOP_NOT;
}

void
stop_raise(struct stop *stop, enum stop_level level)
{
	pthread_mutex_lock(&stop->mutex);
	if (level > stop->level) {
		stop->level = level;
		pthread_cond_broadcast(&stop->raised);
	}
	pthread_mutex_unlock(&stop->mutex);
}

enum stop_level
stop_level(struct stop *stop)
{
	pthread_mutex_lock(&stop->mutex);
	enum stop_level level = stop->level;
	pthread_mutex_unlock(&stop->mutex);
	return level;
}

bool
stop_sleep(struct stop *stop, enum stop_level level, int64_t ms)
{
	struct timespec until = stop_deadline(ms);
	int status = 0;
	pthread_mutex_lock(&stop->mutex);
	while (stop->level < level && status == 0)
		status = pthread_cond_timedwait(&stop->raised, &stop->mutex, &until);
	bool reached = stop->level >= level;
	pthread_mutex_unlock(&stop->mutex);
	return reached;
}
