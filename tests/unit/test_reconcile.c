/* What is asked of Creem, in which order, and what reaches the database; both are stood in for. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/log.h"
#include "feature/reconcile.h"
#include "service/creem.h"
#include "service/db.h"

#define TRACE_MAX 4096
#define LEN(array) (sizeof(array) / sizeof *(array))

struct db_result {
	const char *const (*rows)[3];
	size_t count;
};

static char trace[TRACE_MAX]; /* what happened, in order */
static const char *const (*targets)[3], *const (*later)[3];
static size_t target_count, later_count;
static int target_calls;
static const char *outcome;     /* of everything that is applied */
static const char *away;        /* the id for which Creem is away, or NULL */
static const char *pages[2][3]; /* transactions of prod_1: two pages */
static enum problem apply_problem;

static void
note(const char *what, const char *id)
{
	size_t len = strlen(trace);
	snprintf(trace + len, sizeof trace - len, "%s(%s) ", what, id);
}

enum problem
db_call(struct db *db, struct arena *arena, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	static const char *answer[1][3];
	(void)db;
	(void)ret_refusal;
	*ret_result = arena_alloc(arena, sizeof **ret_result);
	if (strstr(statement->sql, "reconcile_targets") != NULL) {
		bool first = target_calls++ == 0;
		**ret_result =
		    first ? (struct db_result){targets, target_count} : (struct db_result){later, later_count};
		return PROBLEM_NONE;
	}
	note(strstr(statement->sql, "preview") != NULL ? "preview" : parameters[1], parameters[0]);
	assert_int_equal(count, strstr(statement->sql, "preview") != NULL ? 1 : 2);
	if (apply_problem != PROBLEM_NONE)
		return apply_problem;
	answer[0][0] = outcome;
	answer[0][1] = NULL;
	answer[0][2] = "payment:1";
	**ret_result = (struct db_result){(const char *const(*)[3])answer, 1};
	return PROBLEM_NONE;
}

void
db_result_free(struct db_result *result)
{
	(void)result;
}

size_t
db_rows(const struct db_result *result)
{
	return result->count;
}

const char *
db_text(const struct db_result *result, size_t row, const char *column)
{
	static const char *const names[] = {"kind", "id", "since", "outcome", "reason", "subject"};
	for (size_t i = 0; i < LEN(names); i++)
		if (strcmp(names[i], column) == 0)
			return result->rows[row][i % 3];
	fail_msg("no column %s", column);
	return NULL;
}

enum problem
creem_get(const struct creem *creem, struct arena *arena, enum creem_kind kind, const char *id, const char **ret_json)
{
	(void)creem;
	(void)kind;
	note("get", id);
	if (away != NULL && strcmp(away, id) == 0)
		return PROBLEM_PAYMENTS_UNAVAILABLE;
	if (strstr(id, "gone") != NULL)
		return PROBLEM_NOT_FOUND;
	*ret_json = arena_printf(arena, "{\"id\":\"%s\"}", id);
	return PROBLEM_NONE;
}

enum problem
creem_transactions(
    const struct creem *creem, struct arena *arena, const char *product_id, int64_t page, struct creem_page *ret_page)
{
	(void)creem;
	note("page", arena_printf(arena, "%s %" PRId64, product_id, page));
	size_t count = 0;
	ret_page->items = arena_array(arena, 4, sizeof *ret_page->items);
	while (strcmp(product_id, "prod_1") == 0 && count < 3 && pages[page - 1][count] != NULL) {
		ret_page->items[count] = pages[page - 1][count];
		count++;
	}
	ret_page->count = count;
	ret_page->more = page == 1 && strcmp(product_id, "prod_1") == 0;
	return PROBLEM_NONE;
}

static int
setup(void **state)
{
	static const char *const first[][3] = {{"checkout", "ch_1", ""}, {"checkout", "ch_gone", ""},
	    {"product", "prod_1", "2026-03-01T00:00:00.000Z"}, {"product", "prod_2", "2026-03-01T00:00:00.000Z"},
	    {"subscription", "sub_1", ""}, {"transaction", "tran_9", ""}};
	static const char *const second[][3] = {{"subscription", "sub_1", ""}, {"subscription", "sub_2", ""}};
	(void)state;
	trace[0] = '\0';
	targets = first;
	target_count = LEN(first);
	later = second;
	later_count = LEN(second);
	target_calls = 0;
	outcome = "applied";
	away = NULL;
	apply_problem = PROBLEM_NONE;
	memset(pages, 0, sizeof pages);
	pages[0][0] = "{\"id\":\"tran_3\",\"created_at\":1772500000000}";
	pages[0][1] = "{\"id\":\"tran_2\",\"created_at\":1772400000000}";
	pages[1][0] = "{\"id\":\"tran_1\",\"created_at\":1772400000000}";
	pages[1][1] = "{\"id\":\"tran_0\",\"created_at\":1772323199999}"; /* a millisecond before since */
	pages[1][2] = "{\"id\":\"tran_00\",\"created_at\":1772500000001}";
	return 0;
}

static struct reconcile_counts counts;

static enum problem
run(const char *who)
{
	const struct reconcile reconcile = {.who = who};
	return reconcile_run(&reconcile, &counts);
}

