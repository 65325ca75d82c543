#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "base/log.h"
#include "provider/openai_answer.h"
#include "provider/provider.h"
#include "service/http.h"

#define PNG_BASE64 "iVBORw0KGgo="
#define PNG_BYTES "\x89PNG\r\n\x1a\n"
#define REQUESTS 8

/* A server that answers what it is told and keeps what it was asked. */
struct stub {
	int listener;
	in_port_t port;
	pthread_t thread;
	const char *answers[REQUESTS]; /* whole answers; "": close at once; NULL: never answer */
	char *requests[REQUESTS];
	size_t lens[REQUESTS];
	atomic_size_t count;
	int held[REQUESTS]; /* connections left without an answer */
};

static struct stub stub;
static struct config *config;
static struct http *http;

static size_t
wanted_bytes(const char *request, size_t len)
{
	const char *end = memmem(request, len, "\r\n\r\n", 4);
	if (end == NULL)
		return SIZE_MAX;
	const char *length = strcasestr(request, "content-length:");
	size_t body = length == NULL || length > end ? 0 : strtoul(length + 15, NULL, 10);
	return (size_t)(end - request) + 4 + body;
}

static void
read_request(int fd, size_t index)
{
	size_t cap = (size_t)1 << 20, len = 0;
	char *bytes = calloc(1, cap);
	while (len < cap - 1 && len < wanted_bytes(bytes, len)) {
		ssize_t n = recv(fd, bytes + len, cap - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	stub.requests[index] = bytes;
	stub.lens[index] = len;
}

static void *
stub_run(void *unused)
{
	(void)unused;
	for (;;) {
		int fd = accept(stub.listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		size_t index = atomic_load(&stub.count);
		if (index >= REQUESTS)
			abort();
		read_request(fd, index);
		/* A copy: once the last byte is out, the test may forget its own. */
		char *answer = stub.answers[index] == NULL ? NULL : strdup(stub.answers[index]);
		stub.held[index] = answer == NULL ? fd : 0;
		/* Counted before it is answered: whoever has the answer finds it counted. */
		atomic_fetch_add(&stub.count, 1);
		if (answer != NULL) {
			(void)!write(fd, answer, strlen(answer));
			(void)close(fd);
		}
		free(answer);
	}
}

static void
wait_for_requests(size_t count)
{
	while (atomic_load(&stub.count) < count)
		(void)usleep(1000);
}

static int
setup_all(void **state)
{
	(void)state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	char base[64], error[256] = "";
	stub.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(stub.listener, (struct sockaddr *)&address, len) < 0 || listen(stub.listener, 16) < 0 ||
	    getsockname(stub.listener, (struct sockaddr *)&address, &len) < 0 ||
	    pthread_create(&stub.thread, NULL, stub_run, NULL) != 0)
		return -1;
	stub.port = ntohs(address.sin_port);
	(void)snprintf(base, sizeof base, "http://127.0.0.1:%u/v1", stub.port);
	(void)setenv("OPENAI_BASE_URL", base, 1);
	(void)setenv("OPENAI_API_KEY", "sk-made-up", 1);
	config = config_load(error, sizeof error);
	http = http_new();
	return config == NULL ? -1 : 0;
}

static int
teardown_all(void **state)
{
	(void)state;
	(void)shutdown(stub.listener, SHUT_RDWR);
	(void)pthread_join(stub.thread, NULL);
	(void)close(stub.listener);
	http_free(http);
	config_free(config);
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < REQUESTS; i++) {
		free(stub.requests[i]);
		if (stub.held[i] > 0)
			(void)close(stub.held[i]);
		stub.requests[i] = NULL;
		stub.held[i] = 0;
		stub.answers[i] = "";
	}
	atomic_store(&stub.count, 0);
	return 0;
}

static const char *
answer_with(struct arena *arena, const char *status, const char *headers, const char *body)
{
	return arena_printf(arena, "HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status,
	    headers, strlen(body), body);
}

static const char *
ok(struct arena *arena, const char *body)
{
	return answer_with(arena, "200 OK", "Content-Type: application/json\r\n", body);
}

static struct provider_request
fox(void)
{
	return (struct provider_request){.adapter = "openai",
	    .vendor_model = "gpt-image-2",
	    .prompt = "a \"red\" fox",
	    .aspect_ratio = "1:1",
	    .count = 1,
	    .seed = -1,
	    .deadline_ms = 10000};
}

static struct provider_answer
generate(struct arena *arena, const struct provider_request *request)
{
	struct provider_answer answer = {.outcome = PROVIDER__COUNT};
	provider_generate(config, http, arena, request, &answer);
	return answer;
}

static void
assert_asked(size_t index, const char *part)
{
	assert_true(index < atomic_load(&stub.count));
	if (memmem(stub.requests[index], stub.lens[index], part, strlen(part)) == NULL)
		fail_msg("%s is not in %s", part, stub.requests[index]);
}

static void
assert_not_asked(size_t index, const char *part)
{
	assert_null(memmem(stub.requests[index], stub.lens[index], part, strlen(part)));
}

static const char *
body_of(size_t index)
{
	const char *end = strstr(stub.requests[index], "\r\n\r\n");
	assert_non_null(end);
	return end + 4;
}

static void
a_generation_is_asked_and_read(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] = answer_with(arena, "200 OK", "Content-Type: application/json\r\nX-Request-Id: req_0123\r\n",
	    "{\"created\":1764000000,\"data\":[{\"b64_json\":\"" PNG_BASE64
	    "\"}],\"output_format\":\"png\",\"usage\":{\"total_tokens\":281}}");
	struct provider_request request = fox();
	struct provider_answer answer = generate(arena, &request);
	assert_int_equal(answer.outcome, PROVIDER_OK);
	assert_int_equal(answer.picture_count, 1);
	assert_int_equal(answer.pictures[0].len, 8);
	assert_memory_equal(answer.pictures[0].bytes, PNG_BYTES, 8);
	assert_string_equal(answer.vendor_id, "req_0123");
	assert_asked(0, "POST /v1/images/generations HTTP/1.1\r\n");
	assert_asked(0, "Authorization: Bearer sk-made-up\r\n");
	assert_string_equal(
	    body_of(0), "{\"model\":\"gpt-image-2\",\"prompt\":\"a \\\"red\\\" fox\",\"n\":1,\"size\":\"1024x1024\"}");
}

