/*
 * Receipts and refund notes as mails: the words in both languages, amounts and
 * dates as each writes them, and one template each of text and of HTML. It
 * knows neither who gets them nor how they are sent.
 *
 * Everything that comes in is escaped. The HTML loads nothing and asks
 * nothing of the reader.
 */
#ifndef SHOTAI_RECEIPT_H
#define SHOTAI_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"

/* An amount or a count that is not known: its line is left out. */
#define RECEIPT_NONE INT64_MIN

struct arena;

struct receipt {
	bool refund;         /* of a payment; else the payment itself */
	const char *product; /* its name in the reader's language */
	int64_t units;
	const char *order, *transaction;       /* Creem's ids; NULL: not known */
	const char *currency;                  /* ISO 4217, with cents */
	int64_t amount, tax, paid;             /* cents: before tax, tax, in all */
	int64_t refunded;                      /* cents: by this refund */
	int64_t refunded_in_all;               /* cents: by all refunds of the payment */
	int64_t credits;                       /* granted, or taken back by the refund */
	int64_t lost;                          /* that could not be taken back */
	const char *at;                        /* RFC 3339 UTC, like the period */
	const char *period_start, *period_end; /* NULL: none */
};

/* Whom the foot of the mail sends people to. */
struct receipt_site {
	const char *url, *support;
};

struct receipt_mail {
	const char *subject, *text, *html;
};

/* The strings live in the arena. */
void receipt_write(struct arena *arena, const struct receipt *receipt, const struct receipt_site *site,
    enum language language, struct receipt_mail *ret_mail);

/* An amount of cents: EUR 12.34 for what has no sign of its own. */
const char *receipt_money(struct arena *arena, int64_t cents, const char *currency, enum language language);
/* 1 March 2026, from RFC 3339; NULL when it is none. */
const char *receipt_date(struct arena *arena, const char *time, enum language language);

#endif
