#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "service/request.h"
#include "service/response.h"

static enum problem
read_reason(struct arena *arena, const char *body, const char **ret_value)
{
	struct request request = {.arena = arena, .body = body, .body_len = strlen(body)};
	struct response response;
	response_open(&response, arena);
	return request_form(&request, &response, "reason", ret_value);
}

static void
fields_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *body, *value;
	} rows[] = {
	    {"", NULL},
	    {"reason", NULL},
	    {"reasons=x", NULL},
	    {"reason=", ""},
	    {"reason=a+b%2Bc", "a b+c"},
	    {"x=1&reason=two&reason=three", "two"},
	    {"reason=caf%C3%A9", "caf\xc3\xa9"},
	    {"reason=one%0D%0Atwo%0athree", "one\ntwo\nthree"},
	    {"reason=%0D%0A", "\n"},
	    {"reason=a%26b%3Dc&y=1", "a&b=c"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_ARENA arena = arena_new();
		const char *value = "unset";
		assert_int_equal(read_reason(arena, rows[i].body, &value), PROBLEM_NONE);
		if (rows[i].value == NULL)
			assert_null(value);
		else
			assert_string_equal(value, rows[i].value);
	}
}

static void
what_is_no_text_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    "reason=%", "reason=%4", "reason=%zz", "reason=%00", "reason=%1b[31m", "reason=%FF", "reason=a%0Db"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		AUTO_ARENA arena = arena_new();
		const char *value = "unset";
		assert_int_equal(read_reason(arena, wrong[i], &value), PROBLEM_INVALID_REQUEST);
		assert_string_equal(value, "unset");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_are_decoded),
	    cmocka_unit_test(what_is_no_text_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