static void
options_change_what_is_asked(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"},{\"b64_json\":\"" PNG_BASE64 "\"}]}");
	struct provider_request request = fox();
	request.aspect_ratio = "16:9";
	request.seed = 42;
	request.count = 4;
	request.options = "{\"sizes\":{\"16:9\":\"640x368\"},\"quality\":\"low\",\"output_format\":\"webp\","
			  "\"send_response_format\":true,\"send_seed\":true,\"one_per_call\":true}";
	struct provider_answer answer = generate(arena, &request);
	assert_int_equal(answer.outcome, PROVIDER_OK);
	assert_int_equal(answer.picture_count, 1);
	assert_string_equal(body_of(0),
	    "{\"model\":\"gpt-image-2\",\"prompt\":\"a \\\"red\\\" fox\",\"n\":1,\"size\":"
	    "\"640x368\",\"quality\":\"low\",\"output_format\":\"webp\",\"response_format\":"
	    "\"b64_json\",\"seed\":42}");
	assert_int_equal(provider_pictures_per_call("openai", request.options), 1);
	assert_int_equal(provider_pictures_per_call("openai", NULL), 10);
	assert_int_equal(provider_pictures_per_call("nobody", NULL), 1);
}

static void
every_ratio_has_a_size_the_vendor_takes(void **state)
{
	(void)state;
	static const struct {
		const char *ratio;
		int width, height;
	} ratios[] = {{"1:1", 1, 1}, {"3:2", 3, 2}, {"2:3", 2, 3}, {"4:3", 4, 3}, {"3:4", 3, 4}, {"16:9", 16, 9},
	    {"9:16", 9, 16}, {"4:5", 4, 5}, {"5:4", 5, 4}, {"21:9", 21, 9}};
	for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
		(void)clear(NULL);
		AUTO_ARENA arena = arena_new();
		stub.answers[0] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"}]}");
		struct provider_request request = fox();
		request.aspect_ratio = ratios[i].ratio;
		assert_int_equal(generate(arena, &request).outcome, PROVIDER_OK);
		char *at = strstr(stub.requests[0], "\"size\":\"");
		assert_non_null(at);
		long width = strtol(at + 8, &at, 10), height = strtol(at + 1, NULL, 10);
		assert_int_equal(width % 16, 0);
		assert_int_equal(height % 16, 0);
		assert_int_equal(width * ratios[i].height, height * ratios[i].width);
	}
	AUTO_ARENA arena = arena_new();
	struct provider_request request = fox();
	request.aspect_ratio = "7:1";
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_BAD_INPUT);
}

