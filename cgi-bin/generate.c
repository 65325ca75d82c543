#include <stddef.h>

#include "base/body.h"
#include "base/text.h"
#include "feature/generation.h"
#include "service/app.h"

#define PROMPT_MAX 4000 /* code points */
#define COUNT_MAX 10
#define REFERENCES_MAX 16
#define ORDER_MAX (64u << 10)

struct order_body {
	const char *model, *prompt, *aspect_ratio, *upload_id;
	int64_t count, seed;
	struct body_list upload_ids;
	bool has_seed;
};

static const struct body_field order_fields[] = {
    {.name = "model",
	.kind = BODY_STRING,
	.required = true,
	.min = 1,
	.max = 100,
	.offset = offsetof(struct order_body, model)},
    {.name = "prompt",
	.kind = BODY_STRING,
	.required = true,
	.min = 1,
	.max = PROMPT_MAX,
	.offset = offsetof(struct order_body, prompt)},
    {.name = "aspect_ratio",
	.kind = BODY_STRING,
	.min = 1,
	.max = 16,
	.offset = offsetof(struct order_body, aspect_ratio)},
    {.name = "count", .kind = BODY_INTEGER, .min = 1, .max = COUNT_MAX, .offset = offsetof(struct order_body, count)},
    {.name = "seed",
	.kind = BODY_INTEGER,
	.min = 0,
	.max = INT32_MAX,
	.offset = offsetof(struct order_body, seed),
	.present_offset = offsetof(struct order_body, has_seed)},
    {.name = "upload_id", .kind = BODY_UUID, .offset = offsetof(struct order_body, upload_id)},
    {.name = "upload_ids",
	.kind = BODY_UUIDS,
	.min = 1,
	.max = REFERENCES_MAX,
	.offset = offsetof(struct order_body, upload_ids)},
};

static enum problem
read_order(struct request *request, struct response *response, struct generation_order *ret_order)
{
	bool dutch = request->language == LANGUAGE_NL;
	struct order_body body = {.count = 1};
	struct generation_order order = {0};
	enum problem problem = request_idempotency_key(request, response, &order.idempotency_key);
	if (problem == PROBLEM_NONE)
		problem =
		    request_json(request, response, order_fields, sizeof order_fields / sizeof order_fields[0], &body);
	if (problem != PROBLEM_NONE)
		return problem;
	if (text_is_blank(body.prompt))
		return response_invalid(response, "/prompt", dutch ? "mag niet leeg zijn" : "must not be blank");
	if (body.upload_id != NULL && body.upload_ids.count > 0)
		return response_invalid(response, "/upload_ids",
		    dutch ? "kan niet samen met upload_id" : "cannot be combined with upload_id");
	order.model = body.model;
	order.prompt = body.prompt;
	order.aspect_ratio = body.aspect_ratio;
	order.count = body.count;
	order.seed = body.seed;
	order.has_seed = body.has_seed;
	order.upload_ids = body.upload_ids;
	if (body.upload_id != NULL) {
		order.upload_ids.items = arena_array(request->arena, 1, sizeof body.upload_id);
		order.upload_ids.items[0] = body.upload_id;
		order.upload_ids.count = 1;
	}
	order.request_hash = request_body_hash(request);
	*ret_order = order;
	return PROBLEM_NONE;
}

static enum problem
models(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	return generation_models(&call);
}

static enum problem
order(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct generation_order wanted;
	struct generation_receipt receipt;
	enum problem problem = read_order(request, response, &wanted);
	if (problem == PROBLEM_NONE)
		problem = generation_admit(&call, &wanted, &receipt);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 202;
	response_header(response, "Location", arena_printf(request->arena, "/api/generate/%s", receipt.id));
	if (receipt.replayed)
		response_header(response, "Idempotency-Replayed", "true");
	return PROBLEM_NONE;
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
cancel(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	return generation_cancel(&call, request->parameters[0]);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/api/models", .auth = AUTH_NONE, .run = models},
    {.method = "POST",
	.path = "/api/generate",
	.auth = AUTH_SPEND,
	.body = BODY_JSON,
	.body_max = ORDER_MAX,
	.run = order},
    {.method = "GET", .path = "/api/generate/{id}", .auth = AUTH_USER, .run = look},
    {.method = "DELETE", .path = "/api/generate/{id}", .auth = AUTH_SPEND, .run = cancel},
};

static const enum config_name needs[] = {
    CONFIG_DATABASE_URL, CONFIG_SUPABASE_URL, CONFIG_SECRET_KEY, CONFIG_NAME__COUNT};

static const struct program program = {
    .name = "generate",
    .summary = "orders pictures and tells how they fare",
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
