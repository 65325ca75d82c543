#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A write of at most PIPE_BUF bytes is atomic on a pipe; what does not fit is cut. */
struct line {
	char bytes[PIPE_BUF];
	size_t len;
};

#define LINE_LIMIT ((size_t)PIPE_BUF - 1)

static const char *program_name = "-";
static enum log_level least_level = LOG_INFO;
static _Thread_local const char *request_id, *generation_id;

static const char *const level_names[LOG__COUNT] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

void
log_open(const char *program, enum log_level least)
{
	program_name = program;
	least_level = least;
}

void
log_request(const char *id)
{
	request_id = id;
}

void
log_generation(const char *id)
{
	generation_id = id;
}

static void
line_add(struct line *line, const char *bytes, size_t len)
{
	if (len > LINE_LIMIT - line->len)
		len = LINE_LIMIT - line->len;
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

static void
line_time(struct line *line)
{
	struct timespec now;
	struct tm utc;
	char stamp[80];
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = snprintf(stamp, sizeof stamp, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
	    utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
	line_add(line, stamp, (size_t)len);
}

/* Only visible ASCII is written as it is, so neither a line feed nor a terminal's control sequence survives. */
static void
line_value(struct line *line, const char *value)
{
	bool quoted = value[0] == '\0';

	for (const char *c = value; *c != '\0' && !quoted; c++)
		quoted = *c <= ' ' || *c >= 0x7f || strchr("\"\\=", *c) != NULL;
	if (quoted)
		line_add(line, "\"", 1);
	for (const char *c = value; *c != '\0'; c++) {
		unsigned char byte = (unsigned char)*c;
		char escape[8];

		if (byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\') {
			line_add(line, c, 1);
			continue;
		}
		if (byte == '"' || byte == '\\')
			snprintf(escape, sizeof escape, "\\%c", byte);
		else if (byte == '\n')
			snprintf(escape, sizeof escape, "\\n");
		else
			snprintf(escape, sizeof escape, "\\x%02x", byte);
		line_add(line, escape, strlen(escape));
	}
	if (quoted)
		line_add(line, "\"", 1);
}

static void
line_pair(struct line *line, const char *key, const char *value)
{
	line_add(line, " ", 1);
	line_add(line, key, strlen(key));
	line_add(line, "=", 1);
	if (value == NULL)
		line_add(line, "-", 1);
	else
		line_value(line, value);
}

static void
line_write(struct line *line)
{
	int saved = errno;

	line->bytes[line->len++] = '\n';
	while (write(STDERR_FILENO, line->bytes, line->len) < 0 && errno == EINTR)
		;
	errno = saved;
}

void
log_event(enum log_level level, const char *event, ...)
{
	const char *words[] = {level_names[level], program_name, event};
	struct line line = {.len = 0};
	va_list pairs;

	if (level < least_level)
		return;
	line_time(&line);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		line_add(&line, " ", 1);
		line_add(&line, words[i], strlen(words[i]));
	}
	if (request_id != NULL)
		line_pair(&line, "request", request_id);
	if (generation_id != NULL)
		line_pair(&line, "generation", generation_id);
	va_start(pairs, event);
	for (const char *key = va_arg(pairs, const char *); key != NULL; key = va_arg(pairs, const char *))
		line_pair(&line, key, va_arg(pairs, const char *));
	va_end(pairs);
	line_write(&line);
}
