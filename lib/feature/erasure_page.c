#include "feature/erasure_page.h"

#include <string.h>

#include "base/arena.h"
#include "base/template.h"
#include "base/text.h"
#include "feature/erasure.h"
#include "feature/erasure_page_html.h" /* made from erasure_page.html */
#include "feature/page.h"

#define REFRESH_SECONDS "10" /* while something is still to be done */

const char erasure_page_policy[] = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; "
				   "base-uri 'none'; frame-ancestors 'none'";

enum word {
	WORD_LANGUAGE,
	WORD_DONE,
	WORD_DONE_LEAD,
	WORD_PENDING,
	WORD_PENDING_LEAD,
	WORD_HELD,
	WORD_HELD_LEAD,
	WORD_GONE,
	WORD_GONE_LEAD,
	WORD_AWAY,
	WORD_AWAY_LEAD,
	WORD_WAITING,
	WORD_HOME,
	WORD__COUNT
};

static const char *const words[WORD__COUNT][LANGUAGE__COUNT] = {
    [WORD_LANGUAGE] = {"en", "nl"},
    [WORD_DONE] = {"Your account is gone", "Je account is weg"},
    [WORD_DONE_LEAD] = {"All of this is done. This page is your receipt.",
	"Dit is allemaal gedaan. Deze pagina is je ontvangstbewijs."},
    [WORD_PENDING] = {"Your account is being erased", "Je account wordt gewist"},
    [WORD_PENDING_LEAD] = {"It has been locked, and this goes on by itself. You may close this page.",
	"Het is vergrendeld, en dit gaat vanzelf verder. Je mag deze pagina sluiten."},
    [WORD_HELD] = {"Paused as required by law", "Stilgezet omdat de wet dat eist"},
    [WORD_HELD_LEAD] = {"Your account is locked, but the law wants us to keep it for now. It is erased once that ends.",
	"Je account is vergrendeld, maar wij moeten het van de wet nog bewaren. Daarna wordt het gewist."},
    [WORD_GONE] = {"There is no such receipt", "Dit ontvangstbewijs is er niet"},
    [WORD_GONE_LEAD] = {"It was for a time only, or its address is not whole.",
	"Het was er voor een tijd, of het adres is niet volledig."},
    [WORD_AWAY] = {"This receipt cannot be shown right now", "Dit ontvangstbewijs is nu even niet te tonen"},
    [WORD_AWAY_LEAD] = {"That is our fault. Try again in a moment.", "Dat ligt aan ons. Probeer het zo opnieuw."},
    [WORD_WAITING] = {"waiting", "wacht"},
    [WORD_HOME] = {"To ShotAI", "Naar ShotAI"},
};

/* By the names in sql/functions/erasure.sql. */
static const struct {
	const char *name, *title[LANGUAGE__COUNT];
} steps[] = {
    {"journal", {"A note, so that no backup brings it back", "Een notitie, zodat geen back-up het terugbrengt"}},
    {"subscriptions", {"Subscription, if there was one", "Abonnement, als dat er was"}},
    {"shares", {"Shared links and reports", "Gedeelde links en meldingen"}},
    {"pictures", {"Pictures, thumbnails and archives", "Opnamen, miniaturen en archieven"}},
    {"uploads", {"Reference pictures", "Referentiebeelden"}},
    {"prompts", {"Prompts", "Prompts"}},
    {"records", {"Mails, settings and usage records", "Mails, instellingen en gebruiksgegevens"}},
    {"payments", {"Your name in payment records", "Je naam in betaalgegevens"}},
    {"sign_in", {"Sign-in and e-mail address", "Inloggegevens en e-mailadres"}},
};

static const char *
step_title(const char *name, enum language language)
{
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (strcmp(steps[i].name, name) == 0)
			return steps[i].title[language];
	return name;
}

/* The word of a view's or problem's title; that of its lead follows. */
static enum word
title_of(const struct erasure_view *view, enum problem problem)
{
	if (view == NULL)
		return problem == PROBLEM_NOT_FOUND ? WORD_GONE : WORD_AWAY;
	return view->status == ERASURE_DONE ? WORD_DONE : view->status == ERASURE_HELD ? WORD_HELD : WORD_PENDING;
}

/* A part of the template: head, list, step (with its values) or foot. */
struct part {
	const char *name, *step, *datetime, *done;
};

struct receipt {
	struct text *html;
	const char *title, *lead, *refresh, *books, *welcome, *receipt;
	enum language language;
};

static void
render(const struct receipt *page, const struct part *part)
{
	const enum language in = page->language;
	const struct template_value values[] = {
	    {"head", strcmp(part->name, "head") == 0 ? "" : NULL},
	    {"list", strcmp(part->name, "list") == 0 ? "" : NULL},
	    {"foot", strcmp(part->name, "foot") == 0 ? "" : NULL},
	    {"step", part->step},
	    {"datetime", part->datetime},
	    {"done", part->done},
	    {"nl", in == LANGUAGE_NL ? "" : NULL},
	    {"language", words[WORD_LANGUAGE][in]},
	    {"refresh", page->refresh},
	    {"title", page->title},
	    {"lead", page->lead},
	    {"waiting", words[WORD_WAITING][in]},
	    {"books", page->books},
	    {"welcome", page->welcome},
	    {"receipt", page->receipt},
	    {"home", words[WORD_HOME][in]},
	};
	template_render(page->html, (const char *)erasure_page_html, sizeof erasure_page_html, values,
	    sizeof values / sizeof *values);
}

void
erasure_page_write(struct arena *arena, enum language language, const struct erasure_view *view, enum problem problem,
    struct text *html)
{
	enum word title = title_of(view, problem);
	const struct receipt page = {
	    .html = html,
	    .title = words[title][language],
	    .lead = words[title + 1][language],
	    .refresh = title == WORD_PENDING ? REFRESH_SECONDS : NULL,
	    .books = view != NULL ? page_span(arena, language, view->books) : NULL,
	    .welcome = view != NULL ? page_span(arena, language, view->welcome) : NULL,
	    .receipt = view != NULL ? page_span(arena, language, view->receipt) : NULL,
	    .language = language,
	};
	render(&page, &(struct part){.name = "head"});
	if (view != NULL)
		render(&page, &(struct part){.name = "list"});
	for (size_t i = 0; view != NULL && i < view->count; i++) {
		const char *at = view->steps[i].done_at;
		render(&page, &(struct part){
				  .name = "step",
				  .step = step_title(view->steps[i].name, language),
				  .datetime = at,
				  .done = at != NULL ? arena_printf(arena, "%.10s %.5s UTC", at, at + 11) : NULL,
			      });
	}
	render(&page, &(struct part){.name = "foot"});
}
