#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/problem.h"

static void
codes_are_unique_and_lead_back(void **state)
{
	(void)state;
	for (enum problem problem = PROBLEM_NONE + 1; problem < PROBLEM__COUNT; problem++) {
		const struct problem_kind *kind = problem_describe(problem);

		assert_int_equal(problem_from_code(kind->code), problem);
		assert_int_equal(strspn(kind->code, "abcdefghijklmnopqrstuvwxyz_"), strlen(kind->code));
		assert_in_range(kind->status, 400, 599);
		for (enum language language = 0; language < LANGUAGE__COUNT; language++)
			assert_true(strlen(kind->title[language]) > 3);
	}
}

static void
every_problem_has_a_detail(void **state)
{
	(void)state;
	for (enum problem problem = PROBLEM_NONE + 1; problem < PROBLEM__COUNT; problem++) {
		const char *english = problem_detail(problem, LANGUAGE_EN),
			   *dutch = problem_detail(problem, LANGUAGE_NL);

		assert_true(strlen(english) > 3 && strlen(dutch) > 3);
		assert_string_not_equal(english, dutch);
	}
	assert_string_equal(problem_detail(PROBLEM_RATE_LIMITED, LANGUAGE_EN), "Wait as long as Retry-After says.");
	assert_string_equal(problem_detail(PROBLEM_RATE_LIMITED, LANGUAGE_NL), "Wacht zo lang als Retry-After zegt.");
}

static void
known_rows(void **state)
{
	static const struct {
		enum problem problem;
		int status;
		const char *code;
	} rows[] = {
	    {PROBLEM_INVALID_REQUEST, 400, "invalid_request"},
	    {PROBLEM_INSUFFICIENT_CREDITS, 402, "insufficient_credits"},
	    {PROBLEM_RATE_LIMITED, 429, "rate_limited"},
	    {PROBLEM_DATABASE_UNAVAILABLE, 503, "database_unavailable"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(problem_describe(rows[i].problem)->status, rows[i].status);
		assert_string_equal(problem_describe(rows[i].problem)->code, rows[i].code);
	}
}

static void
unknown_codes_are_internal(void **state)
{
	static const char *const codes[] = {"", "nonsense", "Not_Found", "not_found ", "none", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		assert_int_equal(problem_from_code(codes[i]), PROBLEM_INTERNAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(codes_are_unique_and_lead_back),
	    cmocka_unit_test(every_problem_has_a_detail),
	    cmocka_unit_test(known_rows),
	    cmocka_unit_test(unknown_codes_are_internal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
