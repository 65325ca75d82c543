#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/body.h"
#include "base/digest.h"
#include "sender.h"
#include "stand_in.h"

#define FORM_MAX (64u << 10)

static int64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Creem's error: `error` of a 404 says Bad Request, too, and a 401 or 403 has no message. */
static enum problem
refuse(struct request *request, struct response *response, int status, const char *messages)
{
	struct text *body = &response->body;
	text_json_open(body, NULL, '{');
	text_json_string(body, "trace_id", request->id);
	text_json_int(body, "status", status);
	text_json_string(body, "error",
	    status == 401   ? "Unauthorized"
	    : status == 403 ? "Forbidden"
	    : status == 503 ? "Service Unavailable"
			    : "Bad Request");
	if (messages != NULL)
		text_json_raw(body, "message", messages);
	text_json_int(body, "timestamp", now_ms());
	text_json_close(body, '}');
	response->status = status;
	return PROBLEM_NONE;
}

const char *
creem_form(struct arena *arena, const char *query)
{
	struct text json;
	text_init(&json, arena, FORM_MAX);
	text_json_open(&json, NULL, '{');
	for (const char *pair = query; *pair != '\0'; pair += strcspn(pair, "&"), pair += *pair == '&') {
		size_t len = strcspn(pair, "&"), name_len = strcspn(pair, "=&");
		char *raw = arena_strndup(arena, pair, len);
		for (char *plus = raw; (plus = strchr(plus, '+')) != NULL;)
			*plus = ' ';
		const char *name = request_decode(arena, raw, name_len);
		const char *value =
		    name_len == len ? "" : request_decode(arena, raw + name_len + 1, len - name_len - 1);
		if (name == NULL || value == NULL)
			return NULL;
		/* The writer takes keys that need no escaping. */
		if (strpbrk(name, "\"\\") == NULL)
			text_json_string(&json, name, value);
	}
	text_json_close(&json, '}');
	return json.overflow ? NULL : json.data;
}

/* The body as JSON, an empty one as {}; NULL unless it is an object. */
static const char *
read_body(const struct request *request)
{
	if (request->body_len == 0)
		return "{}";
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	return body != NULL && body_is_object(body_root(body)) ? request->body : NULL;
}

enum problem
creem_call(struct app *app, struct request *request, const char *function, const char *id, const char *input,
    struct db_result **ret_result)
{
	static const struct db_statement call = {.sql = "select * from sandbox_creem.call($1, $2, $3::jsonb, $4, $5)"};
	const char *key = request_header(request, "HTTP_IDEMPOTENCY_KEY");
	const char *parameters[] = {function, id, input, stand_in(app)->url, key};
	return db_call(app->db, request->arena, &call, parameters, 5, ret_result, NULL);
}

static bool
is_key(const char *given, const char *key)
{
	return strlen(given) == strlen(key) && digest_equal(given, key, strlen(key));
}

static enum problem
run(struct app *app, struct request *request, struct response *response, const char *function)
{
	AUTO_DB_RESULT result = NULL;
	const char *key = request_header(request, "HTTP_X_API_KEY");
	if (key == NULL || *key == '\0')
		return refuse(request, response, 401, NULL);
	if (!is_key(key, stand_in(app)->api_key))
		return refuse(request, response, 403, NULL);
	bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
	const char *input = reads ? creem_form(request->arena, request->query) : read_body(request);
	if (input == NULL)
		return refuse(request, response, 400, "[\"the input could not be read\"]");
	enum problem problem = creem_call(app, request, function, request->parameters[0], input, &result);
	if (problem != PROBLEM_NONE)
		return problem;
	if (!reads)
		sender_wake(stand_in(app)->sender);
	int status = (int)db_integer(result, 0, "status");
	if (status != 200)
		return refuse(request, response, status, db_text(result, 0, "body"));
	text_add(&response->body, db_text(result, 0, "body"));
	return PROBLEM_NONE;
}

#define X(name, verb, where)                                                                                           \
	enum problem name(struct app *app, struct request *request, struct response *response)                         \
	{                                                                                                              \
		return run(app, request, response, #name);                                                             \
	}
CREEM_API(X)
#undef X
