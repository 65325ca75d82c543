#include "service/creem.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "service/http.h"

#define CONNECT_MS 2000
#define CALL_MS 5000
#define ANSWER_MAX ((size_t)4 << 20)
#define BODY_MAX ((size_t)64 << 10)
#define URL_MAX 2048
#define PAGE_SIZE 50

struct exchange {
	const char *name; /* for the log */
	const char *method, *url, *body;
};

bool
creem_verify_signature(const char *secret, const void *raw, size_t len, const char *header)
{
	uint8_t theirs[DIGEST_SHA256], ours[DIGEST_SHA256];

	if (secret == NULL || *secret == '\0' || header == NULL || !digest_unhex(header, sizeof theirs, theirs))
		return false;
	digest_hmac(secret, strlen(secret), raw, len, ours);
	return digest_equal(theirs, ours, sizeof ours);
}

static void
log_failure(struct arena *arena, const struct exchange *exchange, enum http_outcome outcome, int status)
{
	static const char *const words[HTTP__COUNT] = {
	    [HTTP_ANSWERED] = "answered",
	    [HTTP_NOT_SENT] = "not_sent",
	    [HTTP_TIMEOUT] = "timeout",
	    [HTTP_LOST] = "lost",
	    [HTTP_ABORTED] = "aborted",
	    [HTTP_TOO_LARGE] = "too_large",
	};
	bool refused = outcome == HTTP_ANSWERED && status >= 400 && status < 500 && status != 429;

	/* A request that Creem will never take: a key, a product or a code of ours is wrong. */
	log_event(refused ? LOG_ERROR : LOG_WARN, "creem_failed", "call", exchange->name, "outcome", words[outcome],
	    "status", arena_printf(arena, "%d", status), NULL);
}

/* Makes one call; *ret_tree holds the answer, *ret_json its text. */
static enum problem
ask(const struct creem *creem, struct arena *arena, const struct exchange *exchange, struct body_tree **ret_tree,
    const char **ret_json)
{
	const char *key = config_text(creem->config, CONFIG_CREEM_API_KEY);

	if (key == NULL) {
		log_event(LOG_ERROR, "creem_without_key", "call", exchange->name, NULL);
		return PROBLEM_PAYMENTS_UNAVAILABLE;
	}
	const struct http_header headers[] = {
	    {"x-api-key", key}, {"Accept", "application/json"}, {"Content-Type", "application/json"}};
	const struct http_request request = {
	    .method = exchange->method,
	    .url = exchange->url,
	    .headers = headers,
	    .header_count = exchange->body != NULL ? 3 : 2,
	    .body = exchange->body,
	    .body_len = exchange->body != NULL ? strlen(exchange->body) : 0,
	    .connect_timeout_ms = CONNECT_MS,
	    .timeout_ms = CALL_MS,
	    .answer_max = ANSWER_MAX,
	    .cancel = creem->cancel,
	};
	struct http_answer answer = {0};
	enum http_outcome outcome = http_send(creem->http, arena, &request, &answer);
	if (outcome == HTTP_ANSWERED && answer.status == 404 && strcmp(exchange->method, "GET") == 0)
		return PROBLEM_NOT_FOUND;
	if (outcome == HTTP_ANSWERED && answer.status / 100 == 2)
		*ret_tree = body_tree_parse(answer.body, answer.body_len);
	if (*ret_tree == NULL || !body_is_object(body_root(*ret_tree))) {
		log_failure(arena, exchange, outcome, answer.status);
		return PROBLEM_PAYMENTS_UNAVAILABLE;
	}
	*ret_json = answer.body;
	return PROBLEM_NONE;
}

/* An answer that lacks what the call is for. */
static enum problem
unusable(const struct exchange *exchange)
{
	log_event(LOG_ERROR, "creem_unusable", "call", exchange->name, NULL);
	return PROBLEM_PAYMENTS_UNAVAILABLE;
}

static const char *
path(const struct creem *creem, struct arena *arena, const char *rest)
{
	return arena_printf(arena, "%s/v1/%s", config_text(creem->config, CONFIG_CREEM_API_URL), rest);
}

