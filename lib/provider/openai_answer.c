#include "provider/openai_answer.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "base/digest.h"
#include "service/http.h"

#define CODE_MAX 64
#define VENDOR_ID_MAX 128
#define HOST_MAX 253

/*
 * Error codes (or types) that decide whatever the status: 403 and 429 are used
 * for several things. From OpenAI's documents and client, Azure's content
 * filter, and the servers that copy them.
 */
static const struct meaning {
	const char *code;
	enum provider_outcome outcome;
} meanings[] = {
    {"moderation_blocked", PROVIDER_REFUSED},
    {"content_policy_violation", PROVIDER_REFUSED},
    {"content_filter", PROVIDER_REFUSED},
    {"contentfilter", PROVIDER_REFUSED},
    {"responsibleaipolicyviolation", PROVIDER_REFUSED},
    {"safety_violation", PROVIDER_REFUSED},
    {"insufficient_quota", PROVIDER_NO_CREDIT},
    {"credit_balance_exhausted", PROVIDER_NO_CREDIT},
    {"billing_hard_limit_reached", PROVIDER_NO_CREDIT},
    {"billing_not_active", PROVIDER_NO_CREDIT},
    {"insufficient_balance", PROVIDER_NO_CREDIT},
    {"invalid_api_key", PROVIDER_BAD_KEY},
    {"account_deactivated", PROVIDER_BAD_KEY},
    {"invalid_organization", PROVIDER_BAD_KEY},
    {"rate_limit_exceeded", PROVIDER_RATE_LIMITED},
    {"slow_down", PROVIDER_RATE_LIMITED},
    {"server_is_overloaded", PROVIDER_RATE_LIMITED},
    {"engine_overloaded", PROVIDER_RATE_LIMITED},
};

static bool
outcome_of_code(const char *code, enum provider_outcome *ret_outcome)
{
	for (size_t i = 0; code != NULL && i < sizeof meanings / sizeof *meanings; i++)
		if (strcasecmp(meanings[i].code, code) == 0) {
			*ret_outcome = meanings[i].outcome;
			return true;
		}
	return false;
}

/*
 * By status alone. Nothing was accepted with 429, nor with a 503 that says
 * when to come back (RFC 9110, 15.6.4: unable to handle the request). A
 * gateway's 502, 504 and 524 and a 408 say only that no answer came in time:
 * the picture may have been made and billed. Any other 5xx is the vendor's own
 * word that it failed.
 */
static enum provider_outcome
outcome_of_status(const struct http_answer *answer)
{
	switch (answer->status) {
	case 401:
	case 403: /* country or organisation not allowed: the operator's matter too */
		return PROVIDER_BAD_KEY;
	case 402:
		return PROVIDER_NO_CREDIT;
	case 429:
		return PROVIDER_RATE_LIMITED;
	case 408:
	case 502:
	case 504:
	case 524:
		return PROVIDER_UNCERTAIN;
	case 409:
		return PROVIDER_UPSTREAM_ERROR;
	case 503:
		return http_answer_header(answer, "retry-after") != NULL ||
			       http_answer_header(answer, "retry-after-ms") != NULL
			   ? PROVIDER_RATE_LIMITED
			   : PROVIDER_UPSTREAM_ERROR;
	default:
		return answer->status >= 400 && answer->status < 500 ? PROVIDER_BAD_INPUT : PROVIDER_UPSTREAM_ERROR;
	}
}

/* A vendor's word as far as it is one: what else it holds may echo a prompt or name an address. */
static const char *
plain_word(struct arena *arena, const char *word, size_t max)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	if (word == NULL || *word == '\0')
		return NULL;
	size_t len = strlen(word);
	return len <= max && strspn(word, allowed) == len ? arena_strndup(arena, word, len) : NULL;
}

/* `error` is an object with code and type, or a string that is one of them, or a sentence. */
static void
read_error(
    struct arena *arena, const struct http_answer *answer, const struct body_value *error, struct openai_answer *result)
{
	const char *words[] = {body_string(body_member(error, "code")),
	    body_string(body_member(body_member(error, "innererror"), "code")), body_string(body_member(error, "type")),
	    body_string(error)};
	result->outcome = outcome_of_status(answer);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (result->code == NULL)
			result->code = plain_word(arena, words[i], CODE_MAX);
		if (outcome_of_code(words[i], &result->outcome)) {
			result->code = plain_word(arena, words[i], CODE_MAX);
			break;
		}
	}
	if (result->outcome == PROVIDER_RATE_LIMITED)
		result->retry_after = http_retry_after(answer, OPENAI_RETRY_AFTER_MAX);
}

