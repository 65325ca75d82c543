/*
 * Messages to support: from anybody, signed in or not. They wait in the outbox
 * for the worker, and their text is gone from the database once it has left.
 */
#ifndef SHOTAI_SUPPORT_H
#define SHOTAI_SUPPORT_H

#include "base/problem.h"

#define SUPPORT_MESSAGE_MAX 4000 /* code points */
#define SUPPORT_EMAIL_MAX 320

struct arena;
struct call;

struct support {
	const char *email; /* where the answer goes; NULL: nowhere */
	const char *message;
};

/* Queues a message whose parts have been checked. PROBLEM_RATE_LIMITED: too many, from all people together. */
[[nodiscard]] enum problem support_send(struct call *call, const struct support *support);

struct support_mail {
	const char *subject, *text;
};

/* What the operator gets; user_id: who wrote it, NULL: not known. The strings live in the arena. */
void support_write(struct arena *arena, const char *message, const char *user_id, struct support_mail *ret_mail);

#endif
