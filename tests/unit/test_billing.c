#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "fake_db.h"
#include "feature/billing.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

static const struct claims person = {
    .user_id = "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21",
    .session_id = "0b0d7c1e-90a5-4a53-8f0e-6f0d5c2b1a99",
    .email = "ada@example.org",
};

/* Stands in for service/creem: it opens one checkout, or none. */
static struct {
	enum problem problem;
	struct creem_order order;
	const char *customer;
	int calls;
} till;

enum problem
creem_create_checkout(const struct creem *creem, struct arena *arena, const struct creem_order *order,
    struct creem_checkout *ret_checkout)
{
	(void)creem;
	(void)arena;
	till.order = *order;
	till.calls++;
	if (till.problem == PROBLEM_NONE)
		*ret_checkout = (struct creem_checkout){.id = "ch_1", .url = "https://checkout.creem.io/ch_1"};
	return till.problem;
}

enum problem
creem_portal(const struct creem *creem, struct arena *arena, const char *customer_id, const char **ret_url)
{
	(void)creem;
	till.customer = arena_strdup(arena, customer_id);
	till.calls++;
	if (till.problem == PROBLEM_NONE)
		*ret_url = "https://creem.io/my-orders/login/x";
	return till.problem;
}

struct fixture {
	struct arena *arena;
	struct text json;
	struct db_refusal refusal;
	struct call call;
};

static void
fixture_open(struct fixture *fixture, enum language language)
{
	*fixture = (struct fixture){.arena = arena_new()};
	text_init(&fixture->json, fixture->arena, 65536);
	fixture->call = (struct call){
	    .arena = fixture->arena,
	    .user = &person,
	    .language = language,
	    .json = &fixture->json,
	    .refusal = &fixture->refusal,
	};
	memset(&fake_db, 0, sizeof fake_db);
	memset(&till, 0, sizeof till);
}

static void
products_are_written(void **state)
{
	(void)state;
	static const char *const cells[] = {"monthly", "subscription", "Monthly", "Maandelijks", "1000", "1900", "EUR",
	    "month", "t", "top-up", "top_up", "100 credits", "100 credits", "100", "300", "EUR", NULL, "f"};
	struct db_result rows = {
	    .columns = {"id", "kind", "name", "name_nl", "credits", "price_cents", "currency", "interval", "rollover"},
	    .rows = 2,
	    .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, LANGUAGE_NL);
	fake_db.result = &rows;
	assert_int_equal(billing_products(&fixture.call), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"items\":[{\"id\":\"monthly\",\"kind\":\"subscription\",\"name\":\"Maandelijks\",\"credits\":1000,"
	    "\"price_cents\":1900,\"currency\":\"EUR\",\"interval\":\"month\",\"rollover\":true},"
	    "{\"id\":\"top-up\",\"kind\":\"top_up\",\"name\":\"100 credits\",\"credits\":100,\"price_cents\":300,"
	    "\"currency\":\"EUR\"}]}");
	arena_free(fixture.arena);
}

static struct db_result *
started(const char *url)
{
	static const char *cells[5];
	static struct db_result rows = {
	    .columns = {"replayed", "checkout_id", "creem_product_id", "email", "checkout_url"}, .rows = 1};
	const char *const values[] = {
	    url != NULL ? "t" : "f", "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10", "prod_1", "ada@example.org", url};
	memcpy(cells, values, sizeof cells);
	rows.cells = cells;
	return &rows;
}

static const struct billing_purchase purchase = {
    .product_id = "monthly",
    .idempotency_key = "key",
    .request_hash = "hash",
    .return_url = "https://shot.example/billing",
};

static void
a_checkout_is_opened(void **state)
{
	(void)state;
	struct fixture fixture;
	bool replayed = true;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = started(NULL);
	assert_int_equal(billing_checkout(&fixture.call, NULL, &purchase, &replayed), PROBLEM_NONE);
	assert_false(replayed);
	assert_string_equal(fixture.json.data, "{\"checkout_url\":\"https://checkout.creem.io/ch_1\"}");
	assert_string_equal(till.order.request_id, "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10");
	assert_string_equal(till.order.product_id, "prod_1");
	assert_string_equal(till.order.email, "ada@example.org");
	assert_string_equal(till.order.success_url, "https://shot.example/billing");
	assert_non_null(strstr(fake_db.sql, "open_checkout"));
	assert_string_equal(fake_db.parameters[0], "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10");
	assert_string_equal(fake_db.parameters[1], "ch_1");
	assert_string_equal(fake_db.parameters[2], "https://checkout.creem.io/ch_1");
	arena_free(fixture.arena);
}

