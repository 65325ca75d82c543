#include <string.h>

#include "answer.h"
#include "base/body.h"
#include "gate.h"
#include "password.h"
#include "stand_in.h"

enum problem
user_get(struct app *app, struct request *request, struct response *response)
{
	struct caller caller;
	enum problem problem;
	if (!gate_person(app, request, response, &caller, &problem))
		return problem;
	return answer_json(response, caller.user_json);
}

/* What speaks against this change, or NULL. */
static const char *
update_refusal(const struct caller *caller, const struct body_value *body, const char *password)
{
	const char *email = body_string(body_member(body, "email")), *phone = body_string(body_member(body, "phone"));
	if (body_member(body, "app_metadata") != NULL)
		return "app_metadata";
	if (phone != NULL && *phone != '\0')
		return "phone_disabled";
	if (password == NULL)
		return NULL;
	if (caller->anonymous && (email == NULL || *email == '\0'))
		return "password_of_anonymous";
	const char *refusal = password_refusal(password);
	if (refusal != NULL)
		return refusal;
	return password_fits(password, caller->password) ? "password_same" : NULL;
}

enum problem
user_update(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement update = {
	    .sql = "select * from sandbox_auth.update_user($1::uuid, $2::uuid, $3::jsonb, $4)"};
	AUTO_DB_RESULT result = NULL;
	struct caller caller;
	enum problem problem;
	if (!gate_person(app, request, response, &caller, &problem))
		return problem;
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	if (body == NULL || !body_is_object(body_root(body)))
		return answer_refusal(request, response, "bad_json");
	const char *password = body_string(body_member(body_root(body), "password"));
	const char *refusal = update_refusal(&caller, body_root(body), password);
	if (refusal != NULL)
		return answer_refusal(request, response, refusal);
	const char *parameters[] = {
	    caller.user_id,
	    caller.session_id,
	    request->body,
	    password == NULL ? NULL : password_hash(request->arena, password),
	};
	problem = db_call(app->db, request->arena, &update, parameters, 4, &result, NULL);
	if (problem != PROBLEM_NONE || answer_refused(request, response, result, &problem))
		return problem;
	return answer_json(response, db_text(result, 0, "user_json"));
}

static bool
is_scope(const char *scope)
{
	return strcmp(scope, "global") == 0 || strcmp(scope, "local") == 0 || strcmp(scope, "others") == 0;
}

enum problem
sign_out(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement end = {.sql = "select * from sandbox_auth.sign_out($1::uuid, $2::uuid, $3)"};
	AUTO_DB_RESULT result = NULL;
	struct caller caller;
	const char *scope;
	enum problem problem;
	if (!gate_person(app, request, response, &caller, &problem))
		return problem;
	problem = request_query(request, response, "scope", &scope);
	if (problem != PROBLEM_NONE)
		return problem;
	if (scope != NULL && !is_scope(scope))
		return answer_refusal(request, response, "scope");
	const char *parameters[] = {caller.user_id, caller.session_id, scope == NULL ? "global" : scope};
	problem = db_call(app->db, request->arena, &end, parameters, 3, &result, NULL);
	return problem == PROBLEM_NONE ? answer_nothing(response) : problem;
}
