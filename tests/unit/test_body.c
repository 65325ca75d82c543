#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/text.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define UUID_A "6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b21"
#define UUID_B "0b0d7c1e-90a5-4a53-8f0e-6f0d5c2b1a99"

struct inner {
	bool receipts, has_receipts;
};

struct outer {
	int64_t first; /* so that no other offset is 0 */
	const char *name;
	int64_t count;
	bool flag, has_flag;
	const char *id;
	struct body_list ids;
	struct inner inner;
};

static const struct body_field inner_fields[] = {
    {.name = "receipts",
	.kind = BODY_BOOLEAN,
	.offset = offsetof(struct outer, inner.receipts),
	.present_offset = offsetof(struct outer, inner.has_receipts)},
};

static const struct body_field fields[] = {
    {.name = "name", .kind = BODY_STRING, .required = true, .min = 2, .max = 5, .offset = offsetof(struct outer, name)},
    {.name = "count", .kind = BODY_INTEGER, .min = -3, .max = 4, .offset = offsetof(struct outer, count)},
    {.name = "big", .kind = BODY_INTEGER, .min = INT64_MIN, .max = INT64_MAX, .offset = offsetof(struct outer, first)},
    {.name = "flag",
	.kind = BODY_BOOLEAN,
	.offset = offsetof(struct outer, flag),
	.present_offset = offsetof(struct outer, has_flag)},
    {.name = "id", .kind = BODY_UUID, .offset = offsetof(struct outer, id)},
    {.name = "ids", .kind = BODY_UUIDS, .min = 1, .max = 2, .offset = offsetof(struct outer, ids)},
    {.name = "in/n~r", .kind = BODY_OBJECT, .fields = inner_fields, .field_count = LEN(inner_fields)},
};

static enum problem
read_into(
    struct arena *arena, const char *json, size_t len, enum language language, struct outer *outer, struct text *errors)
{
	/* Exactly len bytes, so that a read behind them is seen. */
	char *bytes = malloc(len == 0 ? 1 : len);
	enum problem problem;

	memcpy(bytes, json, len);
	text_init(errors, arena, 16384);
	*outer = (struct outer){.count = 1};
	problem = body_read(arena, bytes, len, fields, LEN(fields), language, outer, errors);
	free(bytes);
	return problem;
}

static void
fills_the_struct(void **state)
{
	AUTO_ARENA arena = arena_new();
	struct outer outer;
	struct text errors;
	const char json[] = " {\"name\":\"\\u20ac\\ud83d\\ude00 \\n\\\"\", "
			    "\"count\":-3,\"flag\":false,\n\"id\":\"6F2D0C9E-51C4-4B8A-A2C7-"
			    "0F7A8D4E9B21\",\"ids\":[\"" UUID_A "\",\"" UUID_B
			    "\"],\"in/n~r\":{\"receipts\":true},\"big\":-9007199254740991}\r\n\t";

	(void)state;
	assert_int_equal(read_into(arena, json, strlen(json), LANGUAGE_EN, &outer, &errors), PROBLEM_NONE);
	assert_string_equal(errors.data, "");
	assert_string_equal(outer.name, "\u20ac\U0001f600 \n\"");
	assert_int_equal(outer.count, -3);
	assert_true(outer.first == -9007199254740991);
	assert_false(outer.flag);
	assert_true(outer.has_flag);
	assert_string_equal(outer.id, UUID_A);
	assert_int_equal(outer.ids.count, 2);
	assert_string_equal(outer.ids.items[0], UUID_A);
	assert_string_equal(outer.ids.items[1], UUID_B);
	assert_true(outer.inner.receipts);
	assert_true(outer.inner.has_receipts);
}

static void
absent_members_keep_their_values(void **state)
{
	static const char *const bodies[] = {"{\"name\":\"ab\"}",
	    "{\"name\":\"ab\",\"count\":null,\"flag\":null,\"id\":null,\"ids\":null,\"in/n~r\":null}",
	    "{\"name\":\"ab\",\"in/n~r\":{}}", "{\"name\":\"ab\",\"in/n~r\":{\"receipts\":null}}"};
	AUTO_ARENA arena = arena_new();
	struct outer outer;
	struct text errors;

	(void)state;
	for (size_t i = 0; i < LEN(bodies); i++) {
		assert_int_equal(
		    read_into(arena, bodies[i], strlen(bodies[i]), LANGUAGE_EN, &outer, &errors), PROBLEM_NONE);
		assert_int_equal(outer.count, 1);
		assert_false(outer.has_flag);
		assert_null(outer.id);
		assert_int_equal(outer.ids.count, 0);
		assert_false(outer.inner.has_receipts);
	}
}

