/*
 * The pages that come with mails, without script: of a link that ends
 * announcements, which shows nothing about whose it is, and of a message to
 * support that could not be taken, with what was typed still in it.
 */
#ifndef SHOTAI_MAIL_PAGE_H
#define SHOTAI_MAIL_PAGE_H

#include "base/problem.h"

struct support;
struct text;

/* The pages' own policy: our style, our forms, nothing else. */
extern const char mail_page_policy[];

enum mail_page {
	MAIL_PAGE_ASK,  /* whether announcements are to end, with a button */
	MAIL_PAGE_DONE, /* they have */
	MAIL_PAGE_GONE, /* a link that is none of ours */
	MAIL_PAGE_AWAY, /* try again: the database is away */
	MAIL_PAGE__COUNT
};

void mail_page_write(enum mail_page page, enum language language, struct text *html);
/* The form as it was filled in; detail says what is wrong, NULL: what the problem always means. */
void mail_page_support(
    enum problem problem, const char *detail, const struct support *support, enum language language, struct text *html);

#endif
