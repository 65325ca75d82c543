#include <time.h>

#include "feature/picture.h"
#include "service/app.h"
#include "service/storage.h"

/* The query is part of a link that we made: a repeated or malformed member makes it somebody else's. */
static const char *
link_member(struct request *request, struct response *response, const char *name)
{
	const char *value = NULL;
	if (request_query(request, response, name, &value) == PROBLEM_NONE)
		return value;
	response->errors = NULL;
	return NULL;
}

static enum problem
serve(struct app *app, struct request *request, struct response *response)
{
	const char *key = request->parameters[0];
	struct picture_file file;
	const char *expires = link_member(request, response, "e");
	const char *signature = link_member(request, response, "s");
	int64_t now = time(NULL);
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, request->arena, config_text(app->config, CONFIG_SECRET_KEY), now);
	enum problem problem = picture_verify(&signer, key, expires, signature, now);
	if (problem == PROBLEM_NONE)
		problem = picture_authorize(app->db, request->arena, key, &file);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *place = file.kind == PICTURE_THUMBNAIL ? storage_accel_thumbnail(app->context, request->arena, key)
							   : storage_accel(app->context, request->arena, key);
	if (place == NULL)
		return PROBLEM_NOT_FOUND;
	response->content_type = file.content_type;
	response->cache_control = file.filename != NULL ? "no-store" : "private, max-age=300";
	if (file.filename != NULL)
		response_header(response, "Content-Disposition",
		    arena_printf(request->arena, "attachment; filename=\"%s\"", file.filename));
	response_header(response, "X-Accel-Redirect", place);
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
    {.method = "GET", .path = "/files/{key...}", .auth = AUTH_NONE, .run = serve},
};

static const enum config_name needs[] = {CONFIG_DATABASE_URL, CONFIG_SECRET_KEY, CONFIG_STORAGE, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "files",
    .summary = "serves pictures and archives to whoever holds a signed link",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
    .scales = true,
    .prepare = prepare,
    .release = release,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
