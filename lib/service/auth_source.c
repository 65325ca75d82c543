#include "service/auth_source.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "service/http.h"

#define REFRESH_MS (8 * 60 * 1000)
#define RETRY_MS (15 * 1000)
#define UNKNOWN_KID_MS (30 * 1000)
#define FIRST_RETRY_MS 1000 /* without any set, a caller may ask again after this */
#define KEPT_MS (60 * 60 * 1000)
#define CONNECT_MS 1000
#define FETCH_MS 3000
#define WAIT_MS (FETCH_MS + 500)
#define ANSWER_MAX (64u << 10)
#define NEVER INT64_MIN

struct auth_source {
	const char *url;
	struct arena *arena;
	pthread_mutex_t lock; /* guards all below but stop */
	pthread_cond_t wake;  /* for the thread */
	pthread_cond_t done;  /* a fetch ended */
	pthread_t thread;
	bool running;
	bool wanted;   /* somebody waits for a fetch that has not begun */
	bool fetching; /* it has */
	volatile bool stop;
	struct auth_keys *keys; /* NULL: none yet */
	int64_t fetched_at;     /* of keys */
	int64_t due_at;         /* of the next fetch */
	int64_t attempted_at;   /* NEVER, or when the last fetch ended */
	int64_t unknown_at;     /* NEVER, or when an unknown kid last caused a fetch */
	bool failed;            /* the last fetch */
	uint64_t attempts;
	int64_t advanced; /* by a test */
};

static int64_t
now_ms(const struct auth_source *source)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + source->advanced;
}

static bool
since(int64_t then, int64_t now, int64_t milliseconds)
{
	return then == NEVER || now - then >= milliseconds;
}

static bool
counts(const struct auth_source *source)
{
	return source->keys != NULL && now_ms(source) - source->fetched_at < KEPT_MS;
}

static void
wait_until(struct auth_source *source, pthread_cond_t *condition, int64_t at)
{
	int64_t real = at - source->advanced;
	struct timespec deadline = {.tv_sec = real / 1000, .tv_nsec = real % 1000 * 1000000};
	pthread_cond_timedwait(condition, &source->lock, &deadline);
}

static void
condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct auth_source *
auth_source_new(const char *url)
{
	struct arena *arena = arena_new();
	struct auth_source *source = arena_alloc(arena, sizeof(*source));
	source->arena = arena;
	source->url = arena_strdup(arena, url);
	source->attempted_at = source->unknown_at = NEVER;
	pthread_mutex_init(&source->lock, NULL);
	condition_init(&source->wake);
	condition_init(&source->done);
	return source;
}

void
auth_source_free(struct auth_source *source)
{
	if (source == NULL)
		return;
	pthread_mutex_lock(&source->lock);
	bool running = source->running;
	source->stop = true;
	pthread_cond_broadcast(&source->wake);
	pthread_mutex_unlock(&source->lock);
	if (running)
		pthread_join(source->thread, NULL);
	pthread_cond_destroy(&source->done);
	pthread_cond_destroy(&source->wake);
	pthread_mutex_destroy(&source->lock);
	auth_keys_free(source->keys);
	arena_free(source->arena);
}

/* Under the lock. */
static void
install(struct auth_source *source, struct auth_keys *keys)
{
	auth_keys_free(source->keys);
	source->keys = keys;
	source->fetched_at = now_ms(source);
	source->due_at = source->fetched_at + REFRESH_MS;
	source->failed = false;
}

bool
auth_source_load(struct auth_source *source, const char *json, size_t len)
{
	struct auth_keys *keys = auth_keys_parse(json, len);
	if (keys == NULL)
		return false;
	pthread_mutex_lock(&source->lock);
	install(source, keys);
	pthread_mutex_unlock(&source->lock);
	return true;
}

static struct auth_keys *
fetch(struct auth_source *source, struct http *http, struct arena *arena)
{
	const struct http_header accept = {.name = "Accept", .value = "application/json"};
	const struct http_request request = {
	    .method = "GET",
	    .url = source->url,
	    .headers = &accept,
	    .header_count = 1,
	    .connect_timeout_ms = CONNECT_MS,
	    .timeout_ms = FETCH_MS,
	    .answer_max = ANSWER_MAX,
	    .cancel = &source->stop,
	};
	struct http_answer answer = {0};
	if (http_send(http, arena, &request, &answer) != HTTP_ANSWERED)
		return NULL; /* logged by http */
	struct auth_keys *keys = answer.status == 200 ? auth_keys_parse(answer.body, answer.body_len) : NULL;
	if (keys == NULL)
		log_event(LOG_WARN, "key_set_refused", "status", arena_printf(arena, "%d", answer.status), NULL);
	return keys;
}

