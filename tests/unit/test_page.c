#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "feature/page.h"

static void
terms_are_words(void **state)
{
	(void)state;
	static const struct {
		long long amount;
		const char *unit, *words[LANGUAGE__COUNT];
	} rows[] = {
	    {1, "day", {"1 day", "1 dag"}},
	    {30, "day", {"30 days", "30 dagen"}},
	    {24, "hour", {"24 hours", "24 uur"}},
	    {1, "month", {"1 month", "1 maand"}},
	    {24, "month", {"24 months", "24 maanden"}},
	    {7, "year", {"7 years", "7 jaar"}},
	    {90, "second", {"90 seconds", "90 seconden"}},
	    {2, "fortnight", {"2 fortnight", "2 fortnight"}},
	};
	AUTO_ARENA arena = arena_new();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (enum language language = 0; language < LANGUAGE__COUNT; language++)
			assert_string_equal(
			    page_term(arena, language, rows[i].amount, rows[i].unit), rows[i].words[language]);
}

static void
dates_are_words(void **state)
{
	(void)state;
	static const struct {
		const char *time, *words[LANGUAGE__COUNT];
	} rows[] = {
	    {"2026-11-01T00:00:00.000Z", {"1 November 2026", "1 november 2026"}},
	    {"2027-03-29T23:59:59.999Z", {"29 March 2027", "29 maart 2027"}},
	    {"2027-13-01T00:00:00.000Z", {"2027-13-01T00:00:00.000Z", "2027-13-01T00:00:00.000Z"}},
	    {"soon", {"soon", "soon"}},
	    {"", {"", ""}},
	};
	AUTO_ARENA arena = arena_new();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (enum language language = 0; language < LANGUAGE__COUNT; language++)
			assert_string_equal(page_date(arena, language, rows[i].time), rows[i].words[language]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(terms_are_words),
	    cmocka_unit_test(dates_are_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
