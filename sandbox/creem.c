/*
 * A local stand-in for Creem.io: its REST API, signed webhooks, a checkout
 * page and a customer portal in which a person can play every case. Its state
 * is schema sandbox_creem (sandbox/creem.sql and the SQL files beside this program). Never for
 * production: it refuses to start when PUBLIC_URL is not loopback.
 *
 * Besides the common settings it reads CREEM_API_KEY, CREEM_WEBHOOK_SECRET,
 * SANDBOX_CREEM_DATABASE_URL (role sandbox_creem) and SANDBOX_CREEM_SPEED (30:
 * Creem's pauses between attempts are divided by it).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "creem/sender.h"
#include "creem/stand_in.h"

#define BODY_MAX (256u << 10)
#define FORM_MAX 4096
#define SPEED 30
#define SPEED_MAX 100000

static const struct route routes[] = {
#define X(name, verb, where)                                                                                           \
	{.method = verb, .path = CREEM_ROOT where, .body = BODY_RAW, .body_max = BODY_MAX, .run = name},
    CREEM_API(X)
#undef X
	{.method = "GET", .path = CREEM_ROOT "/style.css", .run = style_get},
    {.method = "GET", .path = CREEM_ROOT "/checkout/{checkout}", .run = checkout_show},
    {.method = "POST",
	.path = CREEM_ROOT "/checkout/{checkout}",
	.body = BODY_RAW,
	.body_max = FORM_MAX,
	.run = checkout_press},
    {.method = "GET", .path = CREEM_ROOT "/portal/{portal}", .run = portal_show},
    {.method = "POST",
	.path = CREEM_ROOT "/portal/{portal}",
	.body = BODY_RAW,
	.body_max = FORM_MAX,
	.run = portal_press},
};

static const enum config_name needs[] = {CONFIG_PUBLIC_URL, CONFIG_NAME__COUNT};
static const struct db_statement alive = {.sql = "select * from sandbox_creem.state()", .read_only = true};

/* SANDBOX_CREEM_SPEED, 0 when it is no whole number from 1 on. */
static int
read_speed(void)
{
	const char *text = getenv("SANDBOX_CREEM_SPEED");
	char *end = NULL;
	if (text == NULL || *text == '\0')
		return SPEED;
	long speed = strtol(text, &end, 10);
	return *end == '\0' && speed >= 1 && speed <= SPEED_MAX ? (int)speed : 0;
}

static bool
prepare(struct app *app)
{
	static char webhook[512];
	struct stand_in *self = calloc(1, sizeof(*self));
	app->context = self;
	if (self == NULL)
		return false;
	self->api_key = getenv("CREEM_API_KEY");
	self->url = config_text(app->config, CONFIG_PUBLIC_URL);
	snprintf(webhook, sizeof(webhook), "%s/webhooks/creem", self->url);
	const struct sender_options options = {
	    .database_url = getenv("SANDBOX_CREEM_DATABASE_URL"),
	    .url = webhook,
	    .secret = getenv("CREEM_WEBHOOK_SECRET"),
	    .speed = read_speed(),
	};
	app->db = db_new(options.database_url, app->program->name, true);
	self->sender = sender_start(&options);
	return self->sender != NULL;
}

static void
release(struct app *app)
{
	struct stand_in *self = app->context;
	if (self != NULL)
		sender_stop(self->sender);
	free(self);
}

static bool
is_loopback(const char *url)
{
	const char *start = strstr(url, "://");
	char host[64];
	if (start == NULL)
		return false;
	start += 3;
	size_t len = start[0] == '[' ? strcspn(start, "]") + 1 : strcspn(start, ":/");
	if (len >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)len, start);
	return config_is_loopback(host);
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

/* Whether the settings that only this program has will do. */
static bool
check_settings(void)
{
	static const char *const own[] = {"CREEM_API_KEY", "CREEM_WEBHOOK_SECRET", "SANDBOX_CREEM_DATABASE_URL"};
	const char *url = getenv("PUBLIC_URL"), *reason = NULL;
	if (url != NULL && *url != '\0' && !is_loopback(url)) {
		fprintf(stderr, "creem: PUBLIC_URL is not loopback, and a stand-in serves nobody else\n");
		return false;
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (getenv(own[i]) == NULL || *getenv(own[i]) == '\0') {
			fprintf(stderr, "creem: %s is not set\n", own[i]);
			return false;
		}
	}
	if (!db_url_acceptable(getenv("SANDBOX_CREEM_DATABASE_URL"), &reason)) {
		fprintf(stderr, "creem: SANDBOX_CREEM_DATABASE_URL must be %s\n", reason);
		return false;
	}
	if (read_speed() == 0) {
		fprintf(stderr, "creem: SANDBOX_CREEM_SPEED must be a whole number from 1 to %d\n", SPEED_MAX);
		return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	static const struct program program = {
	    .name = "creem",
	    .summary = "a local stand-in for Creem.io, never for production",
	    .routes = routes,
	    .route_count = sizeof(routes) / sizeof(routes[0]),
	    .needs = needs,
	    .prepare = prepare,
	    .release = release,
	    .health = &alive,
	};
	if (!is_question(argc, argv) && !check_settings())
		return EXIT_FAILURE;
	return app_main(argc, argv, &program);
}
