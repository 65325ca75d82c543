#include "base/delivery_status.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

#define DIGITS "0123456789"
#define BOUNDARY_MAX 70

/* Bytes that are still to be read. */
struct slice {
	const char *at, *end;
};

struct field {
	const char *name, *value; /* unfolded, without blanks around it */
};

static bool
is_status(const char *text)
{
	size_t subject, detail;

	if (strchr("245", text[0]) == NULL || text[0] == '\0' || text[1] != '.')
		return false;
	subject = strspn(text + 2, DIGITS);
	if (subject < 1 || subject > 3 || text[2 + subject] != '.')
		return false;
	detail = strspn(text + 3 + subject, DIGITS);
	return detail >= 1 && detail <= 3 && text[3 + subject + detail] == '\0';
}

bool
delivery_status_is_final(const char *status)
{
	/* A full mailbox, a mail that is too long, a list that fails: another mail may arrive. */
	static const char *const passing[] = {"5.2.2", "5.2.3", "5.2.4"};

	if (!is_status(status) || status[0] != '5' || status[3] != '.' || strchr("0124", status[2]) == NULL)
		return false;
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (strcmp(status, passing[i]) == 0)
			return false;
	return true;
}

bool
delivery_status_refuses(const char *reply, size_t len, char ret_status[static DELIVERY_STATUS_MAX])
{
	char word[DELIVERY_STATUS_MAX] = {0};

	if (len < 3 || reply[0] != '5' || !isdigit((unsigned char)reply[1]) || !isdigit((unsigned char)reply[2]))
		return false;
	for (size_t i = 4; i < len && i - 4 < sizeof word - 1 && strchr(DIGITS ".", reply[i]) != NULL; i++)
		word[i - 4] = reply[i];
	bool enhanced = is_status(word);
	if (!enhanced) {
		memcpy(word, reply, 3);
		word[3] = '\0';
	}
	if (enhanced ? !delivery_status_is_final(word)
		     : strcmp(word, "550") != 0 && strcmp(word, "551") != 0 && strcmp(word, "553") != 0)
		return false;
	memcpy(ret_status, word, sizeof word);
	return true;
}

/* The next line without its end; false when there is none. */
static bool
next_line(struct slice *rest, struct slice *ret_line)
{
	if (rest->at == rest->end)
		return false;
	const char *end = memchr(rest->at, '\n', (size_t)(rest->end - rest->at));
	*ret_line = (struct slice){rest->at, end != NULL ? end : rest->end};
	rest->at = end != NULL ? end + 1 : rest->end;
	if (ret_line->end > ret_line->at && ret_line->end[-1] == '\r')
		ret_line->end--;
	return true;
}

static const char *
trimmed(struct arena *arena, struct slice text)
{
	while (text.at < text.end && isspace((unsigned char)*text.at))
		text.at++;
	while (text.end > text.at && isspace((unsigned char)text.end[-1]))
		text.end--;
	return arena_strndup(arena, text.at, (size_t)(text.end - text.at));
}

/* The next field of a block; false at the blank line that ends it, which is passed, or at the end. */
static bool
next_field(struct arena *arena, struct slice *rest, struct field *ret_field)
{
	struct slice line, more;

	if (!next_line(rest, &line) || line.at == line.end)
		return false;
	const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
	struct slice value = {colon != NULL ? colon + 1 : line.end, line.end};
	while (rest->at < rest->end && (*rest->at == ' ' || *rest->at == '\t') && next_line(rest, &more))
		value.end = more.end;
	ret_field->name = trimmed(arena, (struct slice){line.at, colon != NULL ? colon : line.end});
	ret_field->value = trimmed(arena, value);
	return true;
}

static bool
is_named(const struct field *field, const char *name)
{
	return strcasecmp(field->name, name) == 0;
}

