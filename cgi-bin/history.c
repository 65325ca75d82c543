#include "feature/generation.h"
#include "service/app.h"

#define LIMIT_MAX 100
#define LIMIT_DEFAULT 20

static enum problem
list(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	const char *cursor = NULL, *status = NULL;
	int64_t limit = LIMIT_DEFAULT;
	enum problem problem = request_query_integer(request, response, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "cursor", &cursor);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "status", &status);
	if (problem != PROBLEM_NONE)
		return problem;
	if (status != NULL && !generation_is_status(status))
		return response_invalid(response, "status",
		    request->language == LANGUAGE_NL ? "is geen status van een opname"
						     : "is no status of a generation");
	return generation_list(&call, limit, cursor, status);
}

static enum problem
look(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->etag = true;
	response->cache_control = "private, no-cache";
	return generation_get(&call, request->parameters[0]);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/api/history", .auth = AUTH_USER, .run = list},
    {.method = "GET", .path = "/api/history/{id}", .auth = AUTH_USER, .run = look},
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
