/*
 * The outbox on its way out: the worker's side of it. Each row is one cause
 * and becomes one mail. By SMTP, or without SMTP_URL as one file per mail in
 * MAIL_DIRECTORY, or, without that either, not at all.
 *
 * At most once: a row is marked before the last byte of its message leaves.
 * One whose answer was lost, or whose worker died after that, ends as
 * uncertain and is not sent again, since a second receipt looks like a second
 * payment and the orders page shows what the first would have said. Whatever
 * fails before is tried again, ever later, for a day. The Message-ID comes from
 * the cause, so that even copies made on the way are known as one.
 *
 * Announcements end as receipts do. A message to support is sent again rather
 * than lost: it goes to the operator, who knows one by its Message-ID.
 *
 * The address is read when a row is claimed and kept nowhere. Nothing of a
 * mail is ever logged.
 */
#ifndef SHOTAI_MAIL_H
#define SHOTAI_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "feature/announcement.h"
#include "feature/receipt.h"

struct arena;
struct config;
struct db;
struct text;

enum mail_kind { MAIL_RECEIPT, MAIL_ANNOUNCEMENT, MAIL_SUPPORT, MAIL_KIND__COUNT };

struct mail {
	enum mail_kind kind;
	int64_t id, attempt;
	const char *message_id;
	const char *email; /* of MAIL_SUPPORT: NULL, it goes to the operator */
	int64_t caused_at; /* seconds since 1970; its Date */
	enum language language;
	struct receipt receipt;                /* of MAIL_RECEIPT */
	struct announcement_part announcement; /* of MAIL_ANNOUNCEMENT */
	int64_t account;
	const char *body, *reply_to, *user_id; /* of MAIL_SUPPORT; NULL: not known */
};

/* The way out. */
struct mail_route;

/* Whether the settings of mail will do; false writes one line naming the one that does not. For main. */
bool mail_config_acceptable(const struct config *config, char *ret_error, size_t error_size);
/* From acceptable settings, which outlive it; NULL when mail is off. */
struct mail_route *mail_route_new(const struct config *config);
void mail_route_free(struct mail_route *route);

/* Claims the mail that is due first, if there is one; its strings live in the arena. */
[[nodiscard]] enum problem mail_claim(struct db *db, struct arena *arena, struct mail *ret_mail, bool *ret_found);

/* Adds the finished message to `to`; false when it cannot be one. */
[[nodiscard]] bool mail_write(const struct mail_route *route, const struct mail *mail, struct text *to);

/* The HTML of the message alone, in the arena; false when it cannot be written. */
[[nodiscard]] bool mail_html(
    struct arena *arena, const struct mail_route *route, const struct mail *mail, const char **ret_html);

enum mail_outcome {
	MAIL_SENT,
	MAIL_RETRY,
	MAIL_FAILED,    /* for good */
	MAIL_BOUNCED,   /* for good, and every other mail to that address */
	MAIL_UNCERTAIN, /* it left, and may have arrived */
	MAIL_LOST,      /* the row is another worker's by now; nothing was sent */
	MAIL_OUTCOME__COUNT
};

/* Sends a claimed mail, marking its row by db before it leaves. stopped, asked with context, may be NULL: see smtp.h.
 */
enum mail_outcome mail_send(
    struct mail_route *route, struct db *db, const struct mail *mail, bool (*stopped)(void *), void *context);
/* Reports what became of the mail sent last; not for MAIL_LOST. May be repeated. */
[[nodiscard]] enum problem mail_finish(
    const struct mail_route *route, struct db *db, const struct mail *mail, enum mail_outcome outcome);

#endif
