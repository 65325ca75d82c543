/*
 * A person's account: what it holds, its settings, the confirmation of age
 * with the one welcome grant.
 *
 * One person is recognised by an HMAC of the folded e-mail address. The key
 * never enters the database and the hash tells nothing without it. After a
 * rotation of SECRET_KEY hashes under the previous secret are still found, and
 * renewed when they are: rotate at most once while one must be remembered.
 */
#ifndef SHOTAI_ACCOUNT_H
#define SHOTAI_ACCOUNT_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/problem.h"
#include "feature/call.h"

/* What the page needs before anybody signed in. */
struct account_site {
	const char *supabase_url, *supabase_anon_key, *support_email;
};

/* Writes the site's public settings with the version of the policy in force. */
[[nodiscard]] enum problem account_site(struct call *call, const struct account_site *site);
/* Writes the account, which is created when the person comes for the first time. */
[[nodiscard]] enum problem account_get(struct call *call);
/* What a person may change; NULL: unchanged. */
struct account_change {
	const char *locale;
	const char *receipts, *announcements; /* "true" or "false" */
};

/* Writes the account as it is afterwards. */
[[nodiscard]] enum problem account_update(struct call *call, const struct account_change *change);
/* The person has seen this version of the policy. Writes the account as it is afterwards. */
[[nodiscard]] enum problem account_acknowledge(struct call *call, const char *version);
/* Writes the account; after at_least_13 false it is closed, and *ret_erasure_id is not NULL. */
[[nodiscard]] enum problem account_confirm_age(struct call *call, bool at_least_13, const char **ret_erasure_id);

/* The address in the form that is the same for all spellings of one mailbox, in the arena. */
const char *account_fold_email(struct arena *arena, const char *email);

#endif
