#include "base/body.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/body_tree.h"
#include "base/text.h"

#define ERRORS_MAX 16

enum fault {
	FAULT_JSON,
	FAULT_OBJECT,
	FAULT_REPEATED,
	FAULT_UNKNOWN,
	FAULT_REQUIRED,
	FAULT_STRING,
	FAULT_CHARACTER,
	FAULT_SHORT,
	FAULT_LONG,
	FAULT_INTEGER,
	FAULT_RANGE,
	FAULT_BOOLEAN,
	FAULT_UUID,
	FAULT_UUIDS,
	FAULT_ITEMS,
	FAULT__COUNT
};

/* The words before, between and after the numbers of a fault. */
static const char *const details[FAULT__COUNT][LANGUAGE__COUNT][3] = {
    [FAULT_JSON] = {{"is not valid JSON"}, {"is geen geldige JSON"}},
    [FAULT_OBJECT] = {{"must be an object"}, {"moet een object zijn"}},
    [FAULT_REPEATED] = {{"appears more than once"}, {"komt meer dan eens voor"}},
    [FAULT_UNKNOWN] = {{"is not a known member"}, {"is geen bekend veld"}},
    [FAULT_REQUIRED] = {{"is required"}, {"is verplicht"}},
    [FAULT_STRING] = {{"must be a string"}, {"moet tekst zijn"}},
    [FAULT_CHARACTER] = {{"holds a control character"}, {"bevat een stuurteken"}},
    [FAULT_SHORT] = {{"must have at least ", " characters"}, {"moet minstens ", " tekens hebben"}},
    [FAULT_LONG] = {{"must have at most ", " characters"}, {"mag hoogstens ", " tekens hebben"}},
    [FAULT_INTEGER] = {{"must be a whole number"}, {"moet een geheel getal zijn"}},
    [FAULT_RANGE] = {{"must be from ", " to ", ""}, {"moet van ", " tot en met ", " zijn"}},
    [FAULT_BOOLEAN] = {{"must be true or false"}, {"moet true of false zijn"}},
    [FAULT_UUID] = {{"must be a UUID"}, {"moet een UUID zijn"}},
    [FAULT_UUIDS] = {{"must be an array of UUIDs"}, {"moet een lijst van UUID's zijn"}},
    [FAULT_ITEMS] = {{"must hold from ", " to ", " items"}, {"moet ", " tot en met ", " onderdelen hebben"}},
};

struct reader {
	struct arena *arena;
	enum language language;
	struct text *errors;
	size_t error_count;
	char *to; /* the struct being filled */
};

static void
fault(struct reader *reader, const char *pointer, enum fault kind, int64_t first, int64_t second)
{
	const char *const *words = details[kind][reader->language];
	struct text *errors = reader->errors, before = *errors, detail;

	if (reader->error_count++ >= ERRORS_MAX)
		return;
	text_init(&detail, reader->arena, 200);
	text_add(&detail, words[0]);
	if (words[1] != NULL)
		text_printf(&detail, "%" PRId64 "%s", first, words[1]);
	if (words[2] != NULL)
		text_printf(&detail, "%" PRId64 "%s", second, words[2]);
	text_json_open(errors, NULL, '{');
	text_json_string(errors, "pointer", pointer);
	text_json_string(errors, "detail", detail.data);
	text_json_close(errors, '}');
	if (errors->overflow) {
		/* Whole entries or none. */
		*errors = before;
		errors->data[errors->len] = '\0';
	}
}

static void
store(struct reader *reader, const struct body_field *field, const void *value, size_t size)
{
	memcpy(reader->to + field->offset, value, size);
}

typedef bool read_kind(struct reader *reader, const cJSON *item, const struct body_field *field, const char *pointer);

/* False when a control character but \n and \t is among them. */
static bool
count_characters(const char *string, int64_t *ret_count)
{
	size_t len = strlen(string), size;
	int64_t count = 0;

	for (size_t i = 0; i < len; i += size, count++) {
		unsigned char c = (unsigned char)string[i];
		bool c1 = c == 0xc2 && (unsigned char)string[i + 1] < 0xa0;

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || c1)
			return false;
		size = text_utf8(string + i, len - i);
		assert(size > 0);
	}
	*ret_count = count;
	return true;
}

static bool
read_string(struct reader *reader, const cJSON *item, const struct body_field *field, const char *pointer)
{
	const char *copy;
	int64_t count;

	assert(field->max > 0);
	if (!cJSON_IsString(item)) {
		fault(reader, pointer, FAULT_STRING, 0, 0);
	} else if (!count_characters(item->valuestring, &count)) {
		fault(reader, pointer, FAULT_CHARACTER, 0, 0);
	} else if (count < field->min) {
		fault(reader, pointer, FAULT_SHORT, field->min, 0);
	} else if (count > field->max) {
		fault(reader, pointer, FAULT_LONG, field->max, 0);
	} else {
		copy = arena_strdup(reader->arena, item->valuestring);
		store(reader, field, &copy, sizeof copy);
		return true;
	}
	return false;
}

static bool
read_integer(struct reader *reader, const cJSON *item, const struct body_field *field, const char *pointer)
{
	int64_t value;

	if (!body_integer((const struct body_value *)item, &value)) {
		fault(reader, pointer, FAULT_INTEGER, 0, 0);
		return false;
	}
	if (value < field->min || value > field->max) {
		fault(reader, pointer, FAULT_RANGE, field->min, field->max);
		return false;
	}
	store(reader, field, &value, sizeof value);
	return true;
}