/* Fetches once, without the lock while it waits for the network. */
static void
refresh(struct auth_source *source, struct http *http, struct arena *arena)
{
	source->wanted = false;
	source->fetching = true;
	pthread_mutex_unlock(&source->lock);
	struct auth_keys *keys = fetch(source, http, arena);
	arena_reset(arena);
	pthread_mutex_lock(&source->lock);
	source->fetching = false;
	source->attempted_at = now_ms(source);
	source->attempts++;
	if (keys != NULL) {
		install(source, keys);
	} else {
		source->failed = true;
		source->due_at = source->attempted_at + RETRY_MS;
	}
	pthread_cond_broadcast(&source->done);
}

static void *
run(void *context)
{
	struct auth_source *source = context;
	struct http *http = http_new();
	AUTO_ARENA arena = arena_new();
	pthread_mutex_lock(&source->lock);
	while (!source->stop) {
		if (source->wanted || now_ms(source) >= source->due_at)
			refresh(source, http, arena);
		else
			wait_until(source, &source->wake, source->due_at);
	}
	pthread_mutex_unlock(&source->lock);
	http_free(http);
	return NULL;
}

/* Under the lock. Signals stay with the thread that serves requests. */
static void
start(struct auth_source *source)
{
	if (source->running)
		return;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&source->thread, NULL, run, source);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	source->running = error == 0;
	if (error != 0)
		log_event(LOG_ERROR, "key_set_thread_failed", "errno", strerrorname_np(error), NULL);
}

/* Under the lock. Waits for one fetch to end. */
static void
fetch_now(struct auth_source *source)
{
	source->wanted = !source->fetching;
	start(source);
	if (!source->running)
		return;
	pthread_cond_signal(&source->wake);
	uint64_t before = source->attempts;
	int64_t deadline = now_ms(source) + WAIT_MS;
	while (source->attempts == before && now_ms(source) < deadline)
		wait_until(source, &source->done, deadline);
}

static const struct auth_key *
find(struct auth_source *source, const char *kid)
{
	if (!counts(source) && since(source->attempted_at, now_ms(source), FIRST_RETRY_MS)) {
		fetch_now(source);
		source->unknown_at = now_ms(source);
	}
	if (!counts(source))
		return NULL;
	const struct auth_key *key = auth_keys_by_kid(source->keys, kid);
	if (key == NULL && since(source->unknown_at, now_ms(source), UNKNOWN_KID_MS)) {
		source->unknown_at = now_ms(source);
		fetch_now(source);
		key = auth_keys_by_kid(source->keys, kid);
	}
	return key;
}

enum problem
auth_source_key(struct auth_source *source, struct arena *arena, const char *kid, struct auth_key *ret_key)
{
	enum problem problem = PROBLEM_NONE;
	pthread_mutex_lock(&source->lock);
	const struct auth_key *key = find(source, kid);
	if (key != NULL) {
		*ret_key = *key;
		ret_key->kid = arena_strdup(arena, key->kid);
		ret_key->material = arena_strndup(arena, key->material, key->len);
	} else {
		problem = !counts(source) || source->failed ? PROBLEM_AUTH_UNAVAILABLE : PROBLEM_UNAUTHENTICATED;
	}
	if (now_ms(source) >= source->due_at)
		start(source);
	pthread_mutex_unlock(&source->lock);
	return problem;
}

bool
auth_source_holds(struct auth_source *source, const uint8_t id[static DIGEST_SHA256])
{
	pthread_mutex_lock(&source->lock);
	bool holds = counts(source) && auth_keys_by_id(source->keys, id) != NULL;
	if (now_ms(source) >= source->due_at)
		start(source);
	pthread_mutex_unlock(&source->lock);
	return holds;
}

void
auth_source_advance(struct auth_source *source, int64_t milliseconds)
{
	pthread_mutex_lock(&source->lock);
	source->advanced += milliseconds;
	pthread_cond_broadcast(&source->wake);
	pthread_mutex_unlock(&source->lock);
}
