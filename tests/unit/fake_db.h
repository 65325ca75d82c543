/*
 * Stands in for service/db in tests of what is written from rows: it answers
 * with prepared rows and keeps what it was asked. Include it once per program;
 * the linker then leaves the real module out.
 */
#ifndef SHOTAI_FAKE_DB_H
#define SHOTAI_FAKE_DB_H

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "service/db.h"

#define FAKE_COLUMNS 32
#define FAKE_PARAMETERS 12

/* columns ends with NULL; cells holds rows x columns texts. */
struct db_result {
	const char *columns[FAKE_COLUMNS];
	size_t rows;
	const char *const *cells;
};

static struct {
	enum problem problem;
	struct db_refusal refusal;
	struct db_result *result;
	const char *sql;
	const char *parameters[FAKE_PARAMETERS];
	size_t count;
} fake_db;

enum problem
db_call(struct db *db, struct arena *arena, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	(void)db;
	assert(count <= FAKE_PARAMETERS);
	fake_db.sql = statement->sql;
	fake_db.count = count;
	for (size_t i = 0; i < count; i++)
		fake_db.parameters[i] = arena_strdup(arena, parameters[i]);
	if (fake_db.problem != PROBLEM_NONE) {
		if (ret_refusal != NULL)
			*ret_refusal = fake_db.refusal;
		return fake_db.problem;
	}
	*ret_result = fake_db.result;
	return PROBLEM_NONE;
}

void
db_result_free(struct db_result *result)
{
	(void)result;
}

size_t
db_rows(const struct db_result *result)
{
	return result->rows;
}

const char *
db_text(const struct db_result *result, size_t row, const char *column)
{
	size_t count = 0, found = FAKE_COLUMNS;
	for (; result->columns[count] != NULL; count++)
		if (strcmp(result->columns[count], column) == 0)
			found = count;
	assert(found < count && row < result->rows);
	return result->cells[row * count + found];
}

int64_t
db_integer(const struct db_result *result, size_t row, const char *column)
{
	const char *text = db_text(result, row, column);
	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

bool
db_boolean(const struct db_result *result, size_t row, const char *column)
{
	const char *text = db_text(result, row, column);
	return text != NULL && strcmp(text, "t") == 0;
}

const char *
db_parameter(struct arena *arena, int64_t value)
{
	return arena_printf(arena, "%" PRId64, value);
}

const char *
db_array(struct arena *arena, const char *const *items, size_t count)
{
	struct text array;
	text_init(&array, arena, 4096);
	text_add(&array, "{");
	for (size_t i = 0; i < count; i++)
		text_printf(&array, "%s\"%s\"", i > 0 ? "," : "", items[i]);
	text_add(&array, "}");
	return array.data;
}

#endif
