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
#include "feature/share.h"
#include "feature/share_page.h"

#define SLUG "abcdefghijklmnopqrst-A"
#define GENERATION "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10"

static const struct claims person = {
    .user_id = "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21",
    .session_id = "0b0d7c1e-90a5-4a53-8f0e-6f0d5c2b1a99",
};

struct fixture {
	struct arena *arena;
	struct config *config;
	struct text json;
	struct db_refusal refusal;
	struct call call;
};

static void
fixture_open(struct fixture *fixture, struct db_result *rows)
{
	char error[256];
	setenv("PUBLIC_URL", "https://shotai.example", 1);
	*fixture = (struct fixture){.arena = arena_new(), .config = config_load(error, sizeof error)};
	assert_non_null(fixture->config);
	text_init(&fixture->json, fixture->arena, 65536);
	fixture->call = (struct call){
	    .arena = fixture->arena,
	    .user = &person,
	    .config = fixture->config,
	    .json = &fixture->json,
	    .refusal = &fixture->refusal,
	};
	memset(&fake_db, 0, sizeof fake_db);
	fake_db.result = rows;
}

static void
fixture_close(struct fixture *fixture)
{
	config_free(fixture->config);
	arena_free(fixture->arena);
}

static void
slugs_are_128_random_bits(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *slugs[1000];
	uint8_t seen[22][128] = {0};
	for (size_t i = 0; i < 1000; i++) {
		slugs[i] = share_slug(arena);
		assert_true(share_is_slug(slugs[i]));
		for (size_t k = 0; k < 22; k++)
			seen[k][(size_t)slugs[i][k]] = 1;
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(slugs[i], slugs[k]);
	}
	/* Every place takes (nearly) every value: 64, the last one 4. */
	for (size_t k = 0; k < 22; k++) {
		size_t values = 0;
		for (size_t c = 0; c < 128; c++)
			values += seen[k][c];
		assert_in_range(values, k == 21 ? 4 : 60, k == 21 ? 4 : 64);
	}
}

static void
what_is_no_slug(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "abc", "abcdefghijklmnopqrst-B", "abcdefghijklmnopqrst-AA",
	    "abcdefghijklmnopqrst+A", "abcdefghijklmnopqrst/A", "abcdefghijklmnopqrst.A",
	    ("abcdefghijklmnopqrs\xc3\xa9"
	     "A"),
	    "' or 1=1 --          A"};
	struct fixture fixture;
	struct share_view view;
	assert_true(share_is_slug(SLUG));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_false(share_is_slug(wrong[i]));
		fixture_open(&fixture, NULL);
		assert_int_equal(share_open(&fixture.call, wrong[i], "page", &view), PROBLEM_NOT_FOUND);
		assert_int_equal(share_delete(&fixture.call, wrong[i]), PROBLEM_NOT_FOUND);
		assert_int_equal(share_report(&fixture.call, wrong[i], "x"), PROBLEM_NOT_FOUND);
		assert_null(fake_db.sql);
		fixture_close(&fixture);
	}
}

#define SHARE_COLUMNS                                                                                                  \
	"slug", "generation_id", "image_index", "show_prompt", "created_at", "expires_at", "views", "replayed",        \
	    "more", "cursor"
#define SHARE_CELLS(views, more) SLUG, GENERATION, "1", "t", "2026-01-01T00:00:00.000Z", NULL, views, "t", more, "c1"

static void
a_share_is_written(void **state)
{
	(void)state;
	const char *const cells[] = {SHARE_CELLS("7", "f")};
	struct db_result rows = {.columns = {SHARE_COLUMNS}, .rows = 1, .cells = cells};
	struct share_wish wish = {.generation_id = GENERATION,
	    .image_index = 1,
	    .show_prompt = true,
	    .expires_in = 3600,
	    .request_hash = "h"};
	struct fixture fixture;
	bool replayed = false;
	fixture_open(&fixture, &rows);
	assert_int_equal(share_create(&fixture.call, &wish, &replayed), PROBLEM_NONE);
	assert_true(replayed);
	assert_string_equal(fixture.json.data,
	    "{\"slug\":\"" SLUG "\",\"url\":\"https://shotai.example/s/" SLUG
	    "\",\"image_url\":\"https://shotai.example/s/" SLUG "/image\",\"generation_id\":\"" GENERATION
	    "\",\"image_index\":1,\"show_prompt\":true,\"created_at\":\"2026-01-01T00:00:00.000Z\",\"expires_at\":null,"
	    "\"views\":7}");
	assert_true(share_is_slug(fake_db.parameters[2]));
	assert_string_equal(fake_db.parameters[4], "1");
	assert_string_equal(fake_db.parameters[5], "true");
	assert_string_equal(fake_db.parameters[6], "3600");
	assert_null(fake_db.parameters[7]);
	wish.expires_in = 0;
	assert_int_equal(share_create(&fixture.call, &wish, &replayed), PROBLEM_NONE);
	assert_null(fake_db.parameters[6]);
	fixture_close(&fixture);
}