static const struct provider_reference references[] = {
    {.content_type = "image/png", .bytes = "first\0picture", .len = 13},
    {.content_type = "image/jpeg", .bytes = "second", .len = 6},
};

static void
an_edit_is_multipart(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"}]}");
	struct provider_request request = fox();
	request.references = references;
	request.reference_count = 2;
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_OK);
	assert_asked(0, "POST /v1/images/edits HTTP/1.1\r\n");
	assert_asked(0, "multipart/form-data; boundary=");
	assert_asked(0, "name=\"model\"\r\n\r\ngpt-image-2\r\n");
	assert_asked(0, "name=\"prompt\"\r\n\r\na \"red\" fox\r\n");
	assert_asked(0, "name=\"n\"\r\n\r\n1\r\n");
	assert_asked(0, "name=\"size\"\r\n\r\n1024x1024\r\n");
	assert_asked(0, "name=\"image[]\"; filename=\"image-0.png\"\r\nContent-Type: image/png\r\n");
	assert_asked(0, "name=\"image[]\"; filename=\"image-1.jpeg\"\r\nContent-Type: image/jpeg\r\n");
	assert_non_null(memmem(stub.requests[0], stub.lens[0], "first\0picture", 13));
	assert_asked(0, "second");
}

static void
a_reference_travels_as_the_server_wants_it(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"}]}");
	struct provider_request request = fox();
	request.references = &references[1];
	request.reference_count = 1;
	request.options = "{\"edit_mode\":\"json_file\"}";
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_OK);
	assert_asked(0, "POST /v1/images/generations HTTP/1.1\r\n");
	assert_asked(0, "\"file\":\"c2Vjb25k\"");
	request.references = references;
	request.reference_count = 2;
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_BAD_INPUT);
	request.reference_count = 1;
	request.options = "{\"edit_mode\":\"none\"}";
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_BAD_INPUT);
	request.options = "not json";
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_BAD_INPUT);
	assert_int_equal(atomic_load(&stub.count), 1);
}

/* Names of headers and members: the whole list of what leaves. */
static void
nothing_else_is_sent(void **state)
{
	(void)state;
	static const char *const known[] = {
	    "host", "accept", "authorization", "content-type", "content-length", "user-agent"};
	AUTO_ARENA arena = arena_new();
	stub.answers[0] = stub.answers[1] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"}]}");
	struct provider_request request = fox();
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_OK);
	request.references = references;
	request.reference_count = 1;
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_OK);
	for (size_t i = 0; i < 2; i++) {
		const char *line = strstr(stub.requests[i], "\r\n") + 2;
		for (; *line != '\r'; line = strstr(line, "\r\n") + 2) {
			bool found = false;
			for (size_t k = 0; k < sizeof known / sizeof *known; k++)
				found = found || (strncasecmp(line, known[k], strlen(known[k])) == 0 &&
						     line[strlen(known[k])] == ':');
			if (!found)
				fail_msg("a header nobody asked for: %.40s", line);
		}
		assert_not_asked(i, "safety_identifier");
		assert_not_asked(i, "\"user\"");
	}
}

static void
settings_in_a_prompt_are_taken_out(void **state)
{
	(void)state;
	static const struct {
		const char *prompt, *sent;
	} cases[] = {
	    {"a<sd_cpp_extra_args>{}</sd_cpp_extra_args>b", "\"prompt\":\"ab\""},
	    {"a<SD_cpp_extra_args>{}</sd_cpp_EXTRA_args>b<sd_cpp_extra_args>c", "\"prompt\":\"abc\""},
	    {"</sd_cpp_extra_args>x", "\"prompt\":\"x\""},
	    {"<sd_cpp_<sd_cpp_extra_args></sd_cpp_extra_args>extra_args>{}", "\"prompt\":\"{}\""},
	    {"<sd_cpp_</sd_cpp_extra_args>extra_args>1</sd_cpp_extra_args>2", "\"prompt\":\"2\""},
	    {"<lora:x> stays", "\"prompt\":\"<lora:x> stays\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		(void)clear(NULL);
		AUTO_ARENA arena = arena_new();
		stub.answers[0] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"}]}");
		struct provider_request request = fox();
		request.prompt = cases[i].prompt;
		assert_int_equal(generate(arena, &request).outcome, PROVIDER_OK);
		assert_asked(0, cases[i].sent);
	}
}

