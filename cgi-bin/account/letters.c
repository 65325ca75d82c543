#include "letters.h"

#include <stddef.h>
#include <string.h>

#include "base/body.h"
#include "base/mailbox.h"
#include "base/text.h"
#include "feature/call.h"
#include "feature/mail_page.h"
#include "feature/support.h"
#include "feature/unsubscribe.h"
#include "pages.h"

static const struct body_field support_fields[] = {
    {.name = "email", .kind = BODY_STRING, .max = SUPPORT_EMAIL_MAX, .offset = offsetof(struct support, email)},
    {.name = "message",
	.kind = BODY_STRING,
	.required = true,
	.min = 1,
	.max = SUPPORT_MESSAGE_MAX,
	.offset = offsetof(struct support, message)},
};

static void
open_page(struct response *response, enum problem problem)
{
	response->status = problem == PROBLEM_NONE ? 200 : problem_describe(problem)->status;
	response->content_type = "text/html; charset=utf-8";
	response->errors = NULL;
	response_header(response, "Content-Security-Policy", mail_page_policy);
	response_header(response, "X-Robots-Tag", "noindex, noarchive");
	response_header(response, "Vary", "Accept-Language");
}

/* What is wrong with a message, as a field and a sentence; NULL: nothing. An empty address is none. */
static const char *
fault_of(struct support *support, enum language language, const char **ret_field)
{
	bool nl = language == LANGUAGE_NL;

	if (support->email != NULL && text_is_blank(support->email))
		support->email = NULL;
	*ret_field = "email";
	if (support->email != NULL && !mailbox_is_address(support->email))
		return nl ? "Dit e-mailadres klopt niet; het mag ook leeg blijven."
			  : "This e-mail address is not one we can write to; it may be left empty.";
	*ret_field = "message";
	if (support->message == NULL || text_is_blank(support->message) ||
	    text_code_points(support->message) > SUPPORT_MESSAGE_MAX)
		return nl ? "Schrijf je bericht, in 1 tot 4000 tekens."
			  : "Write your message, in 1 to 4000 characters.";
	return NULL;
}

/* The form: what could not be taken comes back in a page, so that nothing typed is lost. */
static enum problem
support_form(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct support support = {0};
	const char *fault = NULL, *field, *language = NULL;
	enum problem problem = request_form(request, response, "message", &support.message);
	if (problem == PROBLEM_NONE)
		problem = request_form(request, response, "email", &support.email);
	if (problem == PROBLEM_NONE)
		problem = request_form(request, response, "lang", &language);
	pages_speak(request, language);
	if (problem == PROBLEM_NONE)
		fault = fault_of(&support, request->language, &field);
	if (fault != NULL)
		problem = PROBLEM_INVALID_REQUEST;
	if (problem == PROBLEM_NONE)
		problem = support_send(&call, &support);
	if (problem == PROBLEM_NONE) {
		response->status = 303;
		const char *chosen =
		    request->language == LANGUAGE_NL ? "/support?sent&lang=nl" : "/support?sent&lang=en";
		response_header(response, "Location", language != NULL ? chosen : "/support?sent");
		return PROBLEM_NONE;
	}
	open_page(response, problem);
	if (problem == PROBLEM_RATE_LIMITED || problem == PROBLEM_DATABASE_UNAVAILABLE)
		response_header(response, "Retry-After",
		    response->refusal.retry_after > 0
			? arena_printf(request->arena, "%lld", (long long)response->refusal.retry_after)
			: "5");
	mail_page_support(problem, fault, &support, request->language, &response->body);
	return PROBLEM_NONE;
}

enum problem
letter_support(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	struct support support = {0};
	const char *field, *fault;

	if (request_is(request, "application/x-www-form-urlencoded"))
		return support_form(app, request, response);
	if (!request_is(request, "application/json"))
		return PROBLEM_UNSUPPORTED_MEDIA_TYPE;
	enum problem problem = request_json(request, response, support_fields, 2, &support);
	if (problem != PROBLEM_NONE)
		return problem;
	fault = fault_of(&support, request->language, &field);
	if (fault != NULL)
		return response_invalid(response, arena_printf(request->arena, "/%s", field), fault);
	problem = support_send(&call, &support);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 202;
	text_add(&response->body, "{}");
	return PROBLEM_NONE;
}

static enum problem
write_page(struct request *request, struct response *response, enum problem problem, enum mail_page page)
{
	open_page(response, problem);
	if (problem == PROBLEM_DATABASE_UNAVAILABLE)
		response_header(response, "Retry-After", "5");
	if (problem != PROBLEM_NONE)
		page = problem == PROBLEM_NOT_FOUND ? MAIL_PAGE_GONE : MAIL_PAGE_AWAY;
	mail_page_write(page, request->language, &response->body);
	return PROBLEM_NONE;
}

/* Mail scanners follow links, so looking changes nothing. */
enum problem
letter_ask(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);

	return write_page(request, response, unsubscribe_check(&call, request->parameters[0]), MAIL_PAGE_ASK);
}

/* The page's button, or a mail program (RFC 8058): whatever the body says, whoever posts here wants to be left alone.
 */
enum problem
letter_unsubscribe(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);

	return write_page(request, response, unsubscribe(&call, request->parameters[0]), MAIL_PAGE_DONE);
}