static void
everything_is_asked_for_in_order(void **state)
{
	(void)state;
	assert_int_equal(run("ana"), PROBLEM_NONE);
	assert_string_equal(trace, "get(ch_1) ana({\"id\":\"ch_1\"}) get(ch_gone) get(sub_1) ana({\"id\":\"sub_1\"}) "
				   "page(prod_1 1) page(prod_1 2) page(prod_2 1) "
				   "ana({\"product\":\"prod_1\",\"id\":\"tran_1\",\"created_at\":1772400000000}) "
				   "ana({\"product\":\"prod_1\",\"id\":\"tran_2\",\"created_at\":1772400000000}) "
				   "ana({\"product\":\"prod_1\",\"id\":\"tran_3\",\"created_at\":1772500000000}) "
				   "ana({\"product\":\"prod_1\",\"id\":\"tran_00\",\"created_at\":1772500000001}) "
				   "get(tran_9) ana({\"id\":\"tran_9\"}) get(sub_2) ana({\"id\":\"sub_2\"}) ");
	assert_int_equal(counts.of[RECONCILE_APPLIED], 8);
	assert_int_equal(counts.of[RECONCILE_GONE], 1);
}

static void
pages_end_at_old_ones_only_when_newest_come_first(void **state)
{
	(void)state;
	pages[0][0] = "{\"id\":\"tran_1\",\"created_at\":1772000000000}";
	pages[0][1] = "{\"id\":\"tran_2\",\"created_at\":1772100000000}";
	assert_int_equal(run("ana"), PROBLEM_NONE);
	assert_non_null(strstr(trace, "page(prod_1 2)"));
	assert_null(strstr(trace, "tran_2"));
	assert_non_null(strstr(trace, "tran_00"));
	setup(NULL);
	pages[0][0] = "{\"id\":\"tran_2\",\"created_at\":1772400000000}";
	pages[0][1] = "{\"id\":\"tran_1\",\"created_at\":1772000000000}";
	assert_int_equal(run("ana"), PROBLEM_NONE);
	assert_null(strstr(trace, "page(prod_1 2)"));
	assert_non_null(strstr(trace, "tran_2"));
	assert_null(strstr(trace, "tran_1\""));
}

static void
a_preview_applies_nothing(void **state)
{
	(void)state;
	assert_int_equal(run(NULL), PROBLEM_NONE);
	assert_non_null(strstr(trace, "preview({\"id\":\"ch_1\"})"));
	assert_null(strstr(trace, "ana("));
}

static void
outcomes_are_counted(void **state)
{
	(void)state;
	for (enum reconcile_outcome one = 0; one < RECONCILE_GONE; one++) {
		setup(NULL);
		outcome = reconcile_outcome_name(one);
		assert_int_equal(run("ana"), PROBLEM_NONE);
		assert_int_equal(counts.of[one], 8);
	}
}

static void
a_creem_that_goes_away_stops_it(void **state)
{
	(void)state;
	away = "sub_1";
	assert_int_equal(run("ana"), PROBLEM_PAYMENTS_UNAVAILABLE);
	assert_string_equal(trace, "get(ch_1) ana({\"id\":\"ch_1\"}) get(ch_gone) get(sub_1) ");
	assert_int_equal(counts.of[RECONCILE_APPLIED], 1);
	setup(NULL);
	apply_problem = PROBLEM_DATABASE_UNAVAILABLE;
	assert_int_equal(run("ana"), PROBLEM_DATABASE_UNAVAILABLE);
	assert_string_equal(trace, "get(ch_1) ana({\"id\":\"ch_1\"}) ");
}

struct watch {
	int left, reported;
};

static bool
go_on(void *context)
{
	struct watch *watch = context;
	return watch->left-- > 0;
}

static void
report(void *context, const struct reconcile_finding *finding)
{
	struct watch *watch = context;
	assert_string_equal(finding->id, "ch_1");
	assert_string_equal(finding->subject, "payment:1");
	watch->reported++;
}

static void
it_can_be_stopped_and_reports(void **state)
{
	(void)state;
	struct watch watch = {.left = 2};
	const struct reconcile reconcile = {.who = "ana", .report = report, .go_on = go_on, .context = &watch};
	assert_int_equal(reconcile_run(&reconcile, &counts), PROBLEM_PAYMENTS_UNAVAILABLE);
	assert_string_equal(trace, "get(ch_1) ana({\"id\":\"ch_1\"}) ");
	assert_int_equal(watch.reported, 1);
	setup(NULL);
	outcome = "duplicate";
	watch = (struct watch){.left = 2};
	assert_int_equal(reconcile_run(&reconcile, &counts), PROBLEM_PAYMENTS_UNAVAILABLE);
	assert_int_equal(watch.reported, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(everything_is_asked_for_in_order, setup),
	    cmocka_unit_test_setup(pages_end_at_old_ones_only_when_newest_come_first, setup),
	    cmocka_unit_test_setup(a_preview_applies_nothing, setup),
	    cmocka_unit_test_setup(outcomes_are_counted, setup),
	    cmocka_unit_test_setup(a_creem_that_goes_away_stops_it, setup),
	    cmocka_unit_test_setup(it_can_be_stopped_and_reports, setup),
	};
	log_open("test_reconcile", LOG__COUNT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
