#include "base/body_tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/body_scan.h"
#include "base/text.h"

#define POINTER_MAX 256
/* Beyond it, two different integers are the same double. */
#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

struct body_tree {
	struct arena *arena;
	cJSON *root;
};

/* The scan has settled that all of bytes is one value, so cJSON need not see a NUL behind them. */
cJSON *
body_tree_document(const char *bytes, size_t len)
{
	return body_scan(bytes, len) ? cJSON_ParseWithLengthOpts(bytes, len, NULL, false) : NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *
body_tree_pointer(struct arena *arena, const char *pointer, const char *name, const char *rest)
{
	struct text joined;

	text_init(&joined, arena, POINTER_MAX);
	text_add(&joined, pointer);
	text_add(&joined, "/");
	for (; *name != '\0'; name++) {
		if (*name == '~' || *name == '/')
			text_add(&joined, *name == '~' ? "~0" : "~1");
		else
			text_add_bytes(&joined, name, 1);
	}
	text_add(&joined, rest);
	return joined.overflow ? pointer : joined.data;
}

static const char *
repeated_name(struct arena *arena, const cJSON *object)
{
	size_t count = (size_t)cJSON_GetArraySize(object), i = 0;
	const char **names;
	const cJSON *member;

	if (count < 2)
		return NULL;
	names = arena_array(arena, count, sizeof *names);
	cJSON_ArrayForEach(member, object) names[i++] = member->string;
	qsort(names, count, sizeof *names, compare_names);
	for (i = 1; i < count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return names[i];
	return NULL;
}

/* The pointer is built on the way back, so that what holds no duplicate costs no memory. */
const char *
body_tree_duplicate(struct arena *arena, const cJSON *value)
{
	const char *repeated = cJSON_IsObject(value) ? repeated_name(arena, value) : NULL;
	const cJSON *child;
	size_t index = 0;

	if (repeated != NULL)
		return body_tree_pointer(arena, "", repeated, "");
	cJSON_ArrayForEach(child, value)
	{
		bool nested = cJSON_IsObject(child) || cJSON_IsArray(child);
		const char *found = nested ? body_tree_duplicate(arena, child) : NULL;

		if (found != NULL)
			return body_tree_pointer(arena, "",
			    child->string != NULL ? child->string : arena_printf(arena, "%zu", index), found);
		index++;
	}
	return NULL;
}

struct body_tree *
body_tree_parse(const char *bytes, size_t len)
{
	AUTO_CJSON root = body_tree_document(bytes, len);
	AUTO_ARENA arena = NULL;
	struct body_tree *tree;

	if (root == NULL)
		return NULL;
	arena = arena_new();
	if (body_tree_duplicate(arena, root) != NULL)
		return NULL;
	arena_reset(arena);
	tree = arena_alloc(arena, sizeof *tree);
	*tree = (struct body_tree){.arena = arena, .root = root};
	root = NULL;
	arena = NULL;
	return tree;
}

void
body_tree_free(struct body_tree *tree)
{
	if (tree == NULL)
		return;
	cJSON_Delete(tree->root);
	arena_free(tree->arena);
}

/* struct body_value is cJSON under another name, so that no other module sees cJSON. */
static const struct body_value *
value_of(const cJSON *item)
{
	return item == NULL || cJSON_IsNull(item) ? NULL : (const struct body_value *)item;
}

static const cJSON *
item_of(const struct body_value *value)
{
	return (const cJSON *)value;
}

const struct body_value *
body_root(const struct body_tree *tree)
{
	return tree == NULL ? NULL : value_of(tree->root);
}

const struct body_value *
body_member(const struct body_value *object, const char *name)
{
	return body_is_object(object) ? value_of(cJSON_GetObjectItemCaseSensitive(item_of(object), name)) : NULL;
}

const struct body_value *
body_element(const struct body_value *array, size_t index)
{
	return body_is_array(array) && index < INT_MAX ? value_of(cJSON_GetArrayItem(item_of(array), (int)index))
						       : NULL;
}

size_t
body_count(const struct body_value *array_or_object)
{
	bool counts = body_is_array(array_or_object) || body_is_object(array_or_object);

	return counts ? (size_t)cJSON_GetArraySize(item_of(array_or_object)) : 0;
}

bool
body_is_object(const struct body_value *value)
{
	return cJSON_IsObject(item_of(value));
}

bool
body_is_array(const struct body_value *value)
{
	return cJSON_IsArray(item_of(value));
}

const char *
body_string(const struct body_value *value)
{
	return cJSON_GetStringValue(item_of(value));
}

bool
body_integer(const struct body_value *value, int64_t *ret_integer)
{
	double number;

	if (!cJSON_IsNumber(item_of(value)))
		return false;
	number = item_of(value)->valuedouble;
	if (!(number >= -(double)INTEGER_MAX && number <= (double)INTEGER_MAX) || (double)(int64_t)number != number)
		return false;
	*ret_integer = (int64_t)number;
	return true;
}

bool
body_boolean(const struct body_value *value, bool fallback)
{
	return cJSON_IsBool(item_of(value)) ? cJSON_IsTrue(item_of(value)) : fallback;
}

const char *
body_print(struct arena *arena, const struct body_value *value)
{
	char *printed = value == NULL ? NULL : cJSON_PrintUnformatted(item_of(value));
	const char *copy = arena_strdup(arena, printed);

	cJSON_free(printed);
	return copy;
}
