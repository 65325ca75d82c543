#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/body.h"
#include "base/log.h"
#include "base/text.h"
#include "feature/share.h"
#include "feature/share_page.h"
#include "service/app.h"
#include "service/storage.h"

#define LIMIT_MAX 100
#define LIMIT_DEFAULT 20
#define IMAGES_MAX 10
#define EXPIRY_MIN 60
#define EXPIRY_MAX (366 * 24 * 3600)
#define REPORT_MAX (32u << 10) /* a code point may take twelve bytes in a form */

struct wish_body {
	const char *generation_id;
	int64_t image_index, expires_in;
	bool show_prompt;
};

static const struct body_field wish_fields[] = {
    {.name = "generation_id", .kind = BODY_UUID, .required = true, .offset = offsetof(struct wish_body, generation_id)},
    {.name = "image_index",
	.kind = BODY_INTEGER,
	.min = 0,
	.max = IMAGES_MAX - 1,
	.offset = offsetof(struct wish_body, image_index)},
    {.name = "show_prompt", .kind = BODY_BOOLEAN, .offset = offsetof(struct wish_body, show_prompt)},
    {.name = "expires_in",
	.kind = BODY_INTEGER,
	.min = EXPIRY_MIN,
	.max = EXPIRY_MAX,
	.offset = offsetof(struct wish_body, expires_in)},
};

struct report_body {
	const char *reason;
};

static const struct body_field report_fields[] = {
    {.name = "reason",
	.kind = BODY_STRING,
	.required = true,
	.min = 1,
	.max = SHARE_REASON_MAX,
	.offset = offsetof(struct report_body, reason)},
};

static enum problem
create(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct wish_body body = {0};
	struct share_wish wish = {0};
	bool replayed = false;
	enum problem problem = request_idempotency_key(request, response, &wish.idempotency_key);
	if (problem == PROBLEM_NONE)
		problem =
		    request_json(request, response, wish_fields, sizeof wish_fields / sizeof wish_fields[0], &body);
	if (problem != PROBLEM_NONE)
		return problem;
	wish.generation_id = body.generation_id;
	wish.image_index = body.image_index;
	wish.show_prompt = body.show_prompt;
	wish.expires_in = body.expires_in;
	wish.request_hash = request_body_hash(request);
	problem = share_create(&call, &wish, &replayed);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 201;
	if (replayed)
		response_header(response, "Idempotency-Replayed", "true");
	return PROBLEM_NONE;
}

