#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "feature/receipt.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define NB "\xc2\xa0"
#define EURO "\xe2\x82\xac"
#define MINUS "\xe2\x88\x92"

static const struct receipt_site site = {"https://shotai.example", "support@shotai.example"};

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

static const struct receipt top_up = {
    .product = "Top-up 300",
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
    .at = "2026-03-01T09:00:00.000Z",
};

static const struct receipt subscription = {
    .product = "Maandabonnement",
    .units = 2,
    .order = "ord_8sU1",
    .transaction = "tran_2mX7",
    .currency = "EUR",
    .amount = 123400,
    .tax = 25914,
    .paid = 149314,
    .refunded = RECEIPT_NONE,
    .refunded_in_all = RECEIPT_NONE,
    .credits = 2000,
    .lost = RECEIPT_NONE,
    .at = "2026-03-31T23:59:59.999Z",
    .period_start = "2026-03-31T23:59:59.999Z",
    .period_end = "2026-05-01T00:00:00.000Z",
};

static const struct receipt refund = {
    .refund = true,
    .product = "Top-up 300",
    .units = 1,
    .order = "ord_5kZ1",
    .transaction = "tran_9tB4",
    .currency = "EUR",
    .amount = 900,
    .tax = 171,
    .paid = 1071,
    .refunded = 200,
    .refunded_in_all = 700,
    .credits = 157,
    .lost = 40,
    .at = "2026-03-08T12:00:00.000Z",
};

static struct receipt_mail
written(const struct receipt *receipt, enum language language)
{
	struct receipt_mail mail;

	receipt_write(arena, receipt, &site, language, &mail);
	return mail;
}

#define FOOT_EN                                                                                                        \
	"\n"                                                                                                           \
	"All your orders and credits: https://shotai.example/billing\n"                                                \
	"Questions: support@shotai.example\n"                                                                          \
	"\n"                                                                                                           \
	"You get this because you switched receipts on. Switch them off: https://shotai.example/billing\n"
#define FOOT_NL                                                                                                        \
	"\n"                                                                                                           \
	"Al je bestellingen en credits: https://shotai.example/billing\n"                                              \
	"Vragen: support@shotai.example\n"                                                                             \
	"\n"                                                                                                           \
	"Je krijgt dit omdat je bonnen hebt aangezet. Weer uitzetten: https://shotai.example/billing\n"

static const struct golden {
	const struct receipt *receipt;
	enum language language;
	const char *subject, *text;
} goldens[] = {
    {&top_up, LANGUAGE_EN, "Your ShotAI receipt: Top-up 300",
	"ShotAI\n\nReceipt\nThank you, 300 credits added to your account.\n\n"
	"Item: Top-up 300\nCredits: 300\nPrice: " EURO "9.00\nTax: " EURO "1.71\nPaid: " EURO "10.71\n\n"
	"Date: 1 March 2026\nOrder: ord_5kZ1\nTransaction: tran_9tB4\n" FOOT_EN},
    {&top_up, LANGUAGE_NL, "Je bon van ShotAI: Top-up 300",
	"ShotAI\n\nBon\nBedankt, 300 credits bijgeschreven op je account.\n\n"
	"Product: Top-up 300\nCredits: 300\nPrijs: " EURO NB "9,00\nBtw: " EURO NB "1,71\nBetaald: " EURO NB "10,71\n\n"
	"Datum: 1 maart 2026\nBestelling: ord_5kZ1\nTransactie: tran_9tB4\n" FOOT_NL},
    {&subscription, LANGUAGE_EN, "Your ShotAI receipt: 2 \xc3\x97 Maandabonnement",
	"ShotAI\n\nReceipt\nThank you, 2,000 credits added to your account.\n\n"
	"Item: 2 \xc3\x97 Maandabonnement\nCredits: 2,000\nPeriod: 31 March 2026 to 1 May 2026\n"
	"Price: " EURO "1,234.00\nTax: " EURO "259.14\nPaid: " EURO "1,493.14\n\n"
	"Date: 31 March 2026\nOrder: ord_8sU1\nTransaction: tran_2mX7\n" FOOT_EN},
    {&subscription, LANGUAGE_NL, "Je bon van ShotAI: 2 \xc3\x97 Maandabonnement",
	"ShotAI\n\nBon\nBedankt, 2.000 credits bijgeschreven op je account.\n\n"
	"Product: 2 \xc3\x97 Maandabonnement\nCredits: 2.000\nPeriode: 31 maart 2026 tot 1 mei 2026\n"
	"Prijs: " EURO NB "1.234,00\nBtw: " EURO NB "259,14\nBetaald: " EURO NB "1.493,14\n\n"
	"Datum: 31 maart 2026\nBestelling: ord_8sU1\nTransactie: tran_2mX7\n" FOOT_NL},
    {&refund, LANGUAGE_EN, EURO "2.00 back from ShotAI: Top-up 300",
	"ShotAI\n\nRefund\nThe money goes back the way you paid. Your bank may need a few days to show it.\n\n"
	"Item: Top-up 300\nCredits taken back: 157\nUsed, not taken back: 40\nRefunded: " EURO "2.00\n"
	"Refunded in all: " EURO "7.00" NB "of" NB EURO "10.71\n\n"
	"Date: 8 March 2026\nOrder: ord_5kZ1\nTransaction: tran_9tB4\n" FOOT_EN},
    {&refund, LANGUAGE_NL, EURO NB "2,00 terug van ShotAI: Top-up 300",
	"ShotAI\n\nTerugbetaling\nHet geld gaat terug zoals je betaald hebt. "
	"Je bank heeft daar soms een paar dagen voor nodig.\n\n"
	"Product: Top-up 300\nCredits teruggenomen: 157\nAl gebruikt, niet teruggenomen: 40\n"
	"Terugbetaald: " EURO NB "2,00\nIn totaal terug: " EURO NB "7,00" NB "van" NB EURO NB "10,71\n\n"
	"Datum: 8 maart 2026\nBestelling: ord_5kZ1\nTransactie: tran_9tB4\n" FOOT_NL},
};

