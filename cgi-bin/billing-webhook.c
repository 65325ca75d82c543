#include <time.h>

#include "base/log.h"
#include "feature/billing.h"
#include "service/app.h"
#include "service/creem.h"

#define EVENT_MAX (256u << 10)
#define QUIET_SECONDS 60

static const char *const unsigned_detail[LANGUAGE__COUNT] = {
    [LANGUAGE_EN] = "The header creem-signature is missing, or does not fit this body.",
    [LANGUAGE_NL] = "De header creem-signature ontbreekt, of past niet bij deze inhoud.",
};

/* Of this process: since strangers may knock as often as they like, not each of them is worth a line. */
static struct door {
	time_t quiet_until;
} door;

static void
log_stranger(struct door *self, const char *secret)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < self->quiet_until)
		return;
	self->quiet_until = now.tv_sec + QUIET_SECONDS;
	log_event(LOG_WARN, "webhook_unsigned", "secret", secret != NULL ? "set" : NULL, NULL);
}

/* Whatever is stored is answered 200: Creem would send it again, and gives up after five times. */
static enum problem
receive(struct app *app, struct request *request, struct response *response)
{
	const char *secret = config_text(app->config, CONFIG_CREEM_WEBHOOK_SECRET);
	const char *signature = request_header(request, "HTTP_CREEM_SIGNATURE");
	const char *outcome = NULL;
	if (!creem_verify_signature(secret, request->body, request->body_len, signature)) {
		log_stranger(app->context, secret);
		response->detail = unsigned_detail[request->language];
		return PROBLEM_UNAUTHENTICATED;
	}
	enum problem problem = billing_receive(app->db, request->arena, request->body, request->body_len, &outcome);
	if (problem == PROBLEM_INVALID_REQUEST)
		log_event(LOG_WARN, "webhook_unreadable", NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	log_event(LOG_INFO, "webhook", "outcome", outcome, NULL);
	text_json_open(&response->body, NULL, '{');
	text_json_string(&response->body, "outcome", outcome);
	text_json_close(&response->body, '}');
	return PROBLEM_NONE;
}

static bool
prepare(struct app *app)
{
	app->context = &door;
	app->db = db_new(config_text(app->config, CONFIG_DATABASE_WEBHOOK_URL), app->program->name,
	    config_integer(app->config, CONFIG_DATABASE_PREPARED) != 0);
	return app->db != NULL;
}

static const struct route routes[] = {
    {.method = "POST",
	.path = "/webhooks/creem",
	.auth = AUTH_NONE,
	.body = BODY_RAW,
	.body_max = EVENT_MAX,
	.run = receive},
};

static const enum config_name needs[] = {CONFIG_DATABASE_WEBHOOK_URL, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "billing-webhook",
    .summary = "takes Creem's events",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
    .prepare = prepare,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
