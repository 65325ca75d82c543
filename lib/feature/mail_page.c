#include "feature/mail_page.h"

#include <stdbool.h>

#include "base/template.h"
#include "base/text.h"
#include "feature/mail_page_html.h" /* made from mail_page.html */
#include "feature/support.h"

const char mail_page_policy[] = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
				"base-uri 'none'; frame-ancestors 'none'";

struct words {
	const char *title, *why;
};

static const struct words pages[MAIL_PAGE__COUNT][LANGUAGE__COUNT] = {
    [MAIL_PAGE_ASK] = {{"No more announcements?", "You will still get receipts, if you switched them on."},
	{"Geen aankondigingen meer?", "Bonnen krijg je nog wel, als je die hebt aangezet."}},
    [MAIL_PAGE_DONE] = {{"You are unsubscribed", "No announcement will be sent to you any more. One that is on its way "
						 "right now may still arrive."},
	{"Je bent afgemeld", "Je krijgt geen aankondigingen meer. Eentje die nu net onderweg is, kan nog aankomen."}},
    [MAIL_PAGE_GONE] = {{"This link does not work", "It may have been cut off. Copy the whole link from the mail, or "
						    "switch announcements off in your account."},
	{"Deze link werkt niet",
	    "Misschien is er een stuk af. Kopieer de hele link uit de mail, of zet aankondigingen uit in je account."}},
    [MAIL_PAGE_AWAY] = {{"That did not work just now", "The fault is ours. Try again in a moment."},
	{"Dat lukte nu even niet", "Dat ligt aan ons. Probeer het zo opnieuw."}},
};

enum word { WORD_LANGUAGE, WORD_STOP, WORD_SEND, WORD_EMAIL, WORD_MESSAGE, WORD_ACCOUNT, WORD_SUPPORT, WORD__COUNT };

static const char *const words[WORD__COUNT][LANGUAGE__COUNT] = {
    [WORD_LANGUAGE] = {"en", "nl"},
    [WORD_STOP] = {"Unsubscribe", "Afmelden"},
    [WORD_SEND] = {"Send again", "Opnieuw versturen"},
    [WORD_EMAIL] = {"Your e-mail address, if you want an answer", "Je e-mailadres, als je antwoord wilt"},
    [WORD_MESSAGE] = {"Your message", "Je bericht"},
    [WORD_ACCOUNT] = {"To your account", "Naar je account"},
    [WORD_SUPPORT] = {"To the support page", "Naar de helppagina"},
};

static const struct words unsent[LANGUAGE__COUNT] = {
    {"Your message was not sent", "Everything you wrote is still here."},
    {"Je bericht is niet verstuurd", "Alles wat je schreef staat er nog."},
};

static void
render(const struct words *said, const char *fault, bool ask, const struct support *support, enum language language,
    struct text *html)
{
	const struct template_value values[] = {
	    {"language", words[WORD_LANGUAGE][language]},
	    {"title", said->title},
	    {"why", said->why},
	    {"fault", fault},
	    {"unsubscribe", ask ? words[WORD_STOP][language] : NULL},
	    {"send", support != NULL ? words[WORD_SEND][language] : NULL},
	    {"email_label", words[WORD_EMAIL][language]},
	    {"email", support != NULL ? support->email : NULL},
	    {"message_label", words[WORD_MESSAGE][language]},
	    {"message", support != NULL ? support->message : NULL},
	    {"link", support != NULL ? "/support" : "/account"},
	    {"link_words", words[support != NULL ? WORD_SUPPORT : WORD_ACCOUNT][language]},
	};

	template_render(
	    html, (const char *)mail_page_html, sizeof mail_page_html, values, sizeof values / sizeof *values);
}

void
mail_page_write(enum mail_page page, enum language language, struct text *html)
{
	bool ask = page == MAIL_PAGE_ASK || page == MAIL_PAGE_AWAY;

	render(&pages[page][language], NULL, ask, NULL, language, html);
}

void
mail_page_support(
    enum problem problem, const char *detail, const struct support *support, enum language language, struct text *html)
{
	render(&unsent[language], detail != NULL ? detail : problem_detail(problem, language), false, support, language,
	    html);
}
