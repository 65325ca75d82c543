#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "fake_db.h"
#include "feature/job.h"
#include "feature/metrics.h"
#include "feature/upload.h"

#define ID "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10"
#define COLUMNS "replayed", "id", "content_type", "width", "height", "bytes", "created_at", "expires_at"
#define CREATED "2026-01-01T00:00:00.000Z"
#define EXPIRES "2026-01-01T00:30:00.000Z"
#define WRITTEN                                                                                                        \
	"{\"id\":\"" ID "\",\"content_type\":\"image/webp\",\"width\":64,\"height\":32,\"bytes\":900,"                 \
	"\"created_at\":\"" CREATED "\",\"expires_at\":\"" EXPIRES "\"}"

static const struct claims person = {.user_id = "user", .session_id = "session"};

struct fixture {
	struct arena *arena;
	struct text json;
	struct db_refusal refusal;
	struct db_result rows;
	struct call call;
};

static void
fixture_open(struct fixture *fixture, const char *const *columns, const char *const *cells, size_t count)
{
	*fixture = (struct fixture){.arena = arena_new()};
	text_init(&fixture->json, fixture->arena, 65536);
	fixture->call = (struct call){
	    .arena = fixture->arena, .user = &person, .json = &fixture->json, .refusal = &fixture->refusal};
	for (size_t i = 0; columns[i] != NULL; i++)
		fixture->rows.columns[i] = columns[i];
	fixture->rows.cells = cells;
	fixture->rows.rows = count;
	memset(&fake_db, 0, sizeof fake_db);
	fake_db.result = &fixture->rows;
}

static const char *const upload_columns[] = {COLUMNS, NULL};

static void
an_admission_names_a_fresh_object(void **state)
{
	(void)state;
	const char *const cells[] = {"f", ID, NULL, NULL, NULL, NULL, CREATED, EXPIRES};
	struct fixture fixture;
	struct upload_ticket first, second;
	fixture_open(&fixture, upload_columns, cells, 1);
	assert_int_equal(upload_admit(&fixture.call, 1800, NULL, NULL, &first), PROBLEM_NONE);
	assert_int_equal(fake_db.count, 6);
	assert_string_equal(fake_db.parameters[0], "user");
	assert_string_equal(fake_db.parameters[1], "session");
	assert_string_equal(fake_db.parameters[2], first.key);
	assert_string_equal(fake_db.parameters[3], "1800");
	assert_null(fake_db.parameters[4]);
	assert_null(fake_db.parameters[5]);
	assert_int_equal(upload_admit(&fixture.call, 5, "key", "hash", &second), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[4], "key");
	assert_string_equal(fake_db.parameters[5], "hash");
	assert_string_not_equal(first.key, second.key);
	assert_int_equal(strncmp(first.key, "uploads/", 8), 0);
	assert_int_equal(strspn(first.key + 8, "0123456789"), 8);
	assert_int_equal(strspn(first.key + 17, "0123456789abcdef"), 32);
	assert_int_equal(strlen(first.key), 8 + 8 + 1 + 32);
	assert_false(first.replayed);
	assert_string_equal(first.id, ID);
	assert_int_equal(fixture.json.len, 0);
	arena_free(fixture.arena);
}

static void
a_known_key_and_a_confirmation_write_the_upload(void **state)
{
	(void)state;
	const char *const cells[] = {"t", ID, "image/webp", "64", "32", "900", CREATED, EXPIRES};
	struct fixture fixture;
	struct upload_ticket ticket;
	fixture_open(&fixture, upload_columns, cells, 1);
	assert_int_equal(upload_admit(&fixture.call, 1800, "key", "hash", &ticket), PROBLEM_NONE);
	assert_true(ticket.replayed);
	assert_string_equal(fixture.json.data, WRITTEN);
	arena_free(fixture.arena);

	fixture_open(&fixture, upload_columns, cells, 1);
	const struct image image = {.len = 900, .width = 64, .height = 32, .format = IMAGE_WEBP};
	assert_int_equal(upload_confirm(&fixture.call, ID, &image), PROBLEM_NONE);
	static const char *const sent[] = {"user", ID, "image/webp", "64", "32", "900"};
	for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
		assert_string_equal(fake_db.parameters[i], sent[i]);
	assert_string_equal(fixture.json.data, WRITTEN);
	arena_free(fixture.arena);
}

static void
refusals_pass_through_and_write_nothing(void **state)
{
	(void)state;
	struct fixture fixture;
	struct upload_ticket ticket = {0};
	const char *key = NULL;
	const struct image image = {.len = 1, .width = 1, .height = 1};
	fixture_open(&fixture, upload_columns, NULL, 0);
	fake_db.problem = PROBLEM_RATE_LIMITED;
	fake_db.refusal.retry_after = 9;
	assert_int_equal(upload_admit(&fixture.call, 1800, NULL, NULL, &ticket), PROBLEM_RATE_LIMITED);
	assert_int_equal(fixture.refusal.retry_after, 9);
	assert_int_equal(upload_confirm(&fixture.call, ID, &image), PROBLEM_RATE_LIMITED);
	assert_int_equal(upload_remove(&fixture.call, ID, &key), PROBLEM_RATE_LIMITED);
	assert_int_equal(upload_finish_removal(&fixture.call, ID), PROBLEM_RATE_LIMITED);
	assert_int_equal(upload_abandon(&fixture.call, ID, true), PROBLEM_RATE_LIMITED);
	assert_string_equal(fake_db.parameters[2], "true");
	assert_null(ticket.id);
	assert_null(key);
	assert_int_equal(fixture.json.len, 0);
	fake_db.problem = PROBLEM_NONE;
	assert_int_equal(upload_admit(&fixture.call, 1800, NULL, NULL, &ticket), PROBLEM_INTERNAL);
	arena_free(fixture.arena);
}

