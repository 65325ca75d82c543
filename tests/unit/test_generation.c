#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/body.h"
#include "fake_db.h"
#include "feature/abuse.h"
#include "feature/generation.h"

#define FIRST "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10"
#define SECOND "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b11"
#define CREATED "2026-01-01T00:00:00.000Z"

static const struct claims person = {
    .user_id = "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21",
    .session_id = "0b0d7c1e-90a5-4a53-8f0e-6f0d5c2b1a99",
};

/* id, then what differs between the rows of these tests. */
#define ROW(id, status, error, position, index, key, thumbnail)                                                        \
	id, status, "model-a", "a \"lighthouse\"", "1:1", "2", NULL, "4", "2", error, "f", position, CREATED, NULL,    \
	    NULL, index, key, thumbnail, key != NULL ? "64" : NULL, key != NULL ? "32" : NULL,                         \
	    key != NULL ? "image/png" : NULL, "[\"a-slug\"]", "t"

static struct db_result rows = {
    .columns = {"id", "status", "model", "prompt", "aspect_ratio", "count", "seed", "credits_charged",
	"credits_refunded", "error_code", "favourite", "queue_position", "created_at", "started_at", "finished_at",
	"image_index", "image_key", "thumbnail_key", "width", "height", "content_type", "shared", "more"},
};

struct fixture {
	struct arena *arena;
	struct text json;
	struct db_refusal refusal;
	struct call call;
};

static void
fixture_open(struct fixture *fixture, const char *const *cells, size_t count)
{
	*fixture = (struct fixture){.arena = arena_new()};
	text_init(&fixture->json, fixture->arena, 65536);
	fixture->call = (struct call){
	    .arena = fixture->arena,
	    .user = &person,
	    .secrets = "current-secret-of-at-least-32-characters",
	    .json = &fixture->json,
	    .refusal = &fixture->refusal,
	};
	memset(&fake_db, 0, sizeof fake_db);
	rows.cells = cells;
	rows.rows = count;
	fake_db.result = &rows;
}

/* Parsed, so that a misplaced comma or bracket fails too. */
static struct body_tree *
parse(const struct fixture *fixture)
{
	struct body_tree *tree = body_tree_parse(fixture->json.data, fixture->json.len);
	assert_non_null(tree);
	return tree;
}

static void
a_queued_generation_is_written_whole(void **state)
{
	(void)state;
	const char *const cells[] = {ROW(FIRST, "queued", NULL, "3", NULL, NULL, NULL)};
	struct fixture fixture;
	fixture_open(&fixture, cells, 1);
	assert_int_equal(generation_get(&fixture.call, FIRST), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"id\":\"" FIRST "\",\"status\":\"queued\",\"model\":\"model-a\",\"prompt\":\"a \\\"lighthouse\\\"\","
	    "\"aspect_ratio\":\"1:1\",\"count\":2,\"seed\":null,\"credits_charged\":4,\"credits_refunded\":2,"
	    "\"error\":null,\"images\":[],\"favourite\":false,\"shared\":[\"a-slug\"],\"queue_position\":3,"
	    "\"estimated_wait_seconds\":null,\"created_at\":\"" CREATED "\",\"started_at\":null,\"finished_at\":null}");
	assert_string_equal(fake_db.parameters[0], person.user_id);
	assert_string_equal(fake_db.parameters[1], FIRST);
	arena_free(fixture.arena);
}

