#include "feature/share_page.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/template.h"
#include "base/text.h"
#include "feature/share.h"
#include "feature/share_page_html.h" /* made from share_page.html */

#define TITLE_MAX 70 /* code points of the prompt that a card shows as its title */
#define ALT_MAX 400

const char share_page_policy[] = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
				 "base-uri 'none'; frame-ancestors 'none'";

enum word {
	WORD_LANGUAGE,
	WORD_LOCALE,
	WORD_MADE,
	WORD_BY,
	WORD_ON,
	WORD_PICTURE,
	WORD_HOME,
	WORD_REPORT,
	WORD_REASON,
	WORD_HINT,
	WORD_SEND,
	WORD_REPORTED,
	WORD_REASON_MISSING,
	WORD_GONE,
	WORD_GONE_WHY,
	WORD_AWAY,
	WORD_AWAY_WHY,
	WORD__COUNT
};

static const char *const words[WORD__COUNT][LANGUAGE__COUNT] = {
    [WORD_LANGUAGE] = {"en", "nl"},
    [WORD_LOCALE] = {"en_GB", "nl_NL"},
    [WORD_MADE] = {"Made with AI", "Gemaakt met AI"},
    [WORD_BY] = {"Made with AI, by ", "Gemaakt met AI, door "},
    [WORD_ON] = {" on ShotAI.", " op ShotAI."},
    [WORD_PICTURE] = {"A picture made with AI", "Een opname, gemaakt met AI"},
    [WORD_HOME] = {"Made on ShotAI", "Gemaakt op ShotAI"},
    [WORD_REPORT] = {"Report", "Melden"},
    [WORD_REASON] = {"What is wrong with this picture?", "Wat is er mis met deze opname?"},
    [WORD_HINT] = {"We read every report. Who sends it is not kept.",
	"We lezen elke melding. Wie haar stuurt, wordt niet bewaard."},
    [WORD_SEND] = {"Send report", "Verstuur melding"},
    [WORD_REPORTED] = {"Your report has arrived. Thank you.", "Je melding is aangekomen. Dank je."},
    [WORD_REASON_MISSING] = {"Write what is wrong, in 1 to 2000 characters.",
	"Schrijf wat er mis is, in 1 tot 2000 tekens."},
    [WORD_GONE] = {"This picture is no longer shared", "Deze opname wordt niet meer gedeeld"},
    [WORD_GONE_WHY] = {"Its maker took the link back, or it has expired.",
	"De maker heeft de link ingetrokken, of hij is verlopen."},
    [WORD_AWAY] = {"This picture cannot be shown right now", "Deze opname is nu even niet te tonen"},
    [WORD_AWAY_WHY] = {"That is our fault. Try again in a moment.", "Dat ligt aan ons. Probeer het zo opnieuw."},
};

/* The first line's first code points, with an ellipsis when something is left out. */
static const char *
shorten(struct arena *arena, const char *text, size_t most)
{
	size_t len = strcspn(text, "\r\n"), used = 0;

	for (size_t n = 0; n < most && used < len; n++) {
		size_t step = text_utf8(text + used, len - used);
		used += step > 0 ? step : 1;
	}
	if (text[used] == '\0')
		return text;
	return arena_printf(arena, "%.*s\u2026", (int)used, text);
}

static void
render(const struct share_page *page, const struct share_view *view, enum problem problem, struct text *html)
{
	struct arena *arena = page->arena;
	const char *word[WORD__COUNT];
	for (size_t i = 0; i < WORD__COUNT; i++)
		word[i] = words[i][page->language];
	const char *prompt = view != NULL ? view->prompt : NULL;
	const char *title = prompt != NULL ? shorten(arena, prompt, TITLE_MAX) : word[WORD_PICTURE];
	const char *made_by =
	    view != NULL ? arena_printf(arena, "%s%s%s", word[WORD_BY], view->model_name, word[WORD_ON]) : NULL;
	bool gone = problem == PROBLEM_NOT_FOUND;
	const char *path = view != NULL ? arena_printf(arena, "/s/%s", view->slug) : NULL;
	const struct template_value values[] = {
	    {"language", word[WORD_LANGUAGE]},
	    {"locale", word[WORD_LOCALE]},
	    {"site", page->site},
	    {"title", view != NULL ? title
		      : gone       ? word[WORD_GONE]
				   : word[WORD_AWAY]},
	    {"picture", path},
	    {"gone", view != NULL ? NULL
		     : gone       ? word[WORD_GONE]
				  : word[WORD_AWAY]},
	    {"gone_why", gone ? word[WORD_GONE_WHY] : word[WORD_AWAY_WHY]},
	    {"type", view != NULL ? view->content_type : NULL},
	    {"width", view != NULL ? arena_printf(arena, "%lld", (long long)view->width) : NULL},
	    {"height", view != NULL ? arena_printf(arena, "%lld", (long long)view->height) : NULL},
	    {"number", view != NULL ? arena_printf(arena, "%lldA", (long long)view->image_index + 1) : NULL},
	    {"model", view != NULL ? view->model_name : NULL},
	    {"alt", prompt != NULL ? shorten(arena, prompt, ALT_MAX) : word[WORD_PICTURE]},
	    {"made", word[WORD_MADE]},
	    {"made_by", made_by},
	    {"prompt", prompt},
	    {"home", word[WORD_HOME]},
	    {"report", word[WORD_REPORT]},
	    {"reason", word[WORD_REASON]},
	    {"hint", word[WORD_HINT]},
	    {"send", word[WORD_SEND]},
	    {"reported", page->note == SHARE_NOTE_REPORTED ? word[WORD_REPORTED] : NULL},
	    {"reason_missing", page->note == SHARE_NOTE_EMPTY ? word[WORD_REASON_MISSING] : NULL},
	};
	template_render(
	    html, (const char *)share_page_html, sizeof share_page_html, values, sizeof values / sizeof *values);
}

void
share_page_write(const struct share_page *page, const struct share_view *view, struct text *html)
{
	render(page, view, PROBLEM_NONE, html);
}

void
share_page_gone(const struct share_page *page, enum problem problem, struct text *html)
{
	render(page, NULL, problem, html);
}
