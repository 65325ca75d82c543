/*
 * A local stand-in for Supabase Auth: its REST API on the same database's
 * schema auth (sandbox/auth.sql), sign-up confirmed at once, no mail. Never
 * for production: it refuses to start when PUBLIC_URL is not loopback.
 *
 * Besides the common settings it reads SANDBOX_DATABASE_URL (role
 * supabase_auth_admin), SANDBOX_KEY_FILE (made at the first start) and
 * SANDBOX_ANONYMOUS (0: no anonymous users).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/key.h"
#include "auth/stand_in.h"

#define BODY_MAX (1u << 20)

static const struct route routes[] = {
    {.method = "POST", .path = "/auth/v1/signup", .body = BODY_RAW, .body_max = BODY_MAX, .run = sign_up},
    {.method = "POST", .path = "/auth/v1/token", .body = BODY_RAW, .body_max = BODY_MAX, .run = token},
    {.method = "GET", .path = "/auth/v1/user", .run = user_get},
    {.method = "PUT", .path = "/auth/v1/user", .body = BODY_RAW, .body_max = BODY_MAX, .run = user_update},
    {.method = "POST", .path = "/auth/v1/logout", .body = BODY_RAW, .body_max = BODY_MAX, .run = sign_out},
    {.method = "POST", .path = "/auth/v1/recover", .body = BODY_RAW, .body_max = BODY_MAX, .run = recover},
    {.method = "POST", .path = "/auth/v1/otp", .body = BODY_RAW, .body_max = BODY_MAX, .run = otp},
    {.method = "POST", .path = "/auth/v1/verify", .body = BODY_RAW, .body_max = BODY_MAX, .run = verify},
    {.method = "GET", .path = "/auth/v1/.well-known/jwks.json", .run = key_set_get},
    {.method = "GET", .path = "/auth/v1/settings", .run = settings_get},
    {.method = "GET", .path = "/auth/v1/health", .run = health_get},
    {.method = "POST", .path = "/auth/v1/admin/users", .body = BODY_RAW, .body_max = BODY_MAX, .run = admin_create},
    {.method = "GET", .path = "/auth/v1/admin/users/{id}", .run = admin_get},
    {.method = "PUT", .path = "/auth/v1/admin/users/{id}", .body = BODY_RAW, .body_max = BODY_MAX, .run = admin_update},
    {.method = "DELETE",
	.path = "/auth/v1/admin/users/{id}",
	.body = BODY_RAW,
	.body_max = BODY_MAX,
	.run = admin_delete},
};

static const enum config_name needs[] = {CONFIG_SUPABASE_URL, CONFIG_SUPABASE_ANON_KEY, CONFIG_NAME__COUNT};
static const struct db_statement alive = {.sql = "select * from sandbox_auth.admin_get(null)", .read_only = true};

static bool
prepare(struct app *app)
{
	struct stand_in *self = calloc(1, sizeof(*self));
	const char *anonymous = getenv("SANDBOX_ANONYMOUS");
	static char issuer[512];
	app->context = self;
	if (self == NULL || (self->key = key_open(getenv("SANDBOX_KEY_FILE"))) == NULL)
		return false;
	snprintf(issuer, sizeof(issuer), "%s/auth/v1", config_text(app->config, CONFIG_SUPABASE_URL));
	self->issuer = issuer;
	self->anonymous = anonymous == NULL || strcmp(anonymous, "0") != 0;
	app->db = db_new(getenv("SANDBOX_DATABASE_URL"), app->program->name, true);
	app->auth = auth_new(app->config);
	return true;
}

static void
release(struct app *app)
{
	struct stand_in *self = app->context;
	if (self != NULL)
		key_free(self->key);
	free(self);
}

static bool
is_loopback(const char *url)
{
	const char *host = strstr(url, "://");
	if (host == NULL)
		return false;
	host += 3;
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return (len == 9 && strncasecmp(host, "localhost", len) == 0) ||
	       (len == 5 && strncmp(host, "[::1]", len) == 0) ||
	       (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len);
}

/* Whether the command line only asks about the program. */
static bool
is_question(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--routes") == 0 || strcmp(argv[i], "--version") == 0 ||
		    strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	static const struct program program = {
	    .name = "auth",
	    .summary = "a local stand-in for Supabase Auth, never for production",
	    .routes = routes,
	    .route_count = sizeof(routes) / sizeof(routes[0]),
	    .needs = needs,
	    .prepare = prepare,
	    .release = release,
	    .health = &alive,
	};
	static const char *const own[] = {"SANDBOX_DATABASE_URL", "SANDBOX_KEY_FILE"};
	const char *url = getenv("PUBLIC_URL");
	if (!is_question(argc, argv)) {
		if (url != NULL && *url != '\0' && !is_loopback(url)) {
			fprintf(stderr, "auth: PUBLIC_URL is not loopback, and a stand-in serves nobody else\n");
			return EXIT_FAILURE;
		}
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
			if (getenv(own[i]) == NULL || *getenv(own[i]) == '\0') {
				fprintf(stderr, "auth: %s is not set\n", own[i]);
				return EXIT_FAILURE;
			}
		}
	}
	return app_main(argc, argv, &program);
}
