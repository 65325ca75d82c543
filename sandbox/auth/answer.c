#include "answer.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "key.h"
#include "password.h"
#include "service/db.h"
#include "service/request.h"
#include "service/response.h"
#include "stand_in.h"

#define API_VERSION "2024-01-01"
#define STRING(number) #number
#define AS_STRING(number) STRING(number)

struct refusal {
	const char *key;
	int status;
	const char *code, *message;
};

static const struct refusal refusals[] = {
    {"anonymous_disabled", 422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"},
    {"app_metadata", 403, "not_admin", "Updating app_metadata requires admin privileges"},
    {"bad_json", 400, "bad_json", "Could not parse request body as JSON"},
    {"bad_jwt", 403, "bad_jwt", "invalid JWT: unable to parse or verify signature"},
    {"ban_duration_invalid", 400, "validation_failed", "invalid format for ban duration"},
    {"caller_banned", 403, "user_banned", "User is banned"},
    {"caller_not_found", 403, "user_not_found", "User from sub claim in JWT does not exist"},
    {"email_exists", 422, "email_exists", "A user with this email address has already been registered"},
    {"email_invalid", 400, "validation_failed", "Unable to validate email address: invalid format"},
    {"email_not_confirmed", 400, "email_not_confirmed", "Email not confirmed"},
    {"flow_state_not_found", 404, "flow_state_not_found", "invalid flow state, no valid flow state found"},
    {"grant_type", 400, "invalid_credentials", "unsupported_grant_type"},
    {"internal", 500, "unexpected_failure", "Unexpected failure, please check server logs for more information"},
    {"invalid_credentials", 400, "invalid_credentials", "Invalid login credentials"},
    {"no_authorization", 401, "no_authorization", "This endpoint requires a valid Bearer token"},
    {"not_admin", 403, "not_admin", "User not allowed"},
    {"otp_expired", 403, "otp_expired", "Token has expired or is invalid"},
    {"password_of_anonymous", 422, "validation_failed",
	"Updating password of an anonymous user without an email or phone is not allowed"},
    {"password_required", 400, "validation_failed", "Signup requires a valid password"},
    {"password_too_long", 400, "validation_failed",
	"Password cannot be longer than " AS_STRING(PASSWORD_MAX) " characters"},
    {"password_same", 422, "same_password", "New password should be different from the old password."},
    {"password_weak", 422, "weak_password", "Password should be at least " AS_STRING(PASSWORD_MIN) " characters."},
    {"phone_disabled", 400, "phone_provider_disabled", "Phone signups are disabled"},
    {"refresh_session_expired", 400, "session_expired", "Invalid Refresh Token: Session Expired"},
    {"refresh_session_not_found", 400, "session_not_found", "Invalid Refresh Token: No Valid Session Found"},
    {"refresh_token_already_used", 400, "refresh_token_already_used", "Invalid Refresh Token: Already Used"},
    {"refresh_token_not_found", 400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"},
    {"refresh_user_banned", 400, "user_banned", "Invalid Refresh Token: User Banned"},
    {"scope", 400, "validation_failed", "Unsupported logout scope"},
    {"session_not_found", 403, "session_not_found", "Session from session_id claim in JWT does not exist"},
    {"user_already_exists", 422, "user_already_exists", "User already registered"},
    {"user_banned", 400, "user_banned", "User is banned"},
    {"user_not_found", 404, "user_not_found", "User not found"},
};

static bool
is_versioned(const struct request *request)
{
	const char *version = request_header(request, "HTTP_X_SUPABASE_API_VERSION");
	return version != NULL && strlen(version) == strlen(API_VERSION) && strcmp(version, API_VERSION) >= 0;
}

static void
write_refusal(const struct request *request, struct response *response, const struct refusal *refusal)
{
	struct text *body = &response->body;
	bool versioned = is_versioned(request);
	text_json_open(body, NULL, '{');
	if (versioned) {
		text_json_string(body, "code", refusal->code);
		text_json_string(body, "message", refusal->message);
		response_header(response, "X-Supabase-Api-Version", API_VERSION);
	} else {
		text_json_int(body, "code", refusal->status);
		text_json_string(body, "error_code", refusal->code);
		text_json_string(body, "msg", refusal->message);
	}
	if (strcmp(refusal->code, "weak_password") == 0)
		text_json_raw(body, "weak_password", "{\"reasons\":[\"length\"]}");
	text_json_close(body, '}');
	response->status = refusal->status;
	response_header(response, "x-sb-error-code", refusal->code);
}

enum problem
answer_refusal(struct request *request, struct response *response, const char *key)
{
	size_t i = 0;
	while (strcmp(refusals[i].key, key) != 0) {
		i++;
		assert(i < sizeof(refusals) / sizeof(refusals[0]));
	}
	write_refusal(request, response, &refusals[i]);
	return PROBLEM_NONE;
}

bool
answer_refused(
    struct request *request, struct response *response, const struct db_result *result, enum problem *ret_problem)
{
	const char *error = db_rows(result) == 0 ? "internal" : db_text(result, 0, "error");
	if (error == NULL)
		return false;
	*ret_problem = answer_refusal(request, response, error);
	return true;
}

enum problem
answer_session(
    struct request *request, struct response *response, const struct db_result *result, const struct key *key)
{
	struct text *body = &response->body;
	const char *token = key_sign(key, request->arena, db_text(result, 0, "claims"));
	if (token == NULL)
		return answer_refusal(request, response, "internal");
	text_json_open(body, NULL, '{');
	text_json_string(body, "access_token", token);
	text_json_string(body, "token_type", "bearer");
	text_json_int(body, "expires_in", TOKEN_SECONDS);
	text_json_int(body, "expires_at", db_integer(result, 0, "expires_at"));
	text_json_string(body, "refresh_token", db_text(result, 0, "refresh_token"));
	text_json_raw(body, "user", db_text(result, 0, "user_json"));
	text_json_close(body, '}');
	return PROBLEM_NONE;
}

enum problem
answer_json(struct response *response, const char *json)
{
	text_add(&response->body, json);
	return PROBLEM_NONE;
}

enum problem
answer_nothing(struct response *response)
{
	response->status = 204;
	return PROBLEM_NONE;
}
