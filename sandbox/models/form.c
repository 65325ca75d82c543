#include "form.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/digest.h"

static void
json_cleanup(cJSON **json)
{
	cJSON_Delete(*json);
}
#define AUTO_CJSON __attribute__((cleanup(json_cleanup))) cJSON *

static bool
form_add(struct form *form, struct field field)
{
	if (form->count == FORM_FIELDS_MAX)
		return false;
	form->fields[form->count++] = field;
	return true;
}

static bool
add_json_images(struct arena *arena, const cJSON *images, struct form *form)
{
	const cJSON *entry;
	cJSON_ArrayForEach(entry, images)
	{
		const char *url = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "image_url"));
		const char *comma = url != NULL && strncmp(url, "data:image/", 11) == 0 ? strchr(url, ',') : NULL;
		uint8_t *bytes = NULL;
		size_t len = 0;
		if (comma == NULL || !digest_base64_decode(arena, comma + 1, strlen(comma + 1), &bytes, &len))
			return form_add(form, (struct field){.kind = FIELD_OTHER, .name = "images"});
		if (!form_add(form, (struct field){FIELD_FILE, "images", (const char *)bytes, len}))
			return false;
	}
	return true;
}

static bool
add_json_member(struct arena *arena, const cJSON *member, struct form *form)
{
	const char *name = arena_strdup(arena, member->string);
	struct field field = {.kind = FIELD_OTHER, .name = name, .value = ""};
	if (cJSON_IsNull(member))
		return true;
	if (cJSON_IsArray(member) && strcmp(name, "images") == 0)
		return add_json_images(arena, member, form);
	if (cJSON_IsString(member)) {
		field.kind = FIELD_TEXT;
		field.value = arena_strdup(arena, member->valuestring);
	} else if (cJSON_IsNumber(member)) {
		field.kind = FIELD_NUMBER;
		field.value = arena_printf(arena, "%.17g", member->valuedouble);
	} else if (cJSON_IsBool(member)) {
		field.kind = FIELD_BOOLEAN;
		field.value = cJSON_IsTrue(member) ? "true" : "false";
	}
	field.len = strlen(field.value);
	return form_add(form, field);
}

bool
form_read_json(struct arena *arena, const char *body, size_t len, struct form *ret_form)
{
	AUTO_CJSON root = cJSON_ParseWithLengthOpts(body, len + 1, NULL, 1);
	if (!cJSON_IsObject(root))
		return false;
	const cJSON *member;
	cJSON_ArrayForEach(member, root)
	{
		if (!add_json_member(arena, member, ret_form))
			return false;
	}
	return true;
}

/* The value of name="..." in a part's head. */
static const char *
parameter(struct arena *arena, const char *head, size_t len, const char *name)
{
	const char *key = arena_printf(arena, "%s=\"", name);
	const char *start = memmem(head, len, key, strlen(key));
	/* filename=" ends like name=": the one that a blank or semicolon precedes is meant. */
	while (start != NULL && start > head && start[-1] != ' ' && start[-1] != ';')
		start = memmem(start + 1, len - (size_t)(start + 1 - head), key, strlen(key));
	if (start == NULL)
		return NULL;
	start += strlen(key);
	const char *end = memchr(start, '"', len - (size_t)(start - head));
	return end == NULL ? NULL : arena_strndup(arena, start, (size_t)(end - start));
}

static bool
add_part(struct arena *arena, const char *part, size_t len, struct form *form)
{
	const char *end = memmem(part, len, "\r\n\r\n", 4);
	if (end == NULL)
		return false;
	size_t head = (size_t)(end - part), rest = len - head - 4;
	const char *name = parameter(arena, part, head, "name");
	if (name == NULL)
		return false;
	bool file = parameter(arena, part, head, "filename") != NULL;
	char *value = arena_alloc(arena, rest + 1);
	memcpy(value, end + 4, rest);
	return form_add(form, (struct field){file ? FIELD_FILE : FIELD_TEXT, name, value, rest});
}

bool
form_read_multipart(struct arena *arena, const char *content_type, const char *body, size_t len, struct form *ret_form)
{
	const char *given = strstr(content_type, "boundary=");
	if (given == NULL)
		return false;
	given += 9;
	bool quoted = *given == '"';
	given += quoted;
	const char *mark = arena_printf(arena, "\r\n--%.*s", (int)strcspn(given, quoted ? "\"" : "; \t"), given);
	size_t mark_len = strlen(mark);
	if (mark_len < 5 || len < mark_len || memcmp(body, mark + 2, mark_len - 2) != 0)
		return false;
	const char *at = body + mark_len - 2, *stop = body + len;
	while (stop - at >= 2 && memcmp(at, "\r\n", 2) == 0) {
		const char *next = memmem(at, (size_t)(stop - at), mark, mark_len);
		if (next == NULL || next < at + 2 || !add_part(arena, at + 2, (size_t)(next - at) - 2, ret_form))
			return false;
		at = next + mark_len;
	}
	return stop - at >= 2 && memcmp(at, "--", 2) == 0;
}

const struct field *
form_find(const struct form *form, const char *name)
{
	for (size_t i = 0; i < form->count; i++)
		if (strcmp(form->fields[i].name, name) == 0)
			return &form->fields[i];
	return NULL;
}
