/*
 * The erasure of an account. A request locks it at once; then the steps of
 * sql/functions/erasure.sql are carried out one by one, each resumable: what is
 * outside (Creem, storage, Supabase Auth) is taken away first, then the rows
 * that name it, so a step that was interrupted is simply done again. A step
 * whose service is away does not hold up the others, only the last.
 */
#ifndef SHOTAI_ERASURE_H
#define SHOTAI_ERASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "feature/call.h"

struct http;
struct storage;

/* Closes the account of the call's person and writes {"erasure_id","status_url"}; again: the same. */
[[nodiscard]] enum problem erasure_request(struct call *call);
/* Writes {"erasure_id","status_url"}. */
void erasure_write(struct call *call, const char *erasure_id);

#define ERASURE_STEPS_MAX 16

/* How far an erasure is, for whoever has its id; it tells nothing about a person. In the arena. */
struct erasure_view {
	enum erasure_status { ERASURE_PENDING, ERASURE_HELD, ERASURE_DONE, ERASURE_STATUS__COUNT } status;
	const char *requested_at, *finished_at; /* finished_at NULL: not yet */
	const char *books, *welcome, *receipt;  /* how long each is kept, as "30 day" */
	size_t count;
	struct erasure_view_step {
		const char *name, *done_at; /* done_at NULL: not yet */
	} steps[ERASURE_STEPS_MAX];
};

/* PROBLEM_NOT_FOUND: there is none, or it was done long ago. */
[[nodiscard]] enum problem erasure_look(struct call *call, const char *erasure_id, struct erasure_view *ret_view);
/* The view as JSON. */
void erasure_write_view(struct call *call, const char *erasure_id, const struct erasure_view *view);

/* What carrying it out needs; the caller's own. */
struct erasure_work {
	struct db *db;
	struct storage *storage;
	struct http *http;
	const struct config *config;
	bool (*go_on)(void *context); /* NULL: to the end */
	void *context;
};

/* Goes on with an erasure that is due, as far as it gets now; *ret_found says whether there was one. */
[[nodiscard]] enum problem erasure_carry_out(const struct erasure_work *work, bool *ret_found);
/* Begins the erasure of accounts whose Auth user vanished, and goes on where a subscription was made after all. */
[[nodiscard]] enum problem erasure_find(struct db *db, int64_t *ret_vanished);

#endif