static bool
read_boolean(struct reader *reader, const cJSON *item, const struct body_field *field, const char *pointer)
{
	bool value = cJSON_IsTrue(item);

	if (!cJSON_IsBool(item)) {
		fault(reader, pointer, FAULT_BOOLEAN, 0, 0);
		return false;
	}
	store(reader, field, &value, sizeof value);
	return true;
}

/* The UUID in lower case, or NULL. */
static const char *
uuid_of(struct arena *arena, const cJSON *item)
{
	const char *string = cJSON_GetStringValue(item);
	char *uuid;

	if (string == NULL || strlen(string) != 36)
		return NULL;
	uuid = arena_strdup(arena, string);
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? uuid[i] != '-' : !isxdigit((unsigned char)uuid[i]))
			return NULL;
		uuid[i] = (char)tolower((unsigned char)uuid[i]);
	}
	return uuid;
}

static bool
read_uuid(struct reader *reader, const cJSON *item, const struct body_field *field, const char *pointer)
{
	const char *uuid = uuid_of(reader->arena, item);

	if (uuid == NULL) {
		fault(reader, pointer, FAULT_UUID, 0, 0);
		return false;
	}
	store(reader, field, &uuid, sizeof uuid);
	return true;
}

static bool
list_holds(const struct body_list *list, const char *item)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], item) == 0)
			return true;
	return false;
}

static bool
read_uuids(struct reader *reader, const cJSON *item, const struct body_field *field, const char *pointer)
{
	struct body_list list = {.count = 0};
	const cJSON *element;
	int64_t count = cJSON_GetArraySize(item);

	if (!cJSON_IsArray(item)) {
		fault(reader, pointer, FAULT_UUIDS, 0, 0);
		return false;
	}
	if (count < field->min || count > field->max) {
		fault(reader, pointer, FAULT_ITEMS, field->min, field->max);
		return false;
	}
	list.items = arena_array(reader->arena, (size_t)count, sizeof *list.items);
	cJSON_ArrayForEach(element, item)
	{
		const char *uuid = uuid_of(reader->arena, element);

		if (uuid == NULL || list_holds(&list, uuid)) {
			fault(reader, arena_printf(reader->arena, "%s/%zu", pointer, list.count),
			    uuid == NULL ? FAULT_UUID : FAULT_REPEATED, 0, 0);
			return false;
		}
		list.items[list.count++] = uuid;
	}
	store(reader, field, &list, sizeof list);
	return true;
}

static bool read_object(
    struct reader *reader, const cJSON *object, const struct body_field *table, const char *pointer);

static read_kind *const readers[BODY__COUNT] = {
    [BODY_STRING] = read_string,
    [BODY_INTEGER] = read_integer,
    [BODY_BOOLEAN] = read_boolean,
    [BODY_UUID] = read_uuid,
    [BODY_UUIDS] = read_uuids,
    [BODY_OBJECT] = read_object,
};

static void
refuse_unknown(struct reader *reader, const cJSON *object, const struct body_field *table, const char *pointer)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object)
	{
		size_t i = 0;

		while (i < table->field_count && strcmp(table->fields[i].name, member->string) != 0)
			i++;
		if (i == table->field_count)
			fault(
			    reader, body_tree_pointer(reader->arena, pointer, member->string, ""), FAULT_UNKNOWN, 0, 0);
	}
}

static bool
read_object(struct reader *reader, const cJSON *object, const struct body_field *table, const char *pointer)
{
	size_t faults = reader->error_count;

	if (!cJSON_IsObject(object)) {
		fault(reader, pointer, FAULT_OBJECT, 0, 0);
		return false;
	}
	refuse_unknown(reader, object, table, pointer);
	for (size_t i = 0; i < table->field_count; i++) {
		const struct body_field *field = &table->fields[i];
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field->name);
		const char *at = body_tree_pointer(reader->arena, pointer, field->name, "");
		const bool present = true;

		if (item == NULL || cJSON_IsNull(item)) {
			if (field->required)
				fault(reader, at, FAULT_REQUIRED, 0, 0);
		} else if (readers[field->kind](reader, item, field, at) && field->present_offset != 0) {
			memcpy(reader->to + field->present_offset, &present, sizeof present);
		}
	}
	return reader->error_count == faults;
}

enum problem
body_read(struct arena *arena, const char *bytes, size_t len, const struct body_field *fields, size_t field_count,
    enum language language, void *ret_struct, struct text *ret_errors)
{
	struct reader reader = {.arena = arena, .language = language, .errors = ret_errors, .to = ret_struct};
	const struct body_field table = {.kind = BODY_OBJECT, .fields = fields, .field_count = field_count};
	AUTO_CJSON root = body_tree_document(bytes, len);
	const char *duplicate = root == NULL ? NULL : body_tree_duplicate(arena, root);

	if (root == NULL)
		fault(&reader, "", FAULT_JSON, 0, 0);
	else if (duplicate != NULL)
		fault(&reader, duplicate, FAULT_REPEATED, 0, 0);
	else if (read_object(&reader, root, &table, ""))
		return PROBLEM_NONE;
	return PROBLEM_INVALID_REQUEST;
}
