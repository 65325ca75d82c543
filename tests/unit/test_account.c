#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/config.h"
#include "fake_db.h"
#include "feature/account.h"
#include "feature/credits.h"

#define LIMITS "{\"unfinished_max\":250,\"generate_burst\":100}"
#define CURRENT "current-secret-of-at-least-32-characters"
#define PREVIOUS "previous-secret-of-at-least-32-character"

#define ERASURE "1f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21"

static const struct claims person = {
    .user_id = "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21",
    .session_id = "0b0d7c1e-90a5-4a53-8f0e-6f0d5c2b1a99",
    .email = "Ada.Lovelace+shot@GMail.com",
};

struct fixture {
	struct arena *arena;
	struct text json;
	struct db_refusal refusal;
	struct claims user;
	struct call call;
};

static void
fixture_open(struct fixture *fixture, const char *secrets)
{
	static struct config *config;
	char error[256];
	if (config == NULL)
		config = config_load(error, sizeof error);
	assert_non_null(config);
	*fixture = (struct fixture){.arena = arena_new(), .user = person};
	text_init(&fixture->json, fixture->arena, 65536);
	fixture->call = (struct call){
	    .arena = fixture->arena,
	    .user = &fixture->user,
	    .secrets = secrets,
	    .config = config,
	    .json = &fixture->json,
	    .refusal = &fixture->refusal,
	};
	memset(&fake_db, 0, sizeof fake_db);
}

static void
folding(void **state)
{
	(void)state;
	static const struct {
		const char *given, *folded;
	} rows[] = {
	    {"ada@example.org", "ada@example.org"},
	    {"Ada@Example.ORG", "ada@example.org"},
	    {"a.d.a+x@example.org", "a.d.a+x@example.org"},
	    {"a.d.a+x@gmail.com", "ada@gmail.com"},
	    {"A.D.A+x+y@GoogleMail.com", "ada@gmail.com"},
	    {"a.da+x@outlook.com", "a.da@outlook.com"},
	    {"a.da+x@hotmail.com", "a.da@hotmail.com"},
	    {"a.da+x@live.com", "a.da@live.com"},
	    {"a.da+x@icloud.com", "a.da@icloud.com"},
	    {"a.da+x@me.com", "a.da@icloud.com"},
	    {"a.da+x@fastmail.com", "a.da@fastmail.com"},
	    {"a.da+x@proton.me", "a.da@proton.me"},
	    {"a.da+x@protonmail.com", "a.da@proton.me"},
	    {"ada@gmail.com.example.org", "ada@gmail.com.example.org"},
	    {"a.da@notgmail.com", "a.da@notgmail.com"},
	    {"\"a@b\"@gmail.com", "\"a@b\"@gmail.com"},
	    {"\"a@b\".c+x@gmail.com", "\"a@b\"c@gmail.com"},
	    {"+x@gmail.com", "@gmail.com"},
	    {"no-at-sign", "no-at-sign"},
	    {"", ""},
	};
	AUTO_ARENA arena = arena_new();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(account_fold_email(arena, rows[i].given), rows[i].folded);
}

static struct db_result *
erased(void)
{
	static const char *const cells[] = {ERASURE};
	static struct db_result result = {.columns = {"erasure_id"}, .rows = 1, .cells = cells};
	return &result;
}

/* The hashes that are sent for an address under these secrets. */
static void
hashes_for(struct fixture *fixture, const char *secrets, const char *email)
{
	const char *erasure = NULL;
	fixture_open(fixture, secrets);
	fixture->user.email = email;
	fake_db.result = erased();
	assert_int_equal(account_confirm_age(&fixture->call, false, &erasure), PROBLEM_NONE);
	assert_string_equal(erasure, ERASURE);
	assert_int_equal(fake_db.count, 8);
	assert_string_equal(fake_db.parameters[2], "false");
	assert_string_equal(fake_db.parameters[3], email);
}

static void
one_mailbox_has_one_hash(void **state)
{
	(void)state;
	struct fixture a, b, c;
	hashes_for(&a, CURRENT, "Ada.Lovelace+shot@GMail.com");
	const char *first = arena_strdup(a.arena, fake_db.parameters[4]);
	assert_null(fake_db.parameters[5]);
	assert_int_equal(strlen(first), 64);
	assert_int_equal(strspn(first, "0123456789abcdef"), 64);
	hashes_for(&b, CURRENT, "adalovelace@googlemail.com");
	assert_string_equal(fake_db.parameters[4], first);
	hashes_for(&c, CURRENT, "bob@gmail.com");
	assert_string_not_equal(fake_db.parameters[4], first);
	arena_free(a.arena);
	arena_free(b.arena);
	arena_free(c.arena);
}

