#include "feature/policy.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/template.h"
#include "base/text.h"
#include "feature/page.h"
#include "feature/policy_bottom_html.h"
#include "feature/policy_top_html.h"
#include "feature/privacy_en_html.h"
#include "feature/privacy_nl_html.h"
#include "feature/refusal.h"

#define BODY_MAX (256u << 10)

enum { SHOW, UNRECORDED, RECORD };

static const struct db_statement statements[] = {
    [SHOW] = {"select * from shotai.show_policy($1, $2)", true},
    [UNRECORDED] = {"select * from shotai.unrecorded_policy()", true},
    [RECORD] = {"select * from shotai.record_policy($1, $2, $3)", true},
};

/* One row of a list, in the order of the columns. */
enum { VERSION_WIDTH = 5, RETENTION_WIDTH = 4, MODEL_WIDTH = 3, WIDTH_MAX = 5 };

/* What a vendor keeps, as an operator wrote it: "30 days" in the reader's words, anything else as it is. */
static const char *
kept(struct arena *arena, enum language language, const char *retention)
{
	if (retention == NULL)
		return language == LANGUAGE_NL ? "onbekend hoe lang" : "for an unknown time";
	if (strncmp(retention, "0 ", 2) == 0)
		return language == LANGUAGE_NL ? "niet" : "not at all";
	return page_span(arena, language, retention);
}

static void
fill_version(const struct page *page, const struct db_result *rows, size_t row, struct template_value *ret_values)
{
	const char *since = db_text(rows, row, "since");
	const struct template_value values[VERSION_WIDTH] = {
	    {"id", db_text(rows, row, "name")},
	    {"from", page_date(page->arena, page->language, since)},
	    {"from_iso", since},
	    {"material", db_boolean(rows, row, "material") ? "" : NULL},
	    {"change", db_text(rows, row, "label")},
	};
	memcpy(ret_values, values, sizeof values);
}

static void
fill_retention(const struct page *page, const struct db_result *rows, size_t row, struct template_value *ret_values)
{
	const struct template_value values[RETENTION_WIDTH] = {
	    {"id", db_text(rows, row, "name")},
	    {"what", db_text(rows, row, "label")},
	    {"why", db_text(rows, row, "reason")},
	    {"time",
		page_term(page->arena, page->language, db_integer(rows, row, "amount"), db_text(rows, row, "unit"))},
	};
	memcpy(ret_values, values, sizeof values);
}

static void
fill_model(const struct page *page, const struct db_result *rows, size_t row, struct template_value *ret_values)
{
	const struct template_value values[MODEL_WIDTH] = {
	    {"model", db_text(rows, row, "name")},
	    {"vendor", db_text(rows, row, "label")},
	    {"kept", kept(page->arena, page->language, db_text(rows, row, "reason"))},
	};
	memcpy(ret_values, values, sizeof values);
}

/* The rows of one kind as the list of a template. */
static struct template_list
list_of(const struct page *page, const struct db_result *rows, const char *kind, const char *name)
{
	static const struct {
		const char *kind;
		size_t width;
		void (*fill)(const struct page *, const struct db_result *, size_t, struct template_value *);
	} kinds[] = {
	    {"version", VERSION_WIDTH, fill_version},
	    {"retention", RETENTION_WIDTH, fill_retention},
	    {"model", MODEL_WIDTH, fill_model},
	};
	size_t i = 0, count = 0;
	while (strcmp(kinds[i].kind, kind) != 0)
		i++;
	struct template_value *values =
	    arena_array(page->arena, (db_rows(rows) + 1) * WIDTH_MAX, sizeof(struct template_value));
	for (size_t row = 0; row < db_rows(rows); row++)
		if (strcmp(db_text(rows, row, "kind"), kind) == 0)
			kinds[i].fill(page, rows, row, values + kinds[i].width * count++);
	return (struct template_list){name, values, count, kinds[i].width};
}

