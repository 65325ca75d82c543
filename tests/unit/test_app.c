/* Routing, policies and answers, without FastCGI: app_handle is what the accept loop calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/body.h"
#include "service/app.h"

#define ID "0123abcd-0000-4000-8000-00000000000F"

struct note {
	const char *text;
};

static enum problem
echo_parameter(struct app *app, struct request *request, struct response *response)
{
	(void)app;
	text_json_open(&response->body, NULL, '{');
	text_json_string(&response->body, "value", request->parameters[0]);
	text_json_close(&response->body, '}');
	response->etag = true;
	return PROBLEM_NONE;
}

static enum problem
read_note(struct app *app, struct request *request, struct response *response)
{
	static const struct body_field fields[] = {{.name = "text",
	    .kind = BODY_STRING,
	    .required = true,
	    .min = 1,
	    .max = 5,
	    .offset = offsetof(struct note, text)}};
	struct note note = {0};

	(void)app;
	enum problem problem = request_json(request, response, fields, 1, &note);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 201;
	response_header(response, "Location", "/notes/1");
	text_json_open(&response->body, NULL, '{');
	text_json_string(&response->body, "text", note.text);
	text_json_close(&response->body, '}');
	return PROBLEM_NONE;
}

static enum problem
list_notes(struct app *app, struct request *request, struct response *response)
{
	const char *query;
	int64_t limit;

	(void)app;
	enum problem problem = request_query_integer(request, response, "limit", 1, 100, 20, &limit);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "q", &query);
	if (problem != PROBLEM_NONE)
		return problem;
	text_json_open(&response->body, NULL, '{');
	text_json_int(&response->body, "limit", limit);
	text_json_string(&response->body, "q", query);
	text_json_close(&response->body, '}');
	return PROBLEM_NONE;
}

static enum problem
refuse(struct app *app, struct request *request, struct response *response)
{
	(void)app;
	(void)request;
	response->refusal = (struct db_refusal){
	    .retry_after = 7, .extras = "{\"required\": 4, \"balance\": 2}", .rate = "note;q=3;w=60;r=0;t=7"};
	response_header(response, "Location", "/never");
	return PROBLEM_INSUFFICIENT_CREDITS;
}

/* Echoes a body before and after it is given up. */
static enum problem
take_raw(struct app *app, struct request *request, struct response *response)
{
	(void)app;
	text_printf(&response->body, "%zu %s", request->body_len, request->body);
	request_drop_body(request);
	text_printf(&response->body, ", then %zu%s", request->body_len, request->body);
	request_drop_body(request);
	return PROBLEM_NONE;
}

static enum problem
leave_to_nginx(struct app *app, struct request *request, struct response *response)
{
	(void)app;
	(void)request;
	response->cache_control = "private, max-age=300";
	response_header(response, "X-Accel-Redirect", "/_inside");
	return PROBLEM_NONE;
}

static const struct route routes[] = {
    {.method = "GET", .path = "/inside", .run = leave_to_nginx},
    {.method = "POST", .path = "/raw", .body = BODY_RAW, .body_max = 8, .run = take_raw},
    {.method = "GET", .path = "/items/{id}", .run = echo_parameter},
    {.method = "GET", .path = "/files/{key...}", .run = echo_parameter},
    {.method = "GET", .path = "/s/{slug}", .run = echo_parameter},
    {.method = "GET", .path = "/notes", .run = list_notes},
    {.method = "POST", .path = "/notes", .body = BODY_JSON, .body_max = 64, .run = read_note},
    {.method = "POST", .path = "/refuse", .run = refuse},
    {.method = "POST", .path = "/mine", .auth = AUTH_USER, .body = BODY_JSON, .body_max = 64, .run = read_note},
};

static const struct program program = {
    .name = "notes", .summary = "notes", .routes = routes, .route_count = sizeof routes / sizeof *routes};

struct exchange {
	struct arena *arena;
	struct response response;
	struct text head;
};

static bool
read_string(void *context, char *buffer, size_t len)
{
	const char **body = context;

	memcpy(buffer, *body, len);
	return true;
}