static void
both_secrets_are_asked_for(void **state)
{
	(void)state;
	struct fixture old, both;
	hashes_for(&old, PREVIOUS, "ada@example.org");
	const char *under_previous = arena_strdup(old.arena, fake_db.parameters[4]);
	hashes_for(&both, CURRENT "," PREVIOUS, "ada@example.org");
	assert_string_not_equal(fake_db.parameters[4], under_previous);
	assert_string_equal(fake_db.parameters[5], under_previous);
	arena_free(old.arena);
	arena_free(both.arena);
}

static void
no_address_has_no_hash(void **state)
{
	(void)state;
	struct fixture fixture;
	hashes_for(&fixture, CURRENT "," PREVIOUS, "");
	assert_null(fake_db.parameters[4]);
	assert_null(fake_db.parameters[5]);
	arena_free(fixture.arena);
}

static struct db_result *
account_rows(size_t rows)
{
	static const char *const cells[] = {"6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21", "ada@example.org", "62", "nl", "f",
	    "t", "t", "2026-01-01", NULL, "t", LIMITS, "active", NULL, "welcome", "12", "2026-02-01T00:00:00.000Z",
	    "sub_3pV6", "monthly", "scheduled_cancel", "2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", "t", "f",
	    "2026-03-02T00:00:00.000Z", "throttle", "burst", "2026-03-03T00:00:00.000Z", NULL,
	    "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21", "ada@example.org", "62", "nl", "f", "t", "t", "2026-01-01", NULL,
	    "t", LIMITS, "active", NULL, "top_up", "50", NULL, "sub_3pV6", "monthly", "scheduled_cancel",
	    "2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", "t", "f", "2026-03-02T00:00:00.000Z", "throttle",
	    "burst", "2026-03-03T00:00:00.000Z", NULL};
	static const char *const empty[] = {"6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21", "", "0", "en", "f", "f", "f",
	    "2026-01-01", "2026-01-01", "f", LIMITS, "active", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	    NULL, NULL, NULL, NULL, NULL, NULL, "disposable_address"};
	static struct db_result result = {
	    .columns = {"user_id", "email", "balance", "locale", "receipts", "announcements", "age_confirmed",
		"policy_version", "policy_acknowledged", "policy_notice", "limits", "status", "erasure_id",
		"lot_source", "lot_remaining", "lot_expires_at", "sub_id", "sub_product_id", "sub_status",
		"sub_current_period_start", "sub_current_period_end", "sub_cancel_at_period_end", "sub_lapsed",
		"sub_updated_at", "restriction_action", "restriction_reason", "restriction_since", "welcome_refused"}};
	result.rows = rows;
	result.cells = rows == 1 ? empty : cells;
	return &result;
}

static void
an_account_is_written(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, CURRENT);
	fake_db.result = account_rows(2);
	assert_int_equal(account_get(&fixture.call), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"user_id\":\"6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21\",\"email\":\"ada@example.org\",\"balance\":62,"
	    "\"credit_lots\":[{\"source\":\"welcome\",\"remaining\":12,\"expires_at\":\"2026-02-01T00:00:00.000Z\"},"
	    "{\"source\":\"top_up\",\"remaining\":50,\"expires_at\":null}],\"subscription\":{\"id\":\"sub_3pV6\","
	    "\"product_id\":\"monthly\",\"status\":\"scheduled_cancel\","
	    "\"current_period_start\":\"2026-03-01T00:00:00.000Z\",\"current_period_end\":\"2026-04-01T00:00:00.000Z\","
	    "\"cancel_at_period_end\":true,\"lapsed\":false,\"updated_at\":\"2026-03-02T00:00:00.000Z\"},\"locale\":"
	    "\"nl\","
	    "\"notifications\":{\"receipts\":false,\"announcements\":true},\"age_confirmed\":true,"
	    "\"policy\":{\"version\":\"2026-01-01\",\"acknowledged\":null,\"notice\":true},"
	    "\"limits\":" LIMITS ","
	    "\"status\":\"active\",\"restriction\":{\"action\":\"throttle\",\"reason\":\"burst\","
	    "\"since\":\"2026-03-03T00:00:00.000Z\",\"contact\":\"support@shotai.example\"},"
	    "\"welcome_refused\":null}");
	assert_string_equal(fake_db.parameters[0], person.user_id);
	assert_string_equal(fake_db.parameters[1], person.session_id);
	arena_free(fixture.arena);
}

static void
an_account_without_lots_is_written(void **state)
{
	(void)state;
	struct fixture fixture;
	const char *erasure = ERASURE;
	fixture_open(&fixture, CURRENT);
	fake_db.result = account_rows(1);
	assert_int_equal(account_confirm_age(&fixture.call, true, &erasure), PROBLEM_NONE);
	assert_null(erasure);
	assert_string_equal(fake_db.parameters[2], "true");
	assert_non_null(strstr(fixture.json.data, "\"credit_lots\":[],\"subscription\":null,"));
	assert_non_null(strstr(fixture.json.data, "\"acknowledged\":\"2026-01-01\""));
	assert_non_null(strstr(fixture.json.data, "\"restriction\":null,\"welcome_refused\":\"disposable_address\"}"));
	arena_free(fixture.arena);
}

