#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/mailbox.h"
#include "base/text.h"
#include "service/message.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;
static struct mailbox from;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new();
	from = (struct mailbox){.name = "ShotAI", .address = "mail@shotai.example", .domain = "shotai.example"};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct message
plain_message(void)
{
	return (struct message){.from = &from,
	    .reply_to = "support@shotai.example",
	    .to = "you@there.example",
	    .id = "0123456789abcdef0123456789abcdef@shotai.example",
	    .subject = "Your receipt",
	    .text = "One\n",
	    .html = "<p>One</p>\n",
	    .language = "en",
	    .date = 1772355600};
}

/* The message as written; NULL when it was refused. */
static const char *
written(const struct message *message)
{
	struct text text;

	text_init(&text, arena, 1 << 20);
	return message_write(&text, message) ? text.data : NULL;
}

static void
whole_message(void **state)
{
	struct message message = plain_message();

	(void)state;
	assert_string_equal(written(&message), "Date: Sun, 01 Mar 2026 09:00:00 +0000\r\n"
					       "From: ShotAI\r\n"
					       " <mail@shotai.example>\r\n"
					       "To: you@there.example\r\n"
					       "Reply-To: support@shotai.example\r\n"
					       "Message-ID:\r\n"
					       " <0123456789abcdef0123456789abcdef@shotai.example>\r\n"
					       "Subject: Your receipt\r\n"
					       "Content-Language: en\r\n"
					       "Auto-Submitted: auto-generated\r\n"
					       "MIME-Version: 1.0\r\n"
					       "Content-Type: multipart/alternative;\r\n"
					       " boundary=\"=_d7f199f8190f8a7e25c786acbbefc657\"\r\n"
					       "\r\n"
					       "--=_d7f199f8190f8a7e25c786acbbefc657\r\n"
					       "Content-Type: text/plain; charset=utf-8\r\n"
					       "Content-Transfer-Encoding: quoted-printable\r\n"
					       "\r\n"
					       "One\r\n"
					       "\r\n"
					       "--=_d7f199f8190f8a7e25c786acbbefc657\r\n"
					       "Content-Type: text/html; charset=utf-8\r\n"
					       "Content-Transfer-Encoding: quoted-printable\r\n"
					       "\r\n"
					       "<p>One</p>\r\n"
					       "\r\n"
					       "--=_d7f199f8190f8a7e25c786acbbefc657--\r\n");
	message.reply_to = NULL;
	assert_null(strstr(written(&message), "Reply-To"));
}

static void
text_alone(void **state)
{
	struct message message = plain_message();

	(void)state;
	message.html = NULL;
	assert_non_null(strstr(written(&message), "MIME-Version: 1.0\r\n"
						  "Content-Type: text/plain; charset=utf-8\r\n"
						  "Content-Transfer-Encoding: quoted-printable\r\n"
						  "\r\n"
						  "One\r\n"));
	assert_null(strstr(written(&message), "multipart"));
}

