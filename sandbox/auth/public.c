#include <string.h>

#include "answer.h"
#include "base/body.h"
#include "gate.h"
#include "key.h"
#include "stand_in.h"

enum problem
key_set_get(struct app *app, struct request *, struct response *response)
{
	response->cache_control = "public, max-age=600";
	return answer_json(response, key_set(stand_in(app)->key));
}

enum problem
settings_get(struct app *app, struct request *request, struct response *response)
{
	enum problem problem;
	if (!gate_project(app, request, response, &problem))
		return problem;
	struct text *body = &response->body;
	text_json_open(body, NULL, '{');
	text_json_open(body, "external", '{');
	text_json_bool(body, "anonymous_users", stand_in(app)->anonymous);
	text_json_bool(body, "email", true);
	text_json_bool(body, "google", false);
	text_json_bool(body, "phone", false);
	text_json_close(body, '}');
	text_json_bool(body, "disable_signup", false);
	text_json_bool(body, "mailer_autoconfirm", true);
	text_json_bool(body, "phone_autoconfirm", false);
	text_json_string(body, "sms_provider", "");
	text_json_bool(body, "saml_enabled", false);
	text_json_close(body, '}');
	return PROBLEM_NONE;
}

enum problem
health_get(struct app *app, struct request *request, struct response *response)
{
	enum problem problem;
	if (!gate_project(app, request, response, &problem))
		return problem;
	return answer_json(
	    response, "{\"version\":\"sandbox\",\"name\":\"GoTrue\",\"description\":\"a local stand-in\"}");
}

/* No mail is written yet; what is answered tells nobody whether the address is known. */
static enum problem
accept_address(
    struct app *app, struct request *request, struct response *response, const struct db_statement *statement)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem;
	if (!gate_project(app, request, response, &problem))
		return problem;
	AUTO_BODY_TREE body = body_tree_parse(request->body, request->body_len);
	if (body == NULL || !body_is_object(body_root(body)))
		return answer_refusal(request, response, "bad_json");
	const char *address = body_string(body_member(body_root(body), "email"));
	if (address == NULL || strchr(address, '@') == NULL)
		return answer_refusal(request, response, "email_invalid");
	if (statement != NULL)
		problem = db_call(app->db, request->arena, statement, &address, 1, &result, NULL);
	else
		problem = PROBLEM_NONE;
	return problem == PROBLEM_NONE ? answer_json(response, "{}") : problem;
}

enum problem
recover(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement note = {.sql = "select * from sandbox_auth.recover($1)"};
	return accept_address(app, request, response, &note);
}

enum problem
otp(struct app *app, struct request *request, struct response *response)
{
	return accept_address(app, request, response, NULL);
}

/* No code was ever sent, so none fits. */
enum problem
verify(struct app *app, struct request *request, struct response *response)
{
	enum problem problem;
	if (!gate_project(app, request, response, &problem))
		return problem;
	return answer_refusal(request, response, "otp_expired");
}
