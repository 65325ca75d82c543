#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/delivery_status.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void
what_is_final(void **state)
{
	static const struct {
		const char *status;
		bool final;
	} rows[] = {
	    {"5.1.1", true},
	    {"5.1.10", true},
	    {"5.0.0", true},
	    {"5.2.1", true},
	    {"5.4.4", true},
	    {"5.2.2", false}, /* full */
	    {"5.7.1", false}, /* because of us */
	    {"5.6.0", false},
	    {"5.3.0", false},
	    {"4.1.1", false},
	    {"2.1.5", false},
	    {"5.1", false},
	    {"5.1.", false},
	    {"5.1.1.1", false},
	    {"5.10.1", false},
	    {"5.1.1111", false},
	    {"550", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_int_equal(delivery_status_is_final(rows[i].status), rows[i].final);
}

static void
what_a_server_answers(void **state)
{
	static const struct {
		const char *reply, *status; /* NULL: it says nothing about the address */
	} rows[] = {
	    {"550 5.1.1 Nobody\r\n", "5.1.1"},
	    {"550-5.1.1 Nobody\r\n", "5.1.1"},
	    {"550 Nobody\r\n", "550"},
	    {"551 Moved", "551"},
	    {"553", "553"},
	    {"554 No", NULL},
	    {"552 Full", NULL},
	    {"550 5.7.1 Not you", NULL},
	    {"550 5.2.2 Full", NULL},
	    {"450 4.2.1 Later", NULL},
	    {"250 2.1.5 Fine", NULL},
	    {"55", NULL},
	    {"", NULL},
	    {"550 1.2.3.4 is listed", "550"},
	    {"550 5.1.12345678901234567890", "550"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char status[DELIVERY_STATUS_MAX] = "";
		assert_int_equal(
		    delivery_status_refuses(rows[i].reply, strlen(rows[i].reply), status), rows[i].status != NULL);
		assert_string_equal(status, rows[i].status != NULL ? rows[i].status : "");
	}
}

#define TOP                                                                                                            \
	"From: MAILER-DAEMON@there.example\r\nTo: mail@shotai.example\r\nSubject: Undelivered\r\n"                     \
	"MIME-Version: 1.0\r\n"
#define REPORT                                                                                                         \
	"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"b=1\"\r\n\r\nA preamble\r\n"
#define WORDS "--b=1\r\nContent-Type: text/plain\r\n\r\nAction: failed\r\nStatus: 5.9.9\r\n\r\n"
#define MACHINE "--b=1\r\ncontent-type: Message/Delivery-Status\r\n\r\nReporting-MTA: dns; there.example\r\n\r\n"
#define DELAYED "Final-Recipient: rfc822; a@there.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n"
#define FAILED                                                                                                         \
	"Final-Recipient: rfc822; you@there.example\r\nAction: Failed\r\nStatus: 5.1.1 (no such\r\n user)\r\n\r\n"
#define MAIL                                                                                                           \
	"--b=1\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Hello\r\nMessage-ID:\r\n "                         \
	"<0123@shotai.example>\r\n"                                                                                    \
	"\r\n"
#define END "--b=1--\r\n"

static void
notifications(void **state)
{
	static const struct {
		const char *message, *status, *id; /* status NULL: it is none */
	} rows[] = {
	    {TOP REPORT WORDS MACHINE FAILED MAIL END, "5.1.1", "0123@shotai.example"},
	    {TOP REPORT WORDS MACHINE DELAYED FAILED MAIL, "5.1.1", "0123@shotai.example"},
	    {TOP REPORT MACHINE FAILED END, "5.1.1", NULL},
	    {TOP REPORT WORDS MACHINE DELAYED MAIL END, NULL, NULL},
	    {TOP REPORT WORDS MAIL END, NULL, NULL},
	    {TOP REPORT, NULL, NULL},
	    {TOP "Content-Type: text/plain\r\n\r\n" WORDS MACHINE FAILED MAIL END, NULL, NULL},
	    {TOP
		"Content-Type: multipart/report; report-type=disposition-notification; boundary=\"b=1\"\r\n\r\n" MACHINE
		    FAILED END,
		NULL, NULL},
	    {TOP "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n" MACHINE FAILED END, NULL, NULL},
	    {"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct delivery_status status = {0};
		bool read = delivery_status_read(arena, rows[i].message, strlen(rows[i].message), &status);
		assert_int_equal(read, rows[i].status != NULL);
		if (!read)
			continue;
		assert_string_equal(status.status, rows[i].status);
		if (rows[i].id == NULL)
			assert_null(status.message_id);
		else
			assert_string_equal(status.message_id, rows[i].id);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_is_final),
	    TEST(what_a_server_answers),
	    TEST(notifications),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