static void
golden_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(goldens); i++) {
		struct receipt_mail mail = written(goldens[i].receipt, goldens[i].language);

		assert_string_equal(mail.subject, goldens[i].subject);
		assert_string_equal(mail.text, goldens[i].text);
	}
}

/* What a person reads of a piece of HTML: text of the body with one blank wherever there was markup. */
static const char *
read_html(const char *html)
{
	static const char *const entities[][2] = {
	    {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}};
	const char *at = strstr(html, "<body");
	char *read = arena_alloc(arena, strlen(html) + 1);
	size_t len = 0;

	while (*at != '\0') {
		bool known = *at != '&';

		if (*at == '<' || *at == '\n') {
			at = *at == '<' ? strchr(at, '>') + 1 : at + 1;
			if (len > 0 && read[len - 1] != ' ')
				read[len++] = ' ';
			continue;
		}
		for (size_t i = 0; !known && i < LEN(entities); i++) {
			if (strncmp(at, entities[i][0], strlen(entities[i][0])) == 0) {
				read[len++] = entities[i][1][0];
				at += strlen(entities[i][0]);
				known = true;
			}
		}
		assert_true(known);
		if (*at != '&' && *at != '<' && *at != '\n' && *at != '\0')
			read[len++] = *at++;
	}
	return read;
}

static void
html_says_the_same(void **state)
{
	struct receipt_mail mail = written(&refund, LANGUAGE_EN);

	(void)state;
	assert_string_equal(read_html(mail.html),
	    "SHOTAI 8 March 2026 Refund The money goes back the way you paid. Your bank may need a few days to show "
	    "it. "
	    "Item Top-up 300 Credits taken back 157 Used, not taken back 40 Refunded " EURO "2.00 "
	    "Refunded in all " EURO "7.00" NB "of" NB EURO "10.71 Order ord_5kZ1 Transaction tran_9tB4 "
	    "All your orders and credits Questions: support@shotai.example You get this because you switched receipts "
	    "on. "
	    "Switch them off: https://shotai.example/billing ");
	mail = written(&subscription, LANGUAGE_NL);
	assert_string_equal(read_html(mail.html),
	    "SHOTAI 31 maart 2026 Bon Bedankt, 2.000 credits bijgeschreven op je account. "
	    "Product 2 \xc3\x97 Maandabonnement Credits 2.000 Periode 31 maart 2026 tot 1 mei 2026 "
	    "Prijs " EURO NB "1.234,00 Btw " EURO NB "259,14 Betaald " EURO NB "1.493,14 "
	    "Bestelling ord_8sU1 Transactie tran_2mX7 "
	    "Al je bestellingen en credits Vragen: support@shotai.example Je krijgt dit omdat je bonnen hebt aangezet. "
	    "Weer uitzetten: https://shotai.example/billing ");
}

