#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/markdown.h"
#include "base/text.h"
#include "feature/announcement.h"
#include "feature/support.h"

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
markdown(void **state)
{
	static const struct {
		const char *source, *text, *html;
	} rows[] = {
	    {"Hello *you*, **all**", "Hello you, all\n", "<p>Hello <em>you</em>, <strong>all</strong></p>\n"},
	    {"[here](https://x.example/a_b?c=1&d=2)", "here (https://x.example/a_b?c=1&d=2)\n",
		"<p><a href=\"https://x.example/a_b?c=1&amp;d=2\">here</a></p>\n"},
	    {"<https://x.example/>", "https://x.example/\n",
		"<p><a href=\"https://x.example/\">https://x.example/</a></p>\n"},
	    {"<me@x.example>", "me@x.example\n", "<p><a href=\"mailto:me@x.example\">me@x.example</a></p>\n"},
	    {"## Head\n\n- one\n- two", "Head\n\n  - one\n  - two\n",
		"<h2>Head</h2>\n<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"},
	    {"1 < 2 & \"3\"", "1 < 2 & \"3\"\n", "<p>1 &lt; 2 &amp; &quot;3&quot;</p>\n"},
	    {"`<img src=x>`", "<img src=x>\n", "<p><code>&lt;img src=x&gt;</code></p>\n"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct text text, html;
		const char *fault;
		int line;

		text_init(&text, arena, 4096);
		text_init(&html, arena, 4096);
		assert_true(markdown_write(rows[i].source, &text, &html, &line, &fault));
		assert_string_equal(text.data, rows[i].text);
		assert_string_equal(html.data, rows[i].html);
	}
}

static void
what_no_mail_may_hold(void **state)
{
	static const struct {
		const char *source;
		int line;
	} rows[] = {
	    {"fine\n\n![pixel](https://x.example/p.png)", 3},
	    {"![x][y]\n\n[y]: https://x.example/p.png", 1},
	    {"<img src=https://x.example/p.png>", 1},
	    {"a <b>bold</b> word", 1},
	    {"<script>alert(1)</script>", 1},
	    {"<!-- hidden -->", 1},
	    {"one\n\ntwo\n\n[x](javascript:alert(1))", 5},
	    {"[x](data:text/html,hi)", 1},
	    {"[x](/relative)", 1},
	    {"[x](https://)", 1},
	    {"[x]()", 1},
	    {"- a\n- [x](JAVASCRIPT:alert(1))", 2},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct text text, html;
		const char *fault = NULL;
		int line = 0;

		text_init(&text, arena, 4096);
		text_init(&html, arena, 4096);
		assert_false(markdown_write(rows[i].source, &text, &html, &line, &fault));
		assert_int_equal(line, rows[i].line);
		assert_non_null(fault);
		assert_int_equal(text.len + html.len, 0);
	}
}

static bool
reads(const char *file, struct announcement *announcement, const char **error)
{
	return announcement_read(arena, file, strlen(file), announcement, error);
}

static void
two_parts(void **state)
{
	static const char *const files[] = {"# en: New models\n\nHello.\n\n# nl: Nieuwe modellen\nHallo.\n",
	    "\n\n# nl:   Nieuwe modellen  \n\nHallo.\n# en: New models\nHello."};

	(void)state;
	for (size_t i = 0; i < LEN(files); i++) {
		struct announcement announcement;
		const char *error = NULL;

		assert_true(reads(files[i], &announcement, &error));
		assert_string_equal(announcement.part[LANGUAGE_EN].subject, "New models");
		assert_string_equal(announcement.part[LANGUAGE_EN].body, "Hello.");
		assert_string_equal(announcement.part[LANGUAGE_NL].subject, "Nieuwe modellen");
		assert_string_equal(announcement.part[LANGUAGE_NL].body, "Hallo.");
	}
}

static void
files_that_will_not_do(void **state)
{
	static const struct {
		const char *file, *error; /* what it says */
	} rows[] = {
	    {"", "en: there must be"},
	    {"Hello\n# en: A\nB\n# nl: C\nD", "begins with"},
	    {"# en: A\nB", "nl: there must be"},
	    {"# en: A\n# nl: C\nD", "en: there must be"},
	    {"# en:\nB\n# nl: C\nD", "en: there must be"},
	    {"# en: A\nB\n# nl: C\nD\n# en: E\nF", "line 5"},
	    {"# en: A\nB\n# Heading\n# nl: C\nD", "line 3"},
	    {"# en: A\nB\n# nl: C\nD\n\n![x](https://x.example/)", "nl: line 3 of the text: a picture"},
	    {"# en: A\r\nB\r\n# nl: C\r\nD", "UTF-8"},
	    {"# en: A\xff\nB\n# nl: C\nD", "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct announcement announcement;
		const char *error = NULL;

		assert_false(reads(rows[i].file, &announcement, &error));
		assert_non_null(strstr(error, rows[i].error));
	}
}

static void
a_mail_of_a_part(void **state)
{
	static const struct announcement_site site = {
	    "https://shotai.example", "help@shotai.example", "https://shotai.example/unsubscribe/abc"};
	const struct announcement_part part = {"Nieuw <b>", "Hallo *jij*."};
	struct announcement_mail mail;

	(void)state;
	assert_true(announcement_write(arena, &part, &site, LANGUAGE_NL, &mail));
	assert_string_equal(mail.text, "ShotAI\n\nNieuw <b>\n\nHallo jij.\n\n-- \n"
				       "Je krijgt dit omdat je aankondigingen hebt aangezet.\n"
				       "Afmelden: https://shotai.example/unsubscribe/abc\n"
				       "Vragen: help@shotai.example\n");
	assert_non_null(strstr(mail.html, "<html lang=\"nl\">"));
	assert_non_null(strstr(mail.html, ">Nieuw &lt;b&gt;</h1>\n<p>Hallo <em>jij</em>.</p>\n"));
	assert_non_null(strstr(mail.html, "href=\"https://shotai.example/unsubscribe/abc\""));
	/* Nothing that a reader's program would fetch. */
	for (const char *const *word =
		 (const char *const[]){"<img", "src=", "url(", "<link", "@import", "<script", NULL};
	     *word != NULL; word++)
		assert_null(strstr(mail.html, *word));
}

static void
a_message_to_support(void **state)
{
	struct support_mail mail;

	(void)state;
	support_write(arena, "\n My picture is gone\nsince yesterday", NULL, &mail);
	assert_string_equal(mail.subject, "Support: My picture is gone");
	assert_string_equal(mail.text, "\n My picture is gone\nsince yesterday\n\n-- \nNot signed in\n");
	support_write(arena,
	    "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
	    "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9xy",
	    "some-id", &mail);
	assert_int_equal(strlen(mail.subject), strlen("Support: ") + 60 + 3);
	assert_non_null(strstr(mail.text, "Signed in as user some-id\n"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(markdown),
	    TEST(what_no_mail_may_hold),
	    TEST(two_parts),
	    TEST(files_that_will_not_do),
	    TEST(a_mail_of_a_part),
	    TEST(a_message_to_support),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
