#include "base/template.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

struct scope {
	const struct template_data *data;
	const struct template_value *row; /* of the list around it, NULL: none */
	size_t width;
};

struct tag {
	const char *start, *end; /* of all of it, braces included */
	const char *name;
	size_t len;
	char mark; /* '#', '^', '*', '/', or 0: a value */
};

/* The first tag of a template; false: there is none. */
static bool
next_tag(const char *at, const char *end, struct tag *ret_tag)
{
	const char *start = memmem(at, (size_t)(end - at), "{{", 2);
	if (start == NULL)
		return false;
	const char *name = start + 2, *close = memmem(name, (size_t)(end - name), "}}", 2);
	assert(close != NULL && close > name);
	bool marked = strchr("#^*/", *name) != NULL;
	*ret_tag =
	    (struct tag){start, close + 2, name + marked, (size_t)(close - name) - marked, marked ? *name : '\0'};
	return true;
}

static bool
is_named(const struct tag *tag, const char *name)
{
	return strlen(name) == tag->len && memcmp(name, tag->name, tag->len) == 0;
}

static const char *
value_of(const struct scope *scope, const struct tag *tag)
{
	for (size_t i = 0; i < scope->width; i++)
		if (is_named(tag, scope->row[i].name))
			return scope->row[i].value;
	size_t i = 0;
	while (i < scope->data->value_count && !is_named(tag, scope->data->values[i].name))
		i++;
	assert(i < scope->data->value_count);
	return scope->data->values[i].value;
}

static const struct template_list *
list_of(const struct scope *scope, const struct tag *tag)
{
	size_t i = 0;
	while (i < scope->data->list_count && !is_named(tag, scope->data->lists[i].name))
		i++;
	assert(i < scope->data->list_count);
	return &scope->data->lists[i];
}

/* The tag that closes a section. */
static struct tag
closing(const struct tag *open, const char *end)
{
	struct tag tag = *open;
	for (size_t depth = 1; depth > 0;) {
		bool found = next_tag(tag.end, end, &tag);
		assert(found);
		bool same = tag.len == open->len && memcmp(tag.name, open->name, tag.len) == 0;
		if (same && tag.mark != '\0')
			depth = tag.mark == '/' ? depth - 1 : depth + 1;
	}
	return tag;
}

/* out NULL: the template is only looked through. */
static void
render(struct text *out, const struct scope *scope, const char *at, const char *end)
{
	for (struct tag tag; next_tag(at, end, &tag);) {
		assert(tag.mark != '/');
		if (out != NULL)
			text_add_bytes(out, at, (size_t)(tag.start - at));
		at = tag.end;
		if (tag.mark == '\0') {
			const char *value = value_of(scope, &tag);
			if (out != NULL && value != NULL)
				text_add_html(out, value);
			continue;
		}
		struct tag close = closing(&tag, end);
		if (tag.mark == '*') {
			const struct template_list *list = list_of(scope, &tag);
			for (size_t i = 0; i < list->row_count; i++) {
				struct scope inner = {scope->data, list->rows + i * list->width, list->width};
				render(out, &inner, tag.end, close.start);
			}
		} else {
			bool shown = (value_of(scope, &tag) != NULL) == (tag.mark == '#');
			render(shown ? out : NULL, scope, tag.end, close.start);
		}
		at = close.end;
	}
	if (out != NULL)
		text_add_bytes(out, at, (size_t)(end - at));
}

void
template_render_data(struct text *out, const char *template, size_t len, const struct template_data *data)
{
	render(out, &(struct scope){.data = data}, template, template + len);
}

void
template_render(struct text *out, const char *template, size_t len, const struct template_value *values, size_t count)
{
	template_render_data(out, template, len, &(struct template_data){.values = values, .value_count = count});
}
