#include <stddef.h>

#include "base/body.h"
#include "base/digest.h"
#include "feature/billing.h"
#include "service/app.h"
#include "service/creem.h"
#include "service/http.h"
#include "service/place.h"

#define BODY_MAX 4096
#define LIMIT_MAX 100
#define LIMIT_DEFAULT 20
#define CHILDREN 8

struct purchase_body {
	const char *product_id;
};

static const struct body_field purchase_fields[] = {
    {.name = "product_id",
	.kind = BODY_STRING,
	.required = true,
	.min = 1,
	.max = 64,
	.offset = offsetof(struct purchase_body, product_id)},
};

static struct creem
creem_of(struct app *app)
{
	return (struct creem){.config = app->config, .http = app->context};
}

/* A slow Creem holds at most half of the processes; the others answer what needs no call. */
static int
take_place(const struct app *app)
{
	return place_take(app->children > 1 ? app->children / 2 : 1);
}

static enum problem
products(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	return billing_products(&call);
}

static enum problem
checkout(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct creem creem = creem_of(app);
	struct purchase_body body = {0};
	struct billing_purchase purchase = {0};
	bool replayed = false;
	enum problem problem = request_idempotency_key(request, response, &purchase.idempotency_key);
	if (problem == PROBLEM_NONE)
		problem = request_json(request, response, purchase_fields, 1, &body);
	if (problem != PROBLEM_NONE)
		return problem;
	AUTO_PLACE place = take_place(app);
	if (place == PLACE_NONE)
		return PROBLEM_PAYMENTS_UNAVAILABLE;
	purchase.product_id = body.product_id;
	purchase.request_hash = request_body_hash(request);
	purchase.return_url = arena_printf(request->arena, "%s/billing", config_text(app->config, CONFIG_PUBLIC_URL));
	problem = billing_checkout(&call, &creem, &purchase, &replayed);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 201;
	if (replayed)
		response_header(response, "Idempotency-Replayed", "true");
	return PROBLEM_NONE;
}

static enum problem
portal(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct creem creem = creem_of(app);
	AUTO_PLACE place = take_place(app);
	enum problem problem = place == PLACE_NONE ? PROBLEM_PAYMENTS_UNAVAILABLE : billing_portal(&call, &creem);
	if (problem == PROBLEM_NONE)
		response->status = 201;
	return problem;
}

static enum problem
orders(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	const char *cursor = NULL;
	int64_t limit = LIMIT_DEFAULT;
	enum problem problem = request_query_integer(request, response, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "cursor", &cursor);
	return problem == PROBLEM_NONE ? billing_orders(&call, limit, cursor) : problem;
}

static enum problem
subscription(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	response->etag = true;
	response->cache_control = "private, no-cache";
	return billing_subscription(&call);
}

static bool
prepare(struct app *app)
{
	app->context = http_new();
	return app->context != NULL;
}

static void
release(struct app *app)
{
	http_free(app->context);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/api/billing/products", .auth = AUTH_NONE, .run = products},
    {.method = "POST",
	.path = "/api/billing/checkout",
	.auth = AUTH_SPEND,
	.body = BODY_JSON,
	.body_max = BODY_MAX,
	.run = checkout},
    {.method = "POST", .path = "/api/billing/portal", .auth = AUTH_SPEND, .run = portal},
    {.method = "GET", .path = "/api/billing/orders", .auth = AUTH_USER, .run = orders},
    {.method = "GET", .path = "/api/billing/subscription", .auth = AUTH_USER, .run = subscription},
};

static const enum config_name needs[] = {
    CONFIG_DATABASE_URL, CONFIG_SUPABASE_URL, CONFIG_SECRET_KEY, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "billing",
    .summary = "what is sold, the way to the checkout, orders and the subscription",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
    .children = CHILDREN,
    .prepare = prepare,
    .release = release,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