static void
lists_have_a_cursor_while_there_is_more(void **state)
{
	(void)state;
	const char *const cells[] = {SHARE_CELLS("7", "t"), SHARE_CELLS("8", "t")};
	struct db_result rows = {.columns = {SHARE_COLUMNS}, .rows = 2, .cells = cells};
	struct fixture fixture;
	fixture_open(&fixture, &rows);
	assert_int_equal(share_list(&fixture.call, 2, NULL, GENERATION), PROBLEM_NONE);
	AUTO_BODY_TREE tree = body_tree_parse(fixture.json.data, fixture.json.len);
	assert_int_equal(body_count(body_member(body_root(tree), "items")), 2);
	assert_string_equal(body_string(body_member(body_root(tree), "next_cursor")), "c1");
	assert_string_equal(fake_db.parameters[3], GENERATION);
	fixture_close(&fixture);
}

/* ---- the page */

static const struct share_view fox = {
    .slug = SLUG,
    .image_key = "gen/" GENERATION "/0-1",
    .content_type = "image/png",
    .model_name = "GPT <Image> & \"Co\"",
    .prompt = "a fox\n<script>alert(1)</script> \"'&",
    .width = 1536,
    .height = 1024,
    .image_index = 2,
};

static const char *
page(struct arena *arena, enum language language, enum share_note note, const struct share_view *view,
    enum problem problem)
{
	struct text html;
	struct share_page where = {
	    .arena = arena, .site = "https://shotai.example", .language = language, .note = note};
	text_init(&html, arena, 1 << 16);
	if (view != NULL)
		share_page_write(&where, view, &html);
	else
		share_page_gone(&where, problem, &html);
	assert_false(html.overflow);
	return html.data;
}

static bool
has(const char *html, const char *part)
{
	return strstr(html, part) != NULL;
}

static void
the_page_escapes_what_people_wrote(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *html = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, &fox, PROBLEM_NONE);
	assert_false(has(html, "<script"));
	assert_true(has(html, "a fox\n&lt;script&gt;alert(1)&lt;/script&gt; &quot;&#39;&amp;"));
	assert_true(has(html, "<span>GPT &lt;Image&gt; &amp; &quot;Co&quot;</span>"));
	assert_false(has(html, "{{"));
	assert_false(has(html, fox.image_key));
	assert_false(has(html, "style="));
}

static void
the_page_makes_a_card(void **state)
{
	(void)state;
	static const char *const parts[] = {
	    "<html lang=\"en\">",
	    "<title>a fox\xe2\x80\xa6 &#183; ShotAI</title>",
	    "<meta name=\"robots\" content=\"noindex, noarchive\">",
	    "<meta property=\"og:title\" content=\"a fox\xe2\x80\xa6\">",
	    "<meta property=\"og:url\" content=\"https://shotai.example/s/" SLUG "\">",
	    "<meta property=\"og:image\" content=\"https://shotai.example/s/" SLUG "/image\">",
	    "<meta property=\"og:image:type\" content=\"image/png\">",
	    "<meta property=\"og:image:width\" content=\"1536\">",
	    "<meta property=\"og:image:height\" content=\"1024\">",
	    "<meta property=\"og:locale\" content=\"en_GB\">",
	    "<meta name=\"twitter:card\" content=\"summary_large_image\">",
	    "<meta name=\"twitter:image\" content=\"https://shotai.example/s/" SLUG "/image\">",
	    "<span>3A</span>",
	    "Made with AI",
	};
	AUTO_ARENA arena = arena_new();
	const char *html = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, &fox, PROBLEM_NONE);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		assert_true(has(html, parts[i]));
}

