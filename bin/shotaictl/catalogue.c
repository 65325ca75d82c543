#include "shotaictl.h"

#include <stdio.h>
#include <string.h>

enum { CATALOGUE, SET_PRODUCT, SET_PRODUCT_PRICE, MODELS, SET_MODEL_PRICE, SET_MODEL_ENABLED, SET_LIVE };

static const struct db_statement statements[] = {
    [CATALOGUE] = {"select * from shotai.catalogue()", true},
    [SET_PRODUCT] = {"select * from shotai.set_product($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", false},
    [SET_PRODUCT_PRICE] = {"select * from shotai.set_product_price($1, $2, $3, $4, $5, $6)", false},
    [MODELS] = {"select * from shotai.list_model_prices()", true},
    [SET_MODEL_PRICE] = {"select * from shotai.set_model_price($1, $2, $3, $4)", false},
    [SET_MODEL_ENABLED] = {"select * from shotai.set_model_enabled($1, $2, $3)", false},
    [SET_LIVE] = {"select * from shotai.set_billing_live($1, $2)", false},
};

#define CREDITS_MAX 1000000000
#define LEN(array) (sizeof(array) / sizeof *(array))

enum exit_status
ctl_product_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"id", 16}, {"kind", 12}, {"credits", 8}, {"price_cents", 8},
	    {"currency", 4}, {"interval", 6}, {"effective_from", 24}, {"rollover", 2}, {"enabled", 2},
	    {"creem_product", 24}, {"name", 0}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, NULL, 0))
		return ctl_usage(ctl);
	enum exit_status status = ctl_call(ctl, "product list", &statements[CATALOGUE], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, LEN(columns));
	return status;
}

/* A product as an operator describes it; what is NULL stays as it is, or has its default. */
struct product {
	const char *id, *kind, *name, *name_nl, *interval, *rollover, *creem, *position, *enabled;
};

static enum exit_status
product_write(struct ctl *ctl, const struct product *product)
{
	const char *const parameters[] = {product->id, product->kind, product->name, product->name_nl,
	    product->interval, product->rollover, product->creem, product->position, product->enabled,
	    ctl_operator(ctl->arena)};
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status =
	    ctl_call(ctl, "product", &statements[SET_PRODUCT], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("product %s\n", product->id);
	return status;
}

static bool
is_switch(const char *text)
{
	return text == NULL || strcmp(text, "on") == 0 || strcmp(text, "off") == 0;
}

static bool
product_read(int argc, char **argv, bool is_new, struct product *ret_product)
{
	const struct ctl_argument arguments[] = {
	    {.value = &ret_product->id},
	    {.name = "--kind", .value = &ret_product->kind, .optional = !is_new},
	    {.name = "--name", .value = &ret_product->name, .optional = !is_new},
	    {.name = "--name-nl", .value = &ret_product->name_nl, .optional = true},
	    {.name = "--interval", .value = &ret_product->interval, .optional = true},
	    {.name = "--rollover", .value = &ret_product->rollover, .optional = true},
	    {.name = "--creem", .value = &ret_product->creem, .optional = true},
	    {.name = "--position", .value = &ret_product->position, .optional = true},
	    {.name = "--enabled", .value = &ret_product->enabled, .optional = true},
	};
	int64_t position;
	return ctl_read(argc, argv, arguments, LEN(arguments)) && is_switch(ret_product->rollover) &&
	       is_switch(ret_product->enabled) &&
	       (ret_product->position == NULL || ctl_integer(ret_product->position, 0, 1000000, &position));
}

/* The row of a product in the catalogue, -1 when there is none. */
static enum exit_status
product_find(struct ctl *ctl, const char *id, struct db_result **ret_rows, size_t *ret_row, bool *ret_found)
{
	enum exit_status status = ctl_call(ctl, "product", &statements[CATALOGUE], NULL, 0, ret_rows);
	*ret_found = false;
	for (size_t row = 0; status == EXIT_DONE && row < db_rows(*ret_rows); row++) {
		if (strcmp(db_text(*ret_rows, row, "id"), id) == 0) {
			*ret_row = row;
			*ret_found = true;
		}
	}
	return status;
}

enum exit_status
ctl_product_add(struct ctl *ctl, int argc, char **argv)
{
	struct product product = {.rollover = "off", .enabled = "on"};
	AUTO_DB_RESULT rows = NULL;
	size_t row;
	bool found;
	if (!product_read(argc, argv, true, &product))
		return ctl_usage(ctl);
	if (product.name_nl == NULL)
		product.name_nl = product.name;
	enum exit_status status = product_find(ctl, product.id, &rows, &row, &found);
	if (status == EXIT_DONE && found)
		return ctl_fail("product add: %s is there already; use product set", product.id);
	return status == EXIT_DONE ? product_write(ctl, &product) : status;
}

static void
keep_old(const char **value, const struct db_result *rows, size_t row, const char *column)
{
	if (*value == NULL)
		*value = db_text(rows, row, column);
}

enum exit_status
ctl_product_set(struct ctl *ctl, int argc, char **argv)
{
	struct product product = {0};
	AUTO_DB_RESULT rows = NULL;
	size_t row = 0;
	bool found;
	if (!product_read(argc, argv, false, &product))
		return ctl_usage(ctl);
	enum exit_status status = product_find(ctl, product.id, &rows, &row, &found);
	if (status == EXIT_DONE && !found)
		return ctl_refuse("product set", PROBLEM_NOT_FOUND);
	if (status != EXIT_DONE)
		return status;
	keep_old(&product.kind, rows, row, "kind");
	keep_old(&product.name, rows, row, "name");
	keep_old(&product.name_nl, rows, row, "name_nl");
	keep_old(&product.interval, rows, row, "interval");
	keep_old(&product.rollover, rows, row, "rollover");
	keep_old(&product.creem, rows, row, "creem_product");
	keep_old(&product.position, rows, row, "position");
	keep_old(&product.enabled, rows, row, "enabled");
	return product_write(ctl, &product);
}

enum exit_status
ctl_product_price(struct ctl *ctl, int argc, char **argv)
{
	const char *id = NULL, *credits = NULL, *cents = NULL, *currency = NULL, *from = NULL;
	const struct ctl_argument arguments[] = {
	    {.value = &id},
	    {.name = "--credits", .value = &credits},
	    {.name = "--cents", .value = &cents},
	    {.name = "--currency", .value = &currency},
	    {.name = "--from", .value = &from, .optional = true},
	};
	int64_t number;
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) || !ctl_integer(credits, 1, CREDITS_MAX, &number) ||
	    !ctl_integer(cents, 0, CREDITS_MAX, &number) || (from != NULL && !ctl_is_time(from)))
		return ctl_usage(ctl);
	const char *const parameters[] = {id, credits, cents, currency, from, ctl_operator(ctl->arena)};
	enum exit_status status =
	    ctl_call(ctl, "product price", &statements[SET_PRODUCT_PRICE], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("product %s: %s credits for %s %s cents from %s\n", id, credits, currency, cents,
		    from != NULL ? from : "now");
	return status;
}

