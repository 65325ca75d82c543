#include "feature/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/text.h"
#include "feature/page_bottom_html.h"
#include "feature/page_top_html.h"
#include "feature/support_en_html.h"
#include "feature/support_nl_html.h"
#include "feature/terms_en_html.h"
#include "feature/terms_nl_html.h"

static const struct {
	const char *title[LANGUAGE__COUNT], *description[LANGUAGE__COUNT];
} heads[PAGE__COUNT] = {
    [PAGE_PRIVACY] = {{"Privacy", "Privacy"},
	{"What ShotAI keeps about you, why, for how long, and how you take it along or erase it.",
	    "Wat ShotAI van je bewaart, waarom, hoe lang, en hoe je het meeneemt of wist."}},
    [PAGE_TERMS] = {{"Terms", "Voorwaarden"}, {"What credits are, what is allowed, and when you get your money back.",
						  "Wat credits zijn, wat mag, en wanneer je je geld terugkrijgt."}},
    [PAGE_SUPPORT] = {{"Help", "Hulp"},
	{"Answers to what is often asked, and a form that leads to a person.",
	    "Antwoorden op wat vaak gevraagd wordt, en een formulier dat bij een mens uitkomt."}},
};

static const struct {
	const unsigned char *html;
	size_t len;
} texts[PAGE__COUNT][LANGUAGE__COUNT] = {
    [PAGE_TERMS] = {{terms_en_html, sizeof terms_en_html}, {terms_nl_html, sizeof terms_nl_html}},
    [PAGE_SUPPORT] = {{support_en_html, sizeof support_en_html}, {support_nl_html, sizeof support_nl_html}},
};

static const struct {
	const char *unit, *one[LANGUAGE__COUNT], *many[LANGUAGE__COUNT];
} units[] = {
    {"second", {"second", "seconde"}, {"seconds", "seconden"}},
    {"minute", {"minute", "minuut"}, {"minutes", "minuten"}},
    {"hour", {"hour", "uur"}, {"hours", "uur"}},
    {"day", {"day", "dag"}, {"days", "dagen"}},
    {"month", {"month", "maand"}, {"months", "maanden"}},
    {"year", {"year", "jaar"}, {"years", "jaar"}},
};

const char *
page_term(struct arena *arena, enum language language, long long amount, const char *unit)
{
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(units[i].unit, unit) == 0)
			return arena_printf(
			    arena, "%lld %s", amount, amount == 1 ? units[i].one[language] : units[i].many[language]);
	return arena_printf(arena, "%lld %s", amount, unit);
}

const char *
page_span(struct arena *arena, enum language language, const char *span)
{
	char *end = NULL;
	long amount = strtol(span, &end, 10);
	if (end == span || *end != ' ')
		return span;
	size_t len = strlen(end + 1);
	return page_term(arena, language, amount, arena_strndup(arena, end + 1, len - (len > 0 && end[len] == 's')));
}

const char *
page_date(struct arena *arena, enum language language, const char *time)
{
	static const char *const months[12][LANGUAGE__COUNT] = {{"January", "januari"}, {"February", "februari"},
	    {"March", "maart"}, {"April", "april"}, {"May", "mei"}, {"June", "juni"}, {"July", "juli"},
	    {"August", "augustus"}, {"September", "september"}, {"October", "oktober"}, {"November", "november"},
	    {"December", "december"}};
	char *end = NULL;
	long year = strtol(time, &end, 10);
	long month = *end == '-' ? strtol(end + 1, &end, 10) : 0;
	long day = *end == '-' ? strtol(end + 1, &end, 10) : 0;
	if (month < 1 || month > 12)
		return time;
	return arena_printf(arena, "%ld %s %ld", day, months[month - 1][language], year);
}

static const char *
set_if(bool on)
{
	return on ? "" : NULL;
}

void
page_facts(const struct page *page, struct template_value ret_facts[static PAGE_FACTS])
{
	const struct config *config = page->config;
	int64_t upload = config_integer(config, CONFIG_UPLOAD_TTL_SECONDS);
	int64_t telemetry = config_integer(config, CONFIG_TELEMETRY); /* off, requests, requests+ip */
	bool whole = upload % 60 == 0, r2 = strcmp(config_text(config, CONFIG_STORAGE), "r2") == 0;
	const struct template_value facts[PAGE_FACTS] = {
	    {"language", page->language == LANGUAGE_NL ? "nl" : "en"},
	    {"nl", set_if(page->language == LANGUAGE_NL)},
	    {"en", set_if(page->language != LANGUAGE_NL)},
	    {"site", config_text(config, CONFIG_PUBLIC_URL)},
	    {"support_email", config_text(config, CONFIG_SUPPORT_EMAIL)},
	    {"upload_time",
		page_term(page->arena, page->language, whole ? upload / 60 : upload, whole ? "minute" : "second")},
	    {"telemetry", set_if(telemetry != 0)},
	    {"addresses", set_if(telemetry == 2)},
	    {"telemetry_time",
		page_term(page->arena, page->language, config_integer(config, CONFIG_TELEMETRY_DAYS), "day")},
	    {"moderated", set_if(config_integer(config, CONFIG_MODERATION) != 0)},
	    {"r2", set_if(r2)},
	    {"direct", set_if(r2 && strcmp(config_text(config, CONFIG_STORAGE_LINKS), "direct") == 0)},
	    {"smtp", set_if(config_text(config, CONFIG_SMTP_URL) != NULL)},
	    {"sent", set_if(page->sent)},
	};
	memcpy(ret_facts, facts, sizeof facts);
}

/* The facts and what the frame needs besides. */
static void
render_frame(const struct page *page, const unsigned char *template, size_t len, struct text *html)
{
	struct template_value values[PAGE_FACTS + 4] = {
	    {"path", page->path},
	    {"title", heads[page->kind].title[page->language]},
	    {"description", heads[page->kind].description[page->language]},
	    {"hidden", set_if(page->hidden)},
	};
	page_facts(page, values + 4);
	template_render(html, (const char *)template, len, values, PAGE_FACTS + 4);
}

void
page_begin(const struct page *page, struct text *html)
{
	render_frame(page, page_top_html, sizeof page_top_html, html);
}

void
page_end(const struct page *page, struct text *html)
{
	render_frame(page, page_bottom_html, sizeof page_bottom_html, html);
}

void
page_write(const struct page *page, struct text *html)
{
	struct template_value facts[PAGE_FACTS];
	page_facts(page, facts);
	page_begin(page, html);
	template_render(html, (const char *)texts[page->kind][page->language].html,
	    texts[page->kind][page->language].len, facts, PAGE_FACTS);
	page_end(page, html);
}
