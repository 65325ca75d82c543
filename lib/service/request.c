#include "service/request.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/body.h"
#include "base/digest.h"
#include "base/text.h"
#include "service/response.h"

#define ERRORS_MAX (64u << 10)
#define IDEMPOTENCY_KEY_MAX 255

const char *
request_header(const struct request *request, const char *cgi_name)
{
	size_t len = strlen(cgi_name);

	for (char *const *entry = request->cgi; *entry != NULL; entry++)
		if (strncmp(*entry, cgi_name, len) == 0 && (*entry)[len] == '=')
			return *entry + len + 1;
	return NULL;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of the valid UTF-8 character at bytes, 0 when there is none. */
static size_t
utf8_length(const unsigned char *bytes, size_t left)
{
	static const struct {
		unsigned char low, high, second_low, second_high;
		size_t len;
	} forms[] = {
	    {0x00, 0x7f, 0, 0, 1},
	    {0xc2, 0xdf, 0x80, 0xbf, 2},
	    {0xe0, 0xe0, 0xa0, 0xbf, 3},
	    {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3},
	    {0xee, 0xef, 0x80, 0xbf, 3},
	    {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4},
	    {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (bytes[0] < forms[i].low || bytes[0] > forms[i].high)
			continue;
		if (left < forms[i].len)
			return 0;
		if (forms[i].len > 1 && (bytes[1] < forms[i].second_low || bytes[1] > forms[i].second_high))
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((bytes[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

char *
request_decode(struct arena *arena, const char *text, size_t len)
{
	char *decoded = arena_alloc(arena, len + 1);
	size_t used = 0, step;

	for (size_t i = 0; i < len; i++) {
		int value = (unsigned char)text[i];
		if (text[i] == '%') {
			if (i + 2 >= len || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
				return NULL;
			value = hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]);
			i += 2;
		}
		if (value < 0x20 || value == 0x7f)
			return NULL;
		decoded[used++] = (char)value;
	}
	for (size_t i = 0; i < used; i += step)
		if ((step = utf8_length((const unsigned char *)decoded + i, used - i)) == 0)
			return NULL;
	return decoded;
}

/* nginx's $request_id (32 hex digits) as a UUID; one of our own when there is none. */
static const char *
request_identify(struct arena *arena, const char *from_nginx)
{
	uint8_t bytes[16];
	char uuid[37];

	if (from_nginx != NULL && digest_unhex(from_nginx, sizeof bytes, bytes))
		return arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", from_nginx, from_nginx + 8, from_nginx + 12,
		    from_nginx + 16, from_nginx + 20);
	digest_uuid(uuid);
	return arena_strdup(arena, uuid);
}

/* The quality of a language in an Accept-Language header, in thousandths; -1 when it is not named. */
static long
language_quality(const char *header, const char *language)
{
	for (const char *range = header; *range != '\0'; range += strcspn(range, ","), range += *range == ',') {
		range += strspn(range, " \t");
		size_t len = strcspn(range, ",; \t");
		if (len < 2 || strncasecmp(range, language, 2) != 0 || (len > 2 && range[2] != '-'))
			continue;
		const char *end = range + strcspn(range, ","), *quality = strstr(range, ";q=");
		if (quality == NULL || quality > end)
			return 1000;
		return (long)(strtod(quality + 3, NULL) * 1000);
	}
	return -1;
}

enum problem
request_open(struct arena *arena, char *const *cgi, struct request *ret_request)
{
	struct request request = {.arena = arena, .cgi = cgi, .body = "", .path = "", .query = ""};

	const char *method = request_header(&request, "REQUEST_METHOD");
	const char *uri = request_header(&request, "REQUEST_URI");
	const char *languages = request_header(&request, "HTTP_ACCEPT_LANGUAGE");

	request.id = request_identify(arena, request_header(&request, "REQUEST_ID"));
	request.method = method != NULL ? method : "";
	long dutch = languages != NULL ? language_quality(languages, "nl") : 0;
	if (dutch > 0 && dutch > language_quality(languages, "en"))
		request.language = LANGUAGE_NL;
	if (uri == NULL)
		uri = "";
	size_t len = strcspn(uri, "?");
	const char *path = request_decode(arena, uri, len);
	if (uri[len] == '?')
		request.query = uri + len + 1;
	if (path != NULL)
		request.path = path;
	*ret_request = request;
	return path != NULL ? PROBLEM_NONE : PROBLEM_INVALID_REQUEST;
}

enum problem
request_query(struct request *request, struct response *response, const char *name, const char **ret_value)
{
	size_t name_len = strlen(name);
	char *value = NULL;

	for (const char *pair = request->query; *pair != '\0'; pair += strcspn(pair, "&"), pair += *pair == '&') {
		size_t len = strcspn(pair, "&");
		if (strncmp(pair, name, name_len) != 0 || len < name_len || (len > name_len && pair[name_len] != '='))
			continue;
		if (value != NULL)
			return response_invalid(
			    response, name, request->language == LANGUAGE_NL ? "staat er twee keer" : "is repeated");
		size_t value_len = len > name_len ? len - name_len - 1 : 0;
		char *raw = arena_strndup(request->arena, pair + len - value_len, value_len);
		for (char *plus = raw; (plus = strchr(plus, '+')) != NULL;)
			*plus = ' ';
		value = request_decode(request->arena, raw, value_len);
		if (value == NULL)
			return response_invalid(response, name,
			    request->language == LANGUAGE_NL ? "is niet goed gecodeerd" : "is not encoded properly");
	}
	*ret_value = value;
	return PROBLEM_NONE;
}

enum problem
request_query_integer(struct request *request, struct response *response, const char *name, int64_t min, int64_t max,
    int64_t fallback, int64_t *ret_value)
{
	const char *text;
	char *end = NULL;

	enum problem problem = request_query(request, response, name, &text);
	if (problem != PROBLEM_NONE)
		return problem;
	if (text == NULL) {
		*ret_value = fallback;
		return PROBLEM_NONE;
	}
	errno = 0;
	int64_t value = strtoll(text, &end, 10);
	bool plain = (isdigit((unsigned char)*text) || *text == '-') && *end == '\0' && errno == 0;
	if (!plain || value < min || value > max) {
		return response_invalid(response, name,
		    request->language == LANGUAGE_NL
			? arena_printf(request->arena,
			      "moet een geheel getal van %" PRId64 " tot en met %" PRId64 " zijn", min, max)
			: arena_printf(
			      request->arena, "must be a whole number from %" PRId64 " to %" PRId64, min, max));
	}
	*ret_value = value;
	return PROBLEM_NONE;
}

enum problem
request_idempotency_key(struct request *request, struct response *response, const char **ret_key)
{
	const char *key = request_header(request, "HTTP_IDEMPOTENCY_KEY");
	size_t len = 0;

	while (key != NULL && key[len] > ' ' && key[len] <= '~')
		len++;
	if (key != NULL && (len == 0 || len > IDEMPOTENCY_KEY_MAX || key[len] != '\0'))
		return response_invalid(response, "Idempotency-Key",
		    request->language == LANGUAGE_NL ? "moet 1 tot en met 255 zichtbare ASCII-tekens zijn"
						     : "must be 1 to 255 visible ASCII characters");
	*ret_key = key;
	return PROBLEM_NONE;
}

const char *
request_body_hash(struct request *request)
{
	uint8_t digest[DIGEST_SHA256];
	char *hex = arena_alloc(request->arena, DIGEST_HEX);

	digest_sha256(request->body, request->body_len, digest);
	digest_hex(digest, sizeof digest, hex);
	return hex;
}

void
request_drop_body(struct request *request)
{
	if (request->body_arena == NULL)
		return;
	arena_free(request->body_arena);
	request->body_arena = NULL;
	request->body = "";
	request->body_len = 0;
}

enum problem
request_json(struct request *request, struct response *response, const struct body_field *fields, size_t field_count,
    void *ret_struct)
{
	struct text errors;

	text_init(&errors, request->arena, ERRORS_MAX);
	enum problem problem = body_read(request->arena, request->body, request->body_len, fields, field_count,
	    request->language, ret_struct, &errors);
	if (problem != PROBLEM_NONE && errors.len > 0)
		response->errors = errors.data;
	return problem;
}

/* Like request_decode for a form's text, of which line ends are a part: CR LF becomes LF. A tab becomes a blank. */
static char *
decode_form(struct arena *arena, const char *raw, size_t len)
{
	struct text out;
	char *line = arena_strndup(arena, raw, len), *end;

	for (char *plus = line; (plus = strchr(plus, '+')) != NULL;)
		*plus = ' ';
	for (char *tab = line; (tab = strstr(tab, "%09")) != NULL;)
		memcpy(tab, "%20", 3);
	text_init(&out, arena, len + 1);
	for (;; line = end + 3) {
		end = strcasestr(line, "%0a");
		size_t line_len = end != NULL ? (size_t)(end - line) : strlen(line);
		if (end != NULL && line_len >= 3 && strncasecmp(end - 3, "%0d", 3) == 0)
			line_len -= 3;
		const char *decoded = request_decode(arena, line, line_len);
		if (decoded == NULL)
			return NULL;
		text_add(&out, decoded);
		if (end == NULL)
			return out.data;
		text_add(&out, "\n");
	}
}

enum problem
request_form(struct request *request, struct response *response, const char *name, const char **ret_value)
{
	size_t name_len = strlen(name);
	char *value = NULL;

	for (const char *pair = request->body; *pair != '\0'; pair += strcspn(pair, "&"), pair += *pair == '&') {
		size_t len = strcspn(pair, "&");
		if (strncmp(pair, name, name_len) != 0 || len <= name_len || pair[name_len] != '=' || value != NULL)
			continue;
		value = decode_form(request->arena, pair + name_len + 1, len - name_len - 1);
		if (value == NULL)
			return response_invalid(response, name,
			    request->language == LANGUAGE_NL ? "is niet goed gecodeerd" : "is not encoded properly");
	}
	*ret_value = value;
	return PROBLEM_NONE;
}

const char *
request_bearer(const struct request *request)
{
	const char *header = request_header(request, "HTTP_AUTHORIZATION");

	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	header += 7;
	return header + strspn(header, " ");
}

bool
request_is(const struct request *request, const char *media_type)
{
	const char *header = request_header(request, "CONTENT_TYPE");
	size_t len = strlen(media_type);

	return header != NULL && strncasecmp(header, media_type, len) == 0 && strchr("; \t", header[len]) != NULL;
}
