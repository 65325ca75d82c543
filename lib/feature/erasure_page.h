/*
 * The receipt of an erasure: which steps were done when, and nothing about
 * whoever asked for it. It works without script.
 */
#ifndef SHOTAI_ERASURE_PAGE_H
#define SHOTAI_ERASURE_PAGE_H

#include "base/problem.h"

struct arena;
struct erasure_view;
struct text;

/* The page's own policy: nothing but our style. */
extern const char erasure_page_policy[];

/* view NULL: there is none, or it cannot be looked up now (problem). */
void erasure_page_write(struct arena *arena, enum language language, const struct erasure_view *view,
    enum problem problem, struct text *html);

#endif