/* The query's generation_id in lower case, NULL when absent. */
static enum problem
read_generation(struct request *request, struct response *response, const char **ret_id)
{
	const char *text = NULL;
	enum problem problem = request_query(request, response, "generation_id", &text);
	if (problem != PROBLEM_NONE || text == NULL)
		return problem;
	char *id = arena_strdup(request->arena, text);
	for (char *c = id; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	bool valid = strlen(id) == 36;
	for (size_t i = 0; valid && i < 36; i++)
		valid = i == 8 || i == 13 || i == 18 || i == 23 ? id[i] == '-' : isxdigit((unsigned char)id[i]);
	if (!valid)
		return response_invalid(response, "generation_id",
		    request->language == LANGUAGE_NL ? "moet een UUID zijn" : "must be a UUID");
	*ret_id = id;
	return PROBLEM_NONE;
}

static enum problem
list(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	const char *cursor = NULL, *generation = NULL;
	int64_t limit = LIMIT_DEFAULT;
	enum problem problem = request_query_integer(request, response, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "cursor", &cursor);
	if (problem == PROBLEM_NONE)
		problem = read_generation(request, response, &generation);
	return problem == PROBLEM_NONE ? share_list(&call, limit, cursor, generation) : problem;
}

static enum problem
revoke(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->status = 204;
	return share_delete(&call, request->parameters[0]);
}

/* Answers with the page, whatever became of the request: people read it. */
static enum problem
write_page(
    struct app *app, struct request *request, struct response *response, enum share_note note, enum problem problem)
{
	struct call call = call_of(app, request, response);
	struct share_view view;
	struct share_page page = {
	    .arena = request->arena,
	    .site = config_text(app->config, CONFIG_PUBLIC_URL),
	    .language = request->language,
	    .note = note,
	};
	bool count = note == SHARE_NOTE_NONE && strcmp(request->method, "GET") == 0;
	if (problem == PROBLEM_NONE || problem == PROBLEM_INVALID_REQUEST) {
		enum problem found = share_open(&call, request->parameters[0], count ? "page" : NULL, &view);
		problem = found != PROBLEM_NONE ? found : problem;
	}
	response->status = problem == PROBLEM_NONE ? 200 : problem_describe(problem)->status;
	response->content_type = "text/html; charset=utf-8";
	response->errors = NULL;
	response_header(response, "Content-Security-Policy", share_page_policy);
	response_header(response, "X-Robots-Tag", "noindex, noarchive");
	response_header(response, "Vary", "Accept-Language");
	if (response->status == 503)
		response_header(response, "Retry-After", "5");
	if (problem == PROBLEM_NONE || problem == PROBLEM_INVALID_REQUEST)
		share_page_write(&page, &view, &response->body);
	else
		share_page_gone(&page, problem, &response->body);
	return PROBLEM_NONE;
}

static enum problem
show(struct app *app, struct request *request, struct response *response)
{
	const char *reported = NULL;
	enum problem problem = request_query(request, response, "reported", &reported);
	bool thanks = problem == PROBLEM_NONE && reported != NULL;
	return write_page(app, request, response, thanks ? SHARE_NOTE_REPORTED : SHARE_NOTE_NONE, PROBLEM_NONE);
}

static enum problem
image(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct share_view view;
	enum problem problem = share_open(&call, request->parameters[0], "image", &view);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *place = storage_accel(app->context, request->arena, view.image_key);
	if (place == NULL)
		return PROBLEM_NOT_FOUND;
	response->content_type = view.content_type;
	response->cache_control = "no-cache";
	response_header(response, "X-Accel-Redirect", place);
	return PROBLEM_NONE;
}

/* The page's own form: whatever comes of it is a page too. */
static enum problem
report_form(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	const char *slug = request->parameters[0], *reason = NULL;
	enum problem problem = request_form(request, response, "reason", &reason);
	if (problem == PROBLEM_NONE &&
	    (reason == NULL || text_is_blank(reason) || text_code_points(reason) > SHARE_REASON_MAX))
		problem = PROBLEM_INVALID_REQUEST;
	if (problem == PROBLEM_NONE)
		problem = share_report(&call, slug, reason);
	if (problem != PROBLEM_NONE)
		return write_page(app, request, response, SHARE_NOTE_EMPTY, problem);
	response->status = 303;
	response_header(response, "Location", arena_printf(request->arena, "/s/%s?reported", slug));
	return PROBLEM_NONE;
}

static enum problem
report(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct report_body body = {0};

	if (request_is(request, "application/x-www-form-urlencoded"))
		return report_form(app, request, response);
	if (!request_is(request, "application/json"))
		return PROBLEM_UNSUPPORTED_MEDIA_TYPE;
	enum problem problem = request_json(request, response, report_fields, 1, &body);
	if (problem != PROBLEM_NONE)
		return problem;
	if (text_is_blank(body.reason))
		return response_invalid(
		    response, "/reason", request->language == LANGUAGE_NL ? "mag niet leeg zijn" : "must not be blank");
	problem = share_report(&call, request->parameters[0], body.reason);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 202;
	text_add(&response->body, "{}");
	return PROBLEM_NONE;
}

static bool
prepare(struct app *app)
{
	app->context = storage_new(app->config);
	return app->context != NULL;
}

static void
release(struct app *app)
{
	if (app->context != NULL)
		storage_free(app->context);
}

static const struct route routes[] = {
    {.method = "POST", .path = "/api/shares", .auth = AUTH_SPEND, .body = BODY_JSON, .body_max = 4096, .run = create},
    {.method = "GET", .path = "/api/shares", .auth = AUTH_USER, .run = list},
    {.method = "DELETE", .path = "/api/shares/{slug}", .auth = AUTH_USER, .run = revoke},
    {.method = "GET", .path = "/s/{slug}", .auth = AUTH_NONE, .run = show},
    {.method = "GET", .path = "/s/{slug}/image", .auth = AUTH_NONE, .run = image},
    {.method = "POST",
	.path = "/s/{slug}/report",
	.auth = AUTH_NONE,
	.body = BODY_RAW,
	.body_max = REPORT_MAX,
	.run = report},
};

static const enum config_name needs[] = {
    CONFIG_DATABASE_URL, CONFIG_SUPABASE_URL, CONFIG_SECRET_KEY, CONFIG_STORAGE, CONFIG_PUBLIC_URL, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "share",
    .summary = "pictures that anybody with the link may see",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
    .prepare = prepare,
    .release = release,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
