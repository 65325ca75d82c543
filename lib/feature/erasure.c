#include "feature/erasure.h"

#include <assert.h>
#include <string.h>

#include "feature/refusal.h"

enum { REQUEST, STATE };

static const struct db_statement statements[] = {
    [REQUEST] = {"select * from shotai.request_erasure($1, $2, $3)", true}, /* the second answers what the first did */
    [STATE] = {"select * from shotai.erasure_state($1)", true},
};

static const char *const statuses[ERASURE_STATUS__COUNT] = {
    [ERASURE_PENDING] = "pending",
    [ERASURE_HELD] = "held",
    [ERASURE_DONE] = "done",
};

void
erasure_write(struct call *call, const char *erasure_id)
{
	const char *site = config_text(call->config, CONFIG_PUBLIC_URL);

	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "erasure_id", erasure_id);
	text_json_string(call->json, "status_url", arena_printf(call->arena, "%s/erasure/%s", site, erasure_id));
	text_json_close(call->json, '}');
}

enum problem
erasure_request(struct call *call)
{
	const char *const parameters[] = {
	    call->user->user_id, call->user->session_id, db_parameter(call->arena, call->user->signed_in_at)};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[REQUEST], parameters, 3, &rows);
	if (problem == PROBLEM_NONE)
		erasure_write(call, db_text(rows, 0, "erasure_id"));
	return problem;
}

static enum erasure_status
status_of(const char *word)
{
	for (int i = 0; i < ERASURE_STATUS__COUNT; i++)
		if (strcmp(word, statuses[i]) == 0)
			return (enum erasure_status)i;
	assert(false && "a status that is not in the table");
	return ERASURE_PENDING;
}

enum problem
erasure_look(struct call *call, const char *erasure_id, struct erasure_view *ret_view)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[STATE], (const char *const[]){erasure_id}, 1, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	assert(db_rows(rows) <= ERASURE_STEPS_MAX);
	*ret_view = (struct erasure_view){
	    .status = status_of(db_text(rows, 0, "status")),
	    .requested_at = arena_strdup(call->arena, db_text(rows, 0, "requested_at")),
	    .finished_at = arena_strdup(call->arena, db_text(rows, 0, "finished_at")),
	    .books = arena_strdup(call->arena, db_text(rows, 0, "books")),
	    .welcome = arena_strdup(call->arena, db_text(rows, 0, "welcome")),
	    .receipt = arena_strdup(call->arena, db_text(rows, 0, "receipt")),
	    .count = db_rows(rows),
	};
	for (size_t row = 0; row < ret_view->count; row++)
		ret_view->steps[row] = (struct erasure_view_step){
		    .name = arena_strdup(call->arena, db_text(rows, row, "step")),
		    .done_at = arena_strdup(call->arena, db_text(rows, row, "done_at")),
		};
	return PROBLEM_NONE;
}

void
erasure_write_view(struct call *call, const char *erasure_id, const struct erasure_view *view)
{
	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "erasure_id", erasure_id);
	text_json_string(call->json, "status", statuses[view->status]);
	text_json_string(call->json, "requested_at", view->requested_at);
	text_json_string(call->json, "finished_at", view->finished_at);
	text_json_open(call->json, "steps", '[');
	for (size_t i = 0; i < view->count; i++) {
		text_json_open(call->json, NULL, '{');
		text_json_string(call->json, "step", view->steps[i].name);
		text_json_string(call->json, "done_at", view->steps[i].done_at);
		text_json_close(call->json, '}');
	}
	text_json_close(call->json, ']');
	text_json_close(call->json, '}');
}
