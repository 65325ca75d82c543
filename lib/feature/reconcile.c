#include "feature/reconcile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/log.h"
#include "base/text.h"
#include "service/creem.h"
#include "service/db.h"

enum { TARGETS, APPLY, PREVIEW };

static const struct db_statement statements[] = {
    [TARGETS] = {"select * from shotai.reconcile_targets()", true},
    [APPLY] = {"select * from shotai.apply_transaction($1, $2)", true},
    [PREVIEW] = {"select * from shotai.preview_transaction($1)", true},
};

static const char *const outcomes[RECONCILE__COUNT] = {
    [RECONCILE_APPLIED] = "applied",
    [RECONCILE_DUPLICATE] = "duplicate",
    [RECONCILE_PARKED] = "parked",
    [RECONCILE_AMBIGUOUS] = "ambiguous",
    [RECONCILE_IGNORED] = "ignored",
    [RECONCILE_GONE] = "gone",
};

static const char *const kinds[CREEM_KIND__COUNT] = {
    [CREEM_CHECKOUT] = "checkout",
    [CREEM_SUBSCRIPTION] = "subscription",
    [CREEM_TRANSACTION] = "transaction",
};

/* A transaction, with the moment by which they are put in order. */
struct paid {
	int64_t at_ms;
	const char *id, *json;
};

struct run {
	const struct reconcile *reconcile;
	struct reconcile_counts *counts;
	struct arena *arena; /* of the whole run */
	struct paid *paid;
	size_t paid_count, paid_cap;
};

const char *
reconcile_outcome_name(enum reconcile_outcome outcome)
{
	assert(outcome < RECONCILE__COUNT);
	return outcomes[outcome];
}

static enum reconcile_outcome
outcome_of(const char *name)
{
	for (int i = 0; i < RECONCILE__COUNT; i++)
		if (strcmp(outcomes[i], name) == 0)
			return (enum reconcile_outcome)i;
	log_event(LOG_ERROR, "outcome_unknown", "outcome", name, NULL);
	return RECONCILE_IGNORED;
}

static void
note(struct run *run, const struct reconcile_finding *finding)
{
	run->counts->of[finding->outcome]++;
	if (finding->outcome != RECONCILE_DUPLICATE && run->reconcile->report != NULL)
		run->reconcile->report(run->reconcile->context, finding);
}

static bool
goes_on(const struct run *run)
{
	return run->reconcile->go_on == NULL || run->reconcile->go_on(run->reconcile->context);
}

