#include "pages.h"

#include <string.h>

#include "feature/call.h"
#include "feature/erasure.h"
#include "feature/erasure_page.h"
#include "feature/page.h"
#include "feature/policy.h"

void
pages_speak(struct request *request, const char *code)
{
	if (code != NULL && strcmp(code, "nl") == 0)
		request->language = LANGUAGE_NL;
	if (code != NULL && strcmp(code, "en") == 0)
		request->language = LANGUAGE_EN;
}

static enum problem
open_page(struct request *request, struct response *response)
{
	const char *wanted = NULL;
	enum problem problem = request_query(request, response, "lang", &wanted);
	if (problem != PROBLEM_NONE)
		return problem;
	pages_speak(request, wanted);
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

/* Answers with the page, whatever became of the request: people read it. */
enum problem
pages_receipt(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct erasure_view view;
	enum problem problem = open_page(request, response);
	if (problem != PROBLEM_NONE)
		return problem;
	problem = erasure_look(&call, request->parameters[0], &view);
	response->status = problem == PROBLEM_NONE ? 200 : problem_describe(problem)->status;
	response->cache_control = "no-store";
	response->etag = false;
	response_header(response, "Content-Security-Policy", erasure_page_policy);
	response_header(response, "X-Robots-Tag", "noindex, noarchive");
	response_header(response, "Referrer-Policy", "no-referrer");
	if (response->status == 503)
		response_header(response, "Retry-After", "5");
	erasure_page_write(
	    request->arena, request->language, problem == PROBLEM_NONE ? &view : NULL, problem, &response->body);
	return PROBLEM_NONE;
}
