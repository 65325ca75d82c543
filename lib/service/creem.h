/*
 * Creem.io: the calls that ShotAI makes to its API, and the signature of its
 * webhooks. It knows the wire, not what a payment means.
 *
 * Answers are read leniently: unknown members, null and absent are alike, and
 * only the HTTP status tells an error. What a caller hands on to the database
 * stays the JSON that Creem sent.
 */
#ifndef SHOTAI_CREEM_H
#define SHOTAI_CREEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct arena;
struct config;
struct http;

/* What the calls need; the caller's own for the time of a call. */
struct creem {
	const struct config *config;
	struct http *http;
	const volatile bool *cancel; /* NULL, or true to give a call up */
};

/*
 * Whether header is the hex HMAC-SHA256 of the raw body under the secret, compared in constant time. False without a
 * header, without a secret and with an empty one.
 */
bool creem_verify_signature(const char *secret, const void *raw, size_t len, const char *header);

/*
 * Every call takes 5 s at most. PROBLEM_PAYMENTS_UNAVAILABLE: no key, no
 * answer, or one that is of no use (logged). PROBLEM_NOT_FOUND: creem_get asked
 * for what Creem does not have. Results live in the arena.
 */
struct creem_order {
	const char *product_id;
	const char *request_id; /* ours; comes back with what the checkout brings */
	const char *email;
	const char *success_url;
};

struct creem_checkout {
	const char *id, *url;
};

[[nodiscard]] enum problem creem_create_checkout(const struct creem *creem, struct arena *arena,
    const struct creem_order *order, struct creem_checkout *ret_checkout);
/* A link that signs a customer in at Creem's portal. */
[[nodiscard]] enum problem creem_portal(
    const struct creem *creem, struct arena *arena, const char *customer_id, const char **ret_url);

/* Ends a subscription at once; one that has ended, or that Creem does not have, needs nothing. */
[[nodiscard]] enum problem creem_cancel(const struct creem *creem, struct arena *arena, const char *subscription_id);

enum creem_kind { CREEM_CHECKOUT, CREEM_SUBSCRIPTION, CREEM_TRANSACTION, CREEM_KIND__COUNT };

/* One object as JSON. */
[[nodiscard]] enum problem creem_get(
    const struct creem *creem, struct arena *arena, enum creem_kind kind, const char *id, const char **ret_json);

/* A page of a list, each item as JSON. */
struct creem_page {
	const char **items;
	size_t count;
	bool more;
};

/* Transactions of one product, newest first; pages count from 1. */
[[nodiscard]] enum problem creem_transactions(
    const struct creem *creem, struct arena *arena, const char *product_id, int64_t page, struct creem_page *ret_page);

enum creem_decision { CREEM_ALLOW, CREEM_FLAG, CREEM_DENY, CREEM_DECISION__COUNT };

/* What Creem's moderation says to a prompt. Nothing but the prompt is sent. */
[[nodiscard]] enum problem creem_moderate(
    const struct creem *creem, struct arena *arena, const char *prompt, enum creem_decision *ret_decision);
/* "allow" and so on. */
const char *creem_decision_name(enum creem_decision decision);

#endif
