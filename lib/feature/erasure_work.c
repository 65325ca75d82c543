#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "feature/erasure.h"
#include "service/auth_admin.h"
#include "service/creem.h"
#include "service/db.h"
#include "service/storage.h"

#define ACCOUNTS_A_LOOK 1000
/* In one look: when more than these vanished at once, somebody may still see it in time. */
#define VANISHED_MAX 20

enum { CLAIM, STEP, POSTPONE, VANISHED, REOPEN };

static const struct db_statement statements[] = {
    [CLAIM] = {"select * from shotai.claim_erasure()", false},
    [STEP] = {"select * from shotai.erase_step($1, $2, $3)", true},
    [POSTPONE] = {"select * from shotai.postpone_erasure($1, $2)", true},
    [VANISHED] = {"select * from shotai.erase_vanished($1, $2, $3)", true},
    [REOPEN] = {"select * from shotai.reopen_erasures()", true},
};

static enum problem
cancel_subscriptions(const struct erasure_work *work, struct arena *arena, const char *const *items, size_t count)
{
	const struct creem creem = {.config = work->config, .http = work->http};
	enum problem problem = PROBLEM_NONE;
	for (size_t i = 0; problem == PROBLEM_NONE && i < count; i++)
		problem = creem_cancel(&creem, arena, items[i]);
	return problem;
}

static enum problem
delete_objects(const struct erasure_work *work, struct arena *arena, const char *const *items, size_t count)
{
	(void)arena;
	return storage_delete_many(work->storage, items, count);
}

static enum problem
delete_user(const struct erasure_work *work, struct arena *arena, const char *const *items, size_t count)
{
	enum problem problem = PROBLEM_NONE;
	for (size_t i = 0; problem == PROBLEM_NONE && i < count; i++)
		problem = auth_admin_delete(work->config, work->http, arena, items[i]);
	return problem;
}

/* What the items of a step are; the other steps are rows only. */
static const struct {
	const char *step;
	enum problem (*run)(
	    const struct erasure_work *work, struct arena *arena, const char *const *items, size_t count);
} outside[] = {
    {"subscriptions", cancel_subscriptions},
    {"pictures", delete_objects},
    {"uploads", delete_objects},
    {"sign_in", delete_user},
};

static enum problem
take(const struct erasure_work *work, struct arena *arena, const char *step, const char *const *items, size_t count)
{
	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
		if (strcmp(outside[i].step, step) == 0)
			return outside[i].run(work, arena, items, count);
	log_event(LOG_ERROR, "erasure_step_unknown", "step", step, NULL);
	return PROBLEM_INTERNAL;
}

static bool
goes_on(const struct erasure_work *work)
{
	return work->go_on == NULL || work->go_on(work->context);
}

/* Takes a step as far as it gets: a part, what it names outside, then the part that follows from that. */
static enum problem
run_step(const struct erasure_work *work, const char *erasure, const char *step)
{
	AUTO_ARENA last = arena_new();
	const char *done = "{}";
	bool more;
	do {
		AUTO_ARENA arena = arena_new();
		AUTO_DB_RESULT rows = NULL;
		enum problem problem = db_call(
		    work->db, arena, &statements[STEP], (const char *const[]){erasure, step, done}, 3, &rows, NULL);
		size_t count = problem == PROBLEM_NONE ? db_rows(rows) : 0;
		const char **items = arena_array(arena, count + 1, sizeof *items);
		size_t named = 0;
		for (size_t row = 0; row < count; row++)
			if (db_text(rows, row, "item") != NULL)
				items[named++] = db_text(rows, row, "item");
		if (problem == PROBLEM_NONE && named > 0)
			problem = take(work, arena, step, items, named);
		if (problem != PROBLEM_NONE)
			return problem;
		arena_reset(last);
		done = db_array(last, items, named);
		more = count > 0;
	} while (more && goes_on(work));
	return PROBLEM_NONE;
}

enum problem
erasure_carry_out(const struct erasure_work *work, bool *ret_found)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	AUTO_DB_RESULT state = NULL;
	const char *why = NULL;
	enum problem problem = db_call(work->db, arena, &statements[CLAIM], NULL, 0, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_found = db_rows(rows) > 0;
	for (size_t row = 0; row < db_rows(rows) && goes_on(work); row++) {
		const char *step = db_text(rows, row, "step");
		problem = run_step(work, db_text(rows, row, "erasure"), step);
		if (problem == PROBLEM_DATABASE_UNAVAILABLE)
			return problem;
		if (problem != PROBLEM_NONE && why == NULL)
			why = arena_printf(arena, "%s: %s", step, problem_describe(problem)->code);
	}
	if (!*ret_found)
		return PROBLEM_NONE;
	const char *erasure = db_text(rows, 0, "erasure");
	problem = db_call(work->db, arena, &statements[POSTPONE], (const char *const[]){erasure, why}, 2, &state, NULL);
	if (problem == PROBLEM_NONE && db_boolean(state, 0, "finished"))
		log_event(LOG_INFO, "erased", "erasure", erasure, NULL);
	else if (why != NULL)
		log_event(LOG_WARN, "erasure_postponed", "erasure", erasure, "why", why, NULL);
	return problem;
}

enum problem
erasure_find(struct db *db, int64_t *ret_vanished)
{
	AUTO_ARENA arena = arena_new();
	const char *after = "0";
	enum problem problem = PROBLEM_NONE;
	*ret_vanished = 0;
	while (problem == PROBLEM_NONE && after != NULL && *ret_vanished < VANISHED_MAX) {
		AUTO_DB_RESULT rows = NULL;
		problem = db_call(db, arena, &statements[VANISHED],
		    (const char *const[]){
			after, db_parameter(arena, ACCOUNTS_A_LOOK), db_parameter(arena, VANISHED_MAX - *ret_vanished)},
		    3, &rows, NULL);
		if (problem == PROBLEM_NONE) {
			after = arena_strdup(arena, db_text(rows, 0, "last"));
			*ret_vanished += db_integer(rows, 0, "vanished");
		}
	}
	AUTO_DB_RESULT none = NULL;
	return problem != PROBLEM_NONE ? problem : db_call(db, arena, &statements[REOPEN], NULL, 0, &none, NULL);
}
