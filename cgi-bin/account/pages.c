#include "pages.h"

#include <string.h>

#include "feature/call.h"
#include "feature/page.h"
#include "feature/policy.h"

/* The reader may ask for a language; anything else in its place is ignored, as Accept-Language would be. */
static enum problem
open_page(struct request *request, struct response *response)
{
	const char *wanted = NULL;
	enum problem problem = request_query(request, response, "lang", &wanted);
	if (problem != PROBLEM_NONE)
		return problem;
	if (wanted != NULL && strcmp(wanted, "nl") == 0)
		request->language = LANGUAGE_NL;
	if (wanted != NULL && strcmp(wanted, "en") == 0)
		request->language = LANGUAGE_EN;
	response->content_type = "text/html; charset=utf-8";
	response->cache_control = "no-cache";
	response->etag = true;
	response_header(response, "Vary", "Accept-Language");
	response_header(response, "Content-Language", request->language == LANGUAGE_NL ? "nl" : "en");
	return PROBLEM_NONE;
}

static enum problem
write_page(struct app *app, struct request *request, struct response *response, enum page_kind kind, bool sent)
{
	page_write(
	    &(struct page){
		.arena = request->arena,
		.config = app->config,
		.language = request->language,
		.path = request->path,
		.kind = kind,
		.hidden = sent,
		.sent = sent,
	    },
	    &response->body);
	return PROBLEM_NONE;
}

enum problem
pages_privacy(struct app *app, struct request *request, struct response *response)
{
	enum problem problem = open_page(request, response);
	struct call call = call_of(app, request, response);
	return problem == PROBLEM_NONE ? policy_write(&call, request->parameters[0]) : problem;
}

enum problem
pages_terms(struct app *app, struct request *request, struct response *response)
{
	enum problem problem = open_page(request, response);
	return problem == PROBLEM_NONE ? write_page(app, request, response, PAGE_TERMS, false) : problem;
}

enum problem
pages_support(struct app *app, struct request *request, struct response *response)
{
	const char *sent = NULL;
	enum problem problem = open_page(request, response);
	if (problem == PROBLEM_NONE)
		problem = request_query(request, response, "sent", &sent);
	return problem == PROBLEM_NONE ? write_page(app, request, response, PAGE_SUPPORT, sent != NULL) : problem;
}