static void
a_link_ends_such_mails(void **state)
{
	static const char *const none[] = {"https://x.example/>\r\nBcc: them@there.example", "https://x.example/a b",
	    "javascript:alert(1)", "", "https://x.example/\"", "https://x.example/caf\xc3\xa9"};
	struct message message = plain_message();

	(void)state;
	assert_null(strstr(written(&message), "List-Unsubscribe"));
	message.unsubscribe = "https://shotai.example/unsubscribe/abc_-";
	assert_non_null(
	    strstr(written(&message), "\r\nList-Unsubscribe:\r\n <https://shotai.example/unsubscribe/abc_->\r\n"
				      "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
	for (size_t i = 0; i < LEN(none); i++) {
		message.unsubscribe = none[i];
		assert_null(written(&message));
	}
}

/* The value of a header, its folding kept; NULL: there is none. */
static const char *
header(const char *message, const char *name)
{
	const char *at = message, *end;
	size_t len = strlen(name);

	while (strncmp(at, name, len) != 0 || at[len] != ':') {
		at = strstr(at, "\r\n");
		if (at == NULL || strncmp(at, "\r\n\r\n", 4) == 0)
			return NULL;
		at += 2;
	}
	for (end = strstr(at, "\r\n"); end[2] == ' '; end = strstr(end + 2, "\r\n"))
		;
	return arena_strndup(arena, at + len + 2, (size_t)(end - at) - len - 2);
}

/* Reads encoded words as a mail program does. */
static const char *
decoded(const char *value)
{
	static const char start[] = "=?UTF-8?B?";
	struct text text;

	text_init(&text, arena, 4096);
	while (*value != '\0') {
		const char *word = value + strlen(start), *end;
		uint8_t *bytes;
		size_t len;

		assert_memory_equal(value, start, strlen(start));
		end = strstr(word, "?=");
		assert_non_null(end);
		assert_true(end + 2 - value <= 75);
		assert_true(digest_base64_decode(arena, word, (size_t)(end - word), &bytes, &len));
		for (size_t i = 0, size; i < len; i += size) {
			size = text_utf8((const char *)bytes + i, len - i);
			assert_true(size > 0); /* no word cuts a character */
		}
		text_add_bytes(&text, bytes, len);
		value = end + 2;
		if (*value != '\0') {
			assert_memory_equal(value, "\r\n ", 3);
			value += 3;
		}
	}
	return text.data;
}

#define A60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define E10 "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"

static void
subjects(void **state)
{
	/* encoded NULL: it stays as it is. */
	static const struct {
		const char *subject, *encoded;
	} rows[] = {
	    {"Plain, with: signs <a@b>", NULL},
	    {A60 "abcdef", NULL},
	    {A60 "abcdefg", A60 "abcdefg"},
	    {"Caf\xc3\xa9", "Caf\xc3\xa9"},
	    {E10 E10 E10 "x" E10, E10 E10 E10 "x" E10},
	    {"=?UTF-8?B?eA==?=", "=?UTF-8?B?eA==?="},
	    {"A\r\nBcc: them@there.example", "A  Bcc: them@there.example"},
	    {"A\r\n\r\nbody", "A    body"},
	    {"A\nB\tC\x7f", "A B C "},
	    {" opening", " opening"},
	    {"broken \xff\xc3", "broken \xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xf0\x9f\x8e\x9e", "\xf0\x9f\x8e\x9e"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct message message = plain_message();
		const char *value;

		message.subject = rows[i].subject;
		value = header(written(&message), "Subject");
		if (rows[i].encoded == NULL)
			assert_string_equal(value, rows[i].subject);
		else
			assert_string_equal(decoded(value), rows[i].encoded);
		assert_null(header(written(&message), "Bcc"));
	}
}

static void
names(void **state)
{
	struct message message = plain_message();
	const char *value;

	(void)state;
	from.name = NULL;
	assert_string_equal(header(written(&message), "From"), "mail@shotai.example");
	from.name = "Shot AI";
	assert_string_equal(header(written(&message), "From"), "Shot AI\r\n <mail@shotai.example>");
	from.name = "Caf\xc3\xa9, \"x\" <a@b>\r\nBcc: c@d";
	value = header(written(&message), "From");
	assert_non_null(strstr(value, "\r\n <mail@shotai.example>"));
	assert_string_equal(decoded(arena_strndup(arena, value, strlen(value) - strlen("\r\n <mail@shotai.example>"))),
	    "Caf\xc3\xa9, \"x\" <a@b>  Bcc: c@d");
	assert_null(header(written(&message), "Bcc"));
}

static void
what_no_header_may_hold(void **state)
{
	static const char *const addresses[] = {"a@b\r\nBcc: c@d", "a@b, c@d", "a", "", "<a@b>", "A <a@b>"};
	static const char *const ids[] = {"a", "", "@b", "a@", "a@b>\r\nBcc: <c@d", "a b@c", "a@b@c", "a<@b"};
	static const char *const languages[] = {"", "en\r\nBcc: c@d", "en nl"};
	struct message message;

	(void)state;
	for (size_t i = 0; i < LEN(addresses); i++) {
		struct mailbox sender = {.address = addresses[i]};

		message = plain_message();
		message.to = addresses[i];
		assert_null(written(&message));
		message = plain_message();
		message.reply_to = addresses[i];
		assert_null(written(&message));
		message = plain_message();
		message.from = &sender;
		assert_null(written(&message));
	}
	for (size_t i = 0; i < LEN(ids); i++) {
		message = plain_message();
		message.id = ids[i];
		assert_null(written(&message));
	}
	for (size_t i = 0; i < LEN(languages); i++) {
		message = plain_message();
		message.language = languages[i];
		assert_null(written(&message));
	}
}

/* The text part as it stands in the message. */
static const char *
encoded_part(const char *text)
{
	struct message message = plain_message();
	const char *whole, *start;

	message.text = text;
	whole = written(&message);
	start = strstr(whole, "quoted-printable\r\n\r\n") + strlen("quoted-printable\r\n\r\n");
	return arena_strndup(arena, start, (size_t)(strstr(start, "\r\n--=_") - start));
}

#define A74 A60 "aaaaaaaaaaaaaa"

static void
quoted_printable(void **state)
{
	static const struct {
		const char *text, *encoded;
	} rows[] = {
	    {"", ""},
	    {"One\n\nTwo\n", "One\r\n\r\nTwo\r\n"},
	    {"no end", "no end\r\n"},
	    {"1 = 1\n", "1 =3D 1\r\n"},
	    {"caf\xc3\xa9\n", "caf=C3=A9\r\n"},
	    {"bare\rreturn\n", "bare=0Dreturn\r\n"},
	    {"blank \ntab\t\nend ", "blank=20\r\ntab=09\r\nend=20\r\n"},
	    {".\n..\na.\n", "=2E\r\n=2E.\r\na.\r\n"},
	    {"From here\nFromage\n", "=46rom here\r\nFromage\r\n"},
	    {A74 "a\n", A74 "a\r\n"},
	    {A74 "ab\n", A74 "a=\r\nb\r\n"},
	    {A74 "a.\n", A74 "a=\r\n=2E\r\n"},
	    {A74 "\xc3\xa9\n", A74 "=\r\n=C3=A9\r\n"},
	    {A74 "a \n", A74 "a=\r\n=20\r\n"},
	    {"--=_d7f199f8190f8a7e25c786acbbefc657--\n", "--=3D_d7f199f8190f8a7e25c786acbbefc657--\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_string_equal(encoded_part(rows[i].text), rows[i].encoded);
}

/* Whatever goes in, the wire sees 7 bits, CRLF only, and lines of 78 at most. */
static void
the_wire_is_clean(void **state)
{
	struct message message = plain_message();
	char noise[4097] = "";

	(void)state;
	for (int round = 0; round < 50; round++) {
		const char *bytes;
		size_t line = 0;

		digest_random(noise, sizeof noise - 1);
		message.text = message.html = noise;
		message.subject = noise + 4000 - round;
		from.name = noise + 3900;
		bytes = written(&message);
		assert_non_null(bytes);
		for (size_t i = 0; bytes[i] != '\0'; i++) {
			assert_true((unsigned char)bytes[i] < 0x7f);
			assert_true(bytes[i] >= ' ' || bytes[i] == '\r' || bytes[i] == '\n');
			assert_int_equal(bytes[i] == '\r', bytes[i + 1] == '\n');
			line = bytes[i] == '\n' ? 0 : line + 1;
			assert_true(line <= 78 + 1);
		}
		assert_int_equal(line, 0);
	}
}

static void
what_does_not_fit_is_refused(void **state)
{
	struct message message = plain_message();
	struct text text;

	(void)state;
	text_init(&text, arena, 300);
	assert_false(message_write(&text, &message));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(whole_message),
	    TEST(text_alone),
	    TEST(a_link_ends_such_mails),
	    TEST(subjects),
	    TEST(names),
	    TEST(what_no_header_may_hold),
	    TEST(quoted_printable),
	    TEST(the_wire_is_clean),
	    TEST(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