static void
images_have_signed_links(void **state)
{
	(void)state;
	const char *const cells[] = {
	    ROW(FIRST, "partial", NULL, NULL, "0", "gen/x/0-1", "gen/x/0-1.thumb"),
	    ROW(FIRST, "partial", NULL, NULL, "2", "gen/x/2-1", "gen/x/2-1.thumb"),
	};
	struct fixture fixture;
	fixture_open(&fixture, cells, 2);
	assert_int_equal(generation_get(&fixture.call, FIRST), PROBLEM_NONE);
	AUTO_BODY_TREE tree = parse(&fixture);
	const struct body_value *images = body_member(body_root(tree), "images");
	assert_int_equal(body_count(images), 2);
	const struct body_value *last = body_element(images, 1);
	int64_t number = 0;
	assert_true(body_integer(body_member(last, "index"), &number));
	assert_int_equal(number, 2);
	assert_true(body_integer(body_member(last, "height"), &number));
	assert_int_equal(number, 32);
	assert_non_null(strstr(body_string(body_member(last, "url")), "/files/gen/x/2-1?e="));
	assert_non_null(strstr(body_string(body_member(last, "thumbnail_url")), "/files/gen/x/2-1.thumb?e="));
	assert_string_equal(body_string(body_member(last, "content_type")), "image/png");
	arena_free(fixture.arena);
}

static void
failures_speak_the_readers_language(void **state)
{
	(void)state;
	static const char *const codes[] = {"content_policy", "provider_error", "provider_timeout",
	    "provider_overloaded", "moderation_unavailable", "reference_expired", "invalid_output", "internal"};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		const char *const cells[] = {ROW(FIRST, "failed", codes[i], NULL, NULL, NULL, NULL)};
		const char *messages[LANGUAGE__COUNT];
		struct fixture fixture[LANGUAGE__COUNT];
		for (int language = 0; language < LANGUAGE__COUNT; language++) {
			fixture_open(&fixture[language], cells, 1);
			fixture[language].call.language = (enum language)language;
			assert_int_equal(generation_get(&fixture[language].call, FIRST), PROBLEM_NONE);
			AUTO_BODY_TREE tree = parse(&fixture[language]);
			const struct body_value *error = body_member(body_root(tree), "error");
			assert_string_equal(body_string(body_member(error, "code")), codes[i]);
			messages[language] =
			    arena_strdup(fixture[language].arena, body_string(body_member(error, "message")));
			assert_true(strlen(messages[language]) > 10);
		}
		assert_string_not_equal(messages[LANGUAGE_EN], messages[LANGUAGE_NL]);
		arena_free(fixture[LANGUAGE_EN].arena);
		arena_free(fixture[LANGUAGE_NL].arena);
	}
}

static void
pages_group_sentencesby_generation(void **state)
{
	(void)state;
	struct db_result page = {.columns = {"id", "status", "model", "prompt", "aspect_ratio", "count", "seed",
				     "credits_charged", "credits_refunded", "error_code", "favourite", "queue_position",
				     "created_at", "started_at", "finished_at", "image_index", "image_key",
				     "thumbnail_key", "width", "height", "content_type", "shared", "more", "cursor"}};
	const char *const cells[] = {
	    ROW(SECOND, "succeeded", NULL, NULL, "0", "gen/y/0-1", "gen/y/0-1.thumb"),
	    "c2",
	    ROW(SECOND, "succeeded", NULL, NULL, "1", "gen/y/1-1", "gen/y/1-1.thumb"),
	    "c2",
	    ROW(FIRST, "canceled", NULL, NULL, NULL, NULL, NULL),
	    "c1",
	};
	struct fixture fixture;
	fixture_open(&fixture, NULL, 0);
	page.cells = cells;
	page.rows = 3;
	fake_db.result = &page;
	const struct generation_filter filter = {.limit = 2,
	    .cursor = "c3",
	    .status = "succeeded",
	    .words = "red fox",
	    .model = "model-a",
	    .favourite = "true"};
	assert_int_equal(generation_list(&fixture.call, &filter), PROBLEM_NONE);
	AUTO_BODY_TREE tree = parse(&fixture);
	const struct body_value *items = body_member(body_root(tree), "items");
	assert_int_equal(body_count(items), 2);
	assert_string_equal(body_string(body_member(body_element(items, 0), "id")), SECOND);
	assert_int_equal(body_count(body_member(body_element(items, 0), "images")), 2);
	assert_string_equal(body_string(body_member(body_element(items, 1), "id")), FIRST);
	assert_int_equal(body_count(body_member(body_element(items, 1), "images")), 0);
	assert_string_equal(body_string(body_member(body_root(tree), "next_cursor")), "c1");
	assert_string_equal(fake_db.parameters[1], "2");
	assert_string_equal(fake_db.parameters[2], "c3");
	assert_string_equal(fake_db.parameters[3], "succeeded");
	assert_string_equal(fake_db.parameters[4], "red fox");
	assert_string_equal(fake_db.parameters[5], "model-a");
	assert_string_equal(fake_db.parameters[6], "true");
	arena_free(fixture.arena);

	fixture_open(&fixture, NULL, 0);
	page.rows = 0;
	fake_db.result = &page;
	assert_int_equal(generation_list(&fixture.call, &(struct generation_filter){.limit = 2}), PROBLEM_NONE);
	assert_string_equal(fixture.json.data, "{\"items\":[],\"next_cursor\":null}");
	assert_null(fake_db.parameters[2]);
	for (size_t i = 3; i < 7; i++)
		assert_null(fake_db.parameters[i]);
	arena_free(fixture.arena);
}

