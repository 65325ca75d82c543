#include "page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/body.h"
#include "stand_in.h"

static const char style[] =
    ":root{color-scheme:light dark;--paper:#f6f4ef;--card:#fff;--ink:#1c1b1a;--soft:#6b6660;--line:#e2ddd3;"
    "--accent:#a5460a;--on-accent:#fff;--warn:#9b1c1c}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#161513;--card:#201e1b;--ink:#f1ede6;--soft:#a39c92;"
    "--line:#37332d;--accent:#f0a35e;--on-accent:#1c1206;--warn:#ff9d94}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\n"
    "main{max-width:40rem;margin:0 auto;padding:1.5rem 1rem 4rem;display:grid;gap:1rem}\n"
    ".mark{margin:0;color:var(--soft);font-size:.875rem}\n"
    "h1{margin:0;font-size:1.75rem;line-height:1.2;overflow-wrap:anywhere}\n"
    "h2{margin:1rem 0 0;font-size:1.125rem}\n"
    "h3{margin:0;font-size:1rem}\n"
    "p{margin:0}\n"
    ".soft{color:var(--soft);font-size:.875rem}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem;display:grid;"
    "gap:.75rem}\n"
    ".head{display:flex;flex-wrap:wrap;gap:.25rem 1rem;justify-content:space-between;align-items:baseline}\n"
    ".tag{font-size:.875rem;border:1px solid var(--line);border-radius:1rem;padding:0 .625rem;white-space:nowrap}\n"
    ".note{border-left:.25rem solid var(--warn);padding-left:.75rem}\n"
    "dl{margin:0;display:grid;grid-template-columns:1fr auto;gap:.25rem 0}\n"
    "dd{margin:0;padding-left:1rem;text-align:right;font-variant-numeric:tabular-nums}\n"
    ".total{font-weight:600;border-top:1px solid var(--line);padding-top:.375rem}\n"
    "label{display:grid;gap:.25rem;font-size:.875rem;color:var(--soft)}\n"
    "input,select{font:inherit;color:var(--ink);background:var(--paper);border:1px solid var(--line);"
    "border-radius:.5rem;padding:.625rem .75rem;min-height:2.75rem;width:100%}\n"
    "form{display:grid;gap:.75rem;margin:0}\n"
    ".row{display:flex;flex-wrap:wrap;gap:.5rem}\n"
    ".row select{flex:1 1 12rem;width:auto}\n"
    "button{font:inherit;color:var(--ink);background:transparent;border:1px solid var(--line);border-radius:.5rem;"
    "padding:.5rem .875rem;min-height:2.75rem;cursor:pointer}\n"
    "button:hover{border-color:var(--accent)}\n"
    "button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent);font-weight:600;"
    "width:100%}\n"
    "button.wide{text-align:left;width:100%}\n"
    "button.stop{color:var(--warn)}\n"
    "a{color:var(--accent)}\n"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}\n"
    "ul{list-style:none;margin:0;padding:0;display:grid;gap:.5rem}\n"
    "code{font-size:.8125rem;overflow-wrap:anywhere}\n";

void
page_open(struct response *response, const char *title)
{
	struct text *html = &response->body;
	response->content_type = "text/html; charset=utf-8";
	text_add(html, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
		       "content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n"
		       "<link rel=\"icon\" href=\"/assets/favicon.svg\">\n"
		       "<link rel=\"stylesheet\" href=\"" CREEM_ROOT "/style.css\">\n<title>");
	text_add_html(html, title);
	text_add(
	    html, " - sandbox</title>\n<main>\n<p class=\"mark\">Sandbox payments: no money moves here.</p>\n<h1>");
	text_add_html(html, title);
	text_add(html, "</h1>\n");
}

enum problem
page_close(struct response *response)
{
	text_add(&response->body, "</main>\n</html>\n");
	return PROBLEM_NONE;
}

enum problem
page_say(struct response *response, int status, const char *title, const char *detail)
{
	page_open(response, title);
	response->status = status;
	text_add(&response->body, "<p>");
	text_add_html(&response->body, detail);
	text_add(&response->body, "</p>\n");
	return page_close(response);
}

enum problem
page_go(struct response *response, const char *url)
{
	response->status = 303;
	response_header(response, "Location", url);
	return PROBLEM_NONE;
}

void
page_money(struct text *html, int64_t cents, const char *currency)
{
	text_printf(html, "%s %s%" PRId64 ".%02d", currency, cents < 0 ? "-" : "", (int64_t)llabs(cents / 100),
	    (int)llabs(cents % 100));
}

void
page_time(struct text *html, const char *time)
{
	text_printf(html, "%.10s %.5s UTC", time, strlen(time) > 16 ? time + 11 : "");
}

void
page_period(struct text *html, const char *period)
{
	static const struct {
		const char *period, *text;
	} periods[] = {
	    {"every-day", " / day"},
	    {"every-month", " / month"},
	    {"every-three-months", " / 3 months"},
	    {"every-six-months", " / 6 months"},
	    {"every-year", " / year"},
	};
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++)
		if (strcmp(period, periods[i].period) == 0)
			text_add(html, periods[i].text);
}

void
page_button(struct text *html, const char *action, const char *class, const char *label)
{
	text_printf(html, "<button name=\"action\" value=\"%s\"", action);
	if (class != NULL)
		text_printf(html, " class=\"%s\"", class);
	text_add(html, ">");
	text_add_html(html, label);
	text_add(html, "</button>\n");
}

const char *
page_message(struct response *response, const char *messages)
{
	AUTO_BODY_TREE tree = body_tree_parse(messages, strlen(messages));
	const char *first = tree == NULL ? NULL : body_string(body_element(body_root(tree), 0));
	return first == NULL ? "It was refused" : arena_strdup(response->arena, first);
}

enum problem
style_get(struct app *app, struct request *request, struct response *response)
{
	(void)app;
	(void)request;
	response->content_type = "text/css; charset=utf-8";
	response->cache_control = "no-cache";
	response->etag = true;
	text_add(&response->body, style);
	return PROBLEM_NONE;
}
