#include "feature/billing.h"

#include "base/body.h"
#include "base/log.h"
#include "feature/refusal.h"

enum {
	PRODUCTS,
	START_CHECKOUT,
	OPEN_CHECKOUT,
	RETIRE_CHECKOUT,
	PORTAL_CUSTOMER,
	ORDERS,
	SUBSCRIPTION,
	RECEIVE,
};

static const struct db_statement statements[] = {
    [PRODUCTS] = {"select * from shotai.list_products()", true},
    [START_CHECKOUT] = {"select * from shotai.start_checkout($1, $2, $3, $4, $5)", false},
    [OPEN_CHECKOUT] = {"select * from shotai.open_checkout($1, $2, $3)", false},
    [RETIRE_CHECKOUT] = {"select * from shotai.retire_checkout($1)", false},
    [PORTAL_CUSTOMER] = {"select * from shotai.get_portal_customer($1, $2)", true},
    [ORDERS] = {"select * from shotai.list_orders($1, $2, $3)", true},
    [SUBSCRIPTION] = {"select * from shotai.get_subscription($1)", true},
    /* A repeat finds the event stored. */
    [RECEIVE] = {"select * from shotai.receive_event($1)", true},
};

enum problem
billing_products(struct call *call)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[PRODUCTS], NULL, 0, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *name = call->language == LANGUAGE_NL ? "name_nl" : "name";
	text_json_open(call->json, NULL, '{');
	text_json_open(call->json, "items", '[');
	for (size_t row = 0; row < db_rows(rows); row++) {
		const char *interval = db_text(rows, row, "interval");
		text_json_open(call->json, NULL, '{');
		text_json_string(call->json, "id", db_text(rows, row, "id"));
		text_json_string(call->json, "kind", db_text(rows, row, "kind"));
		text_json_string(call->json, "name", db_text(rows, row, name));
		text_json_int(call->json, "credits", db_integer(rows, row, "credits"));
		text_json_int(call->json, "price_cents", db_integer(rows, row, "price_cents"));
		text_json_string(call->json, "currency", db_text(rows, row, "currency"));
		if (interval != NULL) {
			text_json_string(call->json, "interval", interval);
			text_json_bool(call->json, "rollover", db_boolean(rows, row, "rollover"));
		}
		text_json_close(call->json, '}');
	}
	text_json_close(call->json, ']');
	text_json_close(call->json, '}');
	return PROBLEM_NONE;
}

/* Creem refused, or its answer was lost: this row is never posted again. */
static void
retire(struct call *call, const char *checkout_id)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    refusal_call(call, &statements[RETIRE_CHECKOUT], (const char *const[]){checkout_id}, 1, &rows);
	if (problem != PROBLEM_NONE)
		log_event(LOG_WARN, "checkout_not_retired", "problem", problem_describe(problem)->code, NULL);
}

/* Opens our row at Creem and notes what came of it. */
static enum problem
open_at_creem(
    struct call *call, const struct creem *creem, const struct creem_order *order, const char **ret_checkout_url)
{
	struct creem_checkout checkout;
	enum problem problem = creem_create_checkout(creem, call->arena, order, &checkout);
	if (problem != PROBLEM_NONE) {
		retire(call, order->request_id);
		return problem;
	}
	AUTO_DB_RESULT rows = NULL;
	const char *const parameters[] = {order->request_id, checkout.id, checkout.url};
	problem = refusal_call(call, &statements[OPEN_CHECKOUT], parameters, 3, &rows);
	if (problem == PROBLEM_NONE)
		*ret_checkout_url = checkout.url;
	return problem;
}

enum problem
billing_checkout(
    struct call *call, const struct creem *creem, const struct billing_purchase *purchase, bool *ret_replayed)
{
	const char *const parameters[] = {call->user->user_id, call->user->session_id, purchase->product_id,
	    purchase->idempotency_key, purchase->request_hash};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[START_CHECKOUT], parameters, 5, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	const char *url = db_text(rows, 0, "checkout_url");
	bool replayed = url != NULL;
	if (!replayed) {
		const struct creem_order order = {
		    .product_id = db_text(rows, 0, "creem_product_id"),
		    .request_id = db_text(rows, 0, "checkout_id"),
		    .email = db_text(rows, 0, "email"),
		    .success_url = purchase->return_url,
		};
		problem = open_at_creem(call, creem, &order, &url);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "checkout_url", url);
	text_json_close(call->json, '}');
	*ret_replayed = replayed;
	return PROBLEM_NONE;
}

