/*
 * The stand-in as its handlers see it. What Creem decides is decided in
 * schema sandbox_creem by the SQL files beside this; here are the doors: API, pages
 * and the sender of webhooks.
 */
#ifndef SANDBOX_CREEM_STAND_IN_H
#define SANDBOX_CREEM_STAND_IN_H

#include "base/problem.h"
#include "service/app.h"

struct sender;

#define CREEM_ROOT "/sandbox/creem"

struct stand_in {
	struct sender *sender;
	const char *api_key;
	const char *url; /* PUBLIC_URL */
};

static inline const struct stand_in *
stand_in(const struct app *app)
{
	return app->context;
}

typedef enum problem handler(struct app *app, struct request *request, struct response *response);

/* The functions of 6-api.sql, 6-catalogue.sql and 7-hooks.sql: name, method, path. */
#define CREEM_API(X)                                                                                                   \
	X(api_checkout_create, "POST", "/v1/checkouts")                                                                \
	X(api_checkout_get, "GET", "/v1/checkouts")                                                                    \
	X(api_product_search, "GET", "/v1/products/search")                                                            \
	X(api_product_get, "GET", "/v1/products")                                                                      \
	X(api_product_create, "POST", "/v1/products")                                                                  \
	X(api_product_get_by_path, "GET", "/v1/products/{product}")                                                    \
	X(api_product_update, "PATCH", "/v1/products/{product}")                                                       \
	X(api_product_archive, "DELETE", "/v1/products/{product}")                                                     \
	X(api_customer_get, "GET", "/v1/customers")                                                                    \
	X(api_customer_list, "GET", "/v1/customers/list")                                                              \
	X(api_customer_billing, "POST", "/v1/customers/billing")                                                       \
	X(api_customer_orders, "GET", "/v1/customers/{customer}/orders")                                               \
	X(api_customer_subscriptions, "GET", "/v1/customers/{customer}/subscriptions")                                 \
	X(api_subscription_get, "GET", "/v1/subscriptions")                                                            \
	X(api_subscription_search, "GET", "/v1/subscriptions/search")                                                  \
	X(api_subscription_update, "POST", "/v1/subscriptions/{subscription}")                                         \
	X(api_subscription_cancel, "POST", "/v1/subscriptions/{subscription}/cancel")                                  \
	X(api_subscription_upgrade, "POST", "/v1/subscriptions/{subscription}/upgrade")                                \
	X(api_subscription_pause, "POST", "/v1/subscriptions/{subscription}/pause")                                    \
	X(api_subscription_resume, "POST", "/v1/subscriptions/{subscription}/resume")                                  \
	X(api_transaction_get, "GET", "/v1/transactions")                                                              \
	X(api_transaction_search, "GET", "/v1/transactions/search")                                                    \
	X(api_refund_create, "POST", "/v1/refunds")                                                                    \
	X(api_moderate, "POST", "/v1/moderation/prompt")                                                               \
	X(test_act, "POST", "/test/act/{target}")                                                                      \
	X(test_settle, "POST", "/test/refunds/{refund}/settle")                                                        \
	X(test_events, "GET", "/test/events")                                                                          \
	X(test_send, "POST", "/test/events")                                                                           \
	X(test_event, "GET", "/test/events/{event}")                                                                   \
	X(test_redeliver, "POST", "/test/events/{event}/deliver")

/* api.c */
#define X(name, verb, where) handler name;
CREEM_API(X)
#undef X
/* Runs a function of the SQL files by name: *ret_result has the columns status and body. */
[[nodiscard]] enum problem creem_call(struct app *app, struct request *request, const char *function, const char *id,
    const char *input, struct db_result **ret_result);
/* A query, or a form, as a JSON object of strings; NULL when it is malformed. */
const char *creem_form(struct arena *arena, const char *query);

/* checkout.c */
handler checkout_show, checkout_press;
/* portal.c */
handler portal_show, portal_press;
/* page.c */
handler style_get;

#endif
