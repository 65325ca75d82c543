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
#include "feature/picture.h"

#define CURRENT "current-secret-of-at-least-32-characters"
#define PREVIOUS "previous-secret-of-at-least-32-character"

static const char key[] = "gen/0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10/0-1";
static const int64_t now = 1767229200 + 1234; /* an hour and some */

struct link {
	char *key, *expires, *signature;
};

static struct link
take_apart(struct arena *arena, const char *url)
{
	const char *query = strchr(url, '?'), *separator = strstr(url, "&s=");
	assert_int_equal(strncmp(url, "/files/", 7), 0);
	assert_non_null(query);
	assert_int_equal(strncmp(query, "?e=", 3), 0);
	assert_non_null(separator);
	return (struct link){
	    .key = arena_strndup(arena, url + 7, (size_t)(query - url - 7)),
	    .expires = arena_strndup(arena, query + 3, (size_t)(separator - query - 3)),
	    .signature = arena_strdup(arena, separator + 3),
	};
}

static struct link
make(struct arena *arena, const char *secrets, int64_t at)
{
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, arena, secrets, at);
	return take_apart(arena, picture_link(&signer, arena, key));
}

static enum problem
check(struct arena *arena, const char *secrets, const struct link *link, int64_t at)
{
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, arena, secrets, at);
	return picture_verify(&signer, link->key, link->expires, link->signature, at);
}

static void
links_end_on_the_hour(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	for (int64_t second = 0; second < 3600; second += 97) {
		struct link link = make(arena, CURRENT, 1767229200 + second);
		assert_string_equal(link.key, key);
		assert_string_equal(link.expires, "1767236400");
		assert_string_equal(link.signature, make(arena, CURRENT, 1767229200).signature);
	}
	assert_string_equal(make(arena, CURRENT, 1767229199).expires, "1767232800");
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, arena, CURRENT, now);
	assert_null(picture_link(&signer, arena, NULL));
}

static void
links_are_valid_until_they_end(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct link link = make(arena, CURRENT, now);
	int64_t end = strtoll(link.expires, NULL, 10);
	assert_int_equal(check(arena, CURRENT, &link, now), PROBLEM_NONE);
	assert_int_equal(check(arena, CURRENT, &link, end - 1), PROBLEM_NONE);
	assert_int_equal(check(arena, CURRENT, &link, end), PROBLEM_NOT_FOUND);
	assert_int_equal(check(arena, CURRENT, &link, end + 3600), PROBLEM_NOT_FOUND);
}

static void
secrets_rotate(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct link old = make(arena, PREVIOUS, now), fresh = make(arena, CURRENT "," PREVIOUS, now);
	assert_string_not_equal(old.signature, fresh.signature);
	assert_string_equal(fresh.signature, make(arena, CURRENT, now).signature);
	assert_int_equal(check(arena, CURRENT "," PREVIOUS, &old, now), PROBLEM_NONE);
	assert_int_equal(check(arena, CURRENT "," PREVIOUS, &fresh, now), PROBLEM_NONE);
	assert_int_equal(check(arena, CURRENT, &old, now), PROBLEM_NOT_FOUND);
	assert_int_equal(check(arena, PREVIOUS, &fresh, now), PROBLEM_NOT_FOUND);
}

/* Every single changed character of any part is refused. */
static void
forgeries_are_refused(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct link link = make(arena, CURRENT, now);
	char *parts[] = {link.key, link.expires, link.signature};
	for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
		for (char *c = parts[part]; *c != '\0'; c++) {
			char before = *c;
			*c = before == '1' ? '2' : '1';
			assert_int_equal(check(arena, CURRENT, &link, now), PROBLEM_NOT_FOUND);
			*c = before;
		}
	}
	assert_int_equal(check(arena, CURRENT, &link, now), PROBLEM_NONE);
}

static void
malformed_links_are_refused(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct link link = make(arena, CURRENT, now);
	const char *later = "99999999999999999999", *cut = arena_strndup(arena, link.signature, 21);
	const struct {
		const char *key, *expires, *signature;
	} rows[] = {
	    {link.key, NULL, link.signature},
	    {link.key, link.expires, NULL},
	    {link.key, "", link.signature},
	    {link.key, link.expires, ""},
	    {link.key, link.expires, "AAAA"},
	    {link.key, link.expires, cut},
	    {link.key, link.expires, arena_printf(arena, "%sAA", link.signature)},
	    {link.key, link.expires, arena_printf(arena, "%s==", link.signature)},
	    {link.key, arena_printf(arena, "0%s", link.expires), link.signature},
	    {link.key, arena_printf(arena, "+%s", link.expires), link.signature},
	    {link.key, arena_printf(arena, "%s ", link.expires), link.signature},
	    {link.key, later, link.signature},
	    {"", link.expires, link.signature},
	    {arena_printf(arena, "./%s", link.key), link.expires, link.signature},
	    {arena_printf(arena, "x/../%s", link.key), link.expires, link.signature},
	    {arena_printf(arena, "%s/", link.key), link.expires, link.signature},
	};
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, arena, CURRENT, now);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(
		    picture_verify(&signer, rows[i].key, rows[i].expires, rows[i].signature, now), PROBLEM_NOT_FOUND);
}

