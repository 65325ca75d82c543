#include "base/body_scan.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

/* What cJSON converts; it would silently leave the rest of a longer number. */
#define NUMBER_MAX 63

struct scan {
	const char *at, *end;
};

static bool scan_value(struct scan *scan, int depth);

static char
peek(const struct scan *scan)
{
	return scan->at < scan->end ? *scan->at : '\0';
}

static bool
accept(struct scan *scan, char wanted)
{
	if (scan->at == scan->end || *scan->at != wanted)
		return false;
	scan->at++;
	return true;
}

static void
skip_space(struct scan *scan)
{
	while (
	    scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
		scan->at++;
}

static bool
scan_word(struct scan *scan, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
		return false;
	scan->at += len;
	return true;
}

static bool
scan_digits(struct scan *scan)
{
	const char *start = scan->at;

	while (isdigit((unsigned char)peek(scan)))
		scan->at++;
	return scan->at > start;
}

static bool
scan_number(struct scan *scan)
{
	const char *start = scan->at;

	accept(scan, '-');
	if (!accept(scan, '0') && !scan_digits(scan))
		return false;
	if (accept(scan, '.') && !scan_digits(scan))
		return false;
	if (accept(scan, 'e') || accept(scan, 'E')) {
		if (!accept(scan, '-'))
			accept(scan, '+');
		if (!scan_digits(scan))
			return false;
	}
	return scan->at - start <= NUMBER_MAX;
}

/* The four hex digits of \uXXXX. */
static bool
scan_unit(struct scan *scan, uint32_t *ret_unit)
{
	uint32_t unit = 0;

	for (int i = 0; i < 4; i++) {
		char c = peek(scan);

		if (!isxdigit((unsigned char)c))
			return false;
		unit = unit << 4 | (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
		scan->at++;
	}
	*ret_unit = unit;
	return true;
}

static bool
scan_escape(struct scan *scan)
{
	uint32_t unit, low;

	if (peek(scan) != '\0' && strchr("\"\\/bfnrt", peek(scan)) != NULL) {
		scan->at++;
		return true;
	}
	if (!accept(scan, 'u') || !scan_unit(scan, &unit) || unit == 0)
		return false;
	if (unit < 0xd800 || unit > 0xdfff)
		return true;
	return unit < 0xdc00 && scan_word(scan, "\\u") && scan_unit(scan, &low) && low >= 0xdc00 && low <= 0xdfff;
}

static bool
scan_string(struct scan *scan)
{
	if (!accept(scan, '"'))
		return false;
	while (scan->at < scan->end) {
		unsigned char c = (unsigned char)*scan->at;
		size_t size;

		if (c == '"' || c == '\\') {
			scan->at++;
			if (c == '"')
				return true;
			if (!scan_escape(scan))
				return false;
			continue;
		}
		size = c < 0x80 ? 1 : text_utf8(scan->at, (size_t)(scan->end - scan->at));
		if (c < 0x20 || size == 0)
			return false;
		scan->at += size;
	}
	return false;
}

static bool
scan_member(struct scan *scan, int depth)
{
	skip_space(scan);
	if (!scan_string(scan))
		return false;
	skip_space(scan);
	return accept(scan, ':') && scan_value(scan, depth);
}

static bool
scan_list(struct scan *scan, int depth, char closing, bool (*scan_item)(struct scan *scan, int depth))
{
	scan->at++;
	skip_space(scan);
	if (accept(scan, closing))
		return true;
	do {
		if (!scan_item(scan, depth))
			return false;
		skip_space(scan);
	} while (accept(scan, ','));
	return accept(scan, closing);
}

static bool
scan_value(struct scan *scan, int depth)
{
	skip_space(scan);
	switch (peek(scan)) {
	case '{':
		return depth > 0 && scan_list(scan, depth - 1, '}', scan_member);
	case '[':
		return depth > 0 && scan_list(scan, depth - 1, ']', scan_value);
	case '"':
		return scan_string(scan);
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	default:
		return scan_number(scan);
	}
}

bool
body_scan(const char *bytes, size_t len)
{
	struct scan scan = {.at = bytes, .end = bytes + len};

	if (!scan_value(&scan, BODY_SCAN_DEPTH))
		return false;
	skip_space(&scan);
	return scan.at == scan.end;
}