static void
a_replay_asks_nobody(void **state)
{
	(void)state;
	struct fixture fixture;
	bool replayed = false;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = started("https://checkout.creem.io/ch_0");
	assert_int_equal(billing_checkout(&fixture.call, NULL, &purchase, &replayed), PROBLEM_NONE);
	assert_true(replayed);
	assert_int_equal(till.calls, 0);
	assert_string_equal(fixture.json.data, "{\"checkout_url\":\"https://checkout.creem.io/ch_0\"}");
	arena_free(fixture.arena);
}

static void
a_failed_checkout_is_retired(void **state)
{
	(void)state;
	struct fixture fixture;
	bool replayed = false;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = started(NULL);
	till.problem = PROBLEM_PAYMENTS_UNAVAILABLE;
	assert_int_equal(billing_checkout(&fixture.call, NULL, &purchase, &replayed), PROBLEM_PAYMENTS_UNAVAILABLE);
	assert_non_null(strstr(fake_db.sql, "retire_checkout"));
	assert_string_equal(fake_db.parameters[0], "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10");
	assert_int_equal(fixture.json.len, 0);
	arena_free(fixture.arena);
}

static void
a_refused_checkout_asks_nobody(void **state)
{
	(void)state;
	struct fixture fixture;
	bool replayed = false;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.problem = PROBLEM_ALREADY_SUBSCRIBED;
	assert_int_equal(billing_checkout(&fixture.call, NULL, &purchase, &replayed), PROBLEM_ALREADY_SUBSCRIBED);
	assert_int_equal(till.calls, 0);
	arena_free(fixture.arena);
}