static void
orders_carry_every_parameter(void **state)
{
	(void)state;
	struct db_result admitted = {
	    .columns = {"id", "status", "model", "prompt", "aspect_ratio", "count", "seed", "credits_charged",
		"credits_refunded", "error_code", "favourite", "queue_position", "created_at", "started_at",
		"finished_at", "image_index", "image_key", "thumbnail_key", "width", "height", "content_type", "shared",
		"replayed", "balance"}};
	const char *const cells[] = {ROW(FIRST, "queued", NULL, "1", NULL, NULL, NULL), "46"};
	const char *uploads[] = {FIRST, SECOND};
	struct generation_order order = {
	    .model = "model-a",
	    .prompt = "p",
	    .count = 2,
	    .seed = 0,
	    .has_seed = true,
	    .upload_ids = {uploads, 2},
	    .idempotency_key = "k",
	    .request_hash = "h",
	};
	struct generation_receipt receipt = {0};
	struct fixture fixture;
	fixture_open(&fixture, NULL, 0);
	admitted.cells = cells;
	admitted.rows = 1;
	fake_db.result = &admitted;
	assert_int_equal(generation_admit(&fixture.call, &order, &receipt), PROBLEM_NONE);
	assert_string_equal(receipt.id, FIRST);
	assert_true(receipt.replayed);
	AUTO_BODY_TREE tree = parse(&fixture);
	int64_t balance = 0;
	assert_true(body_integer(body_member(body_root(tree), "balance"), &balance));
	assert_int_equal(balance, 46);
	const char *const expected[] = {person.user_id, person.session_id, "model-a", "p", NULL, "2", "0",
	    "{\"" FIRST "\",\"" SECOND "\"}", "k", "h", abuse_prompt_mark(&fixture.call, "p")};
	assert_int_equal(fake_db.count, sizeof expected / sizeof expected[0]);
	for (size_t i = 0; i < fake_db.count; i++) {
		if (expected[i] == NULL)
			assert_null(fake_db.parameters[i]);
		else
			assert_string_equal(fake_db.parameters[i], expected[i]);
	}
	order.has_seed = false;
	assert_int_equal(generation_admit(&fixture.call, &order, &receipt), PROBLEM_NONE);
	assert_null(fake_db.parameters[6]);
	arena_free(fixture.arena);
}

