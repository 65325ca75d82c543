#include <stddef.h>
#include <string.h>

#include "base/body.h"
#include "base/text.h"
#include "feature/generation.h"
#include "service/app.h"

#define LIMIT_MAX 100
#define LIMIT_DEFAULT 20
#define DELETED_MAX 100
#define WORDS_MAX 200 /* code points, as is the next */
#define MODEL_MAX 100

struct mark_body {
	bool favourite;
};

static const struct body_field mark_fields[] = {
    {.name = "favourite", .kind = BODY_BOOLEAN, .required = true, .offset = offsetof(struct mark_body, favourite)},
};

struct delete_body {
	struct body_list ids;
};

static const struct body_field delete_fields[] = {
    {.name = "ids",
	.kind = BODY_UUIDS,
	.required = true,
	.min = 1,
	.max = DELETED_MAX,
	.offset = offsetof(struct delete_body, ids)},
};

/* A filter's text of at most max code points; an empty one is none. */
static enum problem
read_text(struct request *request, struct response *response, const char *name, size_t max, const char **ret_text)
{
	const char *text = NULL;
	enum problem problem = request_query(request, response, name, &text);
	if (problem != PROBLEM_NONE)
		return problem;
	if (text != NULL && text_code_points(text) > max)
		return response_invalid(
		    response, name, request->language == LANGUAGE_NL ? "is te lang" : "is too long");
	*ret_text = text != NULL && text[strspn(text, " ")] != '\0' ? text : NULL;
	return PROBLEM_NONE;
}

static enum problem
check_filter(struct request *request, struct response *response, const struct generation_filter *filter)
{
	bool dutch = request->language == LANGUAGE_NL;
	const char *favourite = filter->favourite;

	if (filter->status != NULL && !generation_is_status(filter->status))
		return response_invalid(
		    response, "status", dutch ? "is geen status van een opname" : "is no status of a generation");
	if (favourite != NULL && strcmp(favourite, "true") != 0 && strcmp(favourite, "false") != 0)
		return response_invalid(
		    response, "favourite", dutch ? "moet true of false zijn" : "must be true or false");
	return PROBLEM_NONE;
}

static enum problem
list(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct generation_filter filter = {.limit = LIMIT_DEFAULT};
	enum problem problem =
	    request_query_integer(request, response, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &filter.limit);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "cursor", &filter.cursor);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "status", &filter.status);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "favourite", &filter.favourite);
	if (problem == PROBLEM_NONE)
		problem = read_text(request, response, "q", WORDS_MAX, &filter.words);
	if (problem == PROBLEM_NONE)
		problem = read_text(request, response, "model", MODEL_MAX, &filter.model);
	if (problem == PROBLEM_NONE)
		problem = check_filter(request, response, &filter);
	return problem == PROBLEM_NONE ? generation_list(&call, &filter) : problem;
}

static enum problem
look(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->etag = true;
	response->cache_control = "private, no-cache";
	return generation_get(&call, request->parameters[0]);
}

static enum problem
mark(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct mark_body body = {0};
	enum problem problem = request_json(request, response, mark_fields, 1, &body);
	if (problem != PROBLEM_NONE)
		return problem;
	return generation_set_favourite(&call, request->parameters[0], body.favourite);
}

static enum problem
delete_one(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->status = 204;
	return generation_delete(&call, request->parameters[0]);
}

static enum problem
delete_many(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct delete_body body = {0};
	enum problem problem = request_json(request, response, delete_fields, 1, &body);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 204;
	return generation_delete_many(&call, &body.ids);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/api/history", .auth = AUTH_USER, .run = list},
    {.method = "GET", .path = "/api/history/{id}", .auth = AUTH_USER, .run = look},
    {.method = "PATCH",
	.path = "/api/history/{id}",
	.auth = AUTH_USER,
	.body = BODY_JSON,
	.body_max = 1024,
	.run = mark},
    {.method = "DELETE", .path = "/api/history/{id}", .auth = AUTH_SELF, .run = delete_one},
    {.method = "POST",
	.path = "/api/history/delete",
	.auth = AUTH_SELF,
	.body = BODY_JSON,
	.body_max = 8192,
	.run = delete_many},
};

static const enum config_name needs[] = {
    CONFIG_DATABASE_URL, CONFIG_SUPABASE_URL, CONFIG_SECRET_KEY, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "history",
    .summary = "what a person made, newest first",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
    .scales = true,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
