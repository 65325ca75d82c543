/* The customer's portal: subscriptions, payments, and what was sent about them. */
#include <inttypes.h>
#include <string.h>

#include "page.h"
#include "sender.h"
#include "stand_in.h"

/* A button of a subscription, with the statuses (between spaces) in which it does something. */
static const struct {
	const char *action, *style, *label, *statuses;
} buttons[] = {
    {"renew", NULL, "Renew", " active trialing past_due unpaid "},
    {"fail", NULL, "Renew failing", " active trialing past_due unpaid "},
    {"pause", NULL, "Pause", " active trialing "},
    {"resume", NULL, "Resume", " paused scheduled_cancel "},
    {"cancel_later", NULL, "Cancel at period end", " active trialing "},
    {"expire", NULL, "Expire", " active trialing past_due unpaid scheduled_cancel "},
    {"cancel", "stop", "Cancel now", " active trialing past_due unpaid paused scheduled_cancel "},
};

static void
open_form(struct text *html, const char *id)
{
	text_add(html, "<form method=\"post\">\n<input type=\"hidden\" name=\"id\" value=\"");
	text_add_html(html, id);
	text_add(html, "\">\n<div class=\"row\">\n");
}

static void
close_form(struct text *html)
{
	text_add(html, "</div>\n</form>\n");
}

static void
write_head(struct text *html, const char *name, const char *tag)
{
	text_add(html, "<div class=\"head\"><h3>");
	text_add_html(html, name);
	text_add(html, "</h3><span class=\"tag\">");
	text_add_html(html, tag);
	text_add(html, "</span></div>\n");
}

/* Every other plan, to change to. */
static void
write_plans(struct text *html, const struct db_result *plans, const char *subscription, const char *product)
{
	open_form(html, subscription);
	text_add(html, "<select name=\"product_id\" aria-label=\"Other plan\">\n");
	for (size_t i = 0; i < db_rows(plans); i++) {
		const char *id = db_text(plans, i, "id");
		if (strcmp(id, product) == 0)
			continue;
		text_printf(html, "<option value=\"%s\">", id);
		text_add_html(html, db_text(plans, i, "name"));
		text_add(html, ", ");
		page_money(html, db_integer(plans, i, "price"), db_text(plans, i, "currency"));
		page_period(html, db_text(plans, i, "period"));
		text_add(html, "</option>\n");
	}
	text_add(html, "</select>\n");
	page_button(html, "change", NULL, "Change plan");
	close_form(html);
}

static void
write_subscription(struct text *html, const struct db_result *rows, size_t row, const struct db_result *plans)
{
	const char *id = db_text(rows, row, "id"), *status = db_text(rows, row, "status");
	const char *key = arena_printf(html->arena, " %s ", status);
	text_add(html, "<li class=\"card\">\n");
	write_head(html, db_text(rows, row, "product"), status);
	text_add(html, "<p class=\"soft\">");
	page_money(html, db_integer(rows, row, "price"), db_text(rows, row, "currency"));
	page_period(html, db_text(rows, row, "period"));
	text_add(html, ", from ");
	page_time(html, db_text(rows, row, "period_start"));
	text_add(html, " to ");
	page_time(html, db_text(rows, row, "period_end"));
	text_printf(html, "<br><code>%s</code></p>\n", id);
	if (strcmp(status, "canceled") != 0) {
		open_form(html, id);
		for (size_t i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++)
			if (strstr(buttons[i].statuses, key) != NULL)
				page_button(html, buttons[i].action, buttons[i].style, buttons[i].label);
		close_form(html);
	}
	if (strstr(" active trialing ", key) != NULL && db_rows(plans) > 1)
		write_plans(html, plans, id, db_text(rows, row, "product_id"));
	text_add(html, "</li>\n");
}

static void
write_payment(struct text *html, const struct db_result *rows, size_t row)
{
	const char *id = db_text(rows, row, "id"), *status = db_text(rows, row, "status");
	const char *currency = db_text(rows, row, "currency");
	int64_t amount = db_integer(rows, row, "amount"), refunded = db_integer(rows, row, "refunded");
	text_add(html, "<li class=\"card\">\n");
	write_head(html, db_text(rows, row, "product"), status);
	text_add(html, "<p class=\"soft\">");
	page_money(html, amount, currency);
	if (refunded > 0) {
		text_add(html, ", refunded ");
		page_money(html, refunded, currency);
	}
	text_add(html, ", ");
	page_time(html, db_text(rows, row, "created_at"));
	text_printf(html, "<br><code>%s</code></p>\n", id);
	bool settled = strcmp(status, "paid") == 0 || strcmp(status, "partialRefund") == 0;
	if (amount > 0 && (settled || strcmp(status, "refunded") == 0)) {
		open_form(html, id);
		if (settled) {
			page_button(html, "refund_half", NULL, "Refund half");
			page_button(html, "refund", NULL, "Refund all");
		}
		page_button(html, "dispute", "stop", "Dispute");
		close_form(html);
	}
	text_add(html, "</li>\n");
}