static enum problem
apply(struct run *run, const char *id, const char *json)
{
	if (!goes_on(run))
		return PROBLEM_PAYMENTS_UNAVAILABLE;
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	const char *who = run->reconcile->who;
	const char *const parameters[] = {json, who};
	const struct db_statement *statement = &statements[who != NULL ? APPLY : PREVIEW];
	enum problem problem =
	    db_call(run->reconcile->db, arena, statement, parameters, who != NULL ? 2 : 1, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	note(run, &(struct reconcile_finding){
		      .outcome = outcome_of(db_text(rows, 0, "outcome")),
		      .id = id,
		      .reason = db_text(rows, 0, "reason"),
		      .subject = db_text(rows, 0, "subject"),
		  });
	return PROBLEM_NONE;
}

/* Asks for one object and applies it. */
static enum problem
take_object(struct run *run, enum creem_kind kind, const char *id)
{
	if (!goes_on(run))
		return PROBLEM_PAYMENTS_UNAVAILABLE;
	AUTO_ARENA arena = arena_new();
	const char *json = NULL;
	enum problem problem = creem_get(run->reconcile->creem, arena, kind, id, &json);
	if (problem == PROBLEM_NOT_FOUND) {
		note(run, &(struct reconcile_finding){.outcome = RECONCILE_GONE, .id = id});
		return PROBLEM_NONE;
	}
	return problem == PROBLEM_NONE ? apply(run, id, json) : problem;
}

static bool
is_target(const struct db_result *targets, const char *kind, const char *id)
{
	for (size_t row = 0; row < db_rows(targets); row++)
		if (strcmp(db_text(targets, row, "kind"), kind) == 0 && strcmp(db_text(targets, row, "id"), id) == 0)
			return true;
	return false;
}

/* done: the targets that were taken before, NULL for none. */
static enum problem
take_objects(struct run *run, const struct db_result *targets, const struct db_result *done, enum creem_kind kind)
{
	const char *name = kinds[kind];
	enum problem problem = PROBLEM_NONE;
	for (size_t row = 0; problem == PROBLEM_NONE && row < db_rows(targets); row++) {
		const char *id = db_text(targets, row, "id");
		if (strcmp(db_text(targets, row, "kind"), name) == 0 && (done == NULL || !is_target(done, name, id)))
			problem = take_object(run, kind, id);
	}
	return problem;
}

/* A transaction does not say what was bought; the product under which it was found does. */
static const char *
with_product(struct arena *arena, const char *json, const char *product)
{
	struct text text;
	text_init(&text, arena, strlen(json) + strlen(product) * 6 + 64);
	text_json_open(&text, NULL, '{');
	text_json_string(&text, "product", product);
	if (json[1] != '}')
		text_add(&text, ",");
	text_add(&text, json + 1);
	return text.data;
}

static void
keep(struct run *run, int64_t at_ms, const char *id, const char *json)
{
	if (run->paid_count == run->paid_cap) {
		size_t cap = run->paid_cap == 0 ? 64 : 2 * run->paid_cap;
		struct paid *grown = arena_array(run->arena, cap, sizeof *grown);
		if (run->paid_count > 0)
			memcpy(grown, run->paid, run->paid_count * sizeof *grown);
		run->paid = grown;
		run->paid_cap = cap;
	}
	run->paid[run->paid_count++] = (struct paid){at_ms, id, json};
}

/* Keeps the transactions of a page that are not from before since_ms; false when those of the next page must be: Creem
 * does not say in which order they come. */
static bool
keep_page(struct run *run, const struct creem_page *page, const char *product, int64_t since_ms)
{
	int64_t first_ms = INT64_MAX, last_ms = INT64_MAX;
	for (size_t i = 0; i < page->count; i++) {
		AUTO_BODY_TREE tree = body_tree_parse(page->items[i], strlen(page->items[i]));
		const char *id = body_string(body_member(body_root(tree), "id"));
		int64_t at_ms;
		if (id == NULL)
			continue;
		if (!body_integer(body_member(body_root(tree), "created_at"), &at_ms))
			at_ms = INT64_MAX;
		last_ms = at_ms;
		if (first_ms == INT64_MAX)
			first_ms = at_ms;
		if (at_ms < since_ms)
			continue;
		keep(run, at_ms, arena_strdup(run->arena, id), with_product(run->arena, page->items[i], product));
	}
	return last_ms >= since_ms || first_ms <= last_ms;
}

static enum problem
collect_product(struct run *run, const char *product, int64_t since_ms)
{
	bool more = true;
	for (int64_t number = 1; more; number++) {
		if (!goes_on(run))
			return PROBLEM_PAYMENTS_UNAVAILABLE;
		AUTO_ARENA arena = arena_new();
		struct creem_page page = {0};
		enum problem problem = creem_transactions(run->reconcile->creem, arena, product, number, &page);
		if (problem == PROBLEM_NOT_FOUND) {
			note(run, &(struct reconcile_finding){.outcome = RECONCILE_GONE, .id = product});
			return PROBLEM_NONE;
		}
		if (problem != PROBLEM_NONE)
			return problem;
		more = keep_page(run, &page, product, since_ms) && page.more;
	}
	return PROBLEM_NONE;
}

static int64_t
milliseconds_of(const char *rfc3339)
{
	struct tm when = {0};
	return strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &when) != NULL ? (int64_t)timegm(&when) * 1000 : 0;
}

static int
compare_paid(const void *a, const void *b)
{
	const struct paid *left = a, *right = b;
	if (left->at_ms != right->at_ms)
		return left->at_ms < right->at_ms ? -1 : 1;
	return strcmp(left->id, right->id);
}

/* The transactions of all products, oldest first: what an upgrade entitles to follows from what came before. */
static enum problem
take_transactions(struct run *run, const struct db_result *targets)
{
	enum problem problem = PROBLEM_NONE;
	for (size_t row = 0; problem == PROBLEM_NONE && row < db_rows(targets); row++)
		if (strcmp(db_text(targets, row, "kind"), "product") == 0)
			problem = collect_product(
			    run, db_text(targets, row, "id"), milliseconds_of(db_text(targets, row, "since")));
	if (run->paid_count > 1)
		qsort(run->paid, run->paid_count, sizeof *run->paid, compare_paid);
	for (size_t i = 0; problem == PROBLEM_NONE && i < run->paid_count; i++)
		problem = apply(run, run->paid[i].id, run->paid[i].json);
	return problem;
}

enum problem
reconcile_run(const struct reconcile *reconcile, struct reconcile_counts *ret_counts)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT targets = NULL;
	AUTO_DB_RESULT later = NULL;
	struct run run = {.reconcile = reconcile, .counts = ret_counts, .arena = arena};
	*ret_counts = (struct reconcile_counts){0};
	enum problem problem = db_call(reconcile->db, arena, &statements[TARGETS], NULL, 0, &targets, NULL);
	/* Whose things are; then which plan a subscription is on, which a transaction does not tell; then what was
	 * paid. */
	if (problem == PROBLEM_NONE)
		problem = take_objects(&run, targets, NULL, CREEM_CHECKOUT);
	if (problem == PROBLEM_NONE)
		problem = take_objects(&run, targets, NULL, CREEM_SUBSCRIPTION);
	if (problem == PROBLEM_NONE)
		problem = take_transactions(&run, targets);
	if (problem == PROBLEM_NONE)
		problem = take_objects(&run, targets, NULL, CREEM_TRANSACTION);
	/* Some became known just now. */
	if (problem == PROBLEM_NONE)
		problem = db_call(reconcile->db, arena, &statements[TARGETS], NULL, 0, &later, NULL);
	if (problem == PROBLEM_NONE)
		problem = take_objects(&run, later, targets, CREEM_SUBSCRIPTION);
	return problem;
}
