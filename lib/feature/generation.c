#include "feature/generation.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "feature/abuse.h"
#include "feature/picture.h"
#include "feature/refusal.h"

enum { MODELS, ADMIT, GET, CANCEL, LIST, FAVOURITE, DELETE };

static const struct db_statement statements[] = {
    [MODELS] = {"select * from shotai.list_models()", true},
    [ADMIT] = {"select * from shotai.admit_generation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", false},
    [GET] = {"select * from shotai.get_generation($1, $2)", true},
    [CANCEL] = {"select * from shotai.cancel_generation($1, $2, $3)", false},
    [LIST] = {"select * from shotai.list_generations($1, $2, $3, $4, $5, $6, $7)", true},
    [FAVOURITE] = {"select * from shotai.set_favourite($1, $2, $3, $4)", true}, /* twice is once */
    [DELETE] = {"select * from shotai.delete_generations($1, $2, $3, $4)", false},
};

static const char *const states[] = {"queued", "running", "succeeded", "partial", "failed", "canceled"};

/* What a person reads about a generation that failed. */
static const struct failure {
	const char *code, *message[LANGUAGE__COUNT];
} failures[] = {
    {"content_policy", {"The model refused this prompt under its content policy. The credits were returned.",
			   "Het model weigert deze prompt vanwege zijn inhoudsregels. De credits zijn teruggegeven."}},
    {"provider_error", {"The model could not make this picture. The credits were returned.",
			   "Het model kon deze opname niet maken. De credits zijn teruggegeven."}},
    {"provider_timeout", {"The model took too long. The credits were returned.",
			     "Het model deed er te lang over. De credits zijn teruggegeven."}},
    {"provider_overloaded",
	{"The model is too busy now. The credits were returned; try again later.",
	    "Het model heeft het nu te druk. De credits zijn teruggegeven; probeer het later opnieuw."}},
    {"moderation_unavailable",
	{"The prompt could not be checked. The credits were returned; try again later.",
	    "De prompt kon niet worden gecontroleerd. De credits zijn teruggegeven; probeer het later opnieuw."}},
    {"reference_expired",
	{"The reference image was deleted before its turn came. The credits were returned.",
	    "De referentieafbeelding was al verwijderd toen ze nodig was. De credits zijn teruggegeven."}},
    {"invalid_output", {"What the model sent was no usable picture. The credits were returned.",
			   "Wat het model stuurde was geen bruikbare opname. De credits zijn teruggegeven."}},
    {"internal", {"Something went wrong here. The credits were returned.",
		     "Er ging hier iets mis. De credits zijn teruggegeven."}},
};

bool
generation_is_status(const char *text)
{
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strcmp(states[i], text) == 0)
			return true;
	return false;
}

static const struct failure *
failure_of(const char *code)
{
	size_t last = sizeof failures / sizeof failures[0] - 1;
	for (size_t i = 0; i < last; i++)
		if (strcmp(failures[i].code, code) == 0)
			return &failures[i];
	return &failures[last];
}

static void
write_error(struct call *call, const char *code)
{
	if (code == NULL) {
		text_json_raw(call->json, "error", NULL);
		return;
	}
	const struct failure *failure = failure_of(code);
	text_json_open(call->json, "error", '{');
	text_json_string(call->json, "code", failure->code);
	text_json_string(call->json, "message", failure->message[call->language]);
	text_json_close(call->json, '}');
}

static void
write_image(struct call *call, const struct picture_signer *signer, const struct db_result *rows, size_t row)
{
	text_json_open(call->json, NULL, '{');
	text_json_int(call->json, "index", db_integer(rows, row, "image_index"));
	text_json_string(call->json, "url", picture_link(signer, call->arena, db_text(rows, row, "image_key")));
	text_json_string(
	    call->json, "thumbnail_url", picture_link(signer, call->arena, db_text(rows, row, "thumbnail_key")));
	text_json_raw(call->json, "width", db_text(rows, row, "width"));
	text_json_raw(call->json, "height", db_text(rows, row, "height"));
	text_json_string(call->json, "content_type", db_text(rows, row, "content_type"));
	text_json_close(call->json, '}');
}