/* A parameter of a Content-Type; NULL when it has none of that name. */
static const char *
parameter(struct arena *arena, const char *type, const char *name)
{
	for (const char *at = type + strcspn(type, ";"); *at == ';';) {
		at++;
		at += strspn(at, " \t\r\n");
		size_t len = strcspn(at, "=;");
		bool wanted = len == strlen(name) && strncasecmp(at, name, len) == 0;
		at += len;
		if (*at == '=')
			at++;
		bool quoted = *at == '"';
		at += quoted;
		len = strcspn(at, quoted ? "\"" : "; \t\r\n");
		if (wanted)
			return arena_strndup(arena, at, len);
		at += len;
		at += strcspn(at, ";");
	}
	return NULL;
}

static bool
is_type(const char *type, const char *wanted)
{
	return strncasecmp(type, wanted, strlen(wanted)) == 0 && strchr("; \t\r\n", type[strlen(wanted)]) != NULL;
}

/* The fields at the start of what is left of a block, as far as they say what it holds; "" when they do not. */
static const char *
read_type(struct arena *arena, struct slice *rest)
{
	struct field field;
	const char *type = "";

	while (next_field(arena, rest, &field))
		if (is_named(&field, "Content-Type"))
			type = field.value;
	return type;
}

/* Passes the lines up to the next one that opens a part, or all; *ret_part is what was passed. False when none is left.
 */
static bool
next_part(struct slice *rest, const char *boundary, struct slice *ret_part)
{
	size_t len = strlen(boundary);
	struct slice line;

	ret_part->at = rest->at;
	for (const char *before = rest->at; next_line(rest, &line); before = rest->at) {
		if ((size_t)(line.end - line.at) < len + 2 || memcmp(line.at, "--", 2) != 0 ||
		    memcmp(line.at + 2, boundary, len) != 0)
			continue;
		ret_part->end = before;
		return true;
	}
	ret_part->end = rest->end;
	return ret_part->at < ret_part->end;
}

/* The status of the first recipient whose delivery failed; each has a block of fields, after one about the mail. */
static const char *
read_failure(struct arena *arena, struct slice part)
{
	while (part.at < part.end) {
		const char *status = NULL;
		bool failed = false;
		for (struct field field; next_field(arena, &part, &field);) {
			failed = failed || (is_named(&field, "Action") && strcasecmp(field.value, "failed") == 0);
			if (is_named(&field, "Status"))
				status = arena_strndup(arena, field.value, strcspn(field.value, " \t("));
		}
		if (failed && status != NULL && is_status(status))
			return status;
	}
	return NULL;
}

static const char *
read_message_id(struct arena *arena, struct slice part)
{
	for (struct field field; next_field(arena, &part, &field);)
		if (is_named(&field, "Message-ID") && field.value[0] == '<')
			return arena_strndup(arena, field.value + 1, strcspn(field.value + 1, ">"));
	return NULL;
}

static void
read_part(struct arena *arena, struct slice part, struct delivery_status *status)
{
	const char *type = read_type(arena, &part);

	if (is_type(type, "message/delivery-status") && status->status == NULL)
		status->status = read_failure(arena, part);
	else if ((is_type(type, "message/rfc822") || is_type(type, "text/rfc822-headers")) &&
		 status->message_id == NULL)
		status->message_id = read_message_id(arena, part);
}

bool
delivery_status_read(struct arena *arena, const char *bytes, size_t len, struct delivery_status *ret_status)
{
	struct slice rest = {bytes, bytes + len}, part;
	struct delivery_status status = {0};
	const char *type = read_type(arena, &rest);
	const char *boundary = parameter(arena, type, "boundary"), *report = parameter(arena, type, "report-type");

	if (!is_type(type, "multipart/report") || report == NULL || strcasecmp(report, "delivery-status") != 0 ||
	    boundary == NULL || *boundary == '\0' || strlen(boundary) > BOUNDARY_MAX ||
	    !next_part(&rest, boundary, &part))
		return false;
	while (next_part(&rest, boundary, &part))
		read_part(arena, part, &status);
	if (status.status == NULL)
		return false;
	*ret_status = status;
	return true;
}
