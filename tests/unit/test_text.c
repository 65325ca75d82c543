#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/text.h"

struct fixture {
	struct arena *arena;
	struct text text;
};

static int
setup(void **state)
{
	static struct fixture fixture;

	fixture.arena = arena_new();
	text_init(&fixture.text, fixture.arena, 1 << 20);
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	arena_free(fixture->arena);
	return 0;
}

static void
starts_empty_and_grows(void **state)
{
	struct fixture *fixture = *state;
	struct text *text = &fixture->text;

	assert_string_equal(text->data, "");
	for (int i = 0; i < 10000; i++)
		text_printf(text, "%d,", i % 10);
	assert_int_equal(text->len, 20000);
	assert_int_equal(strlen(text->data), 20000);
	assert_false(text->overflow);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(text->data[2 * i], '0' + i % 10);
}

static void
maximum_holds(void **state)
{
	static const struct {
		size_t max;
		const char *pieces[3], *expected;
		bool overflow;
	} rows[] = {
	    {5, {"abc", "de", ""}, "abcde", false},
	    {5, {"abc", "def", ""}, "abc", true},
	    {5, {"abcdef", "", ""}, "", true},
	    {5, {"abc", "defg", "h"}, "abc", true}, /* nothing follows what was dropped */
	    {0, {"", "", ""}, "", false},
	    {0, {"", "a", ""}, "", true},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct text text, printed;

		text_init(&text, fixture->arena, rows[i].max);
		text_init(&printed, fixture->arena, rows[i].max);
		for (int j = 0; j < 3; j++) {
			text_add(&text, rows[i].pieces[j]);
			text_printf(&printed, "%s", rows[i].pieces[j]);
		}
		assert_string_equal(text.data, rows[i].expected);
		assert_string_equal(printed.data, rows[i].expected);
		assert_int_equal(text.overflow, rows[i].overflow);
		assert_int_equal(printed.overflow, rows[i].overflow);
	}
}

static void
json_strings(void **state)
{
	static const struct {
		const char *value, *expected;
	} rows[] = {
	    {NULL, "null"},
	    {"", "\"\""},
	    {"plain", "\"plain\""},
	    {"a\"b\\c", "\"a\\\"b\\\\c\""},
	    {"\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\""},
	    {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
	    {"</script>", "\"</script>\""},
	    {"caf\u00e9 \u20ac \U0001f600", "\"caf\u00e9 \u20ac \U0001f600\""},
	    {"\u2028\u2029\u202a", "\"\\u2028\\u2029\u202a\""},
	    {"\x80", "\"\ufffd\""},
	    {"a\xff\xfez", "\"a\ufffd\ufffdz\""},
	    {"\xc0\xaf", "\"\ufffd\ufffd\""},                     /* overlong / */
	    {"\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},           /* a surrogate */
	    {"\xf4\x90\x80\x80", "\"\ufffd\ufffd\ufffd\ufffd\""}, /* past U+10FFFF */
	    {"cut \xe2\x82", "\"cut \ufffd\ufffd\""},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct text text;

		text_init(&text, fixture->arena, 1000);
		text_json_string(&text, NULL, rows[i].value);
		assert_string_equal(text.data, rows[i].expected);
	}
}

static void
json_document(void **state)
{
	struct fixture *fixture = *state;
	struct text *text = &fixture->text;

	text_json_open(text, NULL, '{');
	text_json_string(text, "name\"", "x");
	text_json_int(text, "least", INT64_MIN);
	text_json_bool(text, "yes", true);
	text_json_open(text, "list", '[');
	text_json_close(text, ']');
	text_json_open(text, "items", '[');
	text_json_int(text, NULL, 1);
	text_json_string(text, NULL, NULL);
	text_json_open(text, NULL, '{');
	text_json_close(text, '}');
	text_json_bool(text, NULL, false);
	text_json_close(text, ']');
	text_json_raw(text, "raw", "{\"a\":1}");
	text_json_raw(text, "none", NULL);
	text_json_close(text, '}');
	assert_string_equal(text->data, "{\"name\\\"\":\"x\",\"least\":-9223372036854775808,\"yes\":true,\"list\":[],"
					"\"items\":[1,null,{},false],\"raw\":{\"a\":1},\"none\":null}");
}

static void
html(void **state)
{
	struct fixture *fixture = *state;

	text_add_html(&fixture->text, "<a href=\"x\" title='y'>Tom & Jerry \u00e9</a>");
	assert_string_equal(
	    fixture->text.data, "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;Tom &amp; Jerry \u00e9&lt;/a&gt;");
}

static void
utf8_lengths(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, expected;
	} rows[] = {
	    {"a", 1, 1},
	    {"", 0, 0},
	    {"\xc2\x80", 2, 2},
	    {"\xc1\xbf", 2, 0},
	    {"\xdf\xbf", 2, 2},
	    {"\xe0\xa0\x80", 3, 3},
	    {"\xe0\x9f\xbf", 3, 0},
	    {"\xed\x9f\xbf", 3, 3},
	    {"\xed\xa0\x80", 3, 0},
	    {"\xef\xbf\xbf", 3, 3},
	    {"\xf0\x90\x80\x80", 4, 4},
	    {"\xf0\x8f\xbf\xbf", 4, 0},
	    {"\xf4\x8f\xbf\xbf", 4, 4},
	    {"\xf4\x90\x80\x80", 4, 0},
	    {"\xf5\x80\x80\x80", 4, 0},
	    {"\xe2\x82\xac", 2, 0},
	    {"\xe2(\xac", 3, 0},
	    {"\x80", 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(text_utf8(rows[i].bytes, rows[i].len), rows[i].expected);
}

static void
what_people_type(void **state)
{
	(void)state;
	assert_int_equal(text_code_points(""), 0);
	assert_int_equal(text_code_points("a\xe2\x82\xac\xf0\x9f\xa6\x8a\n"), 4);
	assert_true(text_is_blank("") && text_is_blank(" \t\r\n"));
	assert_false(text_is_blank("  x") || text_is_blank("\xc2\xa0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(starts_empty_and_grows, setup, teardown),
	    cmocka_unit_test_setup_teardown(maximum_holds, setup, teardown),
	    cmocka_unit_test_setup_teardown(json_strings, setup, teardown),
	    cmocka_unit_test_setup_teardown(json_document, setup, teardown),
	    cmocka_unit_test_setup_teardown(html, setup, teardown),
	    cmocka_unit_test(utf8_lengths),
	    cmocka_unit_test(what_people_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