/* Writes the images in the rows of the generation that starts at row; returns the row after them. */
static size_t
write_images(struct call *call, const struct picture_signer *signer, const struct db_result *rows, size_t row)
{
	const char *id = db_text(rows, row, "id");
	text_json_open(call->json, "images", '[');
	for (; row < db_rows(rows) && strcmp(db_text(rows, row, "id"), id) == 0; row++)
		if (db_text(rows, row, "image_key") != NULL)
			write_image(call, signer, rows, row);
	text_json_close(call->json, ']');
	return row;
}

/* Writes the members of the generation that starts at row; returns the row after it. */
static size_t
write_members(struct call *call, const struct picture_signer *signer, const struct db_result *rows, size_t row)
{
	struct text *json = call->json;
	text_json_string(json, "id", db_text(rows, row, "id"));
	text_json_string(json, "status", db_text(rows, row, "status"));
	text_json_string(json, "model", db_text(rows, row, "model"));
	text_json_string(json, "prompt", db_text(rows, row, "prompt"));
	text_json_string(json, "aspect_ratio", db_text(rows, row, "aspect_ratio"));
	text_json_int(json, "count", db_integer(rows, row, "count"));
	text_json_raw(json, "seed", db_text(rows, row, "seed"));
	text_json_int(json, "credits_charged", db_integer(rows, row, "credits_charged"));
	text_json_int(json, "credits_refunded", db_integer(rows, row, "credits_refunded"));
	write_error(call, db_text(rows, row, "error_code"));
	size_t next = write_images(call, signer, rows, row);
	text_json_bool(json, "favourite", db_boolean(rows, row, "favourite"));
	text_json_raw(json, "shared", db_text(rows, row, "shared"));
	text_json_raw(json, "queue_position", db_text(rows, row, "queue_position"));
	text_json_raw(json, "estimated_wait_seconds", NULL);
	text_json_string(json, "created_at", db_text(rows, row, "created_at"));
	text_json_string(json, "started_at", db_text(rows, row, "started_at"));
	text_json_string(json, "finished_at", db_text(rows, row, "finished_at"));
	return next;
}

/* Calls a statement that answers with one generation and writes it, the object left open for more members. */
static enum problem
call_one(struct call *call, const struct db_statement *statement, const char *const *parameters, size_t count,
    struct db_result **ret_rows)
{
	enum problem problem = refusal_call(call, statement, parameters, count, ret_rows);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(*ret_rows) == 0) {
		log_event(LOG_ERROR, "no_rows", "statement", statement->sql, NULL);
		return PROBLEM_INTERNAL;
	}
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, call->arena, call->secrets, time(NULL));
	signer.direct = call->config;
	text_json_open(call->json, NULL, '{');
	write_members(call, &signer, *ret_rows, 0);
	return PROBLEM_NONE;
}

enum problem
generation_models(struct call *call)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[MODELS], NULL, 0, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *description = call->language == LANGUAGE_NL ? "description_nl" : "description";
	text_json_open(call->json, NULL, '{');
	text_json_open(call->json, "items", '[');
	for (size_t row = 0; row < db_rows(rows); row++) {
		text_json_open(call->json, NULL, '{');
		text_json_string(call->json, "id", db_text(rows, row, "id"));
		text_json_string(call->json, "name", db_text(rows, row, "name"));
		text_json_string(call->json, "provider", db_text(rows, row, "provider"));
		text_json_int(call->json, "credits", db_integer(rows, row, "credits"));
		text_json_raw(call->json, "aspect_ratios", db_text(rows, row, "aspect_ratios"));
		text_json_int(call->json, "max_count", db_integer(rows, row, "max_count"));
		text_json_bool(call->json, "accepts_reference", db_boolean(rows, row, "accepts_reference"));
		text_json_int(call->json, "max_references", db_integer(rows, row, "max_references"));
		text_json_string(call->json, "description", db_text(rows, row, description));
		text_json_string(call->json, "retention", db_text(rows, row, "retention"));
		text_json_bool(call->json, "available", db_boolean(rows, row, "available"));
		text_json_close(call->json, '}');
	}
	text_json_close(call->json, ']');
	text_json_close(call->json, '}');
	return PROBLEM_NONE;
}

