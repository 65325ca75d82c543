/*
 * Reference pictures, as the rule book keeps them: a row before the object, out
 * of use at its end, a tombstone once the object is gone. The bytes are the
 * callers' business: the program that receives them, the worker that reads and
 * deletes them.
 */
#ifndef SHOTAI_UPLOAD_H
#define SHOTAI_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "feature/call.h"
#include "service/image.h"

struct job;

/* How long an object may take to be stored, from the admission on, before it is given up. */
#define UPLOAD_PUT_MS 60000

struct upload_ticket {
	const char *id, *key; /* key: of the object; fresh */
	bool replayed;        /* the idempotency key was known: the upload is written, nothing is to be stored */
};

/*
 * Admits an upload that ends after so many seconds. key and hash are NULL
 * without an Idempotency-Key; hash is the hex SHA-256 of the picture. Any
 * refusal of admit_upload.
 */
[[nodiscard]] enum problem upload_admit(struct call *call, int64_t ttl_seconds, const char *idempotency_key,
    const char *hash, struct upload_ticket *ret_ticket);
/* The object is stored: writes the upload. May be repeated. A refusal means that the object must go. */
[[nodiscard]] enum problem upload_confirm(struct call *call, const char *id, const struct image *image);
/* It came to nothing. clean: no object can be there, so no row stays; else the worker deletes it. */
[[nodiscard]] enum problem upload_abandon(struct call *call, const char *id, bool clean);
/* Takes an upload out of use; its object (*ret_key, in the arena) is to be deleted now. PROBLEM_NOT_FOUND. */
[[nodiscard]] enum problem upload_remove(struct call *call, const char *id, const char **ret_key);
/* The object of upload_remove is gone. */
[[nodiscard]] enum problem upload_finish_removal(struct call *call, const char *id);

/* What the worker has to delete. Ids and keys live in the arena. */
struct upload_batch {
	const char **ids, **keys;
	size_t count;
};
[[nodiscard]] enum problem upload_claim_due(
    struct db *db, struct arena *arena, size_t limit, struct upload_batch *ret_batch);
/* They could not be deleted now: whoever claims next gets them. */
[[nodiscard]] enum problem upload_release(struct db *db, struct arena *arena, const struct upload_batch *batch);
/* Their objects are gone. *ret_lag: the longest time that one outlived its end, in seconds. */
[[nodiscard]] enum problem upload_bury(
    struct db *db, struct arena *arena, const struct upload_batch *batch, int64_t *ret_count, double *ret_lag);
/* Of the keys those that no live row names; rows of those in old that are live become due. */
[[nodiscard]] enum problem upload_unowned(struct db *db, struct arena *arena, const struct upload_batch *all,
    const struct upload_batch *old, struct upload_batch *ret_unowned);
/* Drops old tombstones; *ret_more: there may be more. */
[[nodiscard]] enum problem upload_prune(struct db *db, bool *ret_more);

struct upload_reference {
	const char *key, *content_type; /* NULL: it may not be used any more */
	size_t bytes;
};
/* The references of a job, in their order; they live in the arena. */
[[nodiscard]] enum problem upload_references(struct db *db, struct arena *arena, const struct job *job, bool *ret_held,
    struct upload_reference **ret_references, size_t *ret_count);

#endif