static const struct failure {
	const char *status, *headers, *body;
	enum provider_outcome outcome;
	int64_t retry_after;
} failures[] = {
    {"401 Unauthorized", "",
	"{\"error\":{\"message\":\"Incorrect API "
	"key\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"}}",
	PROVIDER_BAD_KEY, 0},
    {"401 Unauthorized", "", "", PROVIDER_BAD_KEY, 0},
    {"403 Forbidden", "",
	"{\"error\":{\"message\":\"Country, region, or territory not "
	"supported\",\"code\":\"unsupported_country_region_territory\"}}",
	PROVIDER_BAD_KEY, 0},
    {"402 Payment Required", "", "{\"error\":\"no money\"}", PROVIDER_NO_CREDIT, 0},
    {"400 Bad Request", "",
	"{\"error\":{\"message\":\"Your request was "
	"rejected\",\"type\":\"image_generation_user_error\",\"param\":null,\"code\":\"moderation_blocked\","
	"\"moderation_details\":{\"moderation_stage\":\"input\",\"categories\":[\"violence\"]}}}",
	PROVIDER_REFUSED, 0},
    {"400 Bad Request", "",
	"{\"error\":{\"code\":\"content_policy_violation\",\"message\":\"x\",\"type\":\"invalid_request_error\"}}",
	PROVIDER_REFUSED, 0},
    {"400 Bad Request", "", "{\"error\":{\"code\":\"contentFilter\",\"message\":\"x\"}}", PROVIDER_REFUSED, 0},
    {"400 Bad Request", "", "{\"error\":{\"code\":\"400\",\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}",
	PROVIDER_REFUSED, 0},
    {"403 Forbidden", "", "{\"error\":{\"code\":\"moderation_blocked\"}}", PROVIDER_REFUSED, 0},
    {"400 Bad Request", "",
	"{\"error\":{\"message\":\"Invalid "
	"size\",\"type\":\"invalid_request_error\",\"param\":\"size\",\"code\":\"invalid_value\"}}",
	PROVIDER_BAD_INPUT, 0},
    {"400 Bad Request", "", "{\"error\":\"prompt required\"}", PROVIDER_BAD_INPUT, 0},
    {"404 Not Found", "", "{\"error\":{\"message\":\"no such model\",\"code\":\"model_not_found\"}}",
	PROVIDER_BAD_INPUT, 0},
    {"413 Content Too Large", "", "<html>too large</html>", PROVIDER_BAD_INPUT, 0},
    {"422 Unprocessable Content", "", "{\"detail\":[]}", PROVIDER_BAD_INPUT, 0},
    {"429 Too Many Requests", "Retry-After: 7\r\n",
	"{\"error\":{\"code\":\"rate_limit_exceeded\",\"type\":\"requests\"}}", PROVIDER_RATE_LIMITED, 7},
    {"429 Too Many Requests", "retry-after-ms: 1500\r\nRetry-After: 9\r\n", "{\"error\":{\"code\":\"slow_down\"}}",
	PROVIDER_RATE_LIMITED, 2},
    {"429 Too Many Requests", "", "", PROVIDER_RATE_LIMITED, 0},
    {"429 Too Many Requests", "Retry-After: 86400\r\n", "", PROVIDER_RATE_LIMITED, 300},
    {"429 Too Many Requests", "",
	"{\"error\":{\"message\":\"You exceeded your current "
	"quota\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}",
	PROVIDER_NO_CREDIT, 0},
    {"429 Too Many Requests", "", "{\"error\":{\"type\":\"insufficient_quota\",\"code\":null}}", PROVIDER_NO_CREDIT, 0},
    {"429 Too Many Requests", "", "{\"error\":{\"code\":\"credit_balance_exhausted\"}}", PROVIDER_NO_CREDIT, 0},
    {"400 Bad Request", "", "{\"error\":{\"code\":\"billing_hard_limit_reached\"}}", PROVIDER_NO_CREDIT, 0},
    {"500 Internal Server Error", "", "{\"error\":{\"type\":\"server_error\",\"code\":\"server_error\"}}",
	PROVIDER_UPSTREAM_ERROR, 0},
    {"500 Internal Server Error", "", "{\"error\":\"server_error\",\"message\":\"out of memory\"}",
	PROVIDER_UPSTREAM_ERROR, 0},
    {"503 Service Unavailable", "", "{\"error\":{\"code\":\"server_is_overloaded\"}}", PROVIDER_RATE_LIMITED, 0},
    {"503 Service Unavailable", "Retry-After: 3\r\n", "busy", PROVIDER_RATE_LIMITED, 3},
    {"503 Service Unavailable", "", "busy", PROVIDER_UPSTREAM_ERROR, 0},
    {"409 Conflict", "", "{}", PROVIDER_UPSTREAM_ERROR, 0},
    {"408 Request Timeout", "", "", PROVIDER_UNCERTAIN, 0},
    {"502 Bad Gateway", "", "<html>bad gateway</html>", PROVIDER_UNCERTAIN, 0},
    {"504 Gateway Timeout", "", "", PROVIDER_UNCERTAIN, 0},
    {"524 A Timeout Occurred", "", "", PROVIDER_UNCERTAIN, 0},
    {"302 Found", "Location: http://127.0.0.1/\r\n", "", PROVIDER_UPSTREAM_ERROR, 0},
    {"200 OK", "", "{\"error\":{\"code\":\"moderation_blocked\"}}", PROVIDER_REFUSED, 0},
    {"200 OK", "", "{\"data\":[]}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "{\"data\":[{}]}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "{\"data\":[{\"b64_json\":\"\"}]}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "{\"data\":[{\"b64_json\":\"!!!!\"}]}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "{\"data\":[{\"b64_json\":7,\"url\":null}]}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "{\"data\":{\"b64_json\":\"" PNG_BASE64 "\"}}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "{\"created\":1}", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "<html>", PROVIDER_INVALID_OUTPUT, 0},
    {"200 OK", "", "", PROVIDER_INVALID_OUTPUT, 0},
};

static void
failures_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		(void)clear(NULL);
		AUTO_ARENA arena = arena_new();
		stub.answers[0] = answer_with(arena, failures[i].status, failures[i].headers, failures[i].body);
		struct provider_request request = fox();
		struct provider_answer answer = generate(arena, &request);
		if (answer.outcome != failures[i].outcome)
			fail_msg("%s %s is %s, not %s", failures[i].status, failures[i].body,
			    provider_outcome_name(answer.outcome), provider_outcome_name(failures[i].outcome));
		assert_int_equal(answer.retry_after, failures[i].retry_after);
		assert_int_equal(answer.picture_count, 0);
		assert_int_equal(atomic_load(&stub.count), 1);
	}
}

static void
fewer_pictures_than_asked_are_a_part(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] =
	    ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64
		      "\"},{\"b64_json\":\"%\"},{\"b64_json\":\"data:image/png;base64," PNG_BASE64 "\"}]}");
	struct provider_request request = fox();
	request.count = 4;
	struct provider_answer answer = generate(arena, &request);
	assert_int_equal(answer.outcome, PROVIDER_OK);
	assert_int_equal(answer.picture_count, 2);
	assert_asked(0, "\"n\":4");
	(void)clear(NULL);
	stub.answers[0] = ok(arena, "{\"data\":[{\"b64_json\":\"" PNG_BASE64 "\"},{\"b64_json\":\"" PNG_BASE64 "\"}]}");
	request.count = 1;
	assert_int_equal(generate(arena, &request).picture_count, 1);
}

static void
a_picture_is_fetched_by_its_url_without_the_key(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] =
	    ok(arena, arena_printf(arena, "{\"data\":[{\"url\":\"http://127.0.0.1:%u/generated/1.png\"}]}", stub.port));
	stub.answers[1] = answer_with(arena, "500 Oops", "", "");
	stub.answers[2] = answer_with(arena, "200 OK", "", PNG_BYTES);
	struct provider_request request = fox();
	struct provider_answer answer = generate(arena, &request);
	assert_int_equal(answer.outcome, PROVIDER_OK);
	assert_memory_equal(answer.pictures[0].bytes, PNG_BYTES, 8);
	assert_asked(2, "GET /generated/1.png HTTP/1.1\r\n");
	assert_not_asked(2, "Authorization");
	assert_not_asked(2, "sk-made-up");
}

