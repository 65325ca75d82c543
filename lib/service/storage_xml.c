#include "service/storage_xml.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"

/* Past a start tag of that name, attributes included; NULL: there is none. An empty element (<Name/>) counts as absent.
 */
static const char *
after_start(const char *at, const char *end, const char *name)
{
	size_t len = strlen(name);
	while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
		const char *after = ++at + len;
		if ((size_t)(end - at) <= len || memcmp(at, name, len) != 0 || strchr("> \t\r\n", *after) == NULL ||
		    *after == '\0')
			continue;
		const char *close = memchr(after, '>', (size_t)(end - after));
		if (close == NULL)
			return NULL;
		if (close[-1] != '/')
			return close + 1;
	}
	return NULL;
}

bool
storage_xml_next(struct storage_xml *xml, const char *name, struct storage_xml *ret_content)
{
	size_t len = strlen(name);
	const char *from = after_start(xml->at, xml->end, name), *to = from;
	if (from == NULL)
		return false;
	while ((to = memmem(to, (size_t)(xml->end - to), "</", 2)) != NULL) {
		if ((size_t)(xml->end - to) > len + 2 && memcmp(to + 2, name, len) == 0 && to[len + 2] == '>') {
			*ret_content = (struct storage_xml){from, to};
			xml->at = to + len + 3;
			return true;
		}
		to += 2;
	}
	return false;
}

/* The character of #10 or #xA, as far as it is ASCII; 0: none. */
static char
number(const char *digits, size_t len)
{
	static const char known[] = "0123456789abcdefABCDEF";
	unsigned value = 0, base = len > 0 && *digits == 'x' ? 16 : 10;
	size_t first = base == 16 ? 1 : 0;
	if (len == first || len > 6)
		return '\0';
	for (size_t i = first; i < len; i++) {
		const char *found = memchr(known, digits[i], sizeof known - 1);
		unsigned digit = found == NULL ? base : (unsigned)(found - known);
		if (digit >= 16 && found != NULL)
			digit -= 6;
		if (digit >= base)
			return '\0';
		value = value * base + digit;
	}
	return value < 0x80 ? (char)value : '\0';
}

/* What an entity between & and ; stands for; 0: unknown. */
static char
entity(const char *name, size_t len)
{
	static const struct {
		const char *name;
		char stands_for;
	} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
			return known[i].stands_for;
	return len > 0 && *name == '#' ? number(name + 1, len - 1) : '\0';
}

char *
storage_xml_text(struct arena *arena, struct storage_xml xml, const char *name)
{
	struct storage_xml content;
	if (!storage_xml_next(&xml, name, &content))
		return NULL;
	char *text = arena_alloc(arena, (size_t)(content.end - content.at) + 1), *to = text;
	for (const char *from = content.at; from < content.end; from++) {
		char c = *from;
		if (c == '&') {
			const char *close = memchr(from, ';', (size_t)(content.end - from));
			if (close == NULL)
				return NULL;
			c = entity(from + 1, (size_t)(close - from - 1));
			from = close;
		} else if (c == '<') {
			return NULL;
		}
		if (c == '\0')
			return NULL;
		*to++ = c;
	}
	*to = '\0';
	return text;
}
