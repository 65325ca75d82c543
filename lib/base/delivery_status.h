/*
 * What a mail server says about a mail that it could not deliver: enhanced
 * status codes (RFC 3463) and the notifications that come back as mails
 * (RFC 3464). Anybody may send such a mail, so it counts only together with
 * the Message-ID of one of ours, which nobody else knows.
 */
#ifndef SHOTAI_DELIVERY_STATUS_H
#define SHOTAI_DELIVERY_STATUS_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* Whether a status ("5.1.1") says that this address takes no mail for good: not the mail's fault, nor the sender's. */
bool delivery_status_is_final(const char *status);

#define DELIVERY_STATUS_MAX 16

/*
 * Whether a server's answer to a recipient ("550 5.1.1 Nobody here") refuses that address for good. ret_status then is
 * the enhanced status, or the reply's code where there is none.
 */
bool delivery_status_refuses(const char *reply, size_t len, char ret_status[static DELIVERY_STATUS_MAX]);

struct delivery_status {
	const char *status;     /* of the first recipient who failed: digits and dots */
	const char *message_id; /* of the mail that came back, without <>; NULL: it does not say */
};

/* Reads a whole message; the strings live in the arena. False unless it reports a delivery that failed. */
[[nodiscard]] bool delivery_status_read(
    struct arena *arena, const char *bytes, size_t len, struct delivery_status *ret_status);

#endif