static void
write_event(struct text *html, const struct db_result *rows, size_t row)
{
	const char *id = db_text(rows, row, "id"), *answer = db_text(rows, row, "answer");
	int64_t attempts = db_integer(rows, row, "attempts");
	text_add(html, "<li class=\"card\">\n");
	write_head(html, db_text(rows, row, "type"), db_text(rows, row, "state"));
	text_printf(html, "<p class=\"soft\">%" PRId64 " attempt%s", attempts, attempts == 1 ? "" : "s");
	if (answer != NULL)
		text_printf(html, ", last answer %s", answer);
	text_add(html, ", ");
	page_time(html, db_text(rows, row, "created_at"));
	text_printf(html, "<br><code>%s</code></p>\n", id);
	open_form(html, id);
	page_button(html, "send", NULL, "Send again");
	close_form(html);
	text_add(html, "</li>\n");
}

static void
open_list(struct text *html, const char *title, size_t count, const char *nothing)
{
	text_printf(html, "<h2>%s</h2>\n", title);
	if (count == 0)
		text_printf(html, "<p class=\"soft\">%s</p>\n", nothing);
	text_add(html, "<ul>\n");
}

static void
write_lists(struct text *html, const struct db_result *subscriptions, const struct db_result *plans,
    const struct db_result *payments, const struct db_result *events)
{
	open_list(html, "Subscriptions", db_rows(subscriptions), "None yet.");
	for (size_t i = 0; i < db_rows(subscriptions); i++)
		write_subscription(html, subscriptions, i, plans);
	text_add(html, "</ul>\n");
	open_list(html, "Payments", db_rows(payments), "None yet.");
	for (size_t i = 0; i < db_rows(payments); i++)
		write_payment(html, payments, i);
	text_add(html, "</ul>\n");
	open_list(html, "Webhooks", db_rows(events), "None yet.");
	for (size_t i = 0; i < db_rows(events); i++)
		write_event(html, events, i);
	text_add(html, "</ul>\n");
}

static enum problem
show(struct app *app, struct request *request, struct response *response, const char *note)
{
	static const struct db_statement
	    page = {.sql = "select * from sandbox_creem.portal_page($1)", .read_only = true},
	    plans = {.sql = "select * from sandbox_creem.portal_plans()", .read_only = true},
	    lists[] = {
		{.sql = "select * from sandbox_creem.portal_subscriptions($1)", .read_only = true},
		{.sql = "select * from sandbox_creem.portal_payments($1)", .read_only = true},
		{.sql = "select * from sandbox_creem.portal_events($1)", .read_only = true},
	    };
	AUTO_DB_RESULT customer = NULL;
	AUTO_DB_RESULT offered = NULL;
	AUTO_DB_RESULT subscriptions = NULL;
	AUTO_DB_RESULT payments = NULL;
	AUTO_DB_RESULT events = NULL;
	struct db_result **results[] = {&subscriptions, &payments, &events};
	enum problem problem = db_call(app->db, request->arena, &page, request->parameters, 1, &customer, NULL);
	if (problem == PROBLEM_NONE && db_rows(customer) == 0)
		return page_say(response, 404, "No such portal", "The address is wrong, or the sandbox was emptied.");
	if (problem == PROBLEM_NONE)
		problem = db_call(app->db, request->arena, &plans, NULL, 0, &offered, NULL);
	for (size_t i = 0; problem == PROBLEM_NONE && i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *id = db_text(customer, 0, "customer_id");
		problem = db_call(app->db, request->arena, &lists[i], &id, 1, results[i], NULL);
	}
	if (problem != PROBLEM_NONE)
		return problem;
	page_open(response, "Your payments");
	text_add(&response->body, "<p>");
	text_add_html(&response->body, db_text(customer, 0, "email"));
	text_printf(&response->body, "<br><a href=\"%s/\">Back to the shop</a></p>\n", stand_in(app)->url);
	if (note != NULL) {
		response->status = 400;
		text_add(&response->body, "<p class=\"note\" role=\"alert\">");
		text_add_html(&response->body, note);
		text_add(&response->body, "</p>\n");
	}
	write_lists(&response->body, subscriptions, offered, payments, events);
	return page_close(response);
}

enum problem
portal_show(struct app *app, struct request *request, struct response *response)
{
	return show(app, request, response, NULL);
}

enum problem
portal_press(struct app *app, struct request *request, struct response *response)
{
	AUTO_DB_RESULT result = NULL;
	const char *form = creem_form(request->arena, request->body);
	if (form == NULL)
		return page_say(response, 400, "Not readable", "The form could not be read.");
	enum problem problem = creem_call(app, request, "page_portal", request->parameters[0], form, &result);
	if (problem != PROBLEM_NONE)
		return problem;
	sender_wake(stand_in(app)->sender);
	if (db_integer(result, 0, "status") != 200)
		return show(app, request, response, page_message(response, db_text(result, 0, "body")));
	return page_go(response, arena_printf(request->arena, CREEM_ROOT "/portal/%s", request->parameters[0]));
}