/* The text itself, without what is said about the version: this is what is recorded. */
static void
write_text(const struct page *page, const struct db_result *rows, struct text *html)
{
	struct template_value facts[PAGE_FACTS];
	const struct template_list lists[] = {
	    list_of(page, rows, "retention", "retention"), list_of(page, rows, "model", "models")};
	page_facts(page, facts);
	const struct template_data data = {facts, PAGE_FACTS, lists, sizeof lists / sizeof *lists};
	if (page->language == LANGUAGE_NL)
		template_render_data(html, (const char *)privacy_nl_html, sizeof privacy_nl_html, &data);
	else
		template_render_data(html, (const char *)privacy_en_html, sizeof privacy_en_html, &data);
}

/* What is said about the version, before and after the text. */
static void
write_about(
    const struct page *page, const struct db_result *rows, const unsigned char *template, size_t len, struct text *html)
{
	const char *kind = db_text(rows, 0, "kind"), *since = db_text(rows, 0, "since");
	const struct template_list versions = list_of(page, rows, "version", "versions");
	struct template_value values[PAGE_FACTS + 6] = {
	    {"version", db_text(rows, 0, "name")},
	    {"since", page_date(page->arena, page->language, since)},
	    {"since_iso", since},
	    {"current", strcmp(kind, "current") == 0 ? "" : NULL},
	    {"former", strcmp(kind, "former") == 0 ? "" : NULL},
	    {"coming", strcmp(kind, "coming") == 0 ? "" : NULL},
	};
	page_facts(page, values + 6);
	template_render_data(
	    html, (const char *)template, len, &(struct template_data){values, PAGE_FACTS + 6, &versions, 1});
}

static const char *
language_code(enum language language)
{
	return language == LANGUAGE_NL ? "nl" : "en";
}

enum problem
policy_write(struct call *call, const char *version)
{
	const char *const parameters[] = {version, language_code(call->language)};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = refusal_call(call, &statements[SHOW], parameters, 2, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	struct page page = {
	    .arena = call->arena,
	    .config = call->config,
	    .language = call->language,
	    .path = version != NULL ? arena_printf(call->arena, "/privacy/%s", version) : "/privacy",
	    .kind = PAGE_PRIVACY,
	    .hidden = version != NULL,
	};
	const char *body = db_text(rows, 0, "body");
	page_begin(&page, call->json);
	write_about(&page, rows, policy_top_html, sizeof policy_top_html, call->json);
	if (body != NULL)
		text_add(call->json, body);
	else
		write_text(&page, rows, call->json);
	write_about(&page, rows, policy_bottom_html, sizeof policy_bottom_html, call->json);
	page_end(&page, call->json);
	return PROBLEM_NONE;
}

static enum problem
record(struct db *db, const struct config *config, const char *version, enum language language)
{
	AUTO_ARENA arena = arena_new();
	struct page page = {
	    .arena = arena, .config = config, .language = language, .path = "/privacy", .kind = PAGE_PRIVACY};
	const char *const asked[] = {version, language_code(language)};
	struct text body;
	AUTO_DB_RESULT rows = NULL;
	AUTO_DB_RESULT done = NULL;
	text_init(&body, arena, BODY_MAX);
	enum problem problem = db_call(db, arena, &statements[SHOW], asked, 2, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	write_text(&page, rows, &body);
	if (body.overflow)
		return PROBLEM_INTERNAL;
	const char *const recorded[] = {version, language_code(language), body.data};
	problem = db_call(db, arena, &statements[RECORD], recorded, 3, &done, NULL);
	if (problem == PROBLEM_NONE)
		log_event(LOG_INFO, "policy_recorded", "version", version, "language", language_code(language), NULL);
	return problem;
}

enum problem
policy_record(struct db *db, const struct config *config)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &statements[UNRECORDED], NULL, 0, &rows, NULL);
	for (size_t row = 0; problem == PROBLEM_NONE && row < db_rows(rows); row++) {
		bool dutch = strcmp(db_text(rows, row, "language"), "nl") == 0;
		problem = record(db, config, db_text(rows, row, "version"), dutch ? LANGUAGE_NL : LANGUAGE_EN);
	}
	return problem;
}
