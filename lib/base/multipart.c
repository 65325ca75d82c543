#include "base/multipart.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

#define BOUNDARY_MAX 70
#define HEADER_MAX 2048
#define HEADERS_MAX 8
#define TOKEN "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define BOUNDARY " '()+_,-./:=?0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* The value at *at, a token or a quoted string, which is moved behind it; NULL when there is none. */
static const char *
read_value(struct arena *arena, const char **at)
{
	const char *from = *at;
	if (*from != '"') {
		size_t len = strspn(from, TOKEN);
		*at = from + len;
		return len > 0 ? arena_strndup(arena, from, len) : NULL;
	}
	char *value = arena_alloc(arena, strlen(from) + 1);
	size_t len = 0;
	for (from++; *from != '"'; from++) {
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		if (*from == '\0')
			return NULL;
		value[len++] = *from;
	}
	*at = from + 1;
	return value;
}

/*
 * The value of a parameter in the rest of a header, after its first word. NULL
 * in *ret_value when it is absent; false when the rest is malformed or names
 * the parameter twice.
 */
static bool
read_parameter(struct arena *arena, const char *rest, const char *name, const char **ret_value)
{
	const char *found = NULL;
	for (rest += strspn(rest, " \t"); *rest == ';'; rest += strspn(rest, " \t")) {
		rest++;
		rest += strspn(rest, " \t");
		size_t len = strspn(rest, TOKEN);
		bool wanted = len == strlen(name) && strncasecmp(rest, name, len) == 0;
		if (len == 0 || rest[len] != '=' || (wanted && found != NULL))
			return false;
		rest += len + 1;
		const char *value = read_value(arena, &rest);
		if (value == NULL)
			return false;
		if (wanted)
			found = value;
	}
	*ret_value = found;
	return *rest == '\0';
}

/* What follows the word that a header's value begins with; NULL when it begins with another. */
static const char *
after_word(const char *value, const char *word)
{
	size_t len = strlen(word);
	if (strncasecmp(value, word, len) != 0 || strchr("; \t", value[len]) == NULL)
		return NULL;
	return value + len;
}

static const char *
read_boundary(struct arena *arena, const char *content_type)
{
	const char *rest = after_word(content_type, "multipart/form-data"), *boundary = NULL;
	if (rest == NULL || !read_parameter(arena, rest, "boundary", &boundary) || boundary == NULL)
		return NULL;
	size_t len = strlen(boundary);
	if (len == 0 || len > BOUNDARY_MAX || strspn(boundary, BOUNDARY) != len || boundary[len - 1] == ' ')
		return NULL;
	return boundary;
}

struct reader {
	struct arena *arena;
	const char *at, *end;
};

static bool
take(struct reader *reader, const char *text)
{
	size_t len = strlen(text);
	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
		return false;
	reader->at += len;
	return true;
}

/* A line without its CRLF; NULL when none ends in time or a byte in it is a control character. */
static const char *
take_line(struct reader *reader)
{
	size_t left = (size_t)(reader->end - reader->at);
	const char *end = memmem(reader->at, left < HEADER_MAX ? left : HEADER_MAX, "\r\n", 2);
	if (end == NULL)
		return NULL;
	for (const char *c = reader->at; c < end; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return NULL;
	const char *line = arena_strndup(reader->arena, reader->at, (size_t)(end - reader->at));
	reader->at = end + 2;
	return line;
}

struct part {
	const char *disposition, *content_type;
};

/* False for a header that is malformed, repeated, or says that the content is not what it is. */
static bool
read_header(struct reader *reader, const char *line, struct part *part)
{
	size_t len = strspn(line, TOKEN);
	if (len == 0 || line[len] != ':')
		return false;
	const char *name = arena_strndup(reader->arena, line, len), *value = line + len + 1;
	value += strspn(value, " \t");
	if (strcasecmp(name, "content-transfer-encoding") == 0)
		return strcasecmp(value, "binary") == 0 || strcasecmp(value, "8bit") == 0;
	const char **place = strcasecmp(name, "content-disposition") == 0 ? &part->disposition
			     : strcasecmp(name, "content-type") == 0      ? &part->content_type
									  : NULL;
	if (place == NULL)
		return true;
	bool first = *place == NULL;
	*place = value;
	return first;
}

static bool
read_headers(struct reader *reader, struct part *part)
{
	for (int i = 0; i <= HEADERS_MAX; i++) {
		const char *line = take_line(reader);
		if (line == NULL)
			return false;
		if (*line == '\0')
			return true;
		if (!read_header(reader, line, part))
			return false;
	}
	return false;
}

static bool
is_field(struct arena *arena, const char *disposition, const char *field)
{
	const char *rest = disposition != NULL ? after_word(disposition, "form-data") : NULL, *name = NULL;
	return rest != NULL && read_parameter(arena, rest, "name", &name) && name != NULL && strcmp(name, field) == 0;
}

enum problem
multipart_read(struct arena *arena, const char *content_type, const char *body, size_t len, const char *field,
    struct multipart_file *ret_file)
{
	struct reader reader = {.arena = arena, .at = body, .end = body + len};
	struct part part = {0};
	const char *boundary = read_boundary(arena, content_type);
	if (boundary == NULL)
		return PROBLEM_INVALID_REQUEST;
	const char *delimiter = arena_printf(arena, "\r\n--%s", boundary);
	if (!take(&reader, delimiter + 2) || !take(&reader, "\r\n") || !read_headers(&reader, &part) ||
	    !is_field(arena, part.disposition, field))
		return PROBLEM_INVALID_REQUEST;
	const char *content = reader.at;
	const char *end = memmem(content, (size_t)(reader.end - content), delimiter, strlen(delimiter));
	if (end == NULL)
		return PROBLEM_INVALID_REQUEST;
	reader.at = end + strlen(delimiter);
	if (!take(&reader, "--") || (!take(&reader, "\r\n") && reader.at != reader.end) || reader.at != reader.end)
		return PROBLEM_INVALID_REQUEST;
	*ret_file = (struct multipart_file){
	    .content_type = part.content_type, .bytes = content, .len = (size_t)(end - content)};
	return PROBLEM_NONE;
}
