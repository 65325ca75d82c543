#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "fake_db.h"
#include "feature/abuse.h"

typedef const char *marker(struct call *call, const char *text);

/* Marks are the same exactly where same says so; NULL as text b: a has no mark. */
static void
compare(marker *mark, const char *a, const char *b, bool same)
{
	AUTO_ARENA arena = arena_new();
	struct call call = {.arena = arena, .secrets = "current-secret-of-at-least-32-characters"};
	const char *first = mark(&call, a);
	if (b == NULL) {
		assert_null(first);
		return;
	}
	assert_int_equal(strlen(first), 64);
	assert_int_equal(strcmp(first, mark(&call, b)) == 0, same);
	call.secrets = "another-secret-of-at-least-32-characters!";
	assert_string_not_equal(first, mark(&call, a));
}

static void
stems(void **state)
{
	(void)state;
	compare(abuse_stem_mark, "harvest1@example.org", "harvest-02@example.org", true);
	compare(abuse_stem_mark, "1har.vest@example.org", "harvest+x@example.org", true);
	compare(abuse_stem_mark, "harvest1@example.org", "harvest1@example.net", false);
	compare(abuse_stem_mark, "anna@example.org", "hanna@example.org", false);
	compare(abuse_stem_mark, "\xc3\xa9ric1@example.org", "\xc3\xa9ric2@example.org", true);
	compare(abuse_stem_mark, "jan12@example.org", NULL, false);
	compare(abuse_stem_mark, "12345@example.org", NULL, false);
	compare(abuse_stem_mark, "no-at-sign", NULL, false);
}

static void
domains(void **state)
{
	(void)state;
	compare(abuse_domain_mark, "a@example.org", "b@example.org", true);
	compare(abuse_domain_mark, "a@example.org", "a@mail.example.org", false);
	compare(abuse_domain_mark, "\"a@b\"@example.org", "c@example.org", true);
	compare(abuse_domain_mark, "no-at-sign", NULL, false);
}

static void
prompts(void **state)
{
	(void)state;
	compare(abuse_prompt_mark, "A red fox, on a quay!", "  a RED fox on a quay", true);
	compare(abuse_prompt_mark, "fox 1", "fox 22", true);
	compare(abuse_prompt_mark, "red fox", "redfox", false);
	compare(abuse_prompt_mark, "een zee\xc3\xabnd", "een zeend", false);
	compare(abuse_prompt_mark, "123 !?", NULL, false);
	compare(abuse_prompt_mark, "", NULL, false);
}

static void
the_watch_goes_on_while_there_is_more(void **state)
{
	(void)state;
	static const char *const cells[] = {"failed", "0", "more", "1"};
	static struct db_result rows = {.columns = {"name", "value"}, .rows = 2, .cells = cells};
	bool more = false;
	fake_db.result = &rows;
	assert_int_equal(abuse_watch(NULL, &more), PROBLEM_NONE);
	assert_true(more);
	rows.rows = 0; /* another worker is at it */
	assert_int_equal(abuse_watch(NULL, &more), PROBLEM_NONE);
	assert_false(more);
	fake_db.problem = PROBLEM_DATABASE_UNAVAILABLE;
	assert_int_equal(abuse_watch(NULL, &more), PROBLEM_DATABASE_UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stems),
	    cmocka_unit_test(domains),
	    cmocka_unit_test(prompts),
	    cmocka_unit_test(the_watch_goes_on_while_there_is_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