static void
a_picture_that_cannot_be_fetched_is_missing(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *named =
	    ok(arena, arena_printf(arena, "{\"data\":[{\"url\":\"http://127.0.0.1:%u/1.png\"}]}", stub.port));
	struct provider_request request = fox();
	stub.answers[0] = named;
	stub.answers[1] = answer_with(arena, "302 Found", "Location: http://127.0.0.1/elsewhere\r\n", "");
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_UPSTREAM_ERROR);
	assert_int_equal(atomic_load(&stub.count), 2);
	(void)clear(NULL);
	stub.answers[0] = ok(arena, "{\"data\":[{\"url\":\"http://169.254.169.254/latest/meta-data\"}]}");
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_INVALID_OUTPUT);
	assert_int_equal(atomic_load(&stub.count), 1);
}

static void
urls_are_allowed_by_host(void **state)
{
	(void)state;
	static const char far[] = "https://api.example.com/v1", near[] = "http://127.0.0.1:1234/v1";
	static const struct {
		const char *url, *base;
		bool allowed;
	} cases[] = {
	    {"https://api.example.com/x.png", far, true},
	    {"https://API.example.com:8443/x.png?a=b", far, true},
	    {"https://cdn.example.net/x.png", far, true},
	    {"https://cdn.example.net", far, true},
	    {"http://cdn.example.net/x.png", far, false},
	    {"https://evil.example/x.png", far, false},
	    {"https://cdn.example.net.evil.example/", far, false},
	    {"https://evilcdn.example.net/", far, false},
	    {"https://cdn.example.net@evil.example/", far, false},
	    {"https://evil.example/@cdn.example.net", far, false},
	    {"https://evil.example#cdn.example.net", far, false},
	    {"https://cdn.example.net\\@evil.example/", far, false},
	    {"https://cdn.example.net:99999999/", far, false},
	    {"https://cdn.example.net:x/", far, false},
	    {"https://cdn.example.net/\r\nHost: x", far, false},
	    {"https:///x", far, false},
	    {"ftp://cdn.example.net/x", far, false},
	    {"file:///etc/passwd", far, false},
	    {"//cdn.example.net/x", far, false},
	    {"", far, false},
	    {"https://127.0.0.1/x", far, false},
	    {"https://10.0.0.1/x", far, false},
	    {"https://localhost/x", far, false},
	    {"https://[::1]/x", far, false},
	    {"https://[::ffff:10.0.0.1]/x", far, false},
	    {"https://2130706433/x", far, false},
	    {"https://0x7f.1/x", far, false},
	    {"http://127.0.0.1:1234/x", near, true},
	    {"http://127.0.0.1:1235/x", near, false},
	    {"https://127.0.0.1:1234/x", near, false},
	    {"http://127.0.0.2:1234/x", near, false},
	    {"https://cdn.example.net/x", near, true},
	    {"http://[::1]:1234/x", "http://[::1]:1234/v1", true},
	    {"http://[::1/x", "http://[::1]:1234/v1", false},
	};
	static const char hosts[] = "[7,\"cdn.example.net\",\"10.0.0.1\"]";
	AUTO_BODY_TREE tree = body_tree_parse(hosts, sizeof hosts - 1);
	assert_non_null(tree);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (openai_url_allowed(cases[i].url, cases[i].base, body_root(tree)) != cases[i].allowed)
			fail_msg("%s with %s", cases[i].url, cases[i].base);
	assert_true(openai_url_allowed("https://api.example.com/x.png", far, NULL));
	assert_false(openai_url_allowed("https://cdn.example.net/x.png", far, NULL));
	assert_true(openai_url_loopback(near));
	assert_false(openai_url_loopback(far));
}

