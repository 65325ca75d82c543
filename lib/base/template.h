/*
 * Pages from a text with places to fill in. Every value is escaped for HTML
 * text and quoted attributes, and there is no way to insert one that is not.
 *
 *   {{name}}                      the value
 *   {{#name}} ... {{/name}}       only when it is there
 *   {{^name}} ... {{/name}}       only when it is not
 *   {{*name}} ... {{/name}}       once for each row of a list, whose values come before the others
 *
 * Sections may be nested. A name that no value has, or a section that is not
 * closed, is a bug of the program: it aborts.
 */
#ifndef SHOTAI_TEMPLATE_H
#define SHOTAI_TEMPLATE_H

#include <stddef.h>

struct text;

struct template_value {
	const char *name, *value; /* value NULL: it is not there */
};

/* Rows of the same names, one row after the other. */
struct template_list {
	const char *name;
	const struct template_value *rows;
	size_t row_count, width;
};

struct template_data {
	const struct template_value *values;
	size_t value_count;
	const struct template_list *lists;
	size_t list_count;
};

/* Appends the filled-in template (len bytes, no NUL needed) to out. */
void template_render(
    struct text *out, const char *template, size_t len, const struct template_value *values, size_t count);
/* The same with lists. */
void template_render_data(struct text *out, const char *template, size_t len, const struct template_data *data);

#endif
