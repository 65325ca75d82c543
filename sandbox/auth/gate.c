#include "gate.h"

#include <string.h>

#include "answer.h"
#include "base/arena.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/text.h"
#include "key.h"
#include "stand_in.h"

static bool
equals(const char *a, const char *b)
{
	return a != NULL && b != NULL && strlen(a) == strlen(b) && digest_equal(a, b, strlen(a));
}

static enum problem
refuse_project(struct response *response, const char *message, const char *hint)
{
	text_json_open(&response->body, NULL, '{');
	text_json_string(&response->body, "message", message);
	text_json_string(&response->body, "hint", hint);
	text_json_close(&response->body, '}');
	response->status = 401;
	return PROBLEM_NONE;
}

bool
gate_project(struct app *app, struct request *request, struct response *response, enum problem *ret_problem)
{
	const char *given = request_header(request, "HTTP_APIKEY");
	const char *publishable = config_text(app->config, CONFIG_SUPABASE_ANON_KEY);
	const char *secret = config_text(app->config, CONFIG_SUPABASE_SECRET_KEY);
	if (publishable == NULL || equals(given, publishable) || equals(given, secret))
		return true;
	*ret_problem = given == NULL
			   ? refuse_project(response, "No API key found in request",
				 "No `apikey` request header or url param was found.")
			   : refuse_project(response, "Invalid API key", "Double check your Supabase API key.");
	return false;
}

/* The library's own verifier, fed with our key each time, so that it never asks for it over HTTP. */
static bool
is_valid(struct app *app, struct request *request, const char *bearer, struct claims *ret_claims)
{
	const char *set = key_set(stand_in(app)->key);
	return auth_load_keys(app->auth, set, strlen(set)) &&
	       auth_verify(app->auth, request->arena, bearer, strlen(bearer), ret_claims) == PROBLEM_NONE;
}

bool
gate_person(struct app *app, struct request *request, struct response *response, struct caller *ret_caller,
    enum problem *ret_problem)
{
	static const struct db_statement find = {
	    .sql = "select * from sandbox_auth.caller($1::uuid, $2::uuid)", .read_only = true};
	AUTO_DB_RESULT result = NULL;
	struct claims claims;
	const char *bearer = request_bearer(request);
	if (!gate_project(app, request, response, ret_problem))
		return false;
	if (bearer == NULL || *bearer == '\0') {
		*ret_problem = answer_refusal(request, response, "no_authorization");
		return false;
	}
	if (!is_valid(app, request, bearer, &claims)) {
		*ret_problem = answer_refusal(request, response, "bad_jwt");
		return false;
	}
	const char *parameters[] = {claims.user_id, claims.session_id};
	*ret_problem = db_call(app->db, request->arena, &find, parameters, 2, &result, NULL);
	if (*ret_problem != PROBLEM_NONE || answer_refused(request, response, result, ret_problem))
		return false;
	*ret_caller = (struct caller){
	    .user_id = claims.user_id,
	    .session_id = claims.session_id,
	    .user_json = arena_strdup(request->arena, db_text(result, 0, "user_json")),
	    .password = arena_strdup(request->arena, db_text(result, 0, "hash")),
	    .anonymous = db_boolean(result, 0, "anonymous"),
	};
	return true;
}

bool
gate_operator(struct app *app, struct request *request, struct response *response, enum problem *ret_problem)
{
	const char *secret = config_text(app->config, CONFIG_SUPABASE_SECRET_KEY), *bearer = request_bearer(request);
	if (!gate_project(app, request, response, ret_problem))
		return false;
	if (equals(request_header(request, "HTTP_APIKEY"), secret) && (bearer == NULL || equals(bearer, secret)))
		return true;
	*ret_problem = answer_refusal(request, response, bearer == NULL ? "no_authorization" : "not_admin");
	return false;
}
