#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define FIRST_SIZE 256

void
text_init(struct text *text, struct arena *arena, size_t max)
{
	*text = (struct text){.arena = arena, .max = max < SIZE_MAX ? max : SIZE_MAX - 1};
	text->cap = max < FIRST_SIZE ? max : FIRST_SIZE;
	text->data = arena_alloc(arena, text->cap + 1);
}

bool
text_reserve(struct text *text, size_t more)
{
	size_t cap;
	char *grown;

	if (text->overflow || more > text->max - text->len) {
		text->overflow = true;
		return false;
	}
	if (more <= text->cap - text->len)
		return true;
	cap = text->cap > text->max / 2 ? text->max : text->cap * 2;
	if (cap < text->len + more)
		cap = text->len + more;
	grown = arena_alloc(text->arena, cap + 1);
	memcpy(grown, text->data, text->len);
	text->data = grown;
	text->cap = cap;
	return true;
}

void
text_add_bytes(struct text *text, const void *bytes, size_t len)
{
	if (len == 0 || !text_reserve(text, len))
		return;
	memcpy(text->data + text->len, bytes, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void
text_add(struct text *text, const char *string)
{
	text_add_bytes(text, string, strlen(string));
}

void
text_printf(struct text *text, const char *format, ...)
{
	va_list arguments, again;
	int len;

	va_start(arguments, format);
	va_copy(again, arguments);
	len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (len < 0)
		abort();
	if (text_reserve(text, (size_t)len)) {
		vsnprintf(text->data + text->len, (size_t)len + 1, format, again);
		text->len += (size_t)len;
	}
	va_end(again);
}

void
text_add_html(struct text *text, const char *string)
{
	static const char special[] = "&<>\"'";
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

	while (*string != '\0') {
		size_t plain = strcspn(string, special);

		text_add_bytes(text, string, plain);
		string += plain;
		if (*string != '\0')
			text_add(text, entities[strchr(special, *string++) - special]);
	}
}

size_t
text_utf8(const char *bytes, size_t len)
{
	const unsigned char *b = (const unsigned char *)bytes;
	size_t size;

	if (len == 0)
		return 0;
	if (b[0] < 0x80)
		return 1;
	size = b[0] >= 0xc2 && b[0] <= 0xdf ? 2 : (b[0] & 0xf0) == 0xe0 ? 3 : b[0] >= 0xf0 && b[0] <= 0xf4 ? 4 : 0;
	if (size == 0 || len < size)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies past U+10FFFF. */
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf0 && b[1] < 0x90) ||
	    (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return size;
}

size_t
text_code_points(const char *string)
{
	size_t count = 0;
	for (; *string != '\0'; string++)
		count += ((unsigned char)*string & 0xc0) != 0x80;
	return count;
}

bool
text_is_blank(const char *string)
{
	while (isspace((unsigned char)*string))
		string++;
	return *string == '\0';
}

static void
json_escape(struct text *text, unsigned char c)
{
	static const char escapes[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

	if (c == '"' || c == '\\')
		text_printf(text, "\\%c", c);
	else if (c < sizeof escapes && escapes[c] != '\0')
		text_printf(text, "\\%c", escapes[c]);
	else
		text_printf(text, "\\u%04x", c);
}

static void
json_quote(struct text *text, const char *string)
{
	size_t len = strlen(string), start = 0, i = 0;

	text_add(text, "\"");
	while (i < len) {
		unsigned char c = (unsigned char)string[i];
		size_t size = text_utf8(string + i, len - i);
		bool separator =
		    size == 3 && (memcmp(string + i, "\u2028", 3) == 0 || memcmp(string + i, "\u2029", 3) == 0);

		if (size > 0 && c >= 0x20 && c != 0x7f && c != '"' && c != '\\' && !separator) {
			i += size;
			continue;
		}
		text_add_bytes(text, string + start, i - start);
		if (size == 0)
			text_add(text, "\uFFFD");
		else if (separator)
			text_add(text, string[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
		else
			json_escape(text, c);
		i += size == 0 ? 1 : size;
		start = i;
	}
	text_add_bytes(text, string + start, i - start);
	text_add(text, "\"");
}

static void
json_key(struct text *text, const char *key)
{
	if (text->comma)
		text_add(text, ",");
	text->comma = true;
	if (key != NULL) {
		json_quote(text, key);
		text_add(text, ":");
	}
}

void
text_json_open(struct text *text, const char *key, char bracket)
{
	json_key(text, key);
	text_add_bytes(text, &bracket, 1);
	text->comma = false;
}

void
text_json_close(struct text *text, char bracket)
{
	text_add_bytes(text, &bracket, 1);
	text->comma = true;
}

void
text_json_string(struct text *text, const char *key, const char *value)
{
	json_key(text, key);
	if (value == NULL)
		text_add(text, "null");
	else
		json_quote(text, value);
}

void
text_json_int(struct text *text, const char *key, int64_t value)
{
	json_key(text, key);
	text_printf(text, "%" PRId64, value);
}

void
text_json_bool(struct text *text, const char *key, bool value)
{
	json_key(text, key);
	text_add(text, value ? "true" : "false");
}

void
text_json_raw(struct text *text, const char *key, const char *json)
{
	json_key(text, key);
	text_add(text, json == NULL ? "null" : json);
}
