#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* With O_DIRECT each write to the pipe is one packet, so each read shows what one write held. */
static int reader, saved_stderr;
static char line[8192];

static int
capture(void **state)
{
	int ends[2];

	(void)state;
	if (pipe2(ends, O_DIRECT | O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
	log_open("tester", LOG_INFO);
	return 0;
}

static int
release(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	log_request(NULL);
	return 0;
}

/* What the last write held, without the time; NULL when nothing was written. */
static const char *
written(void)
{
	ssize_t len = read(reader, line, sizeof line - 1);

	if (len <= 0)
		return NULL;
	line[len] = '\0';
	return line + 24;
}

static void
one_write_per_event(void **state)
{
	(void)state;
	log_event(LOG_WARN, "first", "a", "1", NULL);
	log_event(LOG_ERROR, "second", NULL);
	assert_string_equal(written(), " warn tester first a=1\n");
	assert_string_equal(written(), " error tester second\n");
	assert_null(written());
}

static void
time_is_rfc3339(void **state)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";

	(void)state;
	log_event(LOG_INFO, "x", NULL);
	assert_non_null(written());
	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (form[i] == 'd')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], form[i]);
	}
}

static void
values_cannot_forge(void **state)
{
	static const struct {
		const char *value, *expected;
	} rows[] = {
	    {"plain-1.2/3:4", "plain-1.2/3:4"},
	    {NULL, "-"},
	    {"", "\"\""},
	    {"two words", "\"two words\""},
	    {"a=b", "\"a=b\""},
	    {"say \"x\"", "\"say \\\"x\\\"\""},
	    {"back\\slash", "\"back\\\\slash\""},
	    {"x\n2030-01-01 error forged", "\"x\\n2030-01-01 error forged\""},
	    {"\r\t\x1b[2J\x7f", "\"\\x0d\\x09\\x1b[2J\\x7f\""},
	    {"\u2028\x85", "\"\\xe2\\x80\\xa8\\x85\""},
	};
	char expected[200];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		log_event(LOG_INFO, "e", "key", rows[i].value, "next", "1", NULL);
		snprintf(expected, sizeof expected, " info tester e key=%s next=1\n", rows[i].expected);
		assert_string_equal(written(), expected);
	}
}

static void
request_is_named(void **state)
{
	(void)state;
	log_request("7d1c");
	log_event(LOG_INFO, "e", "k", "v", NULL);
	assert_string_equal(written(), " info tester e request=7d1c k=v\n");
	log_request(NULL);
	log_event(LOG_INFO, "e", NULL);
	assert_string_equal(written(), " info tester e\n");
}

static void
generation_is_named(void **state)
{
	(void)state;
	log_generation("5b2e");
	log_event(LOG_INFO, "e", "k", "v", NULL);
	assert_string_equal(written(), " info tester e generation=5b2e k=v\n");
	log_generation(NULL);
	log_event(LOG_INFO, "e", NULL);
	assert_string_equal(written(), " info tester e\n");
}

static void
levels(void **state)
{
	(void)state;
	log_event(LOG_DEBUG, "quiet", NULL);
	assert_null(written());
	log_open("tester", LOG_ERROR);
	log_event(LOG_WARN, "quiet", NULL);
	assert_null(written());
	log_open("tester", LOG_DEBUG);
	log_event(LOG_DEBUG, "loud", NULL);
	assert_string_equal(written(), " debug tester loud\n");
}

static void
long_lines_are_cut(void **state)
{
	static char value[20000];
	const char *rest;

	(void)state;
	memset(value, '\n', sizeof value - 1);
	log_event(LOG_INFO, "long", "value", value, "after", "1", NULL);
	rest = written();
	assert_non_null(rest);
	assert_int_equal(strlen(line), 4096);
	assert_ptr_equal(strchr(rest, '\n'), line + 4095);
	assert_null(written());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_write_per_event, capture, release),
	    cmocka_unit_test_setup_teardown(time_is_rfc3339, capture, release),
	    cmocka_unit_test_setup_teardown(values_cannot_forge, capture, release),
	    cmocka_unit_test_setup_teardown(request_is_named, capture, release),
	    cmocka_unit_test_setup_teardown(generation_is_named, capture, release),
	    cmocka_unit_test_setup_teardown(levels, capture, release),
	    cmocka_unit_test_setup_teardown(long_lines_are_cut, capture, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