/* False when the entry holds no picture. */
static bool
read_picture(struct arena *arena, const struct body_value *entry, struct openai_picture *ret_picture)
{
	const char *base64 = body_string(body_member(entry, "b64_json"));
	const char *url = body_string(body_member(entry, "url"));
	if (base64 == NULL && url != NULL && strncasecmp(url, "data:image/", 11) == 0)
		base64 = url;
	if (base64 == NULL) {
		if (url != NULL)
			*ret_picture = (struct openai_picture){.url = arena_strdup(arena, url)};
		return url != NULL;
	}
	if (strncasecmp(base64, "data:", 5) == 0) {
		const char *comma = strchr(base64, ',');
		base64 = comma == NULL ? "" : comma + 1;
	}
	size_t len = strlen(base64);
	struct openai_picture picture = {0};
	if (len == 0 || len / 4 * 3 > OPENAI_PICTURE_MAX + 3 ||
	    !digest_base64_decode(arena, base64, len, &picture.bytes, &picture.len) || picture.len == 0 ||
	    picture.len > OPENAI_PICTURE_MAX)
		return false;
	*ret_picture = picture;
	return true;
}

static void
read_pictures(struct arena *arena, const struct body_value *data, size_t wanted, struct openai_answer *result)
{
	size_t count = body_is_array(data) ? body_count(data) : 0;
	for (size_t i = 0; i < count && result->picture_count < wanted; i++)
		if (read_picture(arena, body_element(data, i), &result->pictures[result->picture_count]))
			result->picture_count++;
	result->outcome = result->picture_count > 0 ? PROVIDER_OK : PROVIDER_INVALID_OUTPUT;
}

void
openai_answer_read(struct arena *arena, const struct http_answer *answer, int wanted, struct openai_answer *ret_answer)
{
	struct openai_answer result = {
	    .vendor_id = plain_word(arena, http_answer_header(answer, "x-request-id"), VENDOR_ID_MAX)};
	AUTO_BODY_TREE tree = body_tree_parse(answer->body, answer->body_len);
	const struct body_value *root = tree == NULL ? NULL : body_root(tree);
	const struct body_value *error = body_member(root, "error"), *data = body_member(root, "data");
	size_t most = wanted < 1 ? 0 : wanted > OPENAI_PICTURES_MAX ? OPENAI_PICTURES_MAX : (size_t)wanted;
	if (answer->status < 200 || answer->status > 299 || (error != NULL && data == NULL))
		read_error(arena, answer, error, &result);
	else
		read_pictures(arena, data, most, &result);
	*ret_answer = result;
}

/* The host of an http or https URL, lower case, without port or brackets; false when it has a strange form. */
struct place {
	bool https;
	char host[HOST_MAX + 1];
	char port[6];
};

static bool
read_port(const char *text, size_t len, bool https, char ret_port[static 6])
{
	if (len == 0)
		text = https ? ":443" : ":80", len = strlen(text);
	if (*text != ':' || len < 2 || len > 6 || strspn(text + 1, "0123456789") < len - 1)
		return false;
	memcpy(ret_port, text + 1, len - 1);
	ret_port[len - 1] = '\0';
	return true;
}

static bool
read_place(const char *url, struct place *ret_place)
{
	struct place place = {.https = strncasecmp(url, "https://", 8) == 0};
	if (!place.https && strncasecmp(url, "http://", 7) != 0)
		return false;
	for (const char *c = url; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '\\')
			return false;
	const char *host = url + (place.https ? 8 : 7);
	size_t authority = strcspn(host, "/?#"), len;
	if (memchr(host, '@', authority) != NULL)
		return false;
	if (*host == '[') {
		const char *end = memchr(host, ']', authority);
		if (end == NULL)
			return false;
		len = (size_t)(end - host) - 1;
		if (!read_port(end + 1, authority - len - 2, place.https, place.port))
			return false;
		host++;
	} else {
		const char *colon = memchr(host, ':', authority);
		len = colon == NULL ? authority : (size_t)(colon - host);
		if (!read_port(host + len, authority - len, place.https, place.port))
			return false;
	}
	if (len == 0 || len > HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		place.host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
	*ret_place = place;
	return true;
}

/* Any way to write an address in digits: a picture's host has a name. */
static bool
is_literal(const char *host)
{
	struct in6_addr v6;
	const char *last = strrchr(host, '.');
	last = last == NULL ? host : last + 1;
	return inet_pton(AF_INET6, host, &v6) == 1 || *last == '\0' || (*last >= '0' && *last <= '9');
}

bool
openai_url_loopback(const char *url)
{
	struct place place;
	return read_place(url, &place) && config_is_loopback(place.host);
}

bool
openai_url_allowed(const char *url, const char *base_url, const struct body_value *image_hosts)
{
	struct place place, base;
	if (!read_place(url, &place) || !read_place(base_url, &base))
		return false;
	bool same = strcmp(place.host, base.host) == 0;
	if (config_is_loopback(base.host) && same)
		return strcmp(place.port, base.port) == 0 && place.https == base.https;
	if (!place.https || config_is_loopback(place.host) || is_literal(place.host))
		return false;
	for (size_t i = 0; !same && i < body_count(image_hosts); i++) {
		const char *host = body_string(body_element(image_hosts, i));
		same = host != NULL && strcasecmp(host, place.host) == 0;
	}
	return same;
}