#define FAULT(pointer, detail) "{\"pointer\":\"" pointer "\",\"detail\":\"" detail "\"}"
#define NAME "\"name\":\"ab\","

static const struct {
	const char *json, *errors;
} faults[] = {
    {"[]", FAULT("", "must be an object")},
    {"\"x\"", FAULT("", "must be an object")},
    {"null", FAULT("", "must be an object")},
    {"{}", FAULT("/name", "is required")},
    {"{\"name\":null}", FAULT("/name", "is required")},
    {"{\"Name\":\"ab\"}", FAULT("/Name", "is not a known member") "," FAULT("/name", "is required")},
    {"{" NAME "\"more\":null}", FAULT("/more", "is not a known member")},
    {"{" NAME "\"a/b~c\":1}", FAULT("/a~1b~0c", "is not a known member")},
    {"{\"name\":7}", FAULT("/name", "must be a string")},
    {"{\"name\":\"a\"}", FAULT("/name", "must have at least 2 characters")},
    {"{\"name\":\"\u00e9\"}", FAULT("/name", "must have at least 2 characters")},
    {"{\"name\":\"abcdef\"}", FAULT("/name", "must have at most 5 characters")},
    {"{\"name\":\"ab\\u0001\"}", FAULT("/name", "holds a control character")},
    {"{\"name\":\"ab\\r\"}", FAULT("/name", "holds a control character")},
    {"{\"name\":\"ab\\u007f\"}", FAULT("/name", "holds a control character")},
    {"{\"name\":\"ab\\u0085\"}", FAULT("/name", "holds a control character")},
    {"{" NAME "\"count\":5}", FAULT("/count", "must be from -3 to 4")},
    {"{" NAME "\"count\":-4}", FAULT("/count", "must be from -3 to 4")},
    {"{" NAME "\"count\":1.5}", FAULT("/count", "must be a whole number")},
    {"{" NAME "\"count\":\"1\"}", FAULT("/count", "must be a whole number")},
    {"{" NAME "\"count\":true}", FAULT("/count", "must be a whole number")},
    {"{" NAME "\"count\":1e400}", FAULT("/count", "must be a whole number")},
    {"{" NAME "\"big\":9007199254740993}", FAULT("/big", "must be a whole number")},
    {"{" NAME "\"big\":-9007199254740993}", FAULT("/big", "must be a whole number")},
    {"{" NAME "\"big\":1e19}", FAULT("/big", "must be a whole number")},
    {"{" NAME "\"flag\":1}", FAULT("/flag", "must be true or false")},
    {"{" NAME "\"flag\":\"true\"}", FAULT("/flag", "must be true or false")},
    {"{" NAME "\"id\":\"\"}", FAULT("/id", "must be a UUID")},
    {"{" NAME "\"id\":\"{6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b2}\"}", FAULT("/id", "must be a UUID")},
    {"{" NAME "\"id\":\"6f2d0c9e-51c4-4b8a-a2c7-0f7a8d4e9b2g\"}", FAULT("/id", "must be a UUID")},
    {"{" NAME "\"id\":\"6f2d0c9e151c4-4b8a-a2c7-0f7a8d4e9b21\"}", FAULT("/id", "must be a UUID")},
    {"{" NAME "\"id\":4}", FAULT("/id", "must be a UUID")},
    {"{" NAME "\"ids\":[]}", FAULT("/ids", "must hold from 1 to 2 items")},
    {"{" NAME "\"ids\":[\"" UUID_A "\",\"" UUID_B "\",\"x\"]}", FAULT("/ids", "must hold from 1 to 2 items")},
    {"{" NAME "\"ids\":\"" UUID_A "\"}", FAULT("/ids", "must be an array of UUIDs")},
    {"{" NAME "\"ids\":{\"0\":\"" UUID_A "\"}}", FAULT("/ids", "must be an array of UUIDs")},
    {"{" NAME "\"ids\":[\"" UUID_A "\",null]}", FAULT("/ids/1", "must be a UUID")},
    {"{" NAME "\"ids\":[\"" UUID_A "\",\"6F2D0C9E-51C4-4b8a-a2c7-0f7a8d4e9b21\"]}",
	FAULT("/ids/1", "appears more than once")},
    {"{" NAME "\"in/n~r\":[]}", FAULT("/in~1n~0r", "must be an object")},
    {"{" NAME "\"in/n~r\":{\"receipts\":0,\"x\":{}}}",
	FAULT("/in~1n~0r/x", "is not a known member") "," FAULT("/in~1n~0r/receipts", "must be true or false")},
    {"{\"name\":\"ab\",\"name\":\"cd\"}", FAULT("/name", "appears more than once")},
    {"{\"name\":\"ab\",\"na\\u006de\":\"ab\"}", FAULT("/name", "appears more than once")},
    {"{" NAME "\"in/n~r\":{\"a\":[{},{\"b\":1,\"c\":2,\"b\":1}]}}", FAULT("/in~1n~0r/a/1/b", "appears more than once")},
    /* several at once */
    {"{\"name\":7,\"count\":9,\"flag\":0,\"x\":0}",
	FAULT("/x", "is not a known member") "," FAULT("/name", "must be a string") "," FAULT(
	    "/count", "must be from -3 to 4") "," FAULT("/flag", "must be true or false")},
};

