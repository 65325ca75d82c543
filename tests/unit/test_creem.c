#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "base/log.h"
#include "service/creem.h"
#include "service/http.h"

#define REQUEST_MAX ((size_t)64 << 10)
#define LEN(array) (sizeof(array) / sizeof *(array))

/* A Creem that gives one answer and keeps what it was asked. */
static struct {
	int listener;
	pthread_t thread;
	const char *answer; /* whole; "": close at once; NULL: never answer */
	char request[64 << 10];
	atomic_size_t count;
	int held;
} stub = {.held = -1};

static struct config *config;
static struct http *http;
static struct creem creem;

static bool
is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	if (end == NULL)
		return false;
	const char *length = strcasestr(request, "content-length:");
	return strlen(end + 4) >= (length == NULL ? 0 : strtoul(length + 15, NULL, 10));
}

static void *
stub_run(void *unused)
{
	(void)unused;
	for (int fd; (fd = accept(stub.listener, NULL, NULL)) >= 0;) {
		size_t len = 0;
		memset(stub.request, 0, sizeof stub.request);
		for (ssize_t n = 1; n > 0 && !is_whole(stub.request); len += (size_t)(n > 0 ? n : 0))
			n = recv(fd, stub.request + len, REQUEST_MAX - 1 - len, 0);
		atomic_fetch_add(&stub.count, 1);
		if (stub.answer == NULL) {
			stub.held = fd;
			continue;
		}
		/* Whoever asked may free its own once it has read all of it. */
		char *mine = strdup(stub.answer);
		(void)!write(fd, mine, strlen(mine));
		free(mine);
		close(fd);
	}
	return NULL;
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
	snprintf(base, sizeof base, "http://127.0.0.1:%u/sandbox", ntohs(address.sin_port));
	setenv("CREEM_API_URL", base, 1);
	setenv("CREEM_API_KEY", "creem_test_made_up", 1);
	config = config_load(error, sizeof error);
	http = http_new();
	creem = (struct creem){.config = config, .http = http};
	return config == NULL ? -1 : 0;
}

static int
teardown_all(void **state)
{
	(void)state;
	shutdown(stub.listener, SHUT_RDWR);
	pthread_join(stub.thread, NULL);
	close(stub.listener);
	if (stub.held >= 0)
		close(stub.held);
	http_free(http);
	config_free(config);
	return 0;
}

static void
answer(struct arena *arena, const char *status, const char *body)
{
	stub.answer = arena_printf(arena,
	    "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
	    status, strlen(body), body);
}

static void
assert_asked(const char *part)
{
	if (strstr(stub.request, part) == NULL)
		fail_msg("%s is not in %s", part, stub.request);
}