static void
the_portal_is_asked_for_the_customer(void **state)
{
	(void)state;
	static const char *const cells[] = {"cust_1"};
	struct db_result rows = {.columns = {"creem_customer_id"}, .rows = 1, .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = &rows;
	assert_int_equal(billing_portal(&fixture.call, NULL), PROBLEM_NONE);
	assert_string_equal(till.customer, "cust_1");
	assert_string_equal(fixture.json.data, "{\"url\":\"https://creem.io/my-orders/login/x\"}");
	arena_free(fixture.arena);
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.problem = PROBLEM_NOT_FOUND;
	assert_int_equal(billing_portal(&fixture.call, NULL), PROBLEM_NOT_FOUND);
	assert_int_equal(till.calls, 0);
	arena_free(fixture.arena);
}

static void
orders_are_written(void **state)
{
	(void)state;
	static const char *const cells[] = {"o1", "monthly", "Monthly", "Maandelijks", "subscription", "paid", "2299",
	    "399", "EUR", "1000", "0", "tran_1", "ord_1", "2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z",
	    "2026-03-01T00:00:02.000Z", "c1", "t", "o2", NULL, NULL, NULL, "top_up", "refunded", "0", "0", NULL, "0",
	    "300", NULL, NULL, NULL, NULL, "2026-02-01T00:00:02.000Z", "c2", "t"};
	struct db_result rows = {
	    .columns = {"id", "product_id", "product_name", "product_name_nl", "kind", "status", "amount_cents",
		"tax_cents", "currency", "credits", "refunded_cents", "transaction_id", "order_id", "period_start",
		"period_end", "created_at", "cursor", "more"},
	    .rows = 2,
	    .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = &rows;
	assert_int_equal(billing_orders(&fixture.call, 2, "c0"), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], person.user_id);
	assert_string_equal(fake_db.parameters[1], "2");
	assert_string_equal(fake_db.parameters[2], "c0");
	assert_string_equal(fixture.json.data,
	    "{\"items\":[{\"id\":\"o1\",\"product_id\":\"monthly\",\"product_name\":\"Monthly\",\"kind\":"
	    "\"subscription\","
	    "\"status\":\"paid\",\"amount_cents\":2299,\"tax_cents\":399,\"currency\":\"EUR\",\"credits\":1000,"
	    "\"refunded_cents\":0,\"transaction_id\":\"tran_1\",\"order_id\":\"ord_1\","
	    "\"period_start\":\"2026-03-01T00:00:00.000Z\",\"period_end\":\"2026-04-01T00:00:00.000Z\","
	    "\"created_at\":\"2026-03-01T00:00:02.000Z\"},{\"id\":\"o2\",\"product_id\":null,\"product_name\":null,"
	    "\"kind\":\"top_up\",\"status\":\"refunded\",\"amount_cents\":0,\"tax_cents\":0,\"currency\":null,"
	    "\"credits\":0,"
	    "\"refunded_cents\":300,\"transaction_id\":null,\"order_id\":null,\"period_start\":null,\"period_end\":"
	    "null,"
	    "\"created_at\":\"2026-02-01T00:00:02.000Z\"}],\"next_cursor\":\"c2\"}");
	arena_free(fixture.arena);
	rows.rows = 0;
	fixture_open(&fixture, LANGUAGE_NL);
	fake_db.result = &rows;
	assert_int_equal(billing_orders(&fixture.call, 20, NULL), PROBLEM_NONE);
	assert_string_equal(fixture.json.data, "{\"items\":[],\"next_cursor\":null}");
	arena_free(fixture.arena);
}

static void
a_subscription_is_written_or_null(void **state)
{
	(void)state;
	static const char *const cells[] = {"sub_1", "monthly", "active", "2026-03-01T00:00:00.000Z",
	    "2026-04-01T00:00:00.000Z", "f", "t", "2026-03-01T00:00:02.000Z"};
	struct db_result rows = {.columns = {"id", "product_id", "status", "current_period_start", "current_period_end",
				     "cancel_at_period_end", "lapsed", "updated_at"},
	    .rows = 1,
	    .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = &rows;
	assert_int_equal(billing_subscription(&fixture.call), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"subscription\":{\"id\":\"sub_1\",\"product_id\":\"monthly\",\"status\":\"active\","
	    "\"current_period_start\":\"2026-03-01T00:00:00.000Z\",\"current_period_end\":\"2026-04-01T00:00:00.000Z\","
	    "\"cancel_at_period_end\":false,\"lapsed\":true,\"updated_at\":\"2026-03-01T00:00:02.000Z\"}}");
	arena_free(fixture.arena);
	rows.rows = 0;
	fixture_open(&fixture, LANGUAGE_EN);
	fake_db.result = &rows;
	assert_int_equal(billing_subscription(&fixture.call), PROBLEM_NONE);
	assert_string_equal(fixture.json.data, "{\"subscription\":null}");
	arena_free(fixture.arena);
}

static void
only_events_reach_the_database(void **state)
{
	(void)state;
	static const char *const good[] = {"{\"id\":\"evt_1\",\"eventType\":\"x\"}",
	    " {\"eventType\":\"x\",\"object\":null,\"id\":\"evt_1\"}\n",
	    "{\"id\":\"evt_1\",\"type\":\"x\",\"data\":{}}"};
	static const char *const bad[] = {"", "[]", "{}", "null", "{\"id\":\"evt_1\"}", "{\"eventType\":\"x\"}",
	    "{\"id\":1,\"eventType\":\"x\"}", "{\"id\":\"\",\"eventType\":\"x\"}",
	    "{\"id\":\"evt_1\",\"eventType\":\"\"}", "{\"id\":\"evt_1\",\"eventType\":\"x\"} x",
	    "{\"id\":\"evt_1\",\"eventType\":\"x\",\"a\":\"\\u0000\"}"};
	static const char *const cells[] = {"parked"};
	struct db_result rows = {.columns = {"outcome"}, .rows = 1, .cells = cells};
	AUTO_ARENA arena = arena_new();
	const char *outcome = NULL;
	memset(&fake_db, 0, sizeof fake_db);
	fake_db.result = &rows;
	for (size_t i = 0; i < LEN(bad); i++)
		if (billing_receive(NULL, arena, bad[i], strlen(bad[i]), &outcome) != PROBLEM_INVALID_REQUEST)
			fail_msg("%s was taken for an event", bad[i]);
	assert_null(fake_db.sql);
	for (size_t i = 0; i < LEN(good); i++) {
		assert_int_equal(billing_receive(NULL, arena, good[i], strlen(good[i]), &outcome), PROBLEM_NONE);
		assert_string_equal(fake_db.parameters[0], good[i]);
		assert_string_equal(outcome, "parked");
	}
	fake_db.problem = PROBLEM_DATABASE_UNAVAILABLE;
	assert_int_equal(
	    billing_receive(NULL, arena, good[0], strlen(good[0]), &outcome), PROBLEM_DATABASE_UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(products_are_written),
	    cmocka_unit_test(a_checkout_is_opened),
	    cmocka_unit_test(a_replay_asks_nobody),
	    cmocka_unit_test(a_failed_checkout_is_retired),
	    cmocka_unit_test(a_refused_checkout_asks_nobody),
	    cmocka_unit_test(the_portal_is_asked_for_the_customer),
	    cmocka_unit_test(orders_are_written),
	    cmocka_unit_test(a_subscription_is_written_or_null),
	    cmocka_unit_test(only_events_reach_the_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
