#include <string.h>

#include "answer.h"
#include "base/body.h"
#include "base/digest.h"
#include "gate.h"
#include "password.h"
#include "stand_in.h"

#define REFRESH_BYTES 16

static const char *
fresh_token(struct arena *arena)
{
	uint8_t bytes[REFRESH_BYTES];
	digest_random(bytes, sizeof(bytes));
	return digest_base64url(arena, bytes, sizeof(bytes));
}

static const char *
member(const struct body_tree *body, const char *name)
{
	const char *text = body_string(body_member(body_root(body), name));
	return text == NULL ? "" : text;
}

static enum problem
start_session(struct app *app, struct request *request, struct response *response, const struct db_statement *statement,
    const char *const *parameters, size_t count)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(app->db, request->arena, statement, parameters, count, &result, NULL);
	if (problem != PROBLEM_NONE || answer_refused(request, response, result, &problem))
		return problem;
	return answer_session(request, response, result, stand_in(app)->key);
}

/* What speaks against this sign-up, or NULL. */
static const char *
sign_up_refusal(const struct app *app, const char *email, const char *phone, const char *password)
{
	if (*phone != '\0')
		return "phone_disabled";
	if (*email == '\0' && *password == '\0')
		return stand_in(app)->anonymous ? NULL : "anonymous_disabled";
	if (*password == '\0')
		return "password_required";
	return *email == '\0' ? "email_invalid" : password_refusal(password);
}

enum problem
sign_up(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement create = {
	    .sql = "select * from sandbox_auth.sign_up($1::jsonb, $2, $3, $4, $5, $6::integer)"};
	enum problem problem;
	if (!gate_project(app, request, response, &problem))
		return problem;
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	if (body == NULL || !body_is_object(body_root(body)))
		return answer_refusal(request, response, "bad_json");
	const char *email = member(body, "email"), *password = member(body, "password");
	const char *refusal = sign_up_refusal(app, email, member(body, "phone"), password);
	if (refusal != NULL)
		return answer_refusal(request, response, refusal);
	const char *parameters[] = {
	    request->body,
	    *email == '\0' ? NULL : password_hash(request->arena, password),
	    fresh_token(request->arena),
	    request_header(request, "HTTP_USER_AGENT"),
	    stand_in(app)->issuer,
	    db_parameter(request->arena, TOKEN_SECONDS),
	};
	return start_session(app, request, response, &create, parameters, 6);
}

/* An unknown address and a wrong password cost the same and answer the same. */
static enum problem
grant_password(struct app *app, struct request *request, struct response *response, const struct body_tree *body)
{
	static const struct db_statement
	    find = {.sql = "select * from sandbox_auth.find_login($1)", .read_only = true},
	    sign_in = {.sql = "select * from sandbox_auth.sign_in($1::uuid, $2, $3, $4, $5::integer)"};
	AUTO_DB_RESULT login = NULL;
	const char *email = member(body, "email");
	enum problem problem = db_call(app->db, request->arena, &find, &email, 1, &login, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *hash = db_rows(login) == 0 ? NULL : db_text(login, 0, "hash");
	if (!password_fits(member(body, "password"), hash))
		return answer_refusal(request, response, "invalid_credentials");
	const char *parameters[] = {
	    db_text(login, 0, "user_id"),
	    fresh_token(request->arena),
	    request_header(request, "HTTP_USER_AGENT"),
	    stand_in(app)->issuer,
	    db_parameter(request->arena, TOKEN_SECONDS),
	};
	return start_session(app, request, response, &sign_in, parameters, 5);
}

static enum problem
grant_refresh(struct app *app, struct request *request, struct response *response, const struct body_tree *body)
{
	static const struct db_statement refresh = {
	    .sql = "select * from sandbox_auth.refresh($1, $2, $3, $4::integer, $5::integer)"};
	const char *old = member(body, "refresh_token");
	if (*old == '\0') {
		response->status = 400;
		return answer_json(
		    response, "{\"error\":\"invalid_request\",\"error_description\":\"refresh_token required\"}");
	}
	const char *parameters[] = {
	    old,
	    fresh_token(request->arena),
	    stand_in(app)->issuer,
	    db_parameter(request->arena, TOKEN_SECONDS),
	    db_parameter(request->arena, REUSE_SECONDS),
	};
	return start_session(app, request, response, &refresh, parameters, 5);
}

enum problem
token(struct app *app, struct request *request, struct response *response)
{
	const char *grant;
	enum problem problem;
	if (!gate_project(app, request, response, &problem))
		return problem;
	problem = request_query(request, response, "grant_type", &grant);
	if (problem != PROBLEM_NONE)
		return problem;
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	if (body == NULL || !body_is_object(body_root(body)))
		return answer_refusal(request, response, "bad_json");
	if (grant != NULL && strcmp(grant, "password") == 0)
		return grant_password(app, request, response, body);
	if (grant != NULL && strcmp(grant, "refresh_token") == 0)
		return grant_refresh(app, request, response, body);
	/* There is no other way in than a password here, so no flow is ever under way. */
	return answer_refusal(
	    request, response, grant != NULL && strcmp(grant, "pkce") == 0 ? "flow_state_not_found" : "grant_type");
}
