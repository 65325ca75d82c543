#include "base/template.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define DEPTH_MAX 8

/* The sections that are open, the innermost last. */
struct sections {
	struct {
		const char *name;
		size_t len;
		bool shown;
	} open[DEPTH_MAX];
	size_t depth;
};

static const struct template_value *
find(const struct template_value *values, size_t count, const char *name, size_t len)
{
	size_t i = 0;
	while (i < count && (strlen(values[i].name) != len || memcmp(values[i].name, name, len) != 0))
		i++;
	assert(i < count);
	return &values[i];
}

static bool
is_shown(const struct sections *sections)
{
	return sections->depth == 0 || sections->open[sections->depth - 1].shown;
}

static void
open_section(struct sections *sections, const char *name, size_t len, bool wanted)
{
	assert(sections->depth < DEPTH_MAX);
	bool shown = wanted && is_shown(sections);
	sections->open[sections->depth].name = name;
	sections->open[sections->depth].len = len;
	sections->open[sections->depth++].shown = shown;
}

static void
close_section(struct sections *sections, const char *name, size_t len)
{
	assert(sections->depth > 0);
	sections->depth--;
	assert(
	    sections->open[sections->depth].len == len && memcmp(sections->open[sections->depth].name, name, len) == 0);
}

void
template_render(struct text *out, const char *template, size_t len, const struct template_value *values, size_t count)
{
	const char *at = template, *end = template + len;
	struct sections sections = {0};

	for (const char *tag; (tag = memmem(at, (size_t)(end - at), "{{", 2)) != NULL;) {
		const char *name = tag + 2, *close = memmem(name, (size_t)(end - name), "}}", 2);
		assert(close != NULL && close > name);
		char mark = *name;
		if (is_shown(&sections))
			text_add_bytes(out, at, (size_t)(tag - at));
		at = close + 2;
		if (mark == '#' || mark == '^' || mark == '/')
			name++;
		const struct template_value *value = find(values, count, name, (size_t)(close - name));
		if (mark == '/')
			close_section(&sections, name, (size_t)(close - name));
		else if (mark == '#' || mark == '^')
			open_section(&sections, name, (size_t)(close - name), (value->value != NULL) == (mark == '#'));
		else if (value->value != NULL && is_shown(&sections))
			text_add_html(out, value->value);
	}
	assert(sections.depth == 0);
	text_add_bytes(out, at, (size_t)(end - at));
}
