/*
 * Archives that people take with them: chosen generations with their pictures,
 * or everything held about a person, as a ZIP that the worker makes and that
 * can be fetched for a day. The rules are SQL's; what goes into the ZIP is
 * bin/worker/pack's business.
 */
#ifndef SHOTAI_TAKEOUT_H
#define SHOTAI_TAKEOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "feature/call.h"
#include "feature/export.h"

struct body_list;

struct takeout_wish {
	const struct body_list *generations; /* none: the whole account */
	const char *idempotency_key, *request_hash;
};

/* Orders an archive and writes it. Any refusal of create_archive. */
[[nodiscard]] enum problem takeout_create(
    struct call *call, const struct takeout_wish *wish, const char **ret_id, bool *ret_replayed);
/* Writes one, with the link once there is something to fetch. PROBLEM_NOT_FOUND. */
[[nodiscard]] enum problem takeout_get(struct call *call, const char *id);

/* One that the worker makes. The key is the attempt's: whoever holds another one changes nothing. */
struct takeout {
	const char *id, *key;
	bool whole;
};

/* The one that is due first, under a fresh key; strings in the arena. *ret_found: there is one. */
[[nodiscard]] enum problem takeout_claim(
    struct db *db, struct arena *arena, struct takeout *ret_takeout, bool *ret_found);
/* *ret_held false: it is not this attempt's any more. */
[[nodiscard]] enum problem takeout_renew(struct db *db, const struct takeout *takeout, bool *ret_held);
/* The object of so many bytes is stored. *ret_held false: it must go. */
[[nodiscard]] enum problem takeout_finish(struct db *db, const struct takeout *takeout, int64_t bytes, bool *ret_held);
/* Gives the attempt up. blameless: for a reason outside of it, so that it does not count. */
[[nodiscard]] enum problem takeout_release(struct db *db, const struct takeout *takeout, bool blameless);
/* The pages of what goes into it, for export_source. */
const struct db_statement *takeout_page(void);
/* What a picture is called in the ZIP: pictures/2026-11-29-a-red-fox-1a2b3c4d-1.png. */
const char *takeout_file_name(struct arena *arena, const struct export_image *image);

#endif