static void
what_is_due_comes_as_a_batch_and_is_buried(void **state)
{
	(void)state;
	const char *const due[] = {"1", "uploads/1/a", "2", "uploads/1/b"}, *const buried[] = {"2", "31.25"};
	const char *const due_columns[] = {"id", "key", NULL}, *const buried_columns[] = {"deleted", "lag", NULL};
	struct fixture fixture;
	struct upload_batch batch;
	int64_t count = 0;
	double lag = 0;
	fixture_open(&fixture, due_columns, due, 2);
	assert_int_equal(upload_claim_due(NULL, fixture.arena, 250, &batch), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], "250");
	assert_int_equal(batch.count, 2);
	assert_string_equal(batch.ids[1], "2");
	assert_string_equal(batch.keys[1], "uploads/1/b");
	assert_int_equal(upload_release(NULL, fixture.arena, &batch), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], "{\"1\",\"2\"}");

	struct upload_batch unowned, old = {.keys = batch.keys, .count = 1};
	assert_int_equal(upload_unowned(NULL, fixture.arena, &batch, &old, &unowned), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], "{\"uploads/1/a\",\"uploads/1/b\"}");
	assert_string_equal(fake_db.parameters[1], "{\"uploads/1/a\"}");
	assert_int_equal(unowned.count, 2);
	assert_string_equal(unowned.keys[0], "uploads/1/a");

	struct fixture second;
	fixture_open(&second, buried_columns, buried, 1);
	assert_int_equal(upload_bury(NULL, second.arena, &batch, &count, &lag), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], "{\"1\",\"2\"}");
	assert_int_equal(count, 2);
	assert_true(lag > 31.2 && lag < 31.3);
	arena_free(second.arena);
	arena_free(fixture.arena);
}

static void
references_keep_their_order_and_say_what_is_gone(void **state)
{
	(void)state;
	const char *const columns[] = {"held", "key", "content_type", "bytes", NULL};
	const char *const cells[] = {"t", "uploads/1/a", "image/png", "10", "t", NULL, NULL, NULL};
	const char *const lost[] = {"f", NULL, NULL, NULL};
	const struct job job = {.generation_id = ID, .attempt = 3};
	struct fixture fixture;
	struct upload_reference *references = NULL;
	size_t count = 0;
	bool held = false;
	fixture_open(&fixture, columns, cells, 2);
	assert_int_equal(upload_references(NULL, fixture.arena, &job, &held, &references, &count), PROBLEM_NONE);
	assert_string_equal(fake_db.parameters[0], ID);
	assert_string_equal(fake_db.parameters[1], "3");
	assert_true(held);
	assert_int_equal(count, 2);
	assert_string_equal(references[0].key, "uploads/1/a");
	assert_string_equal(references[0].content_type, "image/png");
	assert_int_equal(references[0].bytes, 10);
	assert_null(references[1].key);
	arena_free(fixture.arena);
	fixture_open(&fixture, columns, lost, 1);
	assert_int_equal(upload_references(NULL, fixture.arena, &job, &held, &references, &count), PROBLEM_NONE);
	assert_false(held);
	arena_free(fixture.arena);
}

static void
pruning_goes_on_while_there_is_much(void **state)
{
	(void)state;
	const char *const columns[] = {"pruned", NULL}, *const much[] = {"10000"}, *const little[] = {"9999"};
	struct fixture fixture;
	bool more = false;
	fixture_open(&fixture, columns, much, 1);
	assert_int_equal(upload_prune(NULL, &more), PROBLEM_NONE);
	assert_true(more);
	arena_free(fixture.arena);
	fixture_open(&fixture, columns, little, 1);
	assert_int_equal(upload_prune(NULL, &more), PROBLEM_NONE);
	assert_false(more);
	arena_free(fixture.arena);
}

static void
metrics_are_written_for_prometheus(void **state)
{
	(void)state;
	const char *const columns[] = {"name", "help", "value", NULL};
	const char *const cells[] = {"jobs_queued", "Waiting", "3", "lag_seconds", "Late", "0.25"};
	struct fixture fixture;
	fixture_open(&fixture, columns, cells, 2);
	assert_int_equal(metrics_write(NULL, fixture.arena, &fixture.json), PROBLEM_NONE);
	assert_string_equal(fixture.json.data,
	    "# HELP shotai_jobs_queued Waiting\n# TYPE shotai_jobs_queued gauge\nshotai_jobs_queued 3\n"
	    "# HELP shotai_lag_seconds Late\n# TYPE shotai_lag_seconds gauge\nshotai_lag_seconds 0.25\n");
	fake_db.problem = PROBLEM_DATABASE_UNAVAILABLE;
	assert_int_equal(metrics_write(NULL, fixture.arena, &fixture.json), PROBLEM_DATABASE_UNAVAILABLE);
	arena_free(fixture.arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_admission_names_a_fresh_object),
	    cmocka_unit_test(a_known_key_and_a_confirmation_write_the_upload),
	    cmocka_unit_test(refusals_pass_through_and_write_nothing),
	    cmocka_unit_test(what_is_due_comes_as_a_batch_and_is_buried),
	    cmocka_unit_test(references_keep_their_order_and_say_what_is_gone),
	    cmocka_unit_test(pruning_goes_on_while_there_is_much),
	    cmocka_unit_test(metrics_are_written_for_prometheus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