/* cgi holds NAME=value strings ended by NULL; the body travels with its own CONTENT_LENGTH. */
static void
exchange(struct exchange *exchange, const char *const *cgi, const char *body)
{
	char *environment[16] = {0};
	size_t count = 0;
	struct app app = {.program = &program};
	struct request request;

	for (; cgi[count] != NULL; count++)
		environment[count] = arena_strdup(exchange->arena, cgi[count]);
	if (body != NULL)
		environment[count] = arena_printf(exchange->arena, "CONTENT_LENGTH=%zu", strlen(body));
	response_open(&exchange->response, exchange->arena);
	text_init(&exchange->head, exchange->arena, 65536);
	enum problem problem = request_open(exchange->arena, environment, &request);
	if (problem != PROBLEM_NONE)
		response_problem(&exchange->response, &request, problem);
	else
		app_handle(&app, &request, &exchange->response, read_string, &body);
	response_finish(&exchange->response, &request, &exchange->head);
}

#define CGI(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct {
	const char *const *cgi;
	const char *body;
	int status;
	const char *in_head, *in_body;
} cases[] = {
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/" ID), NULL, 200, "ETag: \"",
	"0123abcd-0000-4000-8000-00000000000f"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/1"), NULL, 404, "application/problem+json",
	"\"code\":\"not_found\""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/" ID "0"), NULL, 404, "", "not_found"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/" ID "/x"), NULL, 404, "", "not_found"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/a/b%2Fc?e=1"), NULL, 200, "", "\"a/b/c\""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/"), NULL, 404, "", "not_found"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/%00"), NULL, 400, "", "invalid_request"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/%0d%0aX:y"), NULL, 400, "", "invalid_request"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/%ff"), NULL, 400, "", "invalid_request"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/%c0%af"), NULL, 400, "", "invalid_request"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/%e"), NULL, 400, "", "invalid_request"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/files/%e2%82%ac"), NULL, 200, "", "\xe2\x82\xac"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/s/a/b"), NULL, 404, "", "not_found"},
    {CGI("REQUEST_METHOD=PUT", "REQUEST_URI=/notes"), NULL, 405, "Allow: GET, HEAD, POST\r\n", "method_not_allowed"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes"), NULL, 200, "Cache-Control: no-store\r\n",
	"\"limit\":20,\"q\":null"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/inside"), NULL, 200, "\r\nX-Cache-Control: private, max-age=300\r\n", ""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?limit=100&q=a+b%26"), NULL, 200, "", "\"limit\":100,\"q\":\"a b&\""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?limit=101"), NULL, 400, "", "{\"pointer\":\"limit\""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?limit=0"), NULL, 400, "", "from 1 to 100"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?limit=9999999999999999999999"), NULL, 400, "", "limit"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?limit=1x"), NULL, 400, "", "limit"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?limit="), NULL, 400, "", "limit"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?q=1&q=2"), NULL, 400, "", "is repeated"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/notes?q=%zz", "HTTP_ACCEPT_LANGUAGE=nl-NL, en;q=0.5"), NULL, 400, "",
	"niet goed gecodeerd"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/notes"), "{\"text\":\"hi\"}", 415, "", "unsupported_media_type"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/notes", "CONTENT_TYPE=application/jsonx"), "{}", 415, "",
	"unsupported_media_type"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/notes", "CONTENT_TYPE=Application/JSON; charset=utf-8"),
	"{\"text\":\"hi\"}", 201, "Location: /notes/1\r\n", "\"hi\""},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/notes", "CONTENT_TYPE=application/json"), "{\"text\":\"hi\",\"x\":1}",
	400, "", "\"pointer\":\"/x\""},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/notes", "CONTENT_TYPE=application/json"),
	"{\"text\":\"0123456789012345678901234567890123456789012345678901234567890\"}", 413, "", "too_large"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/refuse"), "x", 413, "", "too_large"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/raw", "CONTENT_TYPE=image/png"), "bytes", 200, "", "5 bytes, then 0"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/raw"), "", 200, "", "0 , then 0"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/raw"), "012345678", 413, "", "too_large"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/refuse"), NULL, 402, "Retry-After: 7\r\n",
	"\"required\": 4, \"balance\": 2}"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/mine", "CONTENT_TYPE=application/json"), "{\"text\":\"hi\"}", 401,
	"WWW-Authenticate: Bearer\r\n", "unauthenticated"},
    {CGI("REQUEST_METHOD=POST", "REQUEST_URI=/mine", "HTTP_AUTHORIZATION=Basic eDp5"), "{}", 401, "",
	"unauthenticated"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/healthz/notes"), NULL, 200, "", "\"status\":\"ok\",\"program\":\"notes\""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/healthz/other"), NULL, 404, "", "not_found"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/x", "REQUEST_ID=0123456789abcdef0123456789abcdef"), NULL, 404,
	"X-Request-Id: 01234567-89ab-cdef-0123-456789abcdef\r\n",
	"\"request_id\":\"01234567-89ab-cdef-0123-456789abcdef\""},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/x", "HTTP_ACCEPT_LANGUAGE=de, nl;q=0.8, en;q=0.7"), NULL, 404, "",
	"Niet gevonden"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/x", "HTTP_ACCEPT_LANGUAGE=nl;q=0.1,en"), NULL, 404, "", "Not found"},
    {CGI("REQUEST_METHOD=GET", "REQUEST_URI=/x", "HTTP_ACCEPT_LANGUAGE=nl;q=0"), NULL, 404, "", "Not found"},
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		AUTO_ARENA arena = arena_new();
		struct exchange it = {.arena = arena};
		exchange(&it, cases[i].cgi, cases[i].body);
		if (it.response.status != cases[i].status || strstr(it.head.data, cases[i].in_head) == NULL ||
		    strstr(it.response.body.data, cases[i].in_body) == NULL)
			fail_msg("case %zu: %s%s", i, it.head.data, it.response.body.data);
	}
}

