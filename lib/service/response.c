#include "service/response.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "service/request.h"

#define BODY_MAX (16u << 20)
#define RETRY_AFTER_SECONDS 5 /* where nothing better is known */

void
response_open(struct response *response, struct arena *arena)
{
	*response = (struct response){
	    .arena = arena, .status = 200, .content_type = "application/json", .cache_control = "no-store"};
	text_init(&response->body, arena, BODY_MAX);
}

void
response_header(struct response *response, const char *name, const char *value)
{
	assert(response->header_count < RESPONSE_HEADERS && strpbrk(value, "\r\n") == NULL);
	response->headers[response->header_count].name = name;
	response->headers[response->header_count++].value = value;
}

enum problem
response_invalid(struct response *response, const char *pointer, const char *detail)
{
	struct text errors;

	text_init(&errors, response->arena, 4096);
	text_json_open(&errors, NULL, '{');
	text_json_string(&errors, "pointer", pointer);
	text_json_string(&errors, "detail", detail);
	text_json_close(&errors, '}');
	response->errors = errors.data;
	return PROBLEM_INVALID_REQUEST;
}

/* The members of a JSON object, without its braces; NULL for an empty one. */
static const char *
object_members(struct arena *arena, const char *object)
{
	const char *open = object != NULL ? strchr(object, '{') : NULL;
	const char *close = object != NULL ? strrchr(object, '}') : NULL;

	if (open == NULL || close == NULL || strspn(open + 1, " ") == (size_t)(close - open - 1))
		return NULL;
	return arena_strndup(arena, open + 1, (size_t)(close - open - 1));
}

static int64_t
retry_after(const struct response *response, enum problem problem, int status)
{
	if (response->refusal.retry_after > 0)
		return response->refusal.retry_after;
	if (problem == PROBLEM_IDEMPOTENCY_IN_PROGRESS)
		return 1;
	return status == 429 || status == 503 ? RETRY_AFTER_SECONDS : 0;
}

void
response_problem(struct response *response, const struct request *request, enum problem problem)
{
	const struct problem_kind *kind = problem_describe(problem);
	const char *extras = object_members(response->arena, response->refusal.extras);
	int64_t seconds = retry_after(response, problem, kind->status);
	struct text *body = &response->body;

	response->problem = problem;
	response->status = kind->status;
	response->content_type = "application/problem+json";
	response->cache_control = "no-store";
	response->etag = false;
	response->header_count = 0;
	response->more = NULL;
	text_init(body, response->arena, BODY_MAX);
	text_json_open(body, NULL, '{');
	text_json_string(body, "type", arena_printf(response->arena, "urn:shotai:problem:%s", kind->code));
	text_json_string(body, "title", kind->title[request->language]);
	text_json_int(body, "status", kind->status);
	text_json_string(
	    body, "detail", response->detail != NULL ? response->detail : problem_detail(problem, request->language));
	text_json_string(body, "code", kind->code);
	text_json_string(body, "request_id", request->id);
	if (response->errors != NULL)
		text_json_raw(body, "errors", arena_printf(response->arena, "[%s]", response->errors));
	if (extras != NULL)
		text_printf(body, ",%s", extras);
	text_json_close(body, '}');
	if (seconds > 0)
		response_header(response, "Retry-After", arena_printf(response->arena, "%" PRId64, seconds));
	if (kind->status == 401)
		response_header(response, "WWW-Authenticate", "Bearer");
}

static const char *
body_etag(const struct response *response)
{
	uint8_t digest[DIGEST_SHA256];

	digest_sha256(response->body.data, response->body.len, digest);
	return arena_printf(response->arena, "\"%s\"", digest_base64url(response->arena, digest, 18));
}

/* Weak comparison with a list of entity tags: nginx's gzip turns a strong one into a weak one. */
static bool
etag_matches(const char *header, const char *etag)
{
	if (header == NULL)
		return false;
	if (strcmp(header, "*") == 0)
		return true;
	const char *found = strstr(header, etag);
	return found != NULL;
}

static const char *
status_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {303, "See Other"},
	    {304, "Not Modified"}, {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"},
	    {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {409, "Conflict"},
	    {413, "Content Too Large"}, {415, "Unsupported Media Type"}, {422, "Unprocessable Content"},
	    {429, "Too Many Requests"}, {500, "Internal Server Error"}, {502, "Bad Gateway"},
	    {503, "Service Unavailable"}, {504, "Gateway Timeout"}};

	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Status";
}

/*
 * nginx keeps a Cache-Control through X-Accel-Redirect whatever becomes of the
 * request then, an error included; under this name it decides itself.
 */
static const char *
cache_header(const struct response *response)
{
	for (size_t i = 0; i < response->header_count; i++)
		if (strcmp(response->headers[i].name, "X-Accel-Redirect") == 0)
			return "X-Cache-Control";
	return "Cache-Control";
}

/*
 * RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers) from
 * "generate;q=100;w=100;r=42;t=1": the action, its policy, what is left of it.
 */
static void
write_rate(const char *rate, struct text *ret_head)
{
	int name = (int)strcspn(rate, ";");
	const char *left = strstr(rate, ";r=");

	assert(left != NULL && strpbrk(rate, "\"\r\n") == NULL);
	text_printf(ret_head, "RateLimit-Policy: \"%.*s\"%.*s\r\n", name, rate, (int)(left - rate) - name, rate + name);
	text_printf(ret_head, "RateLimit: \"%.*s\"%s\r\n", name, rate, left);
}

void
response_finish(struct response *response, const struct request *request, struct text *ret_head)
{
	bool bodyless = response->status == 204 || response->status == 303;

	if (response->etag && response->status == 200) {
		const char *etag = body_etag(response);
		response_header(response, "ETag", etag);
		if (etag_matches(request_header(request, "HTTP_IF_NONE_MATCH"), etag)) {
			response->status = 304;
			bodyless = true;
		}
	}
	text_printf(ret_head, "Status: %d %s\r\n", response->status, status_phrase(response->status));
	if (!bodyless)
		text_printf(ret_head, "Content-Type: %s\r\n", response->content_type);
	text_printf(
	    ret_head, "%s: %s\r\nX-Request-Id: %s\r\n", cache_header(response), response->cache_control, request->id);
	for (size_t i = 0; i < response->header_count; i++)
		text_printf(ret_head, "%s: %s\r\n", response->headers[i].name, response->headers[i].value);
	if (response->refusal.rate != NULL)
		write_rate(response->refusal.rate, ret_head);
	if (!bodyless && response->body.len > 0 && response->more == NULL)
		text_printf(ret_head, "Content-Length: %zu\r\n", response->body.len);
	text_add(ret_head, "\r\n");
	if (bodyless || strcmp(request->method, "HEAD") == 0) {
		response->body.len = 0;
		response->more = NULL;
	}
}