enum problem
generation_admit(struct call *call, const struct generation_order *order, struct generation_receipt *ret_receipt)
{
	struct arena *arena = call->arena;
	const char *const parameters[] = {
	    call->user->user_id,
	    call->user->session_id,
	    order->model,
	    order->prompt,
	    order->aspect_ratio,
	    db_parameter(arena, order->count),
	    order->has_seed ? db_parameter(arena, order->seed) : NULL,
	    db_array(arena, order->upload_ids.items, order->upload_ids.count),
	    order->idempotency_key,
	    order->request_hash,
	    abuse_prompt_mark(call, order->prompt),
	};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    call_one(call, &statements[ADMIT], parameters, sizeof parameters / sizeof parameters[0], &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	text_json_int(call->json, "balance", db_integer(rows, 0, "balance"));
	text_json_close(call->json, '}');
	ret_receipt->id = arena_strdup(arena, db_text(rows, 0, "id"));
	ret_receipt->replayed = db_boolean(rows, 0, "replayed");
	return PROBLEM_NONE;
}

enum problem
generation_get(struct call *call, const char *id)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    call_one(call, &statements[GET], (const char *const[]){call->user->user_id, id}, 2, &rows);
	if (problem == PROBLEM_NONE)
		text_json_close(call->json, '}');
	return problem;
}

enum problem
generation_cancel(struct call *call, const char *id)
{
	const char *const parameters[] = {call->user->user_id, call->user->session_id, id};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_one(call, &statements[CANCEL], parameters, 3, &rows);
	if (problem == PROBLEM_NONE)
		text_json_close(call->json, '}');
	return problem;
}

enum problem
generation_set_favourite(struct call *call, const char *id, bool favourite)
{
	const char *const parameters[] = {
	    call->user->user_id, call->user->session_id, id, favourite ? "true" : "false"};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_one(call, &statements[FAVOURITE], parameters, 4, &rows);
	if (problem == PROBLEM_NONE)
		text_json_close(call->json, '}');
	return problem;
}

static enum problem delete (struct call *call, const char *const *ids, size_t count, bool all) {
	const char *const parameters[] = {call->user->user_id, call->user->session_id,
	    db_array(call->arena, ids, count), all ? "true" : "false"};
	AUTO_DB_RESULT rows = NULL;
	return refusal_call(call, &statements[DELETE], parameters, 4, &rows);
}

enum problem
generation_delete(struct call *call, const char *id)
{
	return delete (call, &id, 1, true);
}

enum problem
generation_delete_many(struct call *call, const struct body_list *ids)
{
	return delete (call, ids->items, ids->count, false);
}

enum problem
generation_list(struct call *call, const struct generation_filter *filter)
{
	const char *const parameters[] = {
	    call->user->user_id,
	    db_parameter(call->arena, filter->limit),
	    filter->cursor,
	    filter->status,
	    filter->words,
	    filter->model,
	    filter->favourite,
	};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    refusal_call(call, &statements[LIST], parameters, sizeof parameters / sizeof parameters[0], &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, call->arena, call->secrets, time(NULL));
	signer.direct = call->config;
	call_open_list(call);
	for (size_t row = 0; row < db_rows(rows);) {
		text_json_open(call->json, NULL, '{');
		row = write_members(call, &signer, rows, row);
		text_json_close(call->json, '}');
	}
	size_t last = db_rows(rows) - 1;
	bool more = db_rows(rows) > 0 && db_boolean(rows, last, "more");
	call_close_list(call, more ? db_text(rows, last, "cursor") : NULL);
	return PROBLEM_NONE;
}
