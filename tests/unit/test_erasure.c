#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "fake_db.h"
#include "feature/erasure.h"
#include "feature/erasure_page.h"

#define ID "1f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21"

static const struct erasure_view half = {
    .requested_at = "2026-03-01T12:00:00.000Z",
    .books = "10 year",
    .welcome = "1 month",
    .receipt = "40 day",
    .count = 2,
    .steps = {{"pictures", "2026-03-01T12:34:56.000Z"}, {"sign_in", NULL}},
};

static bool
has(const char *html, const char *text)
{
	return strstr(html, text) != NULL;
}

static const char *
page(struct arena *arena, enum language language, enum erasure_status status, enum problem problem)
{
	struct text html;
	struct erasure_view view = half;
	text_init(&html, arena, 65536);
	view.status = status;
	erasure_page_write(arena, language, problem == PROBLEM_NONE ? &view : NULL, problem, &html);
	assert_false(html.overflow);
	assert_false(has(html.data, "<script"));
	return html.data;
}

static void
a_receipt_says_what_was_done_when(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *en = page(arena, LANGUAGE_EN, ERASURE_PENDING, PROBLEM_NONE);
	const char *nl = page(arena, LANGUAGE_NL, ERASURE_PENDING, PROBLEM_NONE);
	assert_true(has(en, "<html lang=\"en\">") && has(nl, "<html lang=\"nl\">"));
	assert_true(has(en, "<li class=\"done\"><span>Pictures, thumbnails and archives</span><time "
			    "datetime=\"2026-03-01T12:34:56.000Z\">2026-03-01 12:34 UTC</time></li>"));
	assert_true(has(nl, "<li><span>Inloggegevens en e-mailadres</span><span class=\"waiting\">wacht</span></li>"));
	assert_true(has(en, "http-equiv=\"refresh\""));
	assert_true(has(en, "</ol>"));
	assert_true(
	    has(en, "credits for 10 years.") && has(en, "stays for 1 month so") && has(en, "until 40 days after"));
	assert_true(has(nl, "credits, 10 jaar.") && has(nl, "blijft 1 maand,") && has(nl, "tot 40 dagen na"));
}

static void
each_end_has_its_words(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *done = page(arena, LANGUAGE_EN, ERASURE_DONE, PROBLEM_NONE);
	assert_true(has(done, "<h1>Your account is gone</h1>") && !has(done, "refresh"));
	assert_true(has(page(arena, LANGUAGE_EN, ERASURE_HELD, PROBLEM_NONE), "<h1>Paused as required by law</h1>"));
	const char *none = page(arena, LANGUAGE_NL, ERASURE_DONE, PROBLEM_NOT_FOUND);
	assert_true(has(none, "<h1>Dit ontvangstbewijs is er niet</h1>") && !has(none, "<ol>") && !has(none, "</ol>"));
	assert_true(has(page(arena, LANGUAGE_EN, ERASURE_DONE, PROBLEM_DATABASE_UNAVAILABLE), "Try again in a moment"));
}

static void
the_state_is_read_and_written(void **state)
{
	(void)state;
	static const char *const cells[] = {"held", "2026-03-01T12:00:00.000Z", NULL, "journal",
	    "2026-03-01T12:00:01.000Z", "10 year", "1 month", "40 day", "held", "2026-03-01T12:00:00.000Z", NULL,
	    "sign_in", NULL, "10 year", "1 month", "40 day"};
	static struct db_result result = {
	    .columns = {"status", "requested_at", "finished_at", "step", "done_at", "books", "welcome", "receipt"},
	    .rows = 2,
	    .cells = cells};
	AUTO_ARENA arena = arena_new();
	struct text json;
	struct erasure_view view;
	struct db_refusal refusal = {0};
	struct call call = {.arena = arena, .json = &json, .refusal = &refusal};
	text_init(&json, arena, 65536);
	memset(&fake_db, 0, sizeof fake_db);
	fake_db.result = &result;
	assert_int_equal(erasure_look(&call, ID, &view), PROBLEM_NONE);
	assert_int_equal(view.status, ERASURE_HELD);
	assert_string_equal(view.welcome, "1 month");
	erasure_write_view(&call, ID, &view);
	assert_string_equal(json.data,
	    "{\"erasure_id\":\"" ID "\",\"status\":\"held\",\"requested_at\":\"2026-03-01T12:00:00.000Z\","
	    "\"finished_at\":null,\"steps\":[{\"step\":\"journal\",\"done_at\":\"2026-03-01T12:00:01.000Z\"},"
	    "{\"step\":\"sign_in\",\"done_at\":null}]}");
	fake_db.problem = PROBLEM_NOT_FOUND;
	assert_int_equal(erasure_look(&call, ID, &view), PROBLEM_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_receipt_says_what_was_done_when),
	    cmocka_unit_test(each_end_has_its_words),
	    cmocka_unit_test(the_state_is_read_and_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
