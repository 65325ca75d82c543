#include "sender.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"
#include "service/db.h"
#include "service/http.h"

#define LOOK_MS 250
#define AWAY_MS 2000 /* after the database was away */
#define TIMEOUT_MS 10000
#define CLAIM_SECONDS 20 /* longer than an attempt takes */
#define ANSWER_MAX (64u << 10)

struct sender {
	struct sender_options options;
	struct db *db;
	struct http *http;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool woken; /* under mutex */
	bool stop;  /* read and written atomically, as http does */
};

static bool
is_stopped(const struct sender *sender)
{
	return __atomic_load_n(&sender->stop, __ATOMIC_RELAXED);
}

static const char *
sign(struct arena *arena, const char *secret, const char *body)
{
	uint8_t mac[DIGEST_SHA256];
	char *hex = arena_alloc(arena, DIGEST_HEX);
	digest_hmac(secret, strlen(secret), body, strlen(body), mac);
	digest_hex(mac, sizeof(mac), hex);
	return hex;
}

/* The status of the answer, 0 without one; *ret_outcome in a word. */
static int
post(struct sender *sender, struct arena *arena, const char *url, const char *body, const char **ret_outcome)
{
	static const char *const words[HTTP__COUNT] = {
	    [HTTP_ANSWERED] = "answered",
	    [HTTP_NOT_SENT] = "not_sent",
	    [HTTP_TIMEOUT] = "timeout",
	    [HTTP_LOST] = "lost",
	    [HTTP_ABORTED] = "aborted",
	    [HTTP_TOO_LARGE] = "too_large",
	};
	const struct http_header headers[] = {
	    {"Content-Type", "application/json"},
	    {"creem-signature", sign(arena, sender->options.secret, body)},
	    {"User-Agent", "Creem-Webhook"},
	};
	const struct http_request request = {
	    .method = "POST",
	    .url = url,
	    .headers = headers,
	    .header_count = sizeof(headers) / sizeof(headers[0]),
	    .body = body,
	    .body_len = strlen(body),
	    .timeout_ms = TIMEOUT_MS,
	    .answer_max = ANSWER_MAX,
	    .cancel = &sender->stop,
	};
	struct http_answer answer = {0};
	enum http_outcome outcome = http_send(sender->http, arena, &request, &answer);
	*ret_outcome = words[outcome];
	return outcome == HTTP_ANSWERED ? answer.status : 0;
}

/* One attempt. False when nothing was due. */
static bool
send_next(struct sender *sender, struct arena *arena, enum problem *ret_problem)
{
	static const struct db_statement
	    claim = {.sql = "select * from sandbox_creem.claim_delivery($1::integer)"},
	    finish = {.sql = "select * from sandbox_creem.finish_delivery($1::bigint, $2::integer, $3::integer, $4, "
			     "$5::integer)"};
	AUTO_DB_RESULT due = NULL;
	AUTO_DB_RESULT done = NULL;
	const char *seconds = db_parameter(arena, CLAIM_SECONDS), *outcome;
	*ret_problem = db_call(sender->db, arena, &claim, &seconds, 1, &due, NULL);
	if (*ret_problem != PROBLEM_NONE || db_rows(due) == 0)
		return false;
	const char *port = db_text(due, 0, "port");
	const char *url = port == NULL ? sender->options.url : arena_printf(arena, "http://127.0.0.1:%s/", port);
	int status = post(sender, arena, url, db_text(due, 0, "body"), &outcome);
	const char *parameters[] = {
	    db_text(due, 0, "delivery_id"),
	    db_text(due, 0, "attempt"),
	    db_parameter(arena, status),
	    outcome,
	    db_parameter(arena, sender->options.speed),
	};
	*ret_problem = db_call(sender->db, arena, &finish, parameters, 5, &done, NULL);
	return *ret_problem == PROBLEM_NONE;
}

static void
pause_for(struct sender *sender, int ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&sender->mutex);
	while (!sender->woken && !is_stopped(sender))
		if (pthread_cond_timedwait(&sender->wake, &sender->mutex, &until) != 0)
			break;
	sender->woken = false;
	pthread_mutex_unlock(&sender->mutex);
}

static void *
run(void *context)
{
	struct sender *sender = context;
	AUTO_ARENA arena = arena_new();
	while (!is_stopped(sender)) {
		enum problem problem;
		bool sent = send_next(sender, arena, &problem);
		arena_reset(arena);
		if (!sent)
			pause_for(sender, problem == PROBLEM_NONE ? LOOK_MS : AWAY_MS);
	}
	return NULL;
}

struct sender *
sender_start(const struct sender_options *options)
{
	struct sender *sender = calloc(1, sizeof(*sender));
	if (sender == NULL)
		return NULL;
	sender->options = *options;
	sender->db = db_new(options->database_url, "creem-sender", true);
	sender->http = http_new();
	pthread_mutex_init(&sender->mutex, NULL);
	pthread_cond_init(&sender->wake, NULL);
	if (pthread_create(&sender->thread, NULL, run, sender) == 0)
		return sender;
	log_event(LOG_ERROR, "thread_failed", NULL);
	db_free(sender->db);
	http_free(sender->http);
	free(sender);
	return NULL;
}

void
sender_wake(struct sender *sender)
{
	pthread_mutex_lock(&sender->mutex);
	sender->woken = true;
	pthread_cond_signal(&sender->wake);
	pthread_mutex_unlock(&sender->mutex);
}

void
sender_stop(struct sender *sender)
{
	if (sender == NULL)
		return;
	__atomic_store_n(&sender->stop, true, __ATOMIC_RELAXED);
	sender_wake(sender);
	pthread_join(sender->thread, NULL);
	pthread_cond_destroy(&sender->wake);
	pthread_mutex_destroy(&sender->mutex);
	db_free(sender->db);
	http_free(sender->http);
	free(sender);
}
