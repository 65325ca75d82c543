#include "answer.h"
#include "base/body.h"
#include "gate.h"
#include "password.h"
#include "stand_in.h"

static enum problem
call(struct app *app, struct request *request, struct response *response, const struct db_statement *statement,
    const char *const *parameters, size_t count)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(app->db, request->arena, statement, parameters, count, &result, NULL);
	if (problem != PROBLEM_NONE || answer_refused(request, response, result, &problem))
		return problem;
	return answer_json(response, db_text(result, 0, "user_json"));
}

/* Reads the body's password; false after the answer was written. */
static bool
read_password(struct request *request, struct response *response, const char **ret_hash, enum problem *ret_problem)
{
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	const char *password = body == NULL ? NULL : body_string(body_member(body_root(body), "password"));
	const char *refusal = body == NULL || !body_is_object(body_root(body)) ? "bad_json"
			      : password == NULL                               ? NULL
									       : password_refusal(password);
	if (refusal != NULL) {
		*ret_problem = answer_refusal(request, response, refusal);
		return false;
	}
	*ret_hash = password == NULL ? NULL : password_hash(request->arena, password);
	return true;
}

enum problem
admin_create(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement create = {.sql = "select * from sandbox_auth.admin_create($1::jsonb, $2)"};
	const char *hash;
	enum problem problem;
	if (!gate_operator(app, request, response, &problem) || !read_password(request, response, &hash, &problem))
		return problem;
	const char *parameters[] = {request->body, hash};
	return call(app, request, response, &create, parameters, 2);
}

enum problem
admin_get(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement get = {
	    .sql = "select * from sandbox_auth.admin_get($1::uuid)", .read_only = true};
	enum problem problem;
	if (!gate_operator(app, request, response, &problem))
		return problem;
	return call(app, request, response, &get, request->parameters, 1);
}

enum problem
admin_update(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement update = {
	    .sql = "select * from sandbox_auth.admin_update($1::uuid, $2::jsonb, $3)"};
	const char *hash;
	enum problem problem;
	if (!gate_operator(app, request, response, &problem) || !read_password(request, response, &hash, &problem))
		return problem;
	const char *parameters[] = {request->parameters[0], request->body, hash};
	return call(app, request, response, &update, parameters, 3);
}

enum problem
admin_delete(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement delete = {
	    .sql = "select * from sandbox_auth.admin_delete($1::uuid, $2::boolean)"};
	AUTO_DB_RESULT result = NULL;
	enum problem problem;
	if (!gate_operator(app, request, response, &problem))
		return problem;
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	bool soft = body != NULL && body_boolean(body_member(body_root(body), "should_soft_delete"), false);
	const char *parameters[] = {request->parameters[0], soft ? "true" : "false"};
	problem = db_call(app->db, request->arena, &delete, parameters, 2, &result, NULL);
	if (problem != PROBLEM_NONE || answer_refused(request, response, result, &problem))
		return problem;
	return answer_json(response, "{}");
}
