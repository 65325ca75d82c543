/*
 * Mail addresses, as far as we write to them: visible ASCII, one @, nothing
 * that a header or an SMTP command could read as anything else. Quoted local
 * parts and those that need SMTPUTF8 are refused.
 */
#ifndef SHOTAI_MAILBOX_H
#define SHOTAI_MAILBOX_H

#include <stdbool.h>

struct arena;

struct mailbox {
	const char *name; /* NULL: none. UTF-8 without control characters */
	const char *address;
	const char *domain; /* of the address */
};

/* local@domain, nothing around it. */
bool mailbox_is_address(const char *address);
/* Reads `local@domain` or `Name <local@domain>`; the strings live in the arena. False when it is neither. */
bool mailbox_read(struct arena *arena, const char *string, struct mailbox *ret_mailbox);

#endif
