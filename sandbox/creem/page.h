/* What the stand-in's pages share: the frame, money, buttons, the style sheet. Everything is plain HTML and forms. */
#ifndef SANDBOX_CREEM_PAGE_H
#define SANDBOX_CREEM_PAGE_H

#include <stdint.h>

#include "base/problem.h"

struct request;
struct response;
struct text;

void page_open(struct response *response, const char *title);
[[nodiscard]] enum problem page_close(struct response *response);
/* A page that only says something, with this status. */
[[nodiscard]] enum problem page_say(struct response *response, int status, const char *title, const char *detail);
/* 303: the browser goes on with a GET. */
[[nodiscard]] enum problem page_go(struct response *response, const char *url);
/* 1234 EUR as "EUR 12.34". */
void page_money(struct text *html, int64_t cents, const char *currency);
/* A time of the database (RFC 3339) as date and minute. */
void page_time(struct text *html, const char *time);
/* "every-month" as " / month"; nothing for "once". */
void page_period(struct text *html, const char *period);
/* A submit button named `action`; style: a class, or NULL. */
void page_button(struct text *html, const char *action, const char *style, const char *label);
/* The first of the messages that a refused call answers, a JSON array. */
const char *page_message(struct response *response, const char *messages);

#endif
