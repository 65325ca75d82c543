#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/body_scan.h"
#include "base/text.h"

struct target {
	int64_t number;
	const char *string, *id;
	struct body_list ids;
	bool flag, has_flag;
};

static const struct body_field inner[] = {
    {.name = "flag",
	.kind = BODY_BOOLEAN,
	.offset = offsetof(struct target, flag),
	.present_offset = offsetof(struct target, has_flag)},
};

static const struct body_field fields[] = {
    {.name = "s", .kind = BODY_STRING, .required = true, .min = 1, .max = 9, .offset = offsetof(struct target, string)},
    {.name = "n", .kind = BODY_INTEGER, .min = -9, .max = 1 << 20, .offset = offsetof(struct target, number)},
    {.name = "id", .kind = BODY_UUID, .offset = offsetof(struct target, id)},
    {.name = "ids", .kind = BODY_UUIDS, .min = 1, .max = 3, .offset = offsetof(struct target, ids)},
    {.name = "o", .kind = BODY_OBJECT, .fields = inner, .field_count = 1},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
walk(const struct body_value *value, int depth)
{
	const char *string = body_string(value);
	int64_t integer;

	require(depth <= BODY_SCAN_DEPTH);
	if (string != NULL)
		for (size_t len = strlen(string), size; len > 0; len -= size, string += size)
			require((size = text_utf8(string, len)) > 0);
	if (body_integer(value, &integer))
		require(integer > -(INT64_C(1) << 53) && integer < INT64_C(1) << 53);
	(void)body_member(value, "s");
	for (size_t i = 0; body_is_array(value) && i < body_count(value) && i < 100; i++)
		walk(body_element(value, i), depth + 1);
}

static void
read_table(struct arena *arena, const char *bytes, size_t size, enum language language)
{
	struct target target = {.number = 0};
	struct text errors, array;
	enum problem problem;

	text_init(&errors, arena, 3000);
	problem = body_read(arena, bytes, size, fields, sizeof fields / sizeof *fields, language, &target, &errors);
	require((problem == PROBLEM_NONE) == (errors.len == 0));
	require(problem != PROBLEM_NONE || target.string != NULL);
	/* What the scan takes, cJSON takes too. */
	require(
	    strcmp(errors.data, "{\"pointer\":\"\",\"detail\":\"is not valid JSON\"}") != 0 || !body_scan(bytes, size));
	text_init(&array, arena, 4000);
	text_printf(&array, "[%s]", errors.data);
	AUTO_BODY_TREE tree = body_tree_parse(array.data, array.len);
	require(tree != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA arena = arena_new();
	const char *bytes = (const char *)data;
	AUTO_BODY_TREE tree = body_tree_parse(bytes, size);

	require(tree == NULL || body_scan(bytes, size));
	walk(body_root(tree), 0);
	read_table(arena, bytes, size, LANGUAGE_EN);
	read_table(arena, bytes, size, LANGUAGE_NL);
	return 0;
}
