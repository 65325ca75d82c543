#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "feature/job.h"

static const char *const generation_codes[] = {"content_policy", "provider_error", "provider_timeout",
    "provider_overloaded", "moderation_unavailable", "reference_expired", "invalid_output", "internal"};

static bool
listed(const char *word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

static void
test_every_outcome_has_a_verdict(void **state)
{
	(void)state;
	static const char *const states[] = {"done", "refused", "failed", "uncertain"};
	for (enum provider_outcome outcome = 0; outcome < PROVIDER__COUNT; outcome++) {
		const struct job_verdict *verdict = job_judge(outcome);
		assert_non_null(verdict->call_state);
		assert_true(listed(verdict->call_state, states, 4));
		assert_non_null(verdict->code);
		assert_true(listed(verdict->code, generation_codes, sizeof(generation_codes) / sizeof(char *)));
	}
}

/* A call is repeated only when nothing can have been accepted, or when the one blind repeat may be asked for. */
static void
test_what_may_have_been_billed_is_not_retried(void **state)
{
	(void)state;
	static const struct {
		enum provider_outcome outcome;
		const char *call_state;
		enum job_next next;
		const char *code;
	} rows[] = {
	    {PROVIDER_OK, "done", JOB_STORE, "provider_error"},
	    {PROVIDER_REFUSED, "refused", JOB_FINISH, "content_policy"},
	    {PROVIDER_RATE_LIMITED, "failed", JOB_LATER, "provider_overloaded"},
	    {PROVIDER_NOT_SENT, "failed", JOB_LATER, "provider_overloaded"},
	    {PROVIDER_UPSTREAM_ERROR, "failed", JOB_FINISH, "provider_error"},
	    {PROVIDER_TIMEOUT, "uncertain", JOB_FINISH, "provider_timeout"},
	    {PROVIDER_UNCERTAIN, "uncertain", JOB_AGAIN, "provider_error"},
	    {PROVIDER_INVALID_OUTPUT, "done", JOB_FINISH, "invalid_output"},
	    {PROVIDER_ABORTED, "uncertain", JOB_STOP, "provider_error"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct job_verdict *verdict = job_judge(rows[i].outcome);
		assert_string_equal(verdict->call_state, rows[i].call_state);
		assert_int_equal(verdict->next, rows[i].next);
		assert_string_equal(verdict->code, rows[i].code);
	}
}

static void
test_only_what_an_operator_can_mend_alerts(void **state)
{
	(void)state;
	for (enum provider_outcome outcome = 0; outcome < PROVIDER__COUNT; outcome++)
		assert_int_equal(
		    job_judge(outcome)->alert, outcome == PROVIDER_BAD_KEY || outcome == PROVIDER_NO_CREDIT);
}

static void
test_backoff_grows_within_bounds(void **state)
{
	(void)state;
	static const int64_t most[] = {1, 1, 2, 4, 8, 16, 16, 16};
	for (int64_t attempt = 0; attempt < 8; attempt++) {
		for (int i = 0; i < 200; i++) {
			int64_t wait = job_backoff(attempt, 0);
			assert_in_range(wait, (most[attempt] + 1) / 2, most[attempt]);
		}
	}
}

static void
test_backoff_honours_the_vendor(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_in_range(job_backoff(1, 30), 30, 31);
		assert_true(job_backoff(9, 3) >= 8);
	}
}

static void
test_random_reaches_both_ends(void **state)
{
	(void)state;
	bool seen[3] = {false};
	for (int i = 0; i < 1000; i++) {
		int64_t number = job_random(4, 6);
		assert_in_range(number, 4, 6);
		seen[number - 4] = true;
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	assert_int_equal(job_random(7, 7), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_outcome_has_a_verdict),
	    cmocka_unit_test(test_what_may_have_been_billed_is_not_retried),
	    cmocka_unit_test(test_only_what_an_operator_can_mend_alerts),
	    cmocka_unit_test(test_backoff_grows_within_bounds),
	    cmocka_unit_test(test_backoff_honours_the_vendor),
	    cmocka_unit_test(test_random_reaches_both_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
