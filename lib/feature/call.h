/*
 * What the functions of this floor are given by a program's handler: whose
 * request it is, where to ask and where to write. They write their answer as
 * JSON straight from the rows; a refusal's extras go to `refusal`.
 */
#ifndef SHOTAI_CALL_H
#define SHOTAI_CALL_H

#include "service/app.h"

struct call {
	struct db *db;
	struct arena *arena;
	const struct claims *user; /* unset on routes without authentication */
	enum language language;
	const char *secrets; /* SECRET_KEY */
	const struct config *config;
	struct text *json;
	struct db_refusal *refusal;
};

static inline struct call
call_of(struct app *app, struct request *request, struct response *response)
{
	return (struct call){
	    .db = app->db,
	    .arena = request->arena,
	    .user = &request->user,
	    .language = request->language,
	    .secrets = config_text(app->config, CONFIG_SECRET_KEY),
	    .config = app->config,
	    .json = &response->body,
	    .refusal = &response->refusal,
	};
}

/* A list's answer: {"items":[ ... ],"next_cursor":null|"..."}; cursor NULL when nothing follows. */
static inline void
call_open_list(struct call *call)
{
	text_json_open(call->json, NULL, '{');
	text_json_open(call->json, "items", '[');
}

static inline void
call_close_list(struct call *call, const char *cursor)
{
	text_json_close(call->json, ']');
	text_json_string(call->json, "next_cursor", cursor);
	text_json_close(call->json, '}');
}

#endif
