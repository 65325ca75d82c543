/*
 * Markdown (CommonMark) as mails show it, the only module that touches
 * libcmark-gfm. There is no raw HTML and no picture, so that what comes out
 * loads nothing, and links lead somewhere by themselves: https, http, mailto.
 */
#ifndef SHOTAI_MARKDOWN_H
#define SHOTAI_MARKDOWN_H

#include <stdbool.h>

struct text;

/*
 * Adds the source as text, wrapped at 72 columns with each link's address behind it, and as HTML without styles.
 * False when it holds what does not go into a mail: *ret_line is its line, *ret_fault says what it is.
 */
[[nodiscard]] bool markdown_write(
    const char *source, struct text *text, struct text *html, int *ret_line, const char **ret_fault);

#endif
