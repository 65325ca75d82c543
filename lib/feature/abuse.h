/*
 * Against abuse, as far as the database cannot do it alone: keyed marks by
 * which new accounts of one person are recognised, and the worker's watch. The
 * rules and thresholds are in sql/functions/signals.sql and shotai.signal.
 *
 * A mark is an HMAC under a key of its own that never enters the database; it
 * is kept for 7 days there. Each function gives it as hex in the arena, or NULL
 * where there is nothing to tell accounts by.
 */
#ifndef SHOTAI_ABUSE_H
#define SHOTAI_ABUSE_H

#include <stdbool.h>

#include "base/problem.h"
#include "feature/call.h"

struct db;

/* Of an address folded to one mailbox, without the digits and separators that number such addresses. */
const char *abuse_stem_mark(struct call *call, const char *folded);
/* Of its domain. */
const char *abuse_domain_mark(struct call *call, const char *folded);
/* Of the words of a prompt: case, digits, punctuation and spacing make no difference. */
const char *abuse_prompt_mark(struct call *call, const char *prompt);

/* One round of the watch over accounts; logs what fails. ret_more: there is more to do now. */
[[nodiscard]] enum problem abuse_watch(struct db *db, bool *ret_more);

#endif
