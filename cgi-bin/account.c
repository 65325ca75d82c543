#include <stddef.h>
#include <string.h>

#include "account/letters.h"
#include "account/pages.h"
#include "base/body.h"
#include "feature/account.h"
#include "feature/credits.h"
#include "feature/erasure.h"
#include "feature/export.h"
#include "feature/takeout.h"
#include "service/app.h"

#define BODY_MAX 4096
#define CHOSEN_MAX 100
#define LIMIT_MAX 100
#define LIMIT_DEFAULT 20

struct settings_body {
	const char *locale;
	bool receipts, has_receipts, announcements, has_announcements;
};

static const struct body_field notification_fields[] = {
    {.name = "receipts",
	.kind = BODY_BOOLEAN,
	.offset = offsetof(struct settings_body, receipts),
	.present_offset = offsetof(struct settings_body, has_receipts)},
    {.name = "announcements",
	.kind = BODY_BOOLEAN,
	.offset = offsetof(struct settings_body, announcements),
	.present_offset = offsetof(struct settings_body, has_announcements)},
};

static const struct body_field settings_fields[] = {
    {.name = "locale", .kind = BODY_STRING, .min = 1, .max = 16, .offset = offsetof(struct settings_body, locale)},
    {.name = "notifications", .kind = BODY_OBJECT, .fields = notification_fields, .field_count = 2},
};

struct age_body {
	bool at_least_13;
};

static const struct body_field age_fields[] = {
    {.name = "at_least_13", .kind = BODY_BOOLEAN, .required = true, .offset = offsetof(struct age_body, at_least_13)},
};

struct version_body {
	const char *version;
};

static const struct body_field version_fields[] = {
    {.name = "version",
	.kind = BODY_STRING,
	.required = true,
	.min = 1,
	.max = 32,
	.offset = offsetof(struct version_body, version)},
};

struct archive_body {
	struct body_list generations;
};

static const struct body_field archive_fields[] = {
    {.name = "generation_ids",
	.kind = BODY_UUIDS,
	.min = 1,
	.max = CHOSEN_MAX,
	.offset = offsetof(struct archive_body, generations)},
};

static enum problem
site(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	return account_site(&call, &(struct account_site){
				       .supabase_url = config_text(app->config, CONFIG_SUPABASE_URL),
				       .supabase_anon_key = config_text(app->config, CONFIG_SUPABASE_ANON_KEY),
				       .support_email = config_text(app->config, CONFIG_SUPPORT_EMAIL),
				   });
}

static enum problem
look(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->etag = true;
	response->cache_control = "private, no-cache";
	return account_get(&call);
}

static const char *
word_of(bool on)
{
	return on ? "true" : "false";
}

static enum problem
change(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct settings_body body = {0};
	enum problem problem = request_json(request, response, settings_fields, 2, &body);
	if (problem != PROBLEM_NONE)
		return problem;
	if (body.locale != NULL && strcmp(body.locale, "en") != 0 && strcmp(body.locale, "nl") != 0)
		return response_invalid(
		    response, "/locale", request->language == LANGUAGE_NL ? "moet en of nl zijn" : "must be en or nl");
	return account_update(&call, &(struct account_change){
					 .locale = body.locale,
					 .receipts = body.has_receipts ? word_of(body.receipts) : NULL,
					 .announcements = body.has_announcements ? word_of(body.announcements) : NULL,
				     });
}

static enum problem
confirm_age(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct age_body body = {0};
	const char *erasure = NULL;
	enum problem problem = request_json(request, response, age_fields, 1, &body);
	if (problem == PROBLEM_NONE)
		problem = account_confirm_age(&call, body.at_least_13, &erasure);
	if (problem == PROBLEM_NONE && erasure != NULL) {
		erasure_write(&call, erasure);
		response->status = 202;
	}
	return problem;
}

static enum problem
acknowledge(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct version_body body = {0};
	enum problem problem = request_json(request, response, version_fields, 1, &body);
	return problem == PROBLEM_NONE ? account_acknowledge(&call, body.version) : problem;
}

static enum problem
erase(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->status = 202;
	return erasure_request(&call);
}

static enum problem
show_erasure(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct erasure_view view;
	enum problem problem = erasure_look(&call, request->parameters[0], &view);
	if (problem == PROBLEM_NONE)
		erasure_write_view(&call, request->parameters[0], &view);
	return problem;
}

