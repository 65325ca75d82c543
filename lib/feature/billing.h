/*
 * Buying: what is sold, the way to Creem's checkout and portal, orders, the
 * subscription, and Creem's events. Every rule is in SQL; a redirect from
 * Creem's checkout grants nothing, only an event does.
 */
#ifndef SHOTAI_BILLING_H
#define SHOTAI_BILLING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "feature/call.h"
#include "service/creem.h"

/* Writes what is sold, {"items":[...]}. */
[[nodiscard]] enum problem billing_products(struct call *call);

struct billing_purchase {
	const char *product_id;
	const char *idempotency_key; /* NULL: none */
	const char *request_hash;    /* hex SHA-256 of the body, compared when the key comes again */
	const char *return_url;      /* where Creem sends the buyer afterwards */
};

/*
 * Opens a checkout at Creem and writes {"checkout_url"}; with a key that was seen before the one of then, and
 * *ret_replayed true. Any refusal of start_checkout; PROBLEM_PAYMENTS_UNAVAILABLE: nothing was opened, or nobody knows.
 */
[[nodiscard]] enum problem billing_checkout(
    struct call *call, const struct creem *creem, const struct billing_purchase *purchase, bool *ret_replayed);
/* Writes {"url"} of Creem's portal. PROBLEM_NOT_FOUND before the first purchase. */
[[nodiscard]] enum problem billing_portal(struct call *call, const struct creem *creem);
/* Writes a page of the orders, newest first. cursor may be NULL. */
[[nodiscard]] enum problem billing_orders(struct call *call, int64_t limit, const char *cursor);
/* Writes {"subscription":{...}|null}. */
[[nodiscard]] enum problem billing_subscription(struct call *call);

/*
 * Stores and applies an event whose signature was verified. PROBLEM_INVALID_REQUEST: it is no event, nothing was
 * stored. *ret_outcome, in the arena: applied, duplicate, parked, ignored or failed; all of these are stored.
 */
[[nodiscard]] enum problem billing_receive(
    struct db *db, struct arena *arena, const char *raw, size_t len, const char **ret_outcome);

#endif