static void
faults_are_named(void **state)
{
	AUTO_ARENA arena = arena_new();
	struct outer outer;
	struct text errors;

	(void)state;
	for (size_t i = 0; i < LEN(faults); i++) {
		assert_int_equal(read_into(arena, faults[i].json, strlen(faults[i].json), LANGUAGE_EN, &outer, &errors),
		    PROBLEM_INVALID_REQUEST);
		assert_string_equal(errors.data, faults[i].errors);
		assert_false(errors.overflow);
	}
}

static void
faults_are_dutch(void **state)
{
	static const struct {
		const char *json, *errors;
	} rows[] = {
	    {"{", FAULT("", "is geen geldige JSON")},
	    {"{}", FAULT("/name", "is verplicht")},
	    {"{\"name\":\"abcdef\"}", FAULT("/name", "mag hoogstens 5 tekens hebben")},
	    {"{" NAME "\"count\":5}", FAULT("/count", "moet van -3 tot en met 4 zijn")},
	};
	AUTO_ARENA arena = arena_new();
	struct outer outer;
	struct text errors;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_int_equal(read_into(arena, rows[i].json, strlen(rows[i].json), LANGUAGE_NL, &outer, &errors),
		    PROBLEM_INVALID_REQUEST);
		assert_string_equal(errors.data, rows[i].errors);
	}
}

/* An answer stays small and well-formed, however much is wrong. */
static void
errors_are_bounded(void **state)
{
	AUTO_ARENA arena = arena_new();
	struct outer outer;
	struct text json, errors;

	(void)state;
	text_init(&json, arena, 1 << 20);
	text_add(&json, "{");
	for (int i = 0; i < 1000; i++)
		text_printf(&json, "%s\"x%0*d\":1", i == 0 ? "" : ",", i == 0 ? 9000 : 4, i);
	text_add(&json, "}");
	assert_int_equal(read_into(arena, json.data, json.len, LANGUAGE_EN, &outer, &errors), PROBLEM_INVALID_REQUEST);
	assert_true(errors.len < 2000);
	assert_non_null(strstr(errors.data, FAULT("", "is not a known member")));
	assert_int_equal(errors.data[errors.len - 1], '}');

	text_init(&errors, arena, 100);
	assert_int_equal(body_read(arena, json.data, json.len, fields, LEN(fields), LANGUAGE_EN, &outer, &errors),
	    PROBLEM_INVALID_REQUEST);
	assert_string_equal(errors.data, FAULT("", "is not a known member"));
}

#define DEEP_16 "[[[[[[[[[[[[[[[["
#define FLAT_16 "]]]]]]]]]]]]]]]]"