static void
a_prompt_is_shown_only_when_it_may(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct share_view silent = fox;
	silent.prompt = NULL;
	const char *html = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, &silent, PROBLEM_NONE);
	assert_false(has(html, "a fox"));
	assert_false(has(html, "class=\"prompt\""));
	assert_true(has(html, "content=\"A picture made with AI\""));
	assert_true(has(html, "alt=\"A picture made with AI\""));
}

static void
titles_are_cut_between_characters(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct share_view view = fox;
	struct text prompt;
	text_init(&prompt, arena, 4096);
	for (int i = 0; i < 100; i++)
		text_add(&prompt, "\xf0\x9f\xa6\x8a");
	view.prompt = prompt.data;
	const char *html = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, &view, PROBLEM_NONE);
	const char *title = strstr(html, "<title>") + strlen("<title>");
	size_t count = 0;
	while (strncmp(title, "\xf0\x9f\xa6\x8a", 4) == 0) {
		title += 4;
		count++;
	}
	assert_int_equal(count, 70);
	assert_int_equal(strncmp(title, "\xe2\x80\xa6 &#183;", 10), 0);
	view.prompt = "short";
	assert_true(has(page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, &view, PROBLEM_NONE), "<title>short &#183;"));
}

static void
both_languages_say_everything(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	static const char *const dutch[] = {"<html lang=\"nl\">", "nl_NL", "Gemaakt met AI", "Melden", "Wat is er mis",
	    "Verstuur melding", "Gemaakt op ShotAI", "op ShotAI."};
	static const char *const english[] = {"Made with", "Report", "Send", "picture"};
	struct share_view view = fox;
	view.prompt = NULL;
	const char *html = page(arena, LANGUAGE_NL, SHARE_NOTE_NONE, &view, PROBLEM_NONE);
	for (size_t i = 0; i < sizeof dutch / sizeof *dutch; i++)
		assert_true(has(html, dutch[i]));
	for (size_t i = 0; i < sizeof english / sizeof *english; i++)
		assert_false(has(html, english[i]));
}

static void
notes_follow_a_report(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *plain = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, &fox, PROBLEM_NONE);
	assert_true(has(plain, "<form method=\"post\" action=\"/s/" SLUG "/report\">"));
	assert_true(has(plain, "<details class=\"report\">"));
	const char *thanks = page(arena, LANGUAGE_EN, SHARE_NOTE_REPORTED, &fox, PROBLEM_NONE);
	assert_true(has(thanks, "Your report has arrived."));
	assert_false(has(thanks, "<form"));
	const char *empty = page(arena, LANGUAGE_EN, SHARE_NOTE_EMPTY, &fox, PROBLEM_NONE);
	assert_true(has(empty, "<details class=\"report\" open>"));
	assert_true(has(empty, "role=\"alert\""));
}

static void
what_is_gone_shows_nothing_of_it(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	for (int language = 0; language < LANGUAGE__COUNT; language++) {
		const char *html = page(arena, (enum language)language, SHARE_NOTE_NONE, NULL, PROBLEM_NOT_FOUND);
		static const char *const absent[] = {"og:", "twitter:", "<img", "<form", "{{", "canonical"};
		for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
			assert_false(has(html, absent[i]));
		assert_true(has(html, "noindex"));
		assert_true(has(html, "href=\"/\""));
	}
	const char *gone = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, NULL, PROBLEM_NOT_FOUND);
	const char *away = page(arena, LANGUAGE_EN, SHARE_NOTE_NONE, NULL, PROBLEM_DATABASE_UNAVAILABLE);
	assert_true(has(gone, "no longer shared"));
	assert_true(has(away, "Try again in a moment."));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slugs_are_128_random_bits),
	    cmocka_unit_test(what_is_no_slug),
	    cmocka_unit_test(a_share_is_written),
	    cmocka_unit_test(lists_have_a_cursor_while_there_is_more),
	    cmocka_unit_test(the_page_escapes_what_people_wrote),
	    cmocka_unit_test(the_page_makes_a_card),
	    cmocka_unit_test(a_prompt_is_shown_only_when_it_may),
	    cmocka_unit_test(titles_are_cut_between_characters),
	    cmocka_unit_test(both_languages_say_everything),
	    cmocka_unit_test(notes_follow_a_report),
	    cmocka_unit_test(what_is_gone_shows_nothing_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
