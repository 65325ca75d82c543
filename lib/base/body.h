/*
 * JSON reader, the only module that touches cJSON.
 *
 * Two ways in: body_read fills a struct from a request body through one const
 * table and refuses whatever the table does not name; struct body_tree walks
 * foreign documents (vendors' answers, key sets, webhooks) leniently.
 * Both refuse trailing bytes, duplicate members, \u0000, invalid UTF-8, depth
 * over 32 and numbers that a double cannot hold exactly where an integer is
 * wanted (STYLE section 4, item 12).
 */
#ifndef SHOTAI_BODY_H
#define SHOTAI_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct arena;
struct text;

enum body_kind {
	BODY_STRING,  /* const char *; min and max (> 0) count Unicode code points; control characters but \n \t are
			 refused */
	BODY_INTEGER, /* int64_t; min and max bound the value */
	BODY_BOOLEAN, /* bool */
	BODY_UUID,    /* const char *, lower-cased */
	BODY_UUIDS,   /* struct body_list of lower-cased UUIDs; min and max count elements; duplicates are refused */
	BODY_OBJECT,  /* read through .fields into the same struct at the given offsets */
	BODY__COUNT
};

struct body_list {
	const char **items;
	size_t count;
};

struct body_field {
	const char *name;
	enum body_kind kind;
	bool required; /* null counts as absent */
	int64_t min, max;
	size_t offset;                   /* where the value goes in the struct */
	size_t present_offset;           /* where a bool says that the member came; 0: nowhere */
	const struct body_field *fields; /* BODY_OBJECT: its table */
	size_t field_count;
};

/*
 * Reads a JSON object into *ret_struct, whose members keep their values when a
 * member is absent. On PROBLEM_INVALID_REQUEST ret_errors holds the members of
 * an `errors` array: {"pointer","detail"} per fault (text in the given
 * language). Strings live in the arena.
 */
[[nodiscard]] enum problem body_read(struct arena *arena, const char *bytes, size_t len,
    const struct body_field *fields, size_t field_count, enum language language, void *ret_struct,
    struct text *ret_errors);

/* A parsed foreign document. */
struct body_tree;

/* Parses bytes; NULL when they are not acceptable JSON. Free with body_tree_free. */
struct body_tree *body_tree_parse(const char *bytes, size_t len);
void body_tree_free(struct body_tree *tree);
static inline void
body_tree_cleanup(struct body_tree **tree)
{
	body_tree_free(*tree);
}
#define AUTO_BODY_TREE __attribute__((cleanup(body_tree_cleanup))) struct body_tree *

/*
 * A value inside a tree: NULL stands for absent, so lookups can be chained.
 * null members count as absent. Values live as long as their tree.
 */
struct body_value;
const struct body_value *body_root(const struct body_tree *tree);
const struct body_value *body_member(const struct body_value *object, const char *name);
const struct body_value *body_element(const struct body_value *array, size_t index);
size_t body_count(const struct body_value *array_or_object);
bool body_is_object(const struct body_value *value);
bool body_is_array(const struct body_value *value);
/* The string, or NULL when it is absent or not a string. */
const char *body_string(const struct body_value *value);
/* False when it is absent or no integer within +-(2^53 - 1). */
bool body_integer(const struct body_value *value, int64_t *ret_integer);
/* The boolean, or fallback when it is absent or no boolean. */
bool body_boolean(const struct body_value *value, bool fallback);
/* The value as JSON again, in the arena; NULL when it is absent. */
const char *body_print(struct arena *arena, const struct body_value *value);

#endif
