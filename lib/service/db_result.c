#include <inttypes.h>
#include <libpq-fe.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "service/db.h"

/* struct db_result is PGresult under another name, so that no other module sees libpq. */
static const PGresult *
result_of(const struct db_result *result)
{
	return (const PGresult *)result;
}

void
db_result_free(struct db_result *result)
{
	PQclear((PGresult *)result);
}

size_t
db_rows(const struct db_result *result)
{
	return (size_t)PQntuples(result_of(result));
}

const char *
db_text(const struct db_result *result, size_t row, const char *column)
{
	int number = PQfnumber(result_of(result), column);

	if (number < 0 || row >= db_rows(result)) {
		log_event(LOG_ERROR, "db_column", "missing", column, NULL);
		abort();
	}
	if (PQgetisnull(result_of(result), (int)row, number))
		return NULL;
	return PQgetvalue(result_of(result), (int)row, number);
}

int64_t
db_integer(const struct db_result *result, size_t row, const char *column)
{
	const char *text = db_text(result, row, column);

	return text == NULL ? 0 : strtoimax(text, NULL, 10);
}

bool
db_boolean(const struct db_result *result, size_t row, const char *column)
{
	const char *text = db_text(result, row, column);

	return text != NULL && *text == 't';
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

	text_init(&array, arena, SIZE_MAX);
	text_add(&array, "{");
	for (size_t i = 0; i < count; i++) {
		text_add(&array, i == 0 ? "\"" : ",\"");
		for (const char *c = items[i]; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				text_add(&array, "\\");
			text_add_bytes(&array, c, 1);
		}
		text_add(&array, "\"");
	}
	text_add(&array, "}");
	return array.data;
}