static void
refusals_pass_through(void **state)
{
	(void)state;
	struct generation_order order = {.model = "m", .prompt = "p", .count = 1};
	struct generation_receipt receipt;
	struct fixture fixture;
	fixture_open(&fixture, NULL, 0);
	fake_db.problem = PROBLEM_INSUFFICIENT_CREDITS;
	fake_db.refusal = (struct db_refusal){.extras = "{\"required\":2,\"balance\":1}"};
	assert_int_equal(generation_admit(&fixture.call, &order, &receipt), PROBLEM_INSUFFICIENT_CREDITS);
	assert_string_equal(fixture.refusal.extras, "{\"required\":2,\"balance\":1}");
	fake_db.problem = PROBLEM_NOT_CANCELABLE;
	assert_int_equal(generation_cancel(&fixture.call, FIRST), PROBLEM_NOT_CANCELABLE);
	assert_string_equal(fake_db.parameters[1], person.session_id);
	fake_db.problem = PROBLEM_NOT_FOUND;
	assert_int_equal(generation_get(&fixture.call, FIRST), PROBLEM_NOT_FOUND);
	assert_int_equal(generation_list(&fixture.call, &(struct generation_filter){.limit = 20}), PROBLEM_NOT_FOUND);
	assert_int_equal(generation_set_favourite(&fixture.call, FIRST, true), PROBLEM_NOT_FOUND);
	fake_db.problem = PROBLEM_UNFINISHED;
	assert_int_equal(generation_delete(&fixture.call, FIRST), PROBLEM_UNFINISHED);
	fake_db.problem = PROBLEM_NOT_FOUND;
	assert_int_equal(generation_models(&fixture.call), PROBLEM_NOT_FOUND);
	assert_int_equal(fixture.json.len, 0);
	arena_free(fixture.arena);
}

static void
refusals_speak_the_readers_language(void **state)
{
	(void)state;
	static const struct {
		const char *given, *dutch;
	} sentences[] = {
	    {"{\"errors\": [{\"pointer\": \"/count\", \"detail\": \"must be from 1 to 4\"}]}",
		"{\"errors\":[{\"pointer\":\"/count\",\"detail\":\"moet een geheel getal zijn van 1 tot en met 4\"}]}"},
	    {"{\"errors\":[{\"pointer\":\"/aspect_ratio\",\"detail\":\"must be one of 1:1, 3:2\"},"
	     "{\"pointer\":\"/x\",\"detail\":\"unheard of\"}]}",
		"{\"errors\":[{\"pointer\":\"/aspect_ratio\",\"detail\":\"moet een van deze zijn: 1:1, 3:2\"},"
		"{\"pointer\":\"/x\",\"detail\":\"unheard of\"}]}"},
	    {"{\"other\":1}", "{\"other\":1}"},
	    {"not JSON", "not JSON"},
	};
	struct generation_order order = {.model = "m", .prompt = "p", .count = 1};
	struct generation_receipt receipt;
	for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
		for (int language = 0; language < LANGUAGE__COUNT; language++) {
			struct fixture fixture;
			fixture_open(&fixture, NULL, 0);
			fixture.call.language = (enum language)language;
			fake_db.problem = PROBLEM_INVALID_REQUEST;
			fake_db.refusal = (struct db_refusal){.extras = sentences[i].given};
			assert_int_equal(generation_admit(&fixture.call, &order, &receipt), PROBLEM_INVALID_REQUEST);
			assert_string_equal(
			    fixture.refusal.extras, language == LANGUAGE_NL ? sentences[i].dutch : sentences[i].given);
			arena_free(fixture.arena);
		}
	}
}

