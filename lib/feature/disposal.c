#include "feature/disposal.h"

#include "base/arena.h"
#include "service/db.h"
#include "service/storage.h"

#define ROUND 1000

enum { CLAIM, FINISH };

static const struct db_statement statements[] = {
    [CLAIM] = {"select * from shotai.claim_object_deletions($1)", false},
    [FINISH] = {"select * from shotai.finish_object_deletions($1)", true},
};

enum problem
disposal_round(struct db *db, struct storage *storage, size_t *ret_count, bool *ret_more)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT claimed = NULL;
	AUTO_DB_RESULT finished = NULL;
	enum problem problem = db_call(
	    db, arena, &statements[CLAIM], (const char *const[]){db_parameter(arena, ROUND)}, 1, &claimed, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	size_t count = db_rows(claimed);
	const char **keys = arena_array(arena, count + 1, sizeof *keys);
	for (size_t row = 0; row < count; row++)
		keys[row] = db_text(claimed, row, "key");
	if (count > 0)
		problem = storage_delete_many(storage, keys, count);
	if (problem == PROBLEM_NONE && count > 0)
		problem = db_call(db, arena, &statements[FINISH], (const char *const[]){db_array(arena, keys, count)},
		    1, &finished, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_count = count;
	*ret_more = count == ROUND;
	return PROBLEM_NONE;
}
