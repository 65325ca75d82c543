/* The page where a buyer pays, and the way back to the merchant. */
#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "page.h"
#include "sender.h"
#include "stand_in.h"

#define URL_MAX (8u << 10)

static void
write_line(struct text *html, const char *name, int64_t cents, const char *currency)
{
	text_printf(html, "<dt>%s</dt><dd>", name);
	page_money(html, cents, currency);
	text_add(html, "</dd>\n");
}

static void
write_bill(struct text *html, const struct db_result *page)
{
	const char *currency = db_text(page, 0, "currency");
	int64_t discount = db_integer(page, 0, "discount"), units = db_integer(page, 0, "units");
	text_add(html, "<p class=\"soft\">");
	text_add_html(html, db_text(page, 0, "description"));
	if (units > 1)
		text_printf(html, ", %" PRId64 " times", units);
	if (db_text(page, 0, "trial_days") != NULL)
		text_printf(html, ", after a trial of %" PRId64 " days", db_integer(page, 0, "trial_days"));
	text_add(html, "</p>\n<dl>\n<dt>Price");
	page_period(html, db_text(page, 0, "period"));
	text_add(html, "</dt><dd>");
	page_money(html, db_integer(page, 0, "amount"), currency);
	text_add(html, "</dd>\n");
	if (discount > 0)
		write_line(html, "Discount", -discount, currency);
	write_line(html, "VAT 21 %", db_integer(page, 0, "tax"), currency);
	text_add(html, "<dt class=\"total\">Total</dt><dd class=\"total\">");
	page_money(html, db_integer(page, 0, "total"), currency);
	text_add(html, "</dd>\n</dl>\n");
}

static void
write_form(struct text *html, const struct db_result *page)
{
	text_add(html, "<form method=\"post\">\n<label>E-mail <input type=\"email\" name=\"email\" required "
		       "autocomplete=\"email\" value=\"");
	text_add_html(html, db_text(page, 0, "email") == NULL ? "" : db_text(page, 0, "email"));
	text_add(html, "\"></label>\n");
	page_button(html, "pay", "main", "Pay");
	text_add(html, "<h2>Other ways it can go</h2>\n");
	page_button(html, "pay_twice", "wide", "Pay twice: one payment, announced twice as different events");
	page_button(html, "pay_free", "wide", "Pay with 100 % discount");
	page_button(html, "pay_shuffled", "wide", "Pay (events shuffled): the last one arrives first");
	page_button(html, "pay_repeated", "wide", "Pay (events repeated): each one arrives twice");
	page_button(html, "pay_lost", "wide", "Pay (events lost): nothing arrives");
	text_add(html, "<button name=\"action\" value=\"abandon\" class=\"wide stop\" formnovalidate>Abandon</button>\n"
		       "</form>\n");
}

static enum problem
show(struct app *app, struct request *request, struct response *response, const char *note)
{
	static const struct db_statement read = {
	    .sql = "select * from sandbox_creem.checkout_page($1)", .read_only = true};
	AUTO_DB_RESULT page = NULL;
	struct text *html = &response->body;
	enum problem problem = db_call(app->db, request->arena, &read, request->parameters, 1, &page, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(page) == 0)
		return page_say(response, 404, "No such checkout", "The address is wrong, or the sandbox was emptied.");
	const char *status = db_text(page, 0, "status");
	page_open(response, db_text(page, 0, "product"));
	if (note != NULL) {
		response->status = 400;
		text_add(html, "<p class=\"note\" role=\"alert\">");
		text_add_html(html, note);
		text_add(html, "</p>\n");
	}
	text_add(html, "<div class=\"card\">\n");
	write_bill(html, page);
	if (strcmp(status, "pending") == 0)
		write_form(html, page);
	else
		text_add(html, strcmp(status, "completed") == 0 ? "<p>This is paid.</p>\n"
								: "<p>This was abandoned; nothing was paid.</p>\n");
	text_add(html, "</div>\n");
	return page_close(response);
}

enum problem
checkout_show(struct app *app, struct request *request, struct response *response)
{
	return show(app, request, response, NULL);
}

static void
add_encoded(struct text *url, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	for (; *value != '\0'; value++) {
		if (strchr(plain, *value) != NULL)
			text_add_bytes(url, value, 1);
		else
			text_printf(url, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

/*
 * success_url with what Creem adds to it: the parameters that have a value,
 * and hex HMAC-SHA256 under the API key of "k=v&k=v", sorted by name.
 */
static const char *
success_url(struct arena *arena, const struct db_result *result, const char *api_key)
{
	static const char *const names[] = {
	    "checkout_id", "customer_id", "order_id", "product_id", "request_id", "subscription_id"};
	const char *base = db_text(result, 0, "success_url"), *separator = strchr(base, '?') == NULL ? "?" : "&";
	uint8_t mac[DIGEST_SHA256];
	char hex[DIGEST_HEX];
	struct text url, message;
	text_init(&url, arena, URL_MAX);
	text_init(&message, arena, URL_MAX);
	text_add(&url, base);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = db_text(result, 0, names[i]);
		if (value == NULL || *value == '\0')
			continue;
		text_printf(&message, "%s%s=%s", message.len == 0 ? "" : "&", names[i], value);
		text_printf(&url, "%s%s=", separator, names[i]);
		add_encoded(&url, value);
		separator = "&";
	}
	digest_hmac(api_key, strlen(api_key), message.data, message.len, mac);
	digest_hex(mac, sizeof(mac), hex);
	text_printf(&url, "%ssignature=%s", separator, hex);
	return url.overflow || message.overflow ? base : url.data;
}

/* After a button: on to the merchant when something was paid and there is a way. */
static enum problem
go_on(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement read = {
	    .sql = "select * from sandbox_creem.checkout_result($1)", .read_only = true};
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(app->db, request->arena, &read, request->parameters, 1, &result, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	bool leaves = db_rows(result) > 0 && db_text(result, 0, "success_url") != NULL;
	return page_go(response, leaves
				     ? success_url(request->arena, result, stand_in(app)->api_key)
				     : arena_printf(request->arena, CREEM_ROOT "/checkout/%s", request->parameters[0]));
}

enum problem
checkout_press(struct app *app, struct request *request, struct response *response)
{
	AUTO_DB_RESULT result = NULL;
	const char *form = creem_form(request->arena, request->body);
	if (form == NULL)
		return page_say(response, 400, "Not readable", "The form could not be read.");
	enum problem problem = creem_call(app, request, "page_checkout", request->parameters[0], form, &result);
	if (problem != PROBLEM_NONE)
		return problem;
	sender_wake(stand_in(app)->sender);
	int64_t status = db_integer(result, 0, "status");
	if (status == 404)
		return page_say(response, 404, "No such checkout", "The address is wrong, or the sandbox was emptied.");
	if (status != 200)
		return show(app, request, response, page_message(response, db_text(result, 0, "body")));
	return go_on(app, request, response);
}