static void
signatures(void **state)
{
	(void)state;
	static const char body[] = "{\"id\":\"evt_1\"}";
	static const char hex[] = "403727c43454a1b0f02ce8cee907d9668a16498c8df6bf1138d08fe3e288ff05";
	static const struct {
		const char *secret, *body, *header;
		bool good;
	} rows[] = {
	    {"whsec_demo", body, hex, true},
	    {"whsec_demo", "{\"id\":\"evt_1\"} ", hex, false},
	    {"whsec_demo", "{ \"id\":\"evt_1\"}", hex, false},
	    {"demo", body, hex, false},
	    {"whsec_demo", body, "403727c43454a1b0f02ce8cee907d9668a16498c8df6bf1138d08fe3e288ff04", false},
	    {"whsec_demo", body, "403727c43454a1b0f02ce8cee907d9668a16498c8df6bf1138d08fe3e288ff0", false},
	    {"whsec_demo", body, "403727c43454a1b0f02ce8cee907d9668a16498c8df6bf1138d08fe3e288ff0500", false},
	    {"whsec_demo", body, "sha256=403727c43454a1b0f02ce8cee907d9668a16498c8df6bf1138d08fe3e288ff05", false},
	    {"whsec_demo", body, "zz3727c43454a1b0f02ce8cee907d9668a16498c8df6bf1138d08fe3e288ff05", false},
	    {"whsec_demo", body, "", false},
	    {"whsec_demo", body, NULL, false},
	    /* HMAC-SHA256 under an empty key is computable by anybody. */
	    {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", false},
	    {NULL, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", false},
	};
	for (size_t i = 0; i < LEN(rows); i++)
		if (creem_verify_signature(rows[i].secret, rows[i].body, strlen(rows[i].body), rows[i].header) !=
		    rows[i].good)
			fail_msg("row %zu", i);
	/* All bytes count, not those before the first NUL. */
	static const char raw[] = "{\"id\":\"evt_1\"}\0x";
	assert_true(creem_verify_signature("whsec_demo", raw, sizeof body - 1, hex));
	assert_false(creem_verify_signature("whsec_demo", raw, sizeof raw - 1, hex));
}

static void
a_checkout_is_asked_and_read(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const struct creem_order order = {.product_id = "prod_TOP3",
	    .request_id = "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10",
	    .email = "ana\"@example.com",
	    .success_url = "https://shot.example/billing"};
	struct creem_checkout checkout = {0};

	answer(arena, "200 OK",
	    "{\"id\":\"ch_1\",\"object\":\"checkout\",\"status\":\"pending\",\"request_id\":null,\"surprise\":[1],"
	    "\"checkout_url\":\"https://checkout.creem.io/ch_1\"}");
	assert_int_equal(creem_create_checkout(&creem, arena, &order, &checkout), PROBLEM_NONE);
	assert_string_equal(checkout.id, "ch_1");
	assert_string_equal(checkout.url, "https://checkout.creem.io/ch_1");
	assert_asked("POST /sandbox/v1/checkouts HTTP/1.1\r\n");
	assert_asked("x-api-key: creem_test_made_up\r\n");
	assert_asked("Content-Type: application/json\r\n");
	assert_asked(
	    "\r\n\r\n{\"product_id\":\"prod_TOP3\",\"request_id\":\"0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10\","
	    "\"success_url\":\"https://shot.example/billing\",\"customer\":{\"email\":\"ana\\\"@example.com\"}}");
}

/* What a checkout's answer must not be. */
static void
useless_answers(void **state)
{
	(void)state;
	static const struct {
		const char *status, *body;
	} rows[] = {
	    {"200 OK", ""},
	    {"200 OK", "[]"},
	    {"200 OK", "{\"id\":\"ch_1\"}"},
	    {"200 OK", "{\"id\":\"ch_1\",\"checkout_url\":null}"},
	    {"200 OK", "{\"id\":7,\"checkout_url\":\"https://checkout.creem.io/ch_1\"}"},
	    {"200 OK", "{\"id\":\"ch_1\",\"checkout_url\":\"javascript:alert(1)\"}"},
	    {"200 OK", "{\"id\":\"ch_1\",\"checkout_url\":\"//checkout.creem.io/ch_1\"}"},
	    {"200 OK", "{\"id\":\"ch_1\",\"checkout_url\":\"https://checkout.creem.io/ch_1\\r\\nX: y\"}"},
	    {"200 OK", "{\"id\":\"ch_1\",\"checkout_url\":\"https://checkout.creem.io/ch_1\"} trailing"},
	    {"302 Found", "{\"id\":\"ch_1\",\"checkout_url\":\"https://checkout.creem.io/ch_1\"}"},
	    {"400 Bad Request", "{\"trace_id\":\"t\",\"status\":400,\"error\":\"Bad Request\",\"message\":[\"x\"]}"},
	    {"401 Unauthorized", "{}"},
	    {"403 Forbidden", "{\"trace_id\":\"t\",\"status\":403,\"error\":\"Forbidden\"}"},
	    {"404 Not Found", "{\"trace_id\":\"t\",\"status\":404,\"error\":\"Bad Request\",\"message\":[\"x\"]}"},
	    {"429 Too Many Requests", "{}"},
	    {"500 Internal Server Error", "oops"},
	};
	AUTO_ARENA arena = arena_new();
	const struct creem_order order = {"prod_X", "request", "ana@example.com", "https://shot.example/billing"};
	struct creem_checkout checkout = {.id = "untouched"};

	for (size_t i = 0; i < LEN(rows); i++) {
		answer(arena, rows[i].status, rows[i].body);
		if (creem_create_checkout(&creem, arena, &order, &checkout) != PROBLEM_PAYMENTS_UNAVAILABLE)
			fail_msg("%s %s", rows[i].status, rows[i].body);
	}
	stub.answer = "";
	assert_int_equal(creem_create_checkout(&creem, arena, &order, &checkout), PROBLEM_PAYMENTS_UNAVAILABLE);
	assert_string_equal(checkout.id, "untouched");
}

static void
the_portal(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *url = NULL;

	answer(arena, "201 Created", "{\"customer_portal_link\":\"https://creem.io/my-orders/login/x\"}");
	assert_int_equal(creem_portal(&creem, arena, "cust_1", &url), PROBLEM_NONE);
	assert_string_equal(url, "https://creem.io/my-orders/login/x");
	assert_asked("POST /sandbox/v1/customers/billing HTTP/1.1\r\n");
	assert_asked("\r\n\r\n{\"customer_id\":\"cust_1\"}");
	answer(arena, "200 OK", "{\"customer_portal_link\":\"ftp://creem.io\"}");
	assert_int_equal(creem_portal(&creem, arena, "cust_1", &url), PROBLEM_PAYMENTS_UNAVAILABLE);
}

static void
a_subscription_that_ended_is_not_cancelled_again(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();

	answer(arena, "200 OK", "{\"id\":\"sub_1\",\"status\":\"active\"}");
	assert_int_equal(creem_cancel(&creem, arena, "sub_1"), PROBLEM_NONE);
	assert_asked("POST /sandbox/v1/subscriptions/sub_1/cancel HTTP/1.1\r\n");
	assert_asked("\r\n\r\n{\"mode\":\"immediate\"}");
	answer(arena, "200 OK", "{\"id\":\"sub_1\",\"status\":\"canceled\"}");
	assert_int_equal(creem_cancel(&creem, arena, "sub_1"), PROBLEM_NONE);
	assert_asked("GET /sandbox/v1/subscriptions?subscription_id=sub_1 HTTP/1.1\r\n");
	answer(arena, "404 Not Found", "{}");
	assert_int_equal(creem_cancel(&creem, arena, "sub_1"), PROBLEM_NONE);
	answer(arena, "503 Service Unavailable", "{}");
	assert_int_equal(creem_cancel(&creem, arena, "sub_1"), PROBLEM_PAYMENTS_UNAVAILABLE);
}

static void
objects(void **state)
{
	(void)state;
	static const char *const targets[CREEM_KIND__COUNT] = {
	    [CREEM_CHECKOUT] = "GET /sandbox/v1/checkouts?checkout_id=a%2F%26%20b HTTP/1.1\r\n",
	    [CREEM_SUBSCRIPTION] = "GET /sandbox/v1/subscriptions?subscription_id=a%2F%26%20b HTTP/1.1\r\n",
	    [CREEM_TRANSACTION] = "GET /sandbox/v1/transactions?transaction_id=a%2F%26%20b HTTP/1.1\r\n",
	};
	AUTO_ARENA arena = arena_new();

	for (enum creem_kind kind = 0; kind < CREEM_KIND__COUNT; kind++) {
		const char *json = NULL;
		answer(arena, "200 OK", "{ \"id\" : \"a/& b\", \"amount\": 1900 }");
		assert_int_equal(creem_get(&creem, arena, kind, "a/& b", &json), PROBLEM_NONE);
		assert_string_equal(json, "{ \"id\" : \"a/& b\", \"amount\": 1900 }");
		assert_asked(targets[kind]);
		answer(arena, "404 Not Found", "{}");
		assert_int_equal(creem_get(&creem, arena, kind, "a/& b", &json), PROBLEM_NOT_FOUND);
		answer(arena, "200 OK", "{\"id\":\"another\"}");
		assert_int_equal(creem_get(&creem, arena, kind, "a/& b", &json), PROBLEM_PAYMENTS_UNAVAILABLE);
		answer(arena, "200 OK", "{\"id\":null}");
		assert_int_equal(creem_get(&creem, arena, kind, "a/& b", &json), PROBLEM_PAYMENTS_UNAVAILABLE);
	}
}

static void
lists(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct creem_page page = {0};

	answer(arena, "200 OK",
	    "{\"items\":[{\"id\":\"tran_1\",\"created_at\":1772355602000,\"refunded_amount\":null},{\"id\":\"tran_2\","
	    "\"period_end\":1775034000000}],\"pagination\":{\"total_records\":3,\"total_pages\":2,\"current_page\":1,"
	    "\"next_page\":2,\"prev_page\":null}}");
	assert_int_equal(creem_transactions(&creem, arena, "prod_1", 1, &page), PROBLEM_NONE);
	assert_asked("GET /sandbox/v1/transactions/search?product_id=prod_1&page_number=1&page_size=50 HTTP/1.1\r\n");
	assert_int_equal(page.count, 2);
	assert_true(page.more);
	assert_string_equal(page.items[0], "{\"id\":\"tran_1\",\"created_at\":1772355602000,\"refunded_amount\":null}");
	assert_string_equal(page.items[1], "{\"id\":\"tran_2\",\"period_end\":1775034000000}");
	answer(arena, "200 OK", "{\"items\":[],\"pagination\":{\"total_pages\":2}}");
	assert_int_equal(creem_transactions(&creem, arena, "prod_1", 2, &page), PROBLEM_NONE);
	assert_int_equal(page.count, 0);
	assert_false(page.more);
	answer(arena, "200 OK", "{\"items\":[]}");
	assert_int_equal(creem_transactions(&creem, arena, "prod_1", 1, &page), PROBLEM_NONE);
	assert_false(page.more);
	answer(arena, "200 OK", "{}");
	assert_int_equal(creem_transactions(&creem, arena, "prod_1", 1, &page), PROBLEM_PAYMENTS_UNAVAILABLE);
}

static void
moderation(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	enum creem_decision decision = CREEM_DECISION__COUNT;

	for (enum creem_decision wanted = 0; wanted < CREEM_DECISION__COUNT; wanted++) {
		answer(arena, "200 OK",
		    arena_printf(arena,
			"{\"id\":\"mod_1\",\"prompt\":\"x\",\"decision\":\"%s\",\"usage\":{\"units\":1}}",
			creem_decision_name(wanted)));
		assert_int_equal(creem_moderate(&creem, arena, "a \"red\" fox", &decision), PROBLEM_NONE);
		assert_int_equal(decision, wanted);
	}
	assert_asked("POST /sandbox/v1/moderation/prompt HTTP/1.1\r\n");
	assert_asked("\r\n\r\n{\"prompt\":\"a \\\"red\\\" fox\"}");
	static const char *const useless[] = {"{}", "{\"decision\":\"Allow\"}", "{\"decision\":null}",
	    "{\"decision\":true}", "{\"decision\":\"allow\",\"decision\":\"deny\"}", "allow"};
	for (size_t i = 0; i < LEN(useless); i++) {
		answer(arena, "200 OK", useless[i]);
		if (creem_moderate(&creem, arena, "x", &decision) != PROBLEM_PAYMENTS_UNAVAILABLE)
			fail_msg("%s was taken for an answer", useless[i]);
	}
	answer(arena, "404 Not Found", "{}");
	assert_int_equal(creem_moderate(&creem, arena, "x", &decision), PROBLEM_PAYMENTS_UNAVAILABLE);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
a_silent_creem_costs_five_seconds(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *url = NULL;
	double start = seconds();

	stub.answer = NULL;
	assert_int_equal(creem_portal(&creem, arena, "cust_1", &url), PROBLEM_PAYMENTS_UNAVAILABLE);
	double took = seconds() - start;
	assert_true(took > 4.5);
	assert_true(took < 8);
}

static void
given_up(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	volatile bool cancel = true;
	struct creem canceled = {.config = config, .http = http, .cancel = &cancel};
	enum creem_decision decision;

	answer(arena, "200 OK", "{\"decision\":\"allow\"}");
	assert_int_equal(creem_moderate(&canceled, arena, "x", &decision), PROBLEM_PAYMENTS_UNAVAILABLE);
}

static void
without_a_key_nothing_is_sent(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	char error[256];
	const char *url = NULL;

	unsetenv("CREEM_API_KEY");
	struct config *keyless = config_load(error, sizeof error);
	setenv("CREEM_API_KEY", "creem_test_made_up", 1);
	assert_non_null(keyless);
	struct creem without = {.config = keyless, .http = http};
	size_t before = atomic_load(&stub.count);
	assert_int_equal(creem_portal(&without, arena, "cust_1", &url), PROBLEM_PAYMENTS_UNAVAILABLE);
	assert_int_equal(atomic_load(&stub.count), before);
	config_free(keyless);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(signatures),
	    cmocka_unit_test(a_checkout_is_asked_and_read),
	    cmocka_unit_test(useless_answers),
	    cmocka_unit_test(the_portal),
	    cmocka_unit_test(a_subscription_that_ended_is_not_cancelled_again),
	    cmocka_unit_test(objects),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(moderation),
	    cmocka_unit_test(given_up),
	    cmocka_unit_test(without_a_key_nothing_is_sent),
	    cmocka_unit_test(a_silent_creem_costs_five_seconds),
	};

	log_open("test_creem", LOG__COUNT);
	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