static void
a_lost_answer_is_uncertain(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct provider_request request = fox();
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_UNCERTAIN);
	assert_int_equal(atomic_load(&stub.count), 1);
	(void)clear(NULL);
	stub.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\":[";
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_UNCERTAIN);
}

static void *
cancel_the_second(void *argument)
{
	volatile bool *cancel = argument;
	wait_for_requests(2);
	__atomic_store_n(cancel, true, __ATOMIC_RELAXED);
	return NULL;
}

static void
the_deadline_and_the_flag_end_a_call(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct provider_request request = fox();
	stub.answers[0] = stub.answers[1] = NULL;
	request.deadline_ms = 300;
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_TIMEOUT);
	wait_for_requests(1);
	static volatile bool cancel;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, cancel_the_second, (void *)(uintptr_t)&cancel), 0);
	request.deadline_ms = 60000;
	request.cancel = &cancel;
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_ABORTED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	request.cancel = NULL;
	request.deadline_ms = 0;
	assert_int_equal(generate(arena, &request).outcome, PROVIDER_NOT_SENT);
}

static void
a_server_that_is_away_was_sent_nothing(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	char base[64], error[256];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	/* Bound and never listening: nobody else can take the port meanwhile. */
	int closed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(closed, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(closed, (struct sockaddr *)&address, &len), 0);
	(void)snprintf(base, sizeof base, "http://127.0.0.1:%u/v1", ntohs(address.sin_port));
	(void)setenv("OPENAI_BASE_URL", base, 1);
	struct config *away = config_load(error, sizeof error);
	assert_non_null(away);
	struct provider_request request = fox();
	struct provider_answer answer;
	provider_generate(away, http, arena, &request, &answer);
	assert_int_equal(answer.outcome, PROVIDER_NOT_SENT);
	request.adapter = "nobody";
	provider_generate(away, http, arena, &request, &answer);
	assert_int_equal(answer.outcome, PROVIDER_BAD_INPUT);
	config_free(away);
	(void)close(closed);
}

