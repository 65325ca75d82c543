#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "fake_db.h"
#include "feature/export.h"
#include "feature/takeout.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define PICTURE "gen/0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10/0-1.png"
#define SHORT "0195f0c2"

static const struct claims person = {.user_id = "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21", .session_id = "0b0d7c1e"};

static struct {
	struct arena *arena;
	struct config *config;
	struct text json;
	struct db_refusal refusal;
	struct call call;
} it;

static int
setup(void **state)
{
	char error[256];
	(void)state;
	setenv("PUBLIC_URL", "https://shotai.example", 1);
	it.arena = arena_new();
	it.config = config_load(error, sizeof error);
	text_init(&it.json, it.arena, 65536);
	it.call = (struct call){.arena = it.arena,
	    .user = &person,
	    .config = it.config,
	    .secrets = "0123456789abcdef0123456789abcdef",
	    .json = &it.json,
	    .refusal = &it.refusal};
	memset(&fake_db, 0, sizeof fake_db);
	return it.config == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	config_free(it.config);
	arena_free(it.arena);
	return 0;
}

static void
a_picture_has_a_name_that_says_what_it_is(void **state)
{
	static const struct {
		const char *title, *key, *name;
	} table[] = {
	    {"2026-11-29 a red fox", PICTURE, "2026-11-29-a-red-fox-" SHORT "-1.png"},
	    {"2026-11-29 ", "gen/" SHORT "-7d1a/11-2.jpg", "2026-11-29-" SHORT "-12.jpg"},
	    {"2026-11-29 één vos / \"狐\"\n", PICTURE, "2026-11-29-één-vos-狐-" SHORT "-1.png"},
	    {"2026-11-29 ../..\\etc:*?", PICTURE, "2026-11-29-etc-" SHORT "-1.png"},
	    {"2026-11-29 a\u202egnp\u200b.\ufeffb\u00adc\u3000d\U000e0041", PICTURE,
		"2026-11-29-a-gnp-b-c-d-" SHORT "-1.png"},
	    {"2026-11-29 a\xff\xe2\x82", "gen/" SHORT "-7d1a/0-1", "2026-11-29-a-" SHORT "-1"},
	    {"2026-11-29 狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐", PICTURE,
		"2026-11-29-狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐狐-" SHORT "-1.png"},
	};
	(void)state;
	for (size_t i = 0; i < LEN(table); i++) {
		const struct export_image image = {.key = table[i].key, .title = table[i].title};
		assert_string_equal(
		    takeout_file_name(it.arena, &image), arena_printf(it.arena, "pictures/%s", table[i].name));
	}
}

static void
an_archive_is_shown_with_its_link_once_it_is_ready(void **state)
{
	static const char *const ready[] = {
	    "0195f0c2", "ready", "archives/ab", "2026-01-02T00:00:00.000Z", "1767312000", "t"};
	static const char *const pending[] = {"0195f0c2", "pending", NULL, NULL, NULL, "f"};
	struct db_result rows = {.columns = {"id", "status", "key", "expires_at", "link_until", "replayed"}, .rows = 1};
	const struct body_list none = {0}, two = {.items = (const char *[]){"a", "b"}, .count = 2};
	const char *id = NULL;
	bool replayed = true;
	(void)state;
	fake_db.result = &rows;
	rows.cells = pending;
	assert_int_equal(
	    takeout_create(&it.call, &(struct takeout_wish){&none, "key", "hash"}, &id, &replayed), PROBLEM_NONE);
	assert_string_equal(
	    it.json.data, "{\"id\":\"0195f0c2\",\"status\":\"pending\",\"url\":null,\"expires_at\":null}");
	assert_string_equal(id, "0195f0c2");
	assert_false(replayed);
	assert_null(fake_db.parameters[2]);
	text_init(&it.json, it.arena, 65536);
	rows.cells = ready;
	assert_int_equal(
	    takeout_create(&it.call, &(struct takeout_wish){&two, "key", "hash"}, &id, &replayed), PROBLEM_NONE);
	assert_true(replayed);
	assert_string_equal(fake_db.parameters[2], "{\"a\",\"b\"}");
	assert_non_null(strstr(it.json.data, "\"url\":\"/files/archives/ab?e=1767312000&s="));
	rows.rows = 0;
	assert_int_equal(takeout_get(&it.call, "0195f0c2"), PROBLEM_INTERNAL);
}

#define COLUMNS                                                                                                        \
	{                                                                                                              \
		"place", "section", "item", "image_key", "thumbnail_key", "title"                                      \
	}

static void
an_export_is_one_document_over_several_pages(void **state)
{
	static const char *const first[] = {"account ", "account", NULL, NULL, NULL, NULL, "account 1", "account",
	    "{\"balance\":7}", NULL, NULL, NULL, "images ", "images", NULL, NULL, NULL, NULL, "images 1", "images",
	    "{\"index\":0}", PICTURE, NULL, "2026-11-29 a"};
	static const char *const second[] = {"images 2", "images", "{\"index\":1}", PICTURE, NULL, "2026-11-29 a",
	    "mails ", "mails", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
	struct db_result page = {.columns = COLUMNS, .rows = 4, .cells = first};
	void *context = NULL;
	bool more = false;
	struct text rest;
	(void)state;
	fake_db.result = &page;
	assert_int_equal(export_begin(&it.call, &context, &more), PROBLEM_NONE);
	assert_true(more);
	assert_null(fake_db.parameters[2]);
	assert_non_null(strstr(it.json.data, "Z\",\"account\":[{\"balance\":7}],\"images\":[{\"index\":0,"
					     "\"url\":\"https://shotai.example/files/" PICTURE "?e="));
	page = (struct db_result){.columns = COLUMNS, .rows = 3, .cells = second};
	text_init(&rest, it.arena, 65536);
	assert_int_equal(export_more(context, &rest, &more), PROBLEM_NONE);
	assert_false(more);
	assert_string_equal(fake_db.parameters[2], "images 1");
	text_add(&it.json, rest.data);
	AUTO_BODY_TREE tree = body_tree_parse(it.json.data, it.json.len);
	assert_non_null(tree);
	assert_int_equal(body_count(body_member(body_root(tree), "images")), 2);
	assert_int_equal(body_count(body_member(body_root(tree), "mails")), 0);
	assert_true(body_is_array(body_member(body_root(tree), "mails")));
}

static void
what_ends_in_the_middle_is_no_document(void **state)
{
	static const char *const first[] = {"account ", "account", NULL, NULL, NULL, NULL};
	struct db_result page = {.columns = COLUMNS, .rows = 1, .cells = first};
	void *context = NULL;
	bool more = false;
	struct text rest;
	(void)state;
	fake_db.result = &page;
	assert_int_equal(export_begin(&it.call, &context, &more), PROBLEM_NONE);
	fake_db.problem = PROBLEM_ACCOUNT_SUSPENDED;
	text_init(&rest, it.arena, 65536);
	assert_int_equal(export_more(context, &rest, &more), PROBLEM_ACCOUNT_SUSPENDED);
	assert_null(body_tree_parse(it.json.data, it.json.len));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_picture_has_a_name_that_says_what_it_is),
	    T(an_archive_is_shown_with_its_link_once_it_is_ready),
	    T(an_export_is_one_document_over_several_pages),
	    T(what_ends_in_the_middle_is_no_document),
	};
	return cmocka_run_group_tests_name("takeout", tests, NULL, NULL);
}