/* Bytes with an explicit length, and whether they are acceptable. */
static const struct {
	const char *json;
	size_t len; /* 0: strlen */
	bool valid;
} documents[] = {
    {"{}", 0, true}, {"[]", 0, true}, {"null", 0, true}, {"\"x\"", 0, true}, {"12", 0, true}, {"-0.5e+10", 0, true},
    {"0", 0, true}, {" [ 1 , 2 ] ", 0, true}, {"{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}", 0, true},
    {"{\"\":1}", 0, true}, {"{\"a\":1,\"A\":2}", 0, true},
    {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"]", 0, true}, {"[1e400]", 0, true},
    {DEEP_16 DEEP_16 FLAT_16 FLAT_16, 0, true}, {DEEP_16 DEEP_16 "[" FLAT_16 FLAT_16 "]", 0, false}, {"", 0, false},
    {" ", 0, false}, {"{} x", 0, false}, {"{}{}", 0, false}, {"[1]]", 0, false}, {"{}\0", 3, false},
    {"{\"a\":1\0}", 8, false}, {"\xef\xbb\xbf{}", 0, false}, {"\v{}", 0, false}, {"\x01{}", 0, false},
    {"{\"a\":1,}", 0, false}, {"[1,]", 0, false}, {"[,1]", 0, false}, {"{a:1}", 0, false}, {"{'a':1}", 0, false},
    {"{\"a\" 1}", 0, false}, {"{\"a\":}", 0, false}, {"[1 2]", 0, false}, {"// x\n{}", 0, false}, {"[01]", 0, false},
    {"[+1]", 0, false}, {"[.5]", 0, false}, {"[1.]", 0, false}, {"[1e]", 0, false}, {"[-]", 0, false},
    {"[0x10]", 0, false}, {"[NaN]", 0, false}, {"[Infinity]", 0, false}, {"[True]", 0, false}, {"[nul]", 0, false},
    {"[nulll]", 0, false}, {"[\"\\u0000\"]", 0, false}, {"{\"\\u0000\":1}", 0, false}, {"[\"a\0b\"]", 7, false},
    {"[\"\\ud800\"]", 0, false}, {"[\"\\udc00\"]", 0, false}, {"[\"\\ud800\\u0041\"]", 0, false},
    {"[\"\\ud800\\ud800\"]", 0, false}, {"[\"\\udc00\\ud800\"]", 0, false}, {"[\"\\x41\"]", 0, false},
    {"[\"\\u12\"]", 0, false}, {"[\"\\u12g4\"]", 0, false}, {"[\"a\nb\"]", 0, false}, {"[\"a\tb\"]", 0, false},
    {"[\"\x80\"]", 0, false}, {"[\"\xc0\xaf\"]", 0, false}, {"[\"\xed\xa0\x80\"]", 0, false},
    {"[\"\xf4\x90\x80\x80\"]", 0, false}, {"[\"\xe2\x82\"]", 0, false}, {"[\"open", 0, false}, {"[\"open\\", 0, false},
    {"[\"open\\u00", 0, false}, {"{\"a\":1,\"a\":1}", 0, false},
    {"[[{\"x\":{\"b\":1,\"a\":2,\"\\u0062\":3}}]]", 0, false},
    {"[111111111111111111111111111111111111111111111111111111111111111]", 0, true},   /* 63 digits */
    {"[1111111111111111111111111111111111111111111111111111111111111111]", 0, false}, /* what cJSON would cut */
};

static void
documents_are_strict(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(documents); i++) {
		size_t len = documents[i].len != 0 ? documents[i].len : strlen(documents[i].json);
		char *bytes = malloc(len == 0 ? 1 : len);
		AUTO_BODY_TREE tree = NULL;

		memcpy(bytes, documents[i].json, len);
		tree = body_tree_parse(bytes, len);
		free(bytes);
		if ((tree != NULL) != documents[i].valid)
			fail_msg("%s: %s", documents[i].valid ? "refused" : "accepted", documents[i].json);
	}
}

