/*
 * The page behind a share's link: one frame on film, for people and for the
 * crawlers that make a card of it. It works without script, and tells nothing
 * about whoever shared it.
 */
#ifndef SHOTAI_SHARE_PAGE_H
#define SHOTAI_SHARE_PAGE_H

#include "base/problem.h"

struct arena;
struct share_view;
struct text;

/* Where the page is, in which language it speaks, and what was just done. */
struct share_page {
	struct arena *arena;
	const char *site; /* PUBLIC_URL */
	enum language language;
	enum share_note {
		SHARE_NOTE_NONE,
		SHARE_NOTE_REPORTED,
		SHARE_NOTE_EMPTY, /* a report without a reason */
		SHARE_NOTE__COUNT
	} note;
};

/* The page's own policy: nothing but our style and our picture, and no script at all. */
extern const char share_page_policy[];

void share_page_write(const struct share_page *page, const struct share_view *view, struct text *html);
/* The page of a link that leads to nothing any more, or cannot be looked up now (problem). */
void share_page_gone(const struct share_page *page, enum problem problem, struct text *html);

#endif
