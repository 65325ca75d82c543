#include "service/storage_r2_call.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"
#include "service/storage_xml.h"

#define TRIES 4
#define CONNECT_MS 3000
#define TRY_MS 15000
#define TOTAL_MS 25000
#define PAUSE_MS 200
#define RETRY_AFTER_MAX 3
#define HEADERS_MAX 8

/* A connection that nobody uses. */
struct idle {
	struct idle *next;
	struct http *http;
};

struct storage_r2_caller {
	struct arena *arena;
	const char *endpoint;
	struct sigv4_key key;
	pthread_mutex_t lock;
	struct idle *idle, *spare; /* under the lock, as is the arena */
};

struct storage_r2_caller *
storage_r2_caller_new(const char *endpoint, const struct sigv4_key *key)
{
	struct arena *arena = arena_new();
	struct storage_r2_caller *caller = arena_alloc(arena, sizeof *caller);
	*caller = (struct storage_r2_caller){.arena = arena, .endpoint = endpoint, .key = *key};
	if (pthread_mutex_init(&caller->lock, NULL) != 0)
		abort();
	return caller;
}

void
storage_r2_caller_free(struct storage_r2_caller *caller)
{
	if (caller == NULL)
		return;
	for (struct idle *idle = caller->idle; idle != NULL; idle = idle->next)
		http_free(idle->http);
	(void)pthread_mutex_destroy(&caller->lock);
	arena_free(caller->arena);
}

const char *
storage_r2_host(const char *endpoint)
{
	return strstr(endpoint, "://") + 3;
}

static struct http *
http_take(struct storage_r2_caller *caller)
{
	struct http *http = NULL;
	pthread_mutex_lock(&caller->lock);
	struct idle *idle = caller->idle;
	if (idle != NULL) {
		http = idle->http;
		caller->idle = idle->next;
		idle->next = caller->spare;
		caller->spare = idle;
	}
	pthread_mutex_unlock(&caller->lock);
	return http == NULL ? http_new() : http;
}

static void
http_give(struct storage_r2_caller *caller, struct http *http)
{
	pthread_mutex_lock(&caller->lock);
	struct idle *idle = caller->spare;
	if (idle != NULL)
		caller->spare = idle->next;
	else
		idle = arena_alloc(caller->arena, sizeof *idle);
	*idle = (struct idle){.next = caller->idle, .http = http};
	caller->idle = idle;
	pthread_mutex_unlock(&caller->lock);
}

static int64_t
clock_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
pause_ms(int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&left, &left) < 0)
		;
}

/* Before try number `tries`: half of 200, 400, 800 ms, and at random up to as much again; never less than asked for. */
static int64_t
pause_before(int tries, int64_t retry_after)
{
	uint32_t random;
	int64_t half = ((int64_t)PAUSE_MS << (tries - 1)) / 2;
	digest_random(&random, sizeof random);
	return retry_after * 1000 + half + (int64_t)(random % (uint32_t)half);
}