static void
refusals_pass_through(void **state)
{
	(void)state;
	struct fixture fixture;
	const char *erasure = NULL;
	fixture_open(&fixture, CURRENT);
	fake_db.problem = PROBLEM_ACCOUNT_SUSPENDED;
	fake_db.refusal = (struct db_refusal){.retry_after = 7, .extras = "{\"reason\":\"dispute\"}"};
	assert_int_equal(account_get(&fixture.call), PROBLEM_ACCOUNT_SUSPENDED);
	assert_int_equal(account_update(&fixture.call, &(struct account_change){.locale = "nl", .receipts = "true"}),
	    PROBLEM_ACCOUNT_SUSPENDED);
	assert_string_equal(fake_db.parameters[2], "nl");
	assert_string_equal(fake_db.parameters[3], "true");
	assert_null(fake_db.parameters[4]);
	assert_int_equal(account_confirm_age(&fixture.call, true, &erasure), PROBLEM_ACCOUNT_SUSPENDED);
	assert_int_equal(credits_list(&fixture.call, 20, NULL), PROBLEM_ACCOUNT_SUSPENDED);
	assert_int_equal(fixture.refusal.retry_after, 7);
	assert_string_equal(fixture.refusal.extras, "{\"reason\":\"dispute\",\"contact\":\"support@shotai.example\"}");
	assert_int_equal(fixture.json.len, 0);
	arena_free(fixture.arena);
}

static void
credit_entries_are_written(void **state)
{
	(void)state;
	static const char *const cells[] = {"9", "charge", NULL, "-2", "48", "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10",
	    NULL, "2026-01-01T00:00:01.000Z", "c2", "t", "8", "grant", "welcome", "50", "50", NULL, NULL,
	    "2026-01-01T00:00:00.000Z", "c1", "t"};
	struct db_result result = {.columns = {"id", "kind", "source", "amount", "balance_after", "generation_id",
				       "order_id", "created_at", "cursor", "more"},
	    .rows = 2,
	    .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, CURRENT);
	fake_db.result = &result;
	assert_int_equal(credits_list(&fixture.call, 2, "c3"), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"items\":[{\"id\":\"9\",\"kind\":\"charge\",\"source\":null,\"amount\":-2,\"balance_after\":48,"
	    "\"generation_id\":\"0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10\",\"order_id\":null,"
	    "\"created_at\":\"2026-01-01T00:00:01.000Z\"},{\"id\":\"8\",\"kind\":\"grant\",\"source\":\"welcome\","
	    "\"amount\":50,"
	    "\"balance_after\":50,\"generation_id\":null,\"order_id\":null,\"created_at\":\"2026-01-01T00:00:00.000Z\"}"
	    "],"
	    "\"next_cursor\":\"c1\"}");
	assert_string_equal(fake_db.parameters[1], "2");
	assert_string_equal(fake_db.parameters[2], "c3");
	arena_free(fixture.arena);

	fixture_open(&fixture, CURRENT);
	result.rows = 0;
	fake_db.result = &result;
	assert_int_equal(credits_list(&fixture.call, 2, NULL), PROBLEM_NONE);
	assert_string_equal(fixture.json.data, "{\"items\":[],\"next_cursor\":null}");
	arena_free(fixture.arena);
}

static void
the_site_is_written(void **state)
{
	(void)state;
	static const char *const cells[] = {"20260101000000", "2026-01-01"};
	struct db_result result = {.columns = {"version", "policy_version"}, .rows = 1, .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, CURRENT);
	fake_db.result = &result;
	assert_int_equal(
	    account_site(&fixture.call, &(struct account_site){"https://p.supabase.co", "anon", "help@shotai.example"}),
	    PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"supabase_url\":\"https://p.supabase.co\",\"supabase_anon_key\":\"anon\","
	    "\"policy_version\":\"2026-01-01\",\"support_email\":\"help@shotai.example\"}");
	arena_free(fixture.arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(folding),
	    cmocka_unit_test(one_mailbox_has_one_hash),
	    cmocka_unit_test(both_secrets_are_asked_for),
	    cmocka_unit_test(no_address_has_no_hash),
	    cmocka_unit_test(an_account_is_written),
	    cmocka_unit_test(an_account_without_lots_is_written),
	    cmocka_unit_test(refusals_pass_through),
	    cmocka_unit_test(credit_entries_are_written),
	    cmocka_unit_test(the_site_is_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