enum problem
billing_portal(struct call *call, const struct creem *creem)
{
	const char *const parameters[] = {call->user->user_id, call->user->session_id};
	AUTO_DB_RESULT rows = NULL;
	const char *url = NULL;
	enum problem problem = refusal_call(call, &statements[PORTAL_CUSTOMER], parameters, 2, &rows);
	if (problem == PROBLEM_NONE)
		problem = creem_portal(creem, call->arena, db_text(rows, 0, "creem_customer_id"), &url);
	if (problem != PROBLEM_NONE)
		return problem;
	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "url", url);
	text_json_close(call->json, '}');
	return PROBLEM_NONE;
}

static void
write_order(struct call *call, const struct db_result *rows, size_t row)
{
	struct text *json = call->json;
	const char *name = call->language == LANGUAGE_NL ? "product_name_nl" : "product_name";
	text_json_open(json, NULL, '{');
	text_json_string(json, "id", db_text(rows, row, "id"));
	text_json_string(json, "product_id", db_text(rows, row, "product_id"));
	text_json_string(json, "product_name", db_text(rows, row, name));
	text_json_string(json, "kind", db_text(rows, row, "kind"));
	text_json_string(json, "status", db_text(rows, row, "status"));
	text_json_int(json, "amount_cents", db_integer(rows, row, "amount_cents"));
	text_json_int(json, "tax_cents", db_integer(rows, row, "tax_cents"));
	text_json_string(json, "currency", db_text(rows, row, "currency"));
	text_json_int(json, "credits", db_integer(rows, row, "credits"));
	text_json_int(json, "refunded_cents", db_integer(rows, row, "refunded_cents"));
	text_json_string(json, "transaction_id", db_text(rows, row, "transaction_id"));
	text_json_string(json, "order_id", db_text(rows, row, "order_id"));
	text_json_string(json, "period_start", db_text(rows, row, "period_start"));
	text_json_string(json, "period_end", db_text(rows, row, "period_end"));
	text_json_string(json, "created_at", db_text(rows, row, "created_at"));
	text_json_close(json, '}');
}

enum problem
billing_orders(struct call *call, int64_t limit, const char *cursor)
{
	const char *const parameters[] = {call->user->user_id, db_parameter(call->arena, limit), cursor};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[ORDERS], parameters, 3, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	call_open_list(call);
	for (size_t row = 0; row < db_rows(rows); row++)
		write_order(call, rows, row);
	size_t last = db_rows(rows) - 1;
	bool more = db_rows(rows) > 0 && db_boolean(rows, last, "more");
	call_close_list(call, more ? db_text(rows, last, "cursor") : NULL);
	return PROBLEM_NONE;
}

enum problem
billing_subscription(struct call *call)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    refusal_call(call, &statements[SUBSCRIPTION], (const char *const[]){call->user->user_id}, 1, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	text_json_open(call->json, NULL, '{');
	if (db_rows(rows) == 0) {
		text_json_raw(call->json, "subscription", NULL);
	} else {
		text_json_open(call->json, "subscription", '{');
		text_json_string(call->json, "id", db_text(rows, 0, "id"));
		text_json_string(call->json, "product_id", db_text(rows, 0, "product_id"));
		text_json_string(call->json, "status", db_text(rows, 0, "status"));
		text_json_string(call->json, "current_period_start", db_text(rows, 0, "current_period_start"));
		text_json_string(call->json, "current_period_end", db_text(rows, 0, "current_period_end"));
		text_json_bool(call->json, "cancel_at_period_end", db_boolean(rows, 0, "cancel_at_period_end"));
		text_json_bool(call->json, "lapsed", db_boolean(rows, 0, "lapsed"));
		text_json_string(call->json, "updated_at", db_text(rows, 0, "updated_at"));
		text_json_close(call->json, '}');
	}
	text_json_close(call->json, '}');
	return PROBLEM_NONE;
}

/* Whether the bytes are JSON with an id and a type; what else is in them is the database's to read. */
static bool
is_event(const char *raw, size_t len)
{
	AUTO_BODY_TREE tree = body_tree_parse(raw, len);
	const struct body_value *root = body_root(tree);
	const char *id = body_string(body_member(root, "id"));
	const char *type = body_string(body_member(root, "eventType"));
	if (type == NULL)
		type = body_string(body_member(root, "type"));
	return id != NULL && *id != '\0' && type != NULL && *type != '\0';
}

enum problem
billing_receive(struct db *db, struct arena *arena, const char *raw, size_t len, const char **ret_outcome)
{
	if (!is_event(raw, len))
		return PROBLEM_INVALID_REQUEST;
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &statements[RECEIVE], (const char *const[]){raw}, 1, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_outcome = db_rows(rows) > 0 ? arena_strdup(arena, db_text(rows, 0, "outcome")) : "none";
	return PROBLEM_NONE;
}
