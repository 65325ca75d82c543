/*
 * Shares: a link with 128 random bits under which anybody may see one picture.
 * The database decides at each look whether it may still be seen, so that
 * revoking, expiry, deletion and a take-down work at once.
 */
#ifndef SHOTAI_SHARE_H
#define SHOTAI_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "feature/call.h"

#define SHARE_BITS 128
#define SHARE_REASON_MAX 2000 /* code points */

struct share_wish {
	const char *generation_id;
	int64_t image_index;
	bool show_prompt;
	int64_t expires_in;          /* seconds; 0: never */
	const char *idempotency_key; /* NULL: none */
	const char *request_hash;
};

/* What whoever has the link may see; texts live in the call's arena. */
struct share_view {
	const char *slug, *image_key, *content_type, *model_name;
	const char *prompt; /* NULL unless its owner shows it */
	int64_t width, height, image_index;
};

/* Whether text could be a slug: 22 characters of base64url that stand for 128 bits. */
bool share_is_slug(const char *text);
/* A new slug, in the arena. */
const char *share_slug(struct arena *arena);

/* Shares a picture and writes {share}. Any refusal of create_share. */
[[nodiscard]] enum problem share_create(struct call *call, const struct share_wish *wish, bool *ret_replayed);
/* Writes a page of the live shares, newest first; cursor and generation_id (only of this one) may be NULL. */
[[nodiscard]] enum problem share_list(struct call *call, int64_t limit, const char *cursor, const char *generation_id);
/* Revokes; PROBLEM_NOT_FOUND also for somebody else's. */
[[nodiscard]] enum problem share_delete(struct call *call, const char *slug);

/* What may be seen now. look: "page", "image", or NULL for one that does not count. PROBLEM_NOT_FOUND: nothing, or no
 * longer. */
[[nodiscard]] enum problem share_open(
    struct call *call, const char *slug, const char *look, struct share_view *ret_view);
/* Queues a report (1 to SHARE_REASON_MAX code points) about what may be seen now. */
[[nodiscard]] enum problem share_report(struct call *call, const char *slug, const char *reason);

#endif
