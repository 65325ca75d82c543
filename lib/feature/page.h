/*
 * Pages that people read without signing in and without script: one frame of
 * head, menu and footer, and a text in English and Dutch between. What a text
 * states as a fact comes from the settings, never from the text.
 */
#ifndef SHOTAI_PAGE_H
#define SHOTAI_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"
#include "base/template.h"

struct arena;
struct config;
struct text;

struct page {
	struct arena *arena;
	const struct config *config;
	enum language language;
	const char *path; /* "/terms" */
	enum page_kind { PAGE_PRIVACY, PAGE_TERMS, PAGE_SUPPORT, PAGE__COUNT } kind;
	bool hidden; /* from search engines */
	bool sent;   /* the support page after its form */
};

/* The head and the menu, up to the text. */
void page_begin(const struct page *page, struct text *html);
void page_end(const struct page *page, struct text *html);
/* A whole page that needs nothing but settings: terms, support. */
void page_write(const struct page *page, struct text *html);

#define PAGE_FACTS 14
/* What every text may state: the language, the site, the settings that people should know. */
void page_facts(const struct page *page, struct template_value ret_facts[static PAGE_FACTS]);

/* "30 days", "1 uur"; unit is one of minute, hour, day, month and year. */
const char *page_term(struct arena *arena, enum language language, long long amount, const char *unit);
/* The same of "30 days" or "7 year"; what does not begin with a number stays as it is. */
const char *page_span(struct arena *arena, enum language language, const char *span);
/* "1 November 2026" of an RFC 3339 time. */
const char *page_date(struct arena *arena, enum language language, const char *time);

#endif
