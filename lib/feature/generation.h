/*
 * Generations: ordering pictures, looking at them, taking an order back. Every
 * decision about money, limits and ownership is made by the SQL functions;
 * this module passes parameters in and writes {generation} from the rows.
 */
#ifndef SHOTAI_GENERATION_H
#define SHOTAI_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/body.h"
#include "base/problem.h"
#include "feature/call.h"

struct generation_order {
	const char *model, *prompt;
	const char *aspect_ratio; /* NULL: the model's first */
	int64_t count;
	int64_t seed;
	bool has_seed;
	struct body_list upload_ids;
	const char *idempotency_key; /* NULL: none */
	const char *request_hash;    /* hex SHA-256 of the body, compared when the key comes again */
};

struct generation_receipt {
	const char *id;
	bool replayed; /* the idempotency key was known: nothing was ordered or charged now */
};

/* Writes the models, {"items":[...]}. */
[[nodiscard]] enum problem generation_models(struct call *call);
/* Admits an order and writes {generation} with "balance". Any refusal of admit_generation. */
[[nodiscard]] enum problem generation_admit(
    struct call *call, const struct generation_order *order, struct generation_receipt *ret_receipt);
/* Writes one {generation}; PROBLEM_NOT_FOUND also for somebody else's. */
[[nodiscard]] enum problem generation_get(struct call *call, const char *id);
/* Cancels while it is queued and writes {generation}; else PROBLEM_NOT_CANCELABLE. */
[[nodiscard]] enum problem generation_cancel(struct call *call, const char *id);
/* Marks or unmarks as a favourite and writes {generation}. */
[[nodiscard]] enum problem generation_set_favourite(struct call *call, const char *id, bool favourite);

/* What a page of the history shows; NULL: whatever. */
struct generation_filter {
	int64_t limit;
	const char *cursor;
	const char *status, *words, *model; /* words: all of them, each the beginning of one in the prompt */
	const char *favourite;              /* "true" or "false" */
};

/* Writes a page of the history, newest first. */
[[nodiscard]] enum problem generation_list(struct call *call, const struct generation_filter *filter);

/*
 * Deletes pictures, thumbnails, prompt and shares for good; the ledger stays.
 * PROBLEM_UNFINISHED, and nothing is deleted, while one of them is queued or
 * being made. Of many, those that are not there (any more) do not matter.
 */
[[nodiscard]] enum problem generation_delete(struct call *call, const char *id);
[[nodiscard]] enum problem generation_delete_many(struct call *call, const struct body_list *ids);

/* Whether text is one of {generation}'s states. */
bool generation_is_status(const char *text);

#endif