static enum problem
list_credits(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	const char *cursor = NULL;
	int64_t limit = LIMIT_DEFAULT;
	enum problem problem = request_query_integer(request, response, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "cursor", &cursor);
	return problem == PROBLEM_NONE ? credits_list(&call, limit, cursor) : problem;
}

static enum problem
export_all(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	void *context = NULL;
	bool more = false;
	enum problem problem = export_begin(&call, &context, &more);
	if (problem != PROBLEM_NONE)
		return problem;
	response_header(response, "Content-Disposition", "attachment; filename=\"shotai-export.json\"");
	if (more) {
		response->more = export_more;
		response->more_context = context;
	}
	return PROBLEM_NONE;
}

static enum problem
order_archive(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct archive_body body = {0};
	struct takeout_wish wish = {.generations = &body.generations};
	const char *id = NULL;
	bool replayed = false;
	enum problem problem = request_idempotency_key(request, response, &wish.idempotency_key);
	if (problem == PROBLEM_NONE)
		problem = request_json(request, response, archive_fields, 1, &body);
	if (problem != PROBLEM_NONE)
		return problem;
	wish.request_hash = request_body_hash(request);
	problem = takeout_create(&call, &wish, &id, &replayed);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 202;
	response_header(response, "Location", arena_printf(request->arena, "/api/account/archives/%s", id));
	if (replayed)
		response_header(response, "Idempotency-Replayed", "true");
	return PROBLEM_NONE;
}

static enum problem
look_at_archive(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	return takeout_get(&call, request->parameters[0]);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/api/config", .auth = AUTH_NONE, .run = site},
    {.method = "GET", .path = "/api/account", .auth = AUTH_USER, .run = look},
    {.method = "PATCH",
	.path = "/api/account",
	.auth = AUTH_SELF,
	.body = BODY_JSON,
	.body_max = BODY_MAX,
	.run = change},
    {.method = "DELETE", .path = "/api/account", .auth = AUTH_SELF, .run = erase},
    {.method = "GET", .path = "/api/account/erasures/{id}", .auth = AUTH_NONE, .run = show_erasure},
    {.method = "GET", .path = "/erasure/{id}", .auth = AUTH_NONE, .run = pages_receipt},
    {.method = "POST",
	.path = "/api/account/confirm-age",
	.auth = AUTH_SELF,
	.body = BODY_JSON,
	.body_max = BODY_MAX,
	.run = confirm_age},
    {.method = "POST",
	.path = "/api/account/acknowledge-policy",
	.auth = AUTH_SELF,
	.body = BODY_JSON,
	.body_max = BODY_MAX,
	.run = acknowledge},
    {.method = "GET", .path = "/api/account/credits", .auth = AUTH_USER, .run = list_credits},
    {.method = "GET", .path = "/privacy", .auth = AUTH_NONE, .run = pages_privacy},
    {.method = "GET", .path = "/privacy/{version}", .auth = AUTH_NONE, .run = pages_privacy},
    {.method = "GET", .path = "/terms", .auth = AUTH_NONE, .run = pages_terms},
    {.method = "GET", .path = "/support", .auth = AUTH_NONE, .run = pages_support},
    {.method = "GET", .path = "/api/account/export", .auth = AUTH_SELF, .run = export_all},
    {.method = "POST",
	.path = "/api/account/archives",
	.auth = AUTH_SELF,
	.body = BODY_JSON,
	.body_max = BODY_MAX,
	.run = order_archive},
    {.method = "GET", .path = "/api/account/archives/{id}", .auth = AUTH_SELF, .run = look_at_archive},
    {.method = "POST",
	.path = "/api/support",
	.auth = AUTH_MAYBE,
	.body = BODY_RAW,
	.body_max = LETTER_MAX,
	.run = letter_support},
    {.method = "GET", .path = "/unsubscribe/{token}", .auth = AUTH_NONE, .run = letter_ask},
    {.method = "POST",
	.path = "/unsubscribe/{token}",
	.auth = AUTH_NONE,
	.body = BODY_RAW,
	.body_max = BODY_MAX,
	.run = letter_unsubscribe},
};

static const enum config_name needs[] = {CONFIG_DATABASE_URL, CONFIG_SUPABASE_URL, CONFIG_SUPABASE_ANON_KEY,
    CONFIG_SECRET_KEY, CONFIG_PUBLIC_URL, CONFIG_STORAGE, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "account",
    .summary = "a person's account, its settings, its credits and its erasure",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
