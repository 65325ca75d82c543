/* The ledger as its owner reads it. */
#ifndef SHOTAI_CREDITS_H
#define SHOTAI_CREDITS_H

#include <stdint.h>

#include "base/problem.h"
#include "feature/call.h"

/* Writes a page of credit entries, newest first. cursor may be NULL. */
[[nodiscard]] enum problem credits_list(struct call *call, int64_t limit, const char *cursor);

#endif