/* Every element is closed in its order, and nothing is fetched or run. */
static void
assert_sound(const char *html)
{
	static const char *const banned[] = {"<img", "<script", "<link", "<form", "<iframe", "<object", "src=", "url(",
	    "@import", "background=", "{{", "}}"};
	static const char *const single[] = {"meta", "br"};
	const char *open[64];
	size_t depth = 0;

	for (size_t i = 0; i < LEN(banned); i++)
		assert_null(strstr(html, banned[i]));
	for (const char *at = strchr(html, '<'); at != NULL; at = strchr(at + 1, '<')) {
		bool close = at[1] == '/', alone = at[1] == '!';
		const char *name = arena_strndup(arena, at + 1 + close, strcspn(at + 1 + close, " >"));

		for (size_t i = 0; i < LEN(single); i++)
			alone = alone || strcmp(name, single[i]) == 0;
		if (alone)
			continue;
		if (close) {
			assert_true(depth > 0);
			assert_string_equal(name, open[--depth]);
		} else {
			assert_true(depth < LEN(open));
			open[depth++] = name;
		}
	}
	assert_int_equal(depth, 0);
}

/* The only addresses are ours, as links that a person follows. */
static void
assert_local(const char *html)
{
	for (const char *at = strstr(html, "://"); at != NULL; at = strstr(at + 1, "://"))
		assert_memory_equal(at, "://shotai.example/", strlen("://shotai.example/"));
}

static void
html_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(goldens); i++) {
		struct receipt_mail mail = written(goldens[i].receipt, goldens[i].language);

		assert_sound(mail.html);
		assert_local(mail.html);
		assert_non_null(strstr(
		    mail.html, goldens[i].language == LANGUAGE_NL ? "<html lang=\"nl\">" : "<html lang=\"en\">"));
	}
}

static void
everything_is_escaped(void **state)
{
	struct receipt receipt = top_up;
	struct receipt_mail mail;

	(void)state;
	receipt.product = "<b onclick=\"x\">&amp;'{{url}}{{{lines}}}\r\nBcc: a@b\x01\xff";
	receipt.order = "</td><script>1</script>";
	receipt.transaction = "\"><img src=x>";
	receipt.currency = "<i>";
	mail = written(&receipt, LANGUAGE_EN);
	assert_null(strstr(mail.html, "<b "));
	assert_null(strstr(mail.html, "<i>"));
	assert_null(strstr(mail.html, "<script"));
	assert_null(strstr(mail.html, "<img"));
	assert_non_null(strstr(
	    mail.html, "&lt;b onclick=&quot;x&quot;&gt;&amp;amp;&#39;{{url}}{{{lines}}}  Bcc: a@b \xef\xbf\xbd"));
	assert_non_null(strstr(mail.html, "&lt;/td&gt;&lt;script&gt;1&lt;/script&gt;"));
	assert_non_null(strstr(mail.text, "Item: <b onclick=\"x\">&amp;'{{url}}{{{lines}}}  Bcc: a@b \xef\xbf\xbd\n"));
	assert_string_equal(
	    mail.subject, "Your ShotAI receipt: <b onclick=\"x\">&amp;'{{url}}{{{lines}}}  Bcc: a@b \xef\xbf\xbd");
}

/* A label at the start of a line of the text. */
static bool
says(const struct receipt_mail *mail, const char *line)
{
	return strstr(mail->text, arena_printf(arena, "\n%s", line)) != NULL;
}

static void
what_is_not_known_is_left_out(void **state)
{
	struct receipt receipt = {
	    .product = "Trial",
	    .units = RECEIPT_NONE,
	    .amount = RECEIPT_NONE,
	    .tax = RECEIPT_NONE,
	    .paid = RECEIPT_NONE,
	    .refunded = RECEIPT_NONE,
	    .refunded_in_all = RECEIPT_NONE,
	    .credits = RECEIPT_NONE,
	    .lost = RECEIPT_NONE,
	};

	(void)state;
	assert_string_equal(written(&receipt, LANGUAGE_EN).text,
	    "ShotAI\n\nReceipt\nThank you for your payment.\n\nItem: Trial\n\n" FOOT_EN);
	assert_sound(written(&receipt, LANGUAGE_EN).html);
	receipt.refund = true;
	assert_string_equal(written(&receipt, LANGUAGE_NL).subject, "Terugbetaling terug van ShotAI: Trial");
	assert_sound(written(&receipt, LANGUAGE_NL).html);
}

