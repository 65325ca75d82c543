#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/text.h"
#include "feature/mail.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;
static struct config *config;

static int
setup(void **state)
{
	(void)state;
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++)
		unsetenv(config_name(name));
	arena = arena_new();
	config = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	config_free(config);
	arena_free(arena);
	return 0;
}

static void
configure(const char *url, const char *folder, const char *from)
{
	char error[256] = "";

	setenv("SMTP_URL", url, 1);
	setenv("MAIL_DIRECTORY", folder, 1);
	setenv("MAIL_FROM", from, 1);
	config_free(config);
	config = config_load(error, sizeof error);
	assert_string_equal(error, "");
}

static void
settings(void **state)
{
	static const struct {
		const char *url, *folder, *from;
		bool on;
		const char *error; /* what the line begins with; NULL: acceptable */
	} rows[] = {
	    {"", "", "", false, NULL},
	    {"", "", "mail@shotai.example", false, NULL},
	    {"", "/tmp/mail", "mail@shotai.example", true, NULL},
	    {"smtps://mail.shotai.example", "", "ShotAI <mail@shotai.example>", true, NULL},
	    {"smtps://mail.shotai.example", "/tmp/mail", "mail@shotai.example", true, NULL},
	    {"", "/tmp/mail", "", false, "MAIL_FROM "},
	    {"smtps://mail.shotai.example", "", "", false, "MAIL_FROM "},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char error[256] = "";
		struct mail_route *route = NULL;

		configure(rows[i].url, rows[i].folder, rows[i].from);
		assert_int_equal(mail_config_acceptable(config, error, sizeof error), rows[i].error == NULL);
		if (rows[i].error == NULL)
			route = mail_route_new(config);
		else
			assert_memory_equal(error, rows[i].error, strlen(rows[i].error));
		assert_int_equal(route != NULL, rows[i].on);
		mail_route_free(route);
	}
}

static struct mail
mail_to(const char *email)
{
	return (struct mail){
	    .id = 1,
	    .attempt = 1,
	    .message_id = "0123456789abcdef0123456789abcdef",
	    .email = email,
	    .caused_at = 1772355600,
	    .language = LANGUAGE_NL,
	    .receipt = {.product = "Top-up 300",
		.units = 1,
		.order = "ord_5kZ1",
		.transaction = "tran_9tB4",
		.currency = "EUR",
		.amount = 900,
		.tax = 171,
		.paid = 1071,
		.refunded = RECEIPT_NONE,
		.refunded_in_all = RECEIPT_NONE,
		.credits = 300,
		.lost = RECEIPT_NONE,
		.at = "2026-03-01T09:00:00.000Z"},
	};
}

static const char *
written(const struct mail_route *route, const char *email)
{
	struct mail mail = mail_to(email);
	struct text text;

	text_init(&text, arena, 1 << 20);
	return mail_write(route, &mail, &text) ? text.data : NULL;
}

static void
a_mail_is_addressed(void **state)
{
	static const char head[] = "Date: Sun, 01 Mar 2026 09:00:00 +0000\r\n"
				   "From: ShotAI\r\n"
				   " <receipts@mail.shotai.example>\r\n"
				   "To: you@there.example\r\n"
				   "Reply-To: support@shotai.example\r\n"
				   "Message-ID:\r\n"
				   " <0123456789abcdef0123456789abcdef@mail.shotai.example>\r\n"
				   "Subject: Je bon van ShotAI: Top-up 300\r\n"
				   "Content-Language: nl\r\n";
	struct mail_route *route;
	const char *message;

	(void)state;
	configure("", "/tmp/mail", "receipts@mail.shotai.example");
	route = mail_route_new(config);
	message = written(route, "you@there.example");
	assert_non_null(message);
	assert_memory_equal(message, head, strlen(head));
	assert_non_null(strstr(message, "Betaald: =E2=82=AC=C2=A010,71\r\n"));
	assert_non_null(strstr(message, "<html lang=3D\"nl\">"));
	/* Another attempt is the same message. */
	assert_string_equal(message, written(route, "you@there.example"));
	mail_route_free(route);
}

static void
the_sender_has_a_name(void **state)
{
	struct mail_route *route;

	(void)state;
	configure("", "/tmp/mail", "Bonnen <receipts@shotai.example>");
	route = mail_route_new(config);
	assert_non_null(
	    strstr(written(route, "you@there.example"), "\r\nFrom: Bonnen\r\n <receipts@shotai.example>\r\n"));
	mail_route_free(route);
}

static void
no_address_no_mail(void **state)
{
	static const char *const emails[] = {"", "you", "you@there.example\r\nBcc: them@there.example",
	    "caf\xc3\xa9@there.example", "you@there.example, them@there.example"};
	struct mail_route *route;

	(void)state;
	configure("", "/tmp/mail", "receipts@shotai.example");
	route = mail_route_new(config);
	for (size_t i = 0; i < LEN(emails); i++)
		assert_null(written(route, emails[i]));
	mail_route_free(route);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(settings),
	    TEST(a_mail_is_addressed),
	    TEST(the_sender_has_a_name),
	    TEST(no_address_no_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
