/*
 * Announcements: one Markdown file with a part in each language, and the mail
 * that becomes of it. A line "# en: Subject" or "# nl: Subject" opens a part;
 * each is there once, and there are no other headings of that size:
 *
 *   # en: New models
 *   Text in *English*, with [links](https://shotai.example/).
 *
 *   # nl: Nieuwe modellen
 *   Tekst in het *Nederlands*.
 *
 * The HTML loads nothing, so nobody is told who reads it.
 */
#ifndef SHOTAI_ANNOUNCEMENT_H
#define SHOTAI_ANNOUNCEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"

struct arena;

struct announcement_part {
	const char *subject, *body; /* body: Markdown */
};

struct announcement {
	struct announcement_part part[LANGUAGE__COUNT];
};

/* Reads a file; the strings live in the arena. False when it will not do: *ret_error is a line about it. */
[[nodiscard]] bool announcement_read(
    struct arena *arena, const char *bytes, size_t len, struct announcement *ret_announcement, const char **ret_error);

/* What the foot of a mail leads to. */
struct announcement_site {
	const char *url, *support, *unsubscribe;
};

struct announcement_mail {
	const char *text, *html;
};

/* The strings live in the arena. False when the body is not what announcement_read let pass. */
[[nodiscard]] bool announcement_write(struct arena *arena, const struct announcement_part *part,
    const struct announcement_site *site, enum language language, struct announcement_mail *ret_mail);

#endif
