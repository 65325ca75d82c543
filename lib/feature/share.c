#include "feature/share.h"

#include <string.h>

#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "feature/refusal.h"

#define SLUG_LENGTH 22

enum { CREATE, LIST, DELETE, OPEN, REPORT };

static const struct db_statement statements[] = {
    [CREATE] = {"select * from shotai.create_share($1, $2, $3, $4, $5, $6, $7, $8, $9)", false},
    [LIST] = {"select * from shotai.list_shares($1, $2, $3, $4)", true},
    [DELETE] = {"select * from shotai.delete_share($1, $2, $3)", false},
    [OPEN] = {"select * from shotai.open_share($1, $2)", true}, /* a view counted twice does no harm */
    [REPORT] = {"select * from shotai.report_share($1, $2)", false},
};

bool
share_is_slug(const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	return strlen(text) == SLUG_LENGTH && strspn(text, alphabet) == SLUG_LENGTH &&
	       strchr("AQgw", text[SLUG_LENGTH - 1]) != NULL;
}

const char *
share_slug(struct arena *arena)
{
	uint8_t bits[SHARE_BITS / 8];

	digest_random(bits, sizeof bits);
	return digest_base64url(arena, bits, sizeof bits);
}

static void
write_share(struct call *call, const struct db_result *rows, size_t row)
{
	const char *site = config_text(call->config, CONFIG_PUBLIC_URL);
	const char *slug = db_text(rows, row, "slug");

	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "slug", slug);
	text_json_string(call->json, "url", arena_printf(call->arena, "%s/s/%s", site, slug));
	text_json_string(call->json, "image_url", arena_printf(call->arena, "%s/s/%s/image", site, slug));
	text_json_string(call->json, "generation_id", db_text(rows, row, "generation_id"));
	text_json_int(call->json, "image_index", db_integer(rows, row, "image_index"));
	text_json_bool(call->json, "show_prompt", db_boolean(rows, row, "show_prompt"));
	text_json_string(call->json, "created_at", db_text(rows, row, "created_at"));
	text_json_string(call->json, "expires_at", db_text(rows, row, "expires_at"));
	text_json_int(call->json, "views", db_integer(rows, row, "views"));
	text_json_close(call->json, '}');
}

enum problem
share_create(struct call *call, const struct share_wish *wish, bool *ret_replayed)
{
	const char *const parameters[] = {
	    call->user->user_id,
	    call->user->session_id,
	    share_slug(call->arena),
	    wish->generation_id,
	    db_parameter(call->arena, wish->image_index),
	    wish->show_prompt ? "true" : "false",
	    wish->expires_in > 0 ? db_parameter(call->arena, wish->expires_in) : NULL,
	    wish->idempotency_key,
	    wish->request_hash,
	};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    refusal_call(call, &statements[CREATE], parameters, sizeof parameters / sizeof parameters[0], &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(rows) == 0) {
		log_event(LOG_ERROR, "no_rows", "statement", statements[CREATE].sql, NULL);
		return PROBLEM_INTERNAL;
	}
	write_share(call, rows, 0);
	*ret_replayed = db_boolean(rows, 0, "replayed");
	return PROBLEM_NONE;
}

enum problem
share_list(struct call *call, int64_t limit, const char *cursor, const char *generation_id)
{
	const char *const parameters[] = {call->user->user_id, db_parameter(call->arena, limit), cursor, generation_id};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[LIST], parameters, 4, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	size_t count = db_rows(rows);
	call_open_list(call);
	for (size_t row = 0; row < count; row++)
		write_share(call, rows, row);
	bool more = count > 0 && db_boolean(rows, count - 1, "more");
	call_close_list(call, more ? db_text(rows, count - 1, "cursor") : NULL);
	return PROBLEM_NONE;
}

enum problem
share_delete(struct call *call, const char *slug)
{
	const char *const parameters[] = {call->user->user_id, call->user->session_id, slug};
	AUTO_DB_RESULT rows = NULL;

	if (!share_is_slug(slug))
		return PROBLEM_NOT_FOUND;
	return refusal_call(call, &statements[DELETE], parameters, 3, &rows);
}

enum problem
share_open(struct call *call, const char *slug, const char *look, struct share_view *ret_view)
{
	AUTO_DB_RESULT rows = NULL;

	if (!share_is_slug(slug))
		return PROBLEM_NOT_FOUND;
	enum problem problem = refusal_call(call, &statements[OPEN], (const char *const[]){slug, look}, 2, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(rows) == 0)
		return PROBLEM_NOT_FOUND;
	*ret_view = (struct share_view){
	    .slug = slug,
	    .image_key = arena_strdup(call->arena, db_text(rows, 0, "image_key")),
	    .content_type = arena_strdup(call->arena, db_text(rows, 0, "content_type")),
	    .model_name = arena_strdup(call->arena, db_text(rows, 0, "model_name")),
	    .prompt = arena_strdup(call->arena, db_text(rows, 0, "prompt")),
	    .width = db_integer(rows, 0, "width"),
	    .height = db_integer(rows, 0, "height"),
	    .image_index = db_integer(rows, 0, "image_index"),
	};
	return PROBLEM_NONE;
}

enum problem
share_report(struct call *call, const char *slug, const char *reason)
{
	AUTO_DB_RESULT rows = NULL;

	if (!share_is_slug(slug))
		return PROBLEM_NOT_FOUND;
	return refusal_call(call, &statements[REPORT], (const char *const[]){slug, reason}, 2, &rows);
}
