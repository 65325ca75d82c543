#include "service/telemetry.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "service/db.h"

#define WAITING_MAX 1024
#define BATCH_MAX 256 /* wakes the thread before its time */
#define FLUSH_SECONDS 2
#define BATCH_BYTES (1u << 20)

enum mode { MODE_OFF, MODE_REQUESTS, MODE_ADDRESSES };

static const struct db_statement record_requests = {"select * from shotai.record_requests($1, $2, $3)", false};

struct entry {
	struct telemetry_record record; /* its user_id and address are these */
	char user_id[37], address[INET6_ADDRSTRLEN];
};

struct telemetry {
	struct arena *arena;
	struct db *db;
	const char *program;
	enum mode mode;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	struct entry *waiting, *leaving; /* WAITING_MAX each; the thread's own is leaving */
	size_t count;
	int64_t dropped;
	bool stop;
};

/* What somebody typed is not kept: only methods that HTTP knows have a name. */
static const char *
known_method(const char *method)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(method, methods[i]) == 0)
			return methods[i];
	return "other";
}

static const char *
copy(const char *text, char *to, size_t size)
{
	if (text == NULL || strlen(text) >= size)
		return NULL;
	memcpy(to, text, strlen(text) + 1);
	return to;
}

/* One that the database would not read would cost the whole batch. */
static bool
is_address(const char *text)
{
	struct in6_addr address;

	return text != NULL && (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1);
}

void
telemetry_add(struct telemetry *telemetry, const struct telemetry_record *record)
{
	if (telemetry == NULL)
		return;
	pthread_mutex_lock(&telemetry->lock);
	if (telemetry->count == WAITING_MAX) {
		telemetry->dropped++;
	} else {
		struct entry *entry = &telemetry->waiting[telemetry->count++];
		entry->record = *record;
		entry->record.method = known_method(record->method);
		entry->record.user_id = copy(record->user_id, entry->user_id, sizeof entry->user_id);
		entry->record.address = telemetry->mode == MODE_ADDRESSES && is_address(record->address)
					    ? copy(record->address, entry->address, sizeof entry->address)
					    : NULL;
		if (telemetry->count == BATCH_MAX)
			pthread_cond_signal(&telemetry->wake);
	}
	pthread_mutex_unlock(&telemetry->lock);
}

static const char *
write_batch(struct arena *arena, const struct entry *entries, size_t count)
{
	struct text text;

	text_init(&text, arena, BATCH_BYTES);
	text_json_open(&text, NULL, '[');
	for (size_t i = 0; i < count; i++) {
		const struct telemetry_record *record = &entries[i].record;
		text_json_open(&text, NULL, '{');
		text_json_int(&text, "at", record->at_ms);
		text_json_string(&text, "method", record->method);
		text_json_string(&text, "route", record->route);
		text_json_int(&text, "status", record->status);
		text_json_int(&text, "ms", record->duration_ms);
		text_json_string(&text, "user", record->user_id);
		text_json_string(&text, "address", record->address);
		text_json_close(&text, '}');
	}
	text_json_close(&text, ']');
	return text.data;
}

static bool
hand_in(struct telemetry *telemetry, size_t count, int64_t dropped)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	const char *const parameters[] = {
	    telemetry->program, write_batch(arena, telemetry->leaving, count), db_parameter(arena, dropped)};

	return db_call(telemetry->db, arena, &record_requests, parameters, 3, &result, NULL) == PROBLEM_NONE;
}

/* Under the lock. Waits until there is a batch, a little time has passed, or it is to end. */
static void
await_batch(struct telemetry *telemetry)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FLUSH_SECONDS;
	while (!telemetry->stop && telemetry->count < BATCH_MAX)
		if (pthread_cond_timedwait(&telemetry->wake, &telemetry->lock, &until) != 0)
			return;
}

static void *
run(void *context)
{
	struct telemetry *telemetry = context;
	bool stop = false;

	while (!stop) {
		pthread_mutex_lock(&telemetry->lock);
		await_batch(telemetry);
		struct entry *leaving = telemetry->waiting;
		size_t count = telemetry->count;
		int64_t dropped = telemetry->dropped;
		telemetry->waiting = telemetry->leaving;
		telemetry->leaving = leaving;
		telemetry->count = 0;
		telemetry->dropped = 0;
		stop = telemetry->stop;
		pthread_mutex_unlock(&telemetry->lock);
		if (count == 0 && dropped == 0) {
			db_idle(telemetry->db);
		} else if (!hand_in(telemetry, count, dropped)) {
			pthread_mutex_lock(&telemetry->lock);
			telemetry->dropped += dropped + (int64_t)count;
			pthread_mutex_unlock(&telemetry->lock);
		}
	}
	return NULL;
}

/* Signals stay with the thread that serves requests. */
static int
start(struct telemetry *telemetry)
{
	pthread_condattr_t monotonic;
	sigset_t all, before;

	pthread_mutex_init(&telemetry->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&telemetry->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&telemetry->thread, NULL, run, telemetry);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void
release(struct telemetry *telemetry)
{
	pthread_cond_destroy(&telemetry->wake);
	pthread_mutex_destroy(&telemetry->lock);
	db_free(telemetry->db);
	arena_free(telemetry->arena);
}

struct telemetry *
telemetry_new(const struct config *config, const char *url, const char *program)
{
	enum mode mode = (enum mode)config_integer(config, CONFIG_TELEMETRY);

	if (mode == MODE_OFF)
		return NULL;
	struct arena *arena = arena_new();
	struct telemetry *telemetry = arena_alloc(arena, sizeof *telemetry);
	*telemetry = (struct telemetry){.arena = arena, .program = program, .mode = mode};
	telemetry->db = db_new(url, program, config_integer(config, CONFIG_DATABASE_PREPARED) != 0);
	telemetry->waiting = arena_array(arena, WAITING_MAX, sizeof(struct entry));
	telemetry->leaving = arena_array(arena, WAITING_MAX, sizeof(struct entry));
	int error = start(telemetry);
	if (error == 0)
		return telemetry;
	log_event(LOG_ERROR, "telemetry_thread_failed", "errno", strerrorname_np(error), NULL);
	release(telemetry);
	return NULL;
}

void
telemetry_free(struct telemetry *telemetry)
{
	if (telemetry == NULL)
		return;
	pthread_mutex_lock(&telemetry->lock);
	telemetry->stop = true;
	pthread_cond_signal(&telemetry->wake);
	pthread_mutex_unlock(&telemetry->lock);
	pthread_join(telemetry->thread, NULL);
	if (telemetry->dropped > 0) {
		char number[24];
		snprintf(number, sizeof number, "%" PRId64, telemetry->dropped);
		log_event(LOG_WARN, "telemetry_dropped", "count", number, NULL);
	}
	release(telemetry);
}