/* A signature for a key outside our alphabet does not make it servable. */
static void
foreign_keys_are_refused_even_when_signed(void **state)
{
	(void)state;
	static const char *const keys[] = {"../etc/passwd", "gen/../../x", "gen//x", "/gen/x", "gen/x/", ".hidden",
	    "gen/.hidden", "gen/X", "gen/a b", "gen/a%2fb", "gen/a\nb"};
	AUTO_ARENA arena = arena_new();
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, arena, CURRENT, now);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct link link = take_apart(arena, picture_link(&signer, arena, keys[i]));
		assert_int_equal(
		    picture_verify(&signer, keys[i], link.expires, link.signature, now), PROBLEM_NOT_FOUND);
	}
}

static void
the_database_has_the_last_word(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct db_result found = {.columns = {"content_type", "kind", "filename"},
	    .rows = 1,
	    .cells = (const char *const[]){"image/webp", "thumbnail", NULL}};
	struct picture_file file;
	fake_db.problem = PROBLEM_NONE;
	fake_db.result = &found;
	assert_int_equal(picture_authorize(NULL, arena, key, &file), PROBLEM_NONE);
	assert_string_equal(file.content_type, "image/webp");
	assert_int_equal(file.kind, PICTURE_THUMBNAIL);
	assert_null(file.filename);
	found.cells = (const char *const[]){"application/zip", "archive", "shotai.zip"};
	assert_int_equal(picture_authorize(NULL, arena, key, &file), PROBLEM_NONE);
	assert_int_equal(file.kind, PICTURE_IMAGE);
	assert_string_equal(file.filename, "shotai.zip");
	assert_int_equal(fake_db.count, 1);
	assert_string_equal(fake_db.parameters[0], key);
	found.rows = 0;
	assert_int_equal(picture_authorize(NULL, arena, key, &file), PROBLEM_NOT_FOUND);
	fake_db.problem = PROBLEM_DATABASE_UNAVAILABLE;
	assert_int_equal(picture_authorize(NULL, arena, key, &file), PROBLEM_DATABASE_UNAVAILABLE);
}

static struct config *
load(const char *links)
{
	static const char *const r2[][2] = {{"STORAGE", "r2"}, {"R2_ENDPOINT", "https://acct.example:443"},
	    {"R2_BUCKET", "pictures"}, {"R2_UPLOAD_BUCKET", "uploads"}, {"R2_ACCESS_KEY_ID", "the-id"},
	    {"R2_SECRET_ACCESS_KEY", "the-secret"}};
	char error[256] = "";
	for (size_t i = 0; i < sizeof r2 / sizeof r2[0]; i++)
		setenv(r2[i][0], r2[i][1], 1);
	setenv("STORAGE_LINKS", links, 1);
	struct config *config = config_load(error, sizeof error);
	if (config == NULL)
		fail_msg("%s", error);
	return config;
}

static void
links_may_be_those_of_the_storage(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_PICTURE_SIGNER signer;
	struct config *config = load("proxy");
	picture_signer_init(&signer, arena, CURRENT, now);
	signer.direct = config;
	assert_int_equal(strncmp(picture_link(&signer, arena, key), "/files/", 7), 0);
	config_free(config);
	config = load("direct");
	signer.direct = config;
	const char *link = picture_link(&signer, arena, key);
	/* From the full hour, for two hours: the same all the hour long. */
	assert_ptr_equal(strstr(link, arena_printf(arena,
					  "https://acct.example/pictures/%s?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
					  "X-Amz-Credential=the-id%%2F20260101%%2Fauto%%2Fs3%%2Faws4_request&"
					  "X-Amz-Date=20260101T010000Z&X-Amz-Expires=7200&"
					  "X-Amz-SignedHeaders=host&X-Amz-Signature=",
					  key)),
	    link);
	assert_null(strstr(link, "the-secret"));
	picture_signer_init(&signer, arena, CURRENT, now + 1200);
	signer.direct = config;
	assert_string_equal(picture_link(&signer, arena, key), link);
	assert_int_equal(strncmp(picture_link(&signer, arena, "uploads/1/2"), "/files/", 7), 0);
	config_free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(links_end_on_the_hour),
	    cmocka_unit_test(links_are_valid_until_they_end),
	    cmocka_unit_test(secrets_rotate),
	    cmocka_unit_test(forgeries_are_refused),
	    cmocka_unit_test(malformed_links_are_refused),
	    cmocka_unit_test(foreign_keys_are_refused_even_when_signed),
	    cmocka_unit_test(the_database_has_the_last_word),
	    cmocka_unit_test(links_may_be_those_of_the_storage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
