/*
 * A string builder that cannot overflow, and the JSON writer on top of it.
 *
 * A text is born with a maximum; what does not fit sets `overflow` and is
 * dropped, so a caller checks once, at the end. Bytes live in the arena and
 * are always NUL-terminated.
 */
#ifndef SHOTAI_TEXT_H
#define SHOTAI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct text {
	struct arena *arena;
	char *data; /* NUL-terminated, never NULL after text_init */
	size_t len, cap, max;
	bool overflow;
	bool comma; /* JSON: a member or element precedes at this level */
};

void text_init(struct text *text, struct arena *arena, size_t max);
/* Makes room for more bytes at once; false (and overflow) when they exceed the maximum. */
bool text_reserve(struct text *text, size_t more);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *bytes, size_t len);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Escapes for HTML text and double-quoted attributes. */
void text_add_html(struct text *text, const char *string);

/* Length in bytes of the UTF-8 character at the start of bytes; 0 when there is none or it is malformed. */
size_t text_utf8(const char *bytes, size_t len);
/* Code points of well-formed UTF-8. */
size_t text_code_points(const char *string);
/* Nothing but ASCII white space, or nothing at all. */
bool text_is_blank(const char *string);

/*
 * JSON. key is the member's name, or NULL inside an array and at the top.
 * text_json_string writes null for a NULL value and replaces invalid UTF-8 by
 * U+FFFD. text_json_raw inserts finished JSON, null for NULL.
 */
void text_json_open(struct text *text, const char *key, char bracket);
void text_json_close(struct text *text, char bracket);
void text_json_string(struct text *text, const char *key, const char *value);
void text_json_int(struct text *text, const char *key, int64_t value);
void text_json_bool(struct text *text, const char *key, bool value);
void text_json_raw(struct text *text, const char *key, const char *json);

#endif
