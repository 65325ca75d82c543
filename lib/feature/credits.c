#include "feature/credits.h"

#include "feature/refusal.h"

enum { LIST };

static const struct db_statement statements[] = {
    [LIST] = {"select * from shotai.list_credit_entries($1, $2, $3)", true},
};

enum problem
credits_list(struct call *call, int64_t limit, const char *cursor)
{
	const char *const parameters[] = {call->user->user_id, db_parameter(call->arena, limit), cursor};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[LIST], parameters, 3, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	call_open_list(call);
	for (size_t row = 0; row < db_rows(rows); row++) {
		text_json_open(call->json, NULL, '{');
		text_json_string(call->json, "id", db_text(rows, row, "id"));
		text_json_string(call->json, "kind", db_text(rows, row, "kind"));
		text_json_string(call->json, "source", db_text(rows, row, "source"));
		text_json_int(call->json, "amount", db_integer(rows, row, "amount"));
		text_json_int(call->json, "balance_after", db_integer(rows, row, "balance_after"));
		text_json_string(call->json, "generation_id", db_text(rows, row, "generation_id"));
		text_json_string(call->json, "order_id", db_text(rows, row, "order_id"));
		text_json_string(call->json, "created_at", db_text(rows, row, "created_at"));
		text_json_close(call->json, '}');
	}
	size_t last = db_rows(rows) - 1;
	bool more = db_rows(rows) > 0 && db_boolean(rows, last, "more");
	call_close_list(call, more ? db_text(rows, last, "cursor") : NULL);
	return PROBLEM_NONE;
}