/* Adds a value to a query, percent-encoded. */
static void
add_encoded(struct text *url, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (const char *c = value; *c != '\0'; c++) {
		if (strchr(plain, *c) != NULL)
			text_add_bytes(url, c, 1);
		else
			text_printf(url, "%%%02X", (unsigned)(unsigned char)*c);
	}
}

/* Where a browser may be sent: https, or anything that a Creem on this machine names. */
static bool
is_link(const struct creem *creem, const char *url)
{
	bool local = strncmp(config_text(creem->config, CONFIG_CREEM_API_URL), "http://", 7) == 0;

	if (url == NULL || (strncmp(url, "https://", 8) != 0 && !(local && strncmp(url, "http://", 7) == 0)))
		return false;
	for (const char *c = url; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	return true;
}

enum problem
creem_create_checkout(const struct creem *creem, struct arena *arena, const struct creem_order *order,
    struct creem_checkout *ret_checkout)
{
	AUTO_BODY_TREE tree = NULL;
	const char *json;
	struct text body;

	text_init(&body, arena, BODY_MAX);
	text_json_open(&body, NULL, '{');
	text_json_string(&body, "product_id", order->product_id);
	text_json_string(&body, "request_id", order->request_id);
	text_json_string(&body, "success_url", order->success_url);
	text_json_open(&body, "customer", '{');
	text_json_string(&body, "email", order->email);
	text_json_close(&body, '}');
	text_json_close(&body, '}');
	const struct exchange exchange = {"create_checkout", "POST", path(creem, arena, "checkouts"), body.data};
	enum problem problem = ask(creem, arena, &exchange, &tree, &json);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *id = body_string(body_member(body_root(tree), "id"));
	const char *url = body_string(body_member(body_root(tree), "checkout_url"));
	if (id == NULL || !is_link(creem, url))
		return unusable(&exchange);
	ret_checkout->id = arena_strdup(arena, id);
	ret_checkout->url = arena_strdup(arena, url);
	return PROBLEM_NONE;
}

enum problem
creem_portal(const struct creem *creem, struct arena *arena, const char *customer_id, const char **ret_url)
{
	AUTO_BODY_TREE tree = NULL;
	const char *json;
	struct text body;

	text_init(&body, arena, BODY_MAX);
	text_json_open(&body, NULL, '{');
	text_json_string(&body, "customer_id", customer_id);
	text_json_close(&body, '}');
	const struct exchange exchange = {"portal", "POST", path(creem, arena, "customers/billing"), body.data};
	enum problem problem = ask(creem, arena, &exchange, &tree, &json);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *url = body_string(body_member(body_root(tree), "customer_portal_link"));
	if (!is_link(creem, url))
		return unusable(&exchange);
	*ret_url = arena_strdup(arena, url);
	return PROBLEM_NONE;
}

enum problem
creem_get(const struct creem *creem, struct arena *arena, enum creem_kind kind, const char *id, const char **ret_json)
{
	static const struct {
		const char *name, *query;
	} kinds[CREEM_KIND__COUNT] = {
	    [CREEM_CHECKOUT] = {"get_checkout", "checkouts?checkout_id="},
	    [CREEM_SUBSCRIPTION] = {"get_subscription", "subscriptions?subscription_id="},
	    [CREEM_TRANSACTION] = {"get_transaction", "transactions?transaction_id="},
	};
	AUTO_BODY_TREE tree = NULL;
	const char *json;
	struct text url;

	assert(kind < CREEM_KIND__COUNT);
	text_init(&url, arena, URL_MAX);
	text_add(&url, path(creem, arena, kinds[kind].query));
	add_encoded(&url, id);
	const struct exchange exchange = {kinds[kind].name, "GET", url.data, NULL};
	enum problem problem = ask(creem, arena, &exchange, &tree, &json);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *answered = body_string(body_member(body_root(tree), "id"));
	if (answered == NULL || strcmp(answered, id) != 0)
		return unusable(&exchange);
	*ret_json = json;
	return PROBLEM_NONE;
}

static bool
has_ended(const char *json)
{
	AUTO_BODY_TREE tree = body_tree_parse(json, strlen(json));
	const char *status = body_string(body_member(body_root(tree), "status"));
	return status != NULL && (strcmp(status, "canceled") == 0 || strcmp(status, "expired") == 0);
}

enum problem
creem_cancel(const struct creem *creem, struct arena *arena, const char *subscription_id)
{
	AUTO_BODY_TREE tree = NULL;
	const char *json;
	struct text url;

	enum problem problem = creem_get(creem, arena, CREEM_SUBSCRIPTION, subscription_id, &json);
	if (problem == PROBLEM_NOT_FOUND || (problem == PROBLEM_NONE && has_ended(json)))
		return PROBLEM_NONE;
	if (problem != PROBLEM_NONE)
		return problem;
	text_init(&url, arena, URL_MAX);
	text_add(&url, path(creem, arena, "subscriptions/"));
	add_encoded(&url, subscription_id);
	text_add(&url, "/cancel");
	const struct exchange exchange = {"cancel_subscription", "POST", url.data, "{\"mode\":\"immediate\"}"};
	return ask(creem, arena, &exchange, &tree, &json);
}

enum problem
creem_transactions(
    const struct creem *creem, struct arena *arena, const char *product_id, int64_t page, struct creem_page *ret_page)
{
	AUTO_BODY_TREE tree = NULL;
	const char *json;
	struct text url;
	int64_t pages = 0;

	text_init(&url, arena, URL_MAX);
	text_add(&url, path(creem, arena, "transactions/search?product_id="));
	add_encoded(&url, product_id);
	text_printf(&url, "&page_number=%" PRId64 "&page_size=%d", page, PAGE_SIZE);
	const struct exchange exchange = {"search_transactions", "GET", url.data, NULL};
	enum problem problem = ask(creem, arena, &exchange, &tree, &json);
	if (problem != PROBLEM_NONE)
		return problem;
	const struct body_value *items = body_member(body_root(tree), "items");
	const struct body_value *pagination = body_member(body_root(tree), "pagination");
	if (!body_is_array(items))
		return unusable(&exchange);
	ret_page->count = body_count(items);
	ret_page->items = arena_array(arena, ret_page->count + 1, sizeof *ret_page->items);
	for (size_t i = 0; i < ret_page->count; i++)
		ret_page->items[i] = body_print(arena, body_element(items, i));
	ret_page->more =
	    body_integer(body_member(pagination, "total_pages"), &pages) ? page < pages : ret_page->count == PAGE_SIZE;
	return PROBLEM_NONE;
}

static const char *const decisions[CREEM_DECISION__COUNT] = {
    [CREEM_ALLOW] = "allow",
    [CREEM_FLAG] = "flag",
    [CREEM_DENY] = "deny",
};

const char *
creem_decision_name(enum creem_decision decision)
{
	assert(decision < CREEM_DECISION__COUNT);
	return decisions[decision];
}

enum problem
creem_moderate(const struct creem *creem, struct arena *arena, const char *prompt, enum creem_decision *ret_decision)
{
	AUTO_BODY_TREE tree = NULL;
	const char *json;
	struct text body;

	text_init(&body, arena, BODY_MAX);
	text_json_open(&body, NULL, '{');
	text_json_string(&body, "prompt", prompt);
	text_json_close(&body, '}');
	const struct exchange exchange = {"moderate", "POST", path(creem, arena, "moderation/prompt"), body.data};
	enum problem problem = ask(creem, arena, &exchange, &tree, &json);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *word = body_string(body_member(body_root(tree), "decision"));
	for (int i = 0; word != NULL && i < CREEM_DECISION__COUNT; i++) {
		if (strcmp(word, decisions[i]) == 0) {
			*ret_decision = (enum creem_decision)i;
			return PROBLEM_NONE;
		}
	}
	return unusable(&exchange);
}