static void
models_are_written(void **state)
{
	(void)state;
	static const char *const cells[] = {"m1", "Model \"one\"", "openai", "2", "[\"1:1\", \"16:9\"]", "4", "t", "3",
	    "Draws.", "Tekent.", NULL, "t", "m2", "Two", "openai", "8", "[\"1:1\"]", "1", "f", "0", "Paints.",
	    "Schildert.", "30 days", "f"};
	struct db_result models = {
	    .columns = {"id", "name", "provider", "credits", "aspect_ratios", "max_count", "accepts_reference",
		"max_references", "description", "description_nl", "retention", "available"},
	    .rows = 2,
	    .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, NULL, 0);
	fake_db.result = &models;
	assert_int_equal(generation_models(&fixture.call), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "{\"items\":[{\"id\":\"m1\",\"name\":\"Model \\\"one\\\"\",\"provider\":\"openai\",\"credits\":2,"
	    "\"aspect_ratios\":[\"1:1\", \"16:9\"],\"max_count\":4,\"accepts_reference\":true,\"max_references\":3,"
	    "\"description\":\"Draws.\",\"retention\":null,\"available\":true},"
	    "{\"id\":\"m2\",\"name\":\"Two\",\"provider\":\"openai\",\"credits\":8,\"aspect_ratios\":[\"1:1\"],"
	    "\"max_count\":1,\"accepts_reference\":false,\"max_references\":0,\"description\":\"Paints.\","
	    "\"retention\":\"30 days\","
	    "\"available\":false}]}");
	arena_free(fixture.arena);

	fixture_open(&fixture, NULL, 0);
	fake_db.result = &models;
	fixture.call.language = LANGUAGE_NL;
	assert_int_equal(generation_models(&fixture.call), PROBLEM_NONE);
	assert_non_null(strstr(fixture.json.data, "\"description\":\"Tekent.\""));
	assert_null(strstr(fixture.json.data, "Draws."));
	arena_free(fixture.arena);
}

static void
one_is_deleted_or_many(void **state)
{
	(void)state;
	const char *ids[] = {FIRST, SECOND};
	struct body_list list = {.items = ids, .count = 2};
	struct fixture fixture;
	fixture_open(&fixture, NULL, 0);
	assert_int_equal(generation_delete(&fixture.call, FIRST), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], person.user_id);
	assert_string_equal(fake_db.parameters[1], person.session_id);
	assert_string_equal(fake_db.parameters[2], "{\"" FIRST "\"}");
	assert_string_equal(fake_db.parameters[3], "true");
	assert_int_equal(generation_delete_many(&fixture.call, &list), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[2], "{\"" FIRST "\",\"" SECOND "\"}");
	assert_string_equal(fake_db.parameters[3], "false");
	assert_int_equal(fixture.json.len, 0);
	arena_free(fixture.arena);
}

static void
favourites_are_written_back(void **state)
{
	(void)state;
	const char *const cells[] = {ROW(FIRST, "succeeded", NULL, NULL, NULL, NULL, NULL)};
	struct fixture fixture;
	fixture_open(&fixture, cells, 1);
	assert_int_equal(generation_set_favourite(&fixture.call, FIRST, false), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[2], FIRST);
	assert_string_equal(fake_db.parameters[3], "false");
	AUTO_BODY_TREE tree = parse(&fixture);
	assert_string_equal(body_string(body_member(body_root(tree), "id")), FIRST);
	arena_free(fixture.arena);
}

static void
states_are_a_closed_list(void **state)
{
	(void)state;
	static const char *const known[] = {"queued", "running", "succeeded", "partial", "failed", "canceled"};
	static const char *const unknown[] = {"", "Queued", "cancelled", "succeeded ", "queue"};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		assert_true(generation_is_status(known[i]));
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		assert_false(generation_is_status(unknown[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_queued_generation_is_written_whole),
	    cmocka_unit_test(images_have_signed_links),
	    cmocka_unit_test(failures_speak_the_readers_language),
	    cmocka_unit_test(pages_group_sentencesby_generation),
	    cmocka_unit_test(orders_carry_every_parameter),
	    cmocka_unit_test(refusals_pass_through),
	    cmocka_unit_test(refusals_speak_the_readers_language),
	    cmocka_unit_test(models_are_written),
	    cmocka_unit_test(one_is_deleted_or_many),
	    cmocka_unit_test(favourites_are_written_back),
	    cmocka_unit_test(states_are_a_closed_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