enum exit_status
ctl_model_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"id", 24}, {"provider", 12}, {"credits", 8},
	    {"effective_from", 24}, {"enabled", 2}, {"provider_enabled", 2}, {"name", 0}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, NULL, 0))
		return ctl_usage(ctl);
	enum exit_status status = ctl_call(ctl, "model list", &statements[MODELS], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, LEN(columns));
	return status;
}

enum exit_status
ctl_model_price(struct ctl *ctl, int argc, char **argv)
{
	const char *id = NULL, *credits = NULL, *from = NULL;
	const struct ctl_argument arguments[] = {
	    {.value = &id}, {.value = &credits}, {.name = "--from", .value = &from, .optional = true}};
	int64_t number;
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) || !ctl_integer(credits, 1, CREDITS_MAX, &number) ||
	    (from != NULL && !ctl_is_time(from)))
		return ctl_usage(ctl);
	const char *const parameters[] = {id, credits, from, ctl_operator(ctl->arena)};
	enum exit_status status =
	    ctl_call(ctl, "model price", &statements[SET_MODEL_PRICE], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("model %s: %s credits from %s\n", id, credits, from != NULL ? from : "now");
	return status;
}

static enum exit_status
model_switch(struct ctl *ctl, int argc, char **argv, const char *on)
{
	const char *id = NULL;
	const struct ctl_argument arguments[] = {{.value = &id}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	const char *const parameters[] = {id, on, ctl_operator(ctl->arena)};
	enum exit_status status =
	    ctl_call(ctl, "model", &statements[SET_MODEL_ENABLED], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("model %s is %s\n", id, on);
	return status;
}

enum exit_status
ctl_model_enable(struct ctl *ctl, int argc, char **argv)
{
	return model_switch(ctl, argc, argv, "on");
}

enum exit_status
ctl_model_disable(struct ctl *ctl, int argc, char **argv)
{
	return model_switch(ctl, argc, argv, "off");
}

enum exit_status
ctl_billing_live(struct ctl *ctl, int argc, char **argv)
{
	const char *on = NULL;
	const struct ctl_argument arguments[] = {{.value = &on}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) || !is_switch(on))
		return ctl_usage(ctl);
	const char *const parameters[] = {on, ctl_operator(ctl->arena)};
	enum exit_status status =
	    ctl_call(ctl, "billing live", &statements[SET_LIVE], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("billing live is %s\n", on);
	return status;
}