static void
sums_that_need_words(void **state)
{
	struct receipt receipt = top_up;
	struct receipt_mail mail;

	(void)state;
	receipt.amount = receipt.paid = 1071; /* the tax is inside */
	mail = written(&receipt, LANGUAGE_EN);
	assert_false(says(&mail, "Price: "));
	assert_false(says(&mail, "Tax: "));
	assert_true(says(&mail, "Paid: " EURO "10.71\nIncluding tax: " EURO "1.71\n"));
	receipt = top_up;
	receipt.amount = receipt.tax = receipt.paid = 0; /* a discount of 100 % */
	mail = written(&receipt, LANGUAGE_NL);
	assert_true(says(&mail, "Prijs: " EURO NB "0,00\nBtw: " EURO NB "0,00\nBetaald: " EURO NB "0,00\n"));
	receipt = top_up;
	receipt.credits = 1;
	mail = written(&receipt, LANGUAGE_EN);
	assert_true(says(&mail, "Thank you, 1 credit added to your account."));
	receipt.credits = 0;
	mail = written(&receipt, LANGUAGE_EN);
	assert_true(says(&mail, "Thank you for your payment."));
	receipt = refund;
	receipt.refunded = receipt.refunded_in_all = receipt.paid;
	receipt.lost = 0;
	mail = written(&receipt, LANGUAGE_EN);
	assert_false(says(&mail, "Refunded in all"));
	assert_false(says(&mail, "Used, not taken back"));
	receipt.period_start = "soon";
	receipt.period_end = "later";
	receipt.refund = false;
	mail = written(&receipt, LANGUAGE_EN);
	assert_false(says(&mail, "Period"));
}

static void
amounts(void **state)
{
	static const struct {
		int64_t cents;
		const char *currency, *en, *nl;
	} rows[] = {
	    {0, "EUR", EURO "0.00", EURO NB "0,00"},
	    {1, "EUR", EURO "0.01", EURO NB "0,01"},
	    {9, "EUR", EURO "0.09", EURO NB "0,09"},
	    {10, "EUR", EURO "0.10", EURO NB "0,10"},
	    {99, "EUR", EURO "0.99", EURO NB "0,99"},
	    {100, "EUR", EURO "1.00", EURO NB "1,00"},
	    {99999, "EUR", EURO "999.99", EURO NB "999,99"},
	    {100000, "EUR", EURO "1,000.00", EURO NB "1.000,00"},
	    {123456789, "EUR", EURO "1,234,567.89", EURO NB "1.234.567,89"},
	    {-1, "EUR", MINUS EURO "0.01", EURO NB MINUS "0,01"},
	    {-100, "EUR", MINUS EURO "1.00", EURO NB MINUS "1,00"},
	    {-123456, "EUR", MINUS EURO "1,234.56", EURO NB MINUS "1.234,56"},
	    {1071, "USD", "$10.71", "$" NB "10,71"},
	    {-1071, "GBP",
		MINUS "\xc2\xa3"
		      "10.71",
		"\xc2\xa3" NB MINUS "10,71"},
	    {1071, "CHF", "CHF" NB "10.71", "CHF" NB "10,71"},
	    {-1071, "CHF", MINUS "CHF" NB "10.71", "CHF" NB MINUS "10,71"},
	    {INT64_MAX, "EUR", EURO "92,233,720,368,547,758.07", EURO NB "92.233.720.368.547.758,07"},
	    {INT64_MIN, "EUR", MINUS EURO "92,233,720,368,547,758.08", EURO NB MINUS "92.233.720.368.547.758,08"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_string_equal(receipt_money(arena, rows[i].cents, rows[i].currency, LANGUAGE_EN), rows[i].en);
		assert_string_equal(receipt_money(arena, rows[i].cents, rows[i].currency, LANGUAGE_NL), rows[i].nl);
	}
}

static void
dates(void **state)
{
	static const char *const none[] = {"", "2026", "2026-03", "2026-13-01", "2026-00-01", "2026-01-00",
	    "2026-01-32", "26-01-01", "2026/01/01", "yesterday", "-026-01-01"};

	(void)state;
	assert_string_equal(receipt_date(arena, "2026-01-09T00:00:00Z", LANGUAGE_EN), "9 January 2026");
	assert_string_equal(receipt_date(arena, "2026-12-31T23:59:59.999Z", LANGUAGE_NL), "31 december 2026");
	assert_string_equal(receipt_date(arena, "2028-02-29", LANGUAGE_NL), "29 februari 2028");
	for (size_t i = 0; i < LEN(none); i++)
		assert_null(receipt_date(arena, none[i], LANGUAGE_EN));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(golden_texts),
	    TEST(html_says_the_same),
	    TEST(html_is_sound),
	    TEST(everything_is_escaped),
	    TEST(what_is_not_known_is_left_out),
	    TEST(sums_that_need_words),
	    TEST(amounts),
	    TEST(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
