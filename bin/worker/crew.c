#include "crew.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "feature/job.h"
#include "run.h"
#include "service/http.h"
#include "stop.h"
#include "worker.h"

struct seat {
	struct crew *crew;
	pthread_t thread;
	pthread_cond_t given;
	struct job *job; /* NULL: idle */
	volatile bool cancel;
	bool lost;
};

/*
 * Invariants, under the mutex: idle is the number of seats without a job; a
 * seat's job is set by crew_give and cleared by its own thread only.
 */
struct crew {
	struct worker *worker;
	struct arena *arena;
	size_t size, started;
	struct seat *seats;
	pthread_mutex_t mutex;
	pthread_cond_t freed;
	size_t idle;
	bool closed, ended;
};

bool
hand_lost(const struct hand *hand)
{
	return __atomic_load_n(hand->lost, __ATOMIC_RELAXED);
}

static struct job *
seat_wait(struct seat *seat)
{
	struct crew *crew = seat->crew;
	pthread_mutex_lock(&crew->mutex);
	while (seat->job == NULL && !crew->ended)
		pthread_cond_wait(&seat->given, &crew->mutex);
	struct job *job = seat->job;
	pthread_mutex_unlock(&crew->mutex);
	return job;
}

static void
seat_clear(struct seat *seat)
{
	struct crew *crew = seat->crew;
	pthread_mutex_lock(&crew->mutex);
	struct job *job = seat->job;
	seat->job = NULL;
	crew->idle++;
	pthread_cond_broadcast(&crew->freed);
	pthread_mutex_unlock(&crew->mutex);
	job_free(job);
}

static void *
seat_run(void *context)
{
	struct seat *seat = context;
	struct hand hand = {
	    .worker = seat->crew->worker,
	    .http = http_new(),
	    .cancel = &seat->cancel,
	    .lost = &seat->lost,
	};
	for (struct job *job = seat_wait(seat); job != NULL; job = seat_wait(seat)) {
		run_job(&hand, job);
		seat_clear(seat);
	}
	http_free(hand.http);
	return NULL;
}

struct crew *
crew_new(struct worker *worker, size_t size)
{
	struct arena *arena = arena_new();
	struct crew *crew = arena_alloc(arena, sizeof(*crew));
	*crew = (struct crew){.worker = worker, .arena = arena, .size = size, .idle = size};
	crew->seats = arena_array(arena, size, sizeof(struct seat));
	pthread_mutex_init(&crew->mutex, NULL);
	stop_cond_init(&crew->freed);
	for (size_t i = 0; i < size; i++) {
		struct seat *seat = &crew->seats[i];
		seat->crew = crew;
		pthread_cond_init(&seat->given, NULL);
		if (pthread_create(&seat->thread, NULL, seat_run, seat) != 0) {
			log_event(LOG_ERROR, "threads_unavailable", NULL);
			crew_free(crew);
			return NULL;
		}
		crew->started++;
	}
	return crew;
}

void
crew_free(struct crew *crew)
{
	if (crew == NULL)
		return;
	pthread_mutex_lock(&crew->mutex);
	crew->ended = true;
	for (size_t i = 0; i < crew->started; i++)
		pthread_cond_signal(&crew->seats[i].given);
	pthread_mutex_unlock(&crew->mutex);
	for (size_t i = 0; i < crew->started; i++)
		pthread_join(crew->seats[i].thread, NULL);
	arena_free(crew->arena);
}

size_t
crew_idle(struct crew *crew, int64_t ms)
{
	struct timespec until = stop_deadline(ms);
	int status = 0;
	pthread_mutex_lock(&crew->mutex);
	while (crew->idle == 0 && status == 0)
		status = pthread_cond_timedwait(&crew->freed, &crew->mutex, &until);
	size_t idle = crew->idle;
	pthread_mutex_unlock(&crew->mutex);
	return idle;
}

void
crew_close(struct crew *crew)
{
	pthread_mutex_lock(&crew->mutex);
	crew->closed = true;
	pthread_mutex_unlock(&crew->mutex);
}

bool
crew_done(struct crew *crew)
{
	pthread_mutex_lock(&crew->mutex);
	bool done = crew->closed && crew->idle == crew->size;
	pthread_mutex_unlock(&crew->mutex);
	return done;
}

void
crew_give(struct crew *crew, struct job *job)
{
	pthread_mutex_lock(&crew->mutex);
	size_t i = 0;
	while (i < crew->size && crew->seats[i].job != NULL)
		i++;
	assert(i < crew->size);
	struct seat *seat = &crew->seats[i];
	seat->job = job;
	__atomic_store_n(&seat->lost, false, __ATOMIC_RELAXED);
	__atomic_store_n(&seat->cancel, stop_level(&crew->worker->stop) >= STOP_HURRY, __ATOMIC_RELAXED);
	crew->idle--;
	pthread_cond_signal(&seat->given);
	pthread_mutex_unlock(&crew->mutex);
}

size_t
crew_leases(struct crew *crew, struct arena *arena, struct job_lease **ret_leases)
{
	struct job_lease *leases = arena_array(arena, crew->size, sizeof(*leases));
	size_t count = 0;
	pthread_mutex_lock(&crew->mutex);
	for (size_t i = 0; i < crew->size; i++) {
		const struct job *job = crew->seats[i].job;
		if (job != NULL && !crew->seats[i].lost) {
			leases[count++] = (struct job_lease){
			    .generation_id = arena_strdup(arena, job->generation_id),
			    .attempt = job->attempt,
			};
		}
	}
	pthread_mutex_unlock(&crew->mutex);
	*ret_leases = leases;
	return count;
}

void
crew_lose(struct crew *crew, const struct job_lease *lease)
{
	pthread_mutex_lock(&crew->mutex);
	for (size_t i = 0; i < crew->size; i++) {
		struct seat *seat = &crew->seats[i];
		if (seat->job != NULL && seat->job->attempt == lease->attempt &&
		    strcmp(seat->job->generation_id, lease->generation_id) == 0) {
			__atomic_store_n(&seat->lost, true, __ATOMIC_RELAXED);
			__atomic_store_n(&seat->cancel, true, __ATOMIC_RELAXED);
		}
	}
	pthread_mutex_unlock(&crew->mutex);
}

void
crew_cancel(struct crew *crew)
{
	pthread_mutex_lock(&crew->mutex);
	for (size_t i = 0; i < crew->size; i++)
		__atomic_store_n(&crew->seats[i].cancel, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&crew->mutex);
}