static enum http_outcome
send_once(struct storage_r2_caller *caller, struct http *http, struct arena *arena, const struct storage_r2_call *call,
    int64_t timeout_ms, struct http_answer *ret_answer)
{
	char date[SIGV4_DATE], hash[DIGEST_HEX];
	uint8_t digest[DIGEST_SHA256];
	struct http_header headers[HEADERS_MAX];
	size_t count = call->header_count;
	const char *target = NULL, *slash = call->key == NULL ? "" : "/";
	sigv4_date(time(NULL), date);
	digest_sha256(call->body_len == 0 ? "" : call->body, call->body_len, digest);
	digest_hex(digest, sizeof digest, hash);
	struct sigv4_pair signed_headers[HEADERS_MAX] = {{0}};
	memcpy(signed_headers, call->headers, sizeof call->headers);
	signed_headers[count++] = (struct sigv4_pair){"Host", storage_r2_host(caller->endpoint)};
	signed_headers[count++] = (struct sigv4_pair){"X-Amz-Date", date};
	signed_headers[count++] = (struct sigv4_pair){"X-Amz-Content-Sha256", hash};
	const struct sigv4_request signing = {.method = call->method,
	    .path = arena_printf(arena, "/%s%s%s", call->bucket, slash, call->key == NULL ? "" : call->key),
	    .query = call->query,
	    .query_count = call->query_count,
	    .headers = signed_headers,
	    .header_count = count,
	    .payload_hash = hash};
	for (size_t i = 0; i < count; i++)
		headers[i] = (struct http_header){signed_headers[i].name, signed_headers[i].value};
	headers[count++] =
	    (struct http_header){"Authorization", sigv4_authorization(arena, &caller->key, &signing, date, &target)};
	const struct http_request request = {.method = call->method,
	    .url = arena_printf(arena, "%s%s", caller->endpoint, target),
	    .headers = headers,
	    .header_count = count,
	    .body = call->body,
	    .body_len = call->body_len,
	    .connect_timeout_ms = CONNECT_MS,
	    .timeout_ms = timeout_ms < TRY_MS ? timeout_ms : TRY_MS,
	    .answer_max = call->answer_max < STORAGE_R2_ANSWER ? STORAGE_R2_ANSWER : call->answer_max,
	    .repeatable = true};
	return http_send(http, arena, &request, ret_answer);
}

/* Whether the same request may have a better answer a little later. */
static bool
passing(enum http_outcome outcome, const struct http_answer *answer)
{
	if (outcome == HTTP_ANSWERED)
		return answer->status == 429 || answer->status == 500 ||
		       (answer->status >= 502 && answer->status <= 504);
	return outcome == HTTP_NOT_SENT || outcome == HTTP_TIMEOUT || outcome == HTTP_LOST;
}

enum http_outcome
storage_r2_call(struct storage_r2_caller *caller, struct arena *arena, const struct storage_r2_call *call,
    struct http_answer *ret_answer)
{
	struct http *http = http_take(caller);
	int64_t end = clock_ms() + TOTAL_MS;
	enum http_outcome outcome;
	for (int tries = 1;; tries++) {
		*ret_answer = (struct http_answer){0};
		outcome = send_once(caller, http, arena, call, end - clock_ms(), ret_answer);
		if (!passing(outcome, ret_answer) || tries == TRIES)
			break;
		int64_t pause = pause_before(tries, http_retry_after(ret_answer, RETRY_AFTER_MAX));
		if (clock_ms() + pause >= end)
			break;
		pause_ms(pause);
	}
	http_give(caller, http);
	return outcome;
}

const char *
storage_r2_code(struct arena *arena, struct storage_xml error)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *code = storage_xml_text(arena, error, "Code");

	return code != NULL && code[strspn(code, letters)] == '\0' ? code : NULL;
}

static const char *
code_of(struct arena *arena, const struct http_answer *answer)
{
	if (answer->body_len == 0)
		return NULL;
	return storage_r2_code(arena, (struct storage_xml){answer->body, answer->body + answer->body_len});
}

enum problem
storage_r2_failed(struct arena *arena, const struct storage_r2_call *call, enum http_outcome outcome,
    const struct http_answer *answer)
{
	static const char *const outcomes[HTTP__COUNT] = {[HTTP_NOT_SENT] = "not sent",
	    [HTTP_TIMEOUT] = "timeout",
	    [HTTP_LOST] = "lost",
	    [HTTP_ABORTED] = "aborted",
	    [HTTP_TOO_LARGE] = "too large"};
	const char *status = outcome == HTTP_ANSWERED ? arena_printf(arena, "%d", answer->status) : outcomes[outcome];
	log_event(LOG_ERROR, "storage_failed", "action", call->action, "status", status, "code",
	    outcome == HTTP_ANSWERED ? code_of(arena, answer) : NULL, NULL);
	return PROBLEM_STORAGE_UNAVAILABLE;
}