static void
test_refusal_drops_the_handler_headers_and_tells_the_rate(void **state)
{
	AUTO_ARENA arena = arena_new();
	struct exchange it = {.arena = arena};

	(void)state;
	exchange(&it, CGI("REQUEST_METHOD=POST", "REQUEST_URI=/refuse"), NULL);
	assert_null(strstr(it.head.data, "Location"));
	assert_non_null(strstr(it.head.data, "RateLimit-Policy: \"note\";q=3;w=60\r\nRateLimit: \"note\";r=0;t=7\r\n"));
}

static void
test_head_has_the_headers_of_get(void **state)
{
	AUTO_ARENA arena = arena_new();
	struct exchange get = {.arena = arena}, head = {.arena = arena};

	(void)state;
	exchange(&get,
	    CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/" ID, "REQUEST_ID=0123456789abcdef0123456789abcdef"), NULL);
	exchange(&head,
	    CGI("REQUEST_METHOD=HEAD", "REQUEST_URI=/items/" ID, "REQUEST_ID=0123456789abcdef0123456789abcdef"), NULL);
	assert_string_equal(get.head.data, head.head.data);
	assert_true(get.response.body.len > 0);
	assert_int_equal(head.response.body.len, 0);
}

static void
test_etag_is_compared_weakly(void **state)
{
	AUTO_ARENA arena = arena_new();
	struct exchange first = {.arena = arena};

	(void)state;
	exchange(&first, CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/" ID), NULL);
	const char *etag = arena_strndup(arena, strstr(first.head.data, "ETag: ") + 6, 26);
	const struct {
		const char *header;
		int status;
	} tags[] = {{etag, 304}, {arena_printf(arena, "W/%s", etag), 304},
	    {arena_printf(arena, "\"x\", %s", etag), 304}, {"*", 304}, {"\"other\"", 200}, {"", 200}};
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
		struct exchange it = {.arena = arena};
		exchange(&it,
		    CGI("REQUEST_METHOD=GET", "REQUEST_URI=/items/" ID,
			arena_printf(arena, "HTTP_IF_NONE_MATCH=%s", tags[i].header)),
		    NULL);
		assert_int_equal(it.response.status, tags[i].status);
		assert_int_equal(it.response.body.len == 0, tags[i].status == 304);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_refusal_drops_the_handler_headers_and_tells_the_rate),
	    cmocka_unit_test(test_head_has_the_headers_of_get),
	    cmocka_unit_test(test_etag_is_compared_weakly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