static void
private_addresses_are_not_connected_to(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct http_answer answer;
	struct http_request request = {.method = "GET",
	    .url = arena_printf(arena, "http://localhost:%u/", stub.port),
	    .timeout_ms = 5000,
	    .answer_max = 1000,
	    .public_only = true};
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	assert_int_equal(atomic_load(&stub.count), 0);
	stub.answers[0] = ok(arena, "{}");
	request.public_only = false;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_ANSWERED);
}

static void
each_outcome_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < PROVIDER__COUNT; i++)
		assert_non_null(provider_outcome_name((enum provider_outcome)i));
}

/* What a vendor echoes must not reach a log line. */
static void
neither_prompt_nor_answer_is_logged(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	stub.answers[0] = answer_with(arena, "400 Bad Request", "X-Request-Id: a secret fox\r\n",
	    "{\"error\":{\"message\":\"a secret fox\",\"code\":\"a secret fox\",\"type\":\"a_secret fox\"}}");
	struct provider_request request = fox();
	request.prompt = "a secret fox";
	FILE *captured = tmpfile();
	assert_non_null(captured);
	int saved = dup(STDERR_FILENO);
	log_open("test_openai", LOG_DEBUG);
	assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
	struct provider_answer answer = generate(arena, &request);
	(void)dup2(saved, STDERR_FILENO);
	log_open("test_openai", LOG__COUNT);
	(void)close(saved);
	char text[4096] = "";
	rewind(captured);
	text[fread(text, 1, sizeof text - 1, captured)] = '\0';
	(void)fclose(captured);
	assert_int_equal(answer.outcome, PROVIDER_BAD_INPUT);
	assert_null(answer.vendor_id);
	assert_non_null(strstr(text, "provider_call_failed"));
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "127.0.0.1"));
}

int
main(void)
{
	log_open("test_openai", LOG__COUNT);
#define T(test) cmocka_unit_test_setup(test, clear)
	const struct CMUnitTest tests[] = {
	    T(a_generation_is_asked_and_read),
	    T(options_change_what_is_asked),
	    T(every_ratio_has_a_size_the_vendor_takes),
	    T(an_edit_is_multipart),
	    T(a_reference_travels_as_the_server_wants_it),
	    T(nothing_else_is_sent),
	    T(settings_in_a_prompt_are_taken_out),
	    T(failures_are_told_apart),
	    T(fewer_pictures_than_asked_are_a_part),
	    T(a_picture_is_fetched_by_its_url_without_the_key),
	    T(a_picture_that_cannot_be_fetched_is_missing),
	    T(urls_are_allowed_by_host),
	    T(a_lost_answer_is_uncertain),
	    T(the_deadline_and_the_flag_end_a_call),
	    T(a_server_that_is_away_was_sent_nothing),
	    T(private_addresses_are_not_connected_to),
	    T(each_outcome_has_a_name),
	    T(neither_prompt_nor_answer_is_logged),
	};
	int failed = cmocka_run_group_tests_name("openai", tests, setup_all, teardown_all);
	(void)clear(NULL);
	return failed;
}
