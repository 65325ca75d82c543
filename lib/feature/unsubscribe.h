/*
 * The link in each announcement that ends them, without signing in.
 *
 * Its token names the account to us and tells nobody else anything: a MAC of
 * the account's number, and that number covered by another MAC of the first.
 * It is always the same for one account, and can be checked without the
 * database, under the current and the previous SECRET_KEY.
 */
#ifndef SHOTAI_UNSUBSCRIBE_H
#define SHOTAI_UNSUBSCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct arena;
struct call;

/* The token of an account, under the current one of secrets (SECRET_KEY). */
const char *unsubscribe_token(struct arena *arena, const char *secrets, int64_t account);
/* The account of a token; false when it is none of ours. */
[[nodiscard]] bool unsubscribe_read(struct arena *arena, const char *secrets, const char *token, int64_t *ret_account);

/* Whether the token is one of ours: else PROBLEM_NOT_FOUND. Changes nothing. */
[[nodiscard]] enum problem unsubscribe_check(struct call *call, const char *token);
/* Switches announcements off for the account of the token, if they are on; PROBLEM_NOT_FOUND as above. */
[[nodiscard]] enum problem unsubscribe(struct call *call, const char *token);

#endif
