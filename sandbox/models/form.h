/*
 * The members of a request, the same whether they came as JSON or as
 * multipart/form-data.
 */
#ifndef SANDBOX_FORM_H
#define SANDBOX_FORM_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_BOOLEAN, FIELD_FILE, FIELD_OTHER };

struct field {
	enum field_kind kind;
	const char *name;
	const char *value; /* NUL-terminated; of a file its bytes */
	size_t len;
};

#define FORM_FIELDS_MAX 64

struct form {
	struct field fields[FORM_FIELDS_MAX];
	size_t count;
};

/* False when the body is not of that type. JSON's images[].image_url data URLs become files named "images". */
bool form_read_json(struct arena *arena, const char *body, size_t len, struct form *ret_form);
bool form_read_multipart(
    struct arena *arena, const char *content_type, const char *body, size_t len, struct form *ret_form);
/* The first field of that name, or NULL. */
const struct field *form_find(const struct form *form, const char *name);

#endif
