#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static bool
is_utf8(const char *string)
{
	size_t len = strlen(string), size;

	for (; len > 0; len -= size, string += size)
		if ((size = text_utf8(string, len)) == 0)
			return false;
	return true;
}

/* Whatever is written reads back, as it was when it was UTF-8. */
static void
json(struct arena *arena, const char *string)
{
	struct text text;

	text_init(&text, arena, SIZE_MAX);
	text_json_open(&text, NULL, '{');
	text_json_string(&text, string, string);
	text_json_open(&text, "list", '[');
	text_json_string(&text, NULL, string);
	text_json_close(&text, ']');
	text_json_close(&text, '}');
	AUTO_BODY_TREE tree = body_tree_parse(text.data, text.len);
	if (strcmp(string, "list") == 0)
		return;
	require(tree != NULL);
	const char *back = body_string(body_element(body_member(body_root(tree), "list"), 0));
	require(back != NULL && is_utf8(back));
	require(!is_utf8(string) || strcmp(string, back) == 0);
	require(!is_utf8(string) || strcmp(string, body_string(body_member(body_root(tree), string))) == 0);
}

static void
html(struct arena *arena, const char *string)
{
	struct text text;

	text_init(&text, arena, SIZE_MAX);
	text_add_html(&text, string);
	require(strpbrk(text.data, "<>\"'") == NULL);
	require(strlen(text.data) == text.len);
}

static void
bounded(struct arena *arena, const char *string, size_t max)
{
	struct text text;

	text_init(&text, arena, max);
	text_add(&text, string);
	text_printf(&text, "%s", string);
	text_json_string(&text, "k", string);
	text_add_html(&text, string);
	require(text.len <= max && text.data[text.len] == '\0' && strlen(text.data) == text.len);
	require(text.overflow || text.len >= 2 * strlen(string));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA arena = arena_new();
	const char *string;

	if (size == 0)
		return 0;
	string = arena_strndup(arena, (const char *)data + 1, size - 1);
	json(arena, string);
	html(arena, string);
	bounded(arena, string, (size_t)data[0] * 3);
	return 0;
}
