/*
 * The journal: objects of storage that tell which accounts were erased and
 * which generations deleted. It outlives the database, so that a backup that is
 * restored can be brought to forget again what was forgotten after it. A user
 * stands there as the SHA-256 of the id; an object is kept for 90 days.
 *
 * An object's row is committed before the object is stored: an object without a
 * row says that the database is older than the journal.
 */
#ifndef SHOTAI_JOURNAL_H
#define SHOTAI_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"

struct db;
struct storage;

/* Stores an object for what is not told yet, if there is anything; *ret_told says whether there was. */
[[nodiscard]] enum problem journal_tell(struct db *db, struct storage *storage, bool *ret_told);
/* Whether there are objects that the database knows nothing of. */
[[nodiscard]] enum problem journal_ahead(struct db *db, struct storage *storage, bool *ret_ahead);

struct journal_counts {
	int64_t objects, accounts, generations;
};

/* Does again what those objects tell: closes accounts and deletes generations. dry: only counts. */
[[nodiscard]] enum problem journal_replay(
    struct db *db, struct storage *storage, bool dry, struct journal_counts *ret_counts);
/* Deletes what is older than 90 days. */
[[nodiscard]] enum problem journal_prune(struct db *db, struct storage *storage);

#endif
