/*
 * A mail as it goes over the wire: headers and multipart/alternative (text and
 * HTML) or text alone, 7-bit throughout, lines of at most 78 characters that end in CRLF.
 *
 * No value can end its header: addresses are checked, names and subjects are
 * encoded, what is no text becomes U+FFFD. The same input gives the same
 * bytes. Nothing tells of the machine or the program that made it.
 */
#ifndef SHOTAI_MESSAGE_H
#define SHOTAI_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

struct mailbox;
struct text;

struct message {
	const struct mailbox *from;
	const char *reply_to; /* NULL: none */
	const char *to;
	const char *id;                    /* without its angle brackets: letters, digits and .-_ around one @ */
	const char *subject, *text, *html; /* UTF-8; lines end in \n; html NULL: text alone */
	const char *language;              /* en, nl */
	int64_t date;                      /* seconds since 1970 */
	const char *unsubscribe;           /* the URL that a POST to ends such mails (RFC 8058); NULL: there is none */
};

/* Adds the message to `to`; false when an address, id, language or URL is none, or when the text overflows. */
[[nodiscard]] bool message_write(struct text *to, const struct message *message);

#endif