static void
trees_are_walked(void **state)
{
	static const char json[] = "{\"data\":[{\"b64\":\"x\",\"n\":3},null,7],\"none\":null,\"yes\":true,\"no\":false,"
				   "\"Data\":1,\"huge\":1e300,\"half\":0.5,\"max\":9007199254740991}";
	AUTO_BODY_TREE tree = body_tree_parse(json, sizeof json - 1);
	const struct body_value *root = body_root(tree), *data = body_member(root, "data");
	int64_t integer = 42;

	(void)state;
	assert_true(body_is_object(root));
	assert_true(body_is_array(data));
	assert_int_equal(body_count(root), 8);
	assert_int_equal(body_count(data), 3);
	assert_string_equal(body_string(body_member(body_element(data, 0), "b64")), "x");
	assert_true(body_integer(body_member(body_element(data, 0), "n"), &integer));
	assert_int_equal(integer, 3);
	assert_null(body_element(data, 1));
	assert_null(body_element(data, 3));
	assert_null(body_element(data, SIZE_MAX));
	assert_null(body_element(root, 0));
	assert_null(body_member(data, "b64"));
	assert_null(body_member(root, "none"));
	assert_null(body_member(root, "DATA"));
	assert_null(body_string(body_element(data, 2)));
	assert_null(body_string(body_member(body_member(root, "absent"), "deeper")));
	assert_int_equal(body_count(NULL), 0);
	assert_int_equal(body_count(body_element(data, 2)), 0);
	assert_true(body_boolean(body_member(root, "yes"), false));
	assert_false(body_boolean(body_member(root, "no"), true));
	assert_true(body_boolean(body_member(root, "absent"), true));
	assert_true(body_boolean(body_member(root, "Data"), true));
	assert_true(body_integer(body_member(root, "max"), &integer));
	assert_true(integer == 9007199254740991);
	integer = 42;
	assert_false(body_integer(body_member(root, "huge"), &integer));
	assert_false(body_integer(body_member(root, "half"), &integer));
	assert_false(body_integer(body_member(root, "yes"), &integer));
	assert_false(body_integer(NULL, &integer));
	assert_int_equal(integer, 42);
	assert_null(body_root(NULL));
}

static double
processor_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* Comparing each name with each other would take minutes for this many. */
static void
duplicates_are_found_fast(void **state)
{
	enum { COUNT = 200000 };
	AUTO_ARENA arena = arena_new();
	struct text json;
	double start;

	(void)state;
	text_init(&json, arena, 16 << 20);
	text_add(&json, "{");
	for (int i = 0; i < COUNT; i++)
		text_printf(&json, "\"%d\":1,", i);
	start = processor_seconds();
	text_add(&json, "\"last\":1}");
	AUTO_BODY_TREE tree = body_tree_parse(json.data, json.len);
	assert_non_null(tree);
	memcpy(strstr(json.data, "\"last\""), "\"0777\"", 6);
	AUTO_BODY_TREE other = body_tree_parse(json.data, json.len);
	assert_non_null(other);
	memcpy(strstr(json.data, "\"0777\":1"), "\"7777\":1", 8);
	assert_null(body_tree_parse(json.data, json.len));
	assert_true(processor_seconds() - start < 20);
}

static void
values_are_printed_again(void **state)
{
	(void)state;
	static const char json[] = "{ \"id\" : \"tran_1\", \"at\": 1772355602000, \"paid\": -22.61, \"none\": null,"
				   " \"list\": [true, \"\\u00e9\\n\\\"\", {}] }";
	AUTO_ARENA arena = arena_new();
	AUTO_BODY_TREE tree = body_tree_parse(json, strlen(json));
	const struct body_value *root = body_root(tree);
	assert_string_equal(body_print(arena, root),
	    "{\"id\":\"tran_1\",\"at\":1772355602000,\"paid\":-22.61,\"none\":null,"
	    "\"list\":[true,\"\xc3\xa9\\n\\\"\",{}]}");
	assert_string_equal(body_print(arena, body_member(root, "at")), "1772355602000");
	assert_null(body_print(arena, body_member(root, "none")));
	assert_null(body_print(arena, body_member(root, "absent")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_printed_again),
	    cmocka_unit_test(fills_the_struct),
	    cmocka_unit_test(absent_members_keep_their_values),
	    cmocka_unit_test(faults_are_named),
	    cmocka_unit_test(faults_are_dutch),
	    cmocka_unit_test(errors_are_bounded),
	    cmocka_unit_test(documents_are_strict),
	    cmocka_unit_test(trees_are_walked),
	    cmocka_unit_test(duplicates_are_found_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
