#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mailbox.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* address NULL: refused. */
static const struct row {
	const char *string, *name, *address, *domain;
} rows[] = {
    {"a@b", NULL, "a@b", "b"},
    {"mail@shotai.example", NULL, "mail@shotai.example", "shotai.example"},
    {"a.b+c_d%e@x-y.example", NULL, "a.b+c_d%e@x-y.example", "x-y.example"},
    {"o'brien@shotai.example", NULL, "o'brien@shotai.example", "shotai.example"},
    {A64 "@shotai.example", NULL, A64 "@shotai.example", "shotai.example"},
    {"<a@b>", NULL, "a@b", "b"},
    {"ShotAI <a@b>", "ShotAI", "a@b", "b"},
    {"Shot AI  <a@b>", "Shot AI", "a@b", "b"},
    {"Beeld & Zn. caf\xc3\xa9 <a@b>", "Beeld & Zn. caf\xc3\xa9", "a@b", "b"},
    {"", NULL, NULL, NULL},
    {"a", NULL, NULL, NULL},
    {"@b", NULL, NULL, NULL},
    {"a@", NULL, NULL, NULL},
    {"a@b@c", NULL, NULL, NULL},
    {"a b@c", NULL, NULL, NULL},
    {" a@b", NULL, NULL, NULL},
    {"a@b ", NULL, NULL, NULL},
    {"a@b.", NULL, NULL, NULL},
    {"a@.b", NULL, NULL, NULL},
    {".a@b", NULL, NULL, NULL},
    {"a.@b", NULL, NULL, NULL},
    {"a..b@c", NULL, NULL, NULL},
    {"a@b..c", NULL, NULL, NULL},
    {"a@b_c", NULL, NULL, NULL},
    {"a@[127.0.0.1]", NULL, NULL, NULL},
    {"\"a b\"@c", NULL, NULL, NULL},
    {"a\\@c", NULL, NULL, NULL},
    {"a@b,c@d", NULL, NULL, NULL},
    {"a@b;c", NULL, NULL, NULL},
    {"a@b>c", NULL, NULL, NULL},
    {"a@b\r\nRCPT TO:<c@d>", NULL, NULL, NULL},
    {"a\n@b", NULL, NULL, NULL},
    {"a\t@b", NULL, NULL, NULL},
    {"caf\xc3\xa9@b", NULL, NULL, NULL},
    {"a@caf\xc3\xa9.example", NULL, NULL, NULL},
    {"a" A64 "@shotai.example", NULL, NULL, NULL},
    {"a@" A64 ".example", NULL, NULL, NULL},
    {"a@" A64 "." A64 "." A64 "." A64, NULL, NULL, NULL},
    {"ShotAI a@b", NULL, NULL, NULL},
    {"ShotAI <a@b", NULL, NULL, NULL},
    {"ShotAI <a@b> x", NULL, NULL, NULL},
    {"ShotAI <<a@b>>", NULL, NULL, NULL},
    {"ShotAI <>", NULL, NULL, NULL},
    {"<", NULL, NULL, NULL},
    {">", NULL, NULL, NULL},
    {"Shot\nAI <a@b>", NULL, NULL, NULL},
    {"Shot\"AI\" <a@b>", NULL, NULL, NULL},
    {"Shot\xff <a@b>", NULL, NULL, NULL},
};

static void
mailboxes_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_ARENA arena = arena_new();
		struct mailbox mailbox = {0};
		bool read = mailbox_read(arena, rows[i].string, &mailbox);

		if (read != (rows[i].address != NULL))
			fail_msg("row %zu", i);
		if (!read)
			continue;
		assert_string_equal(mailbox.address, rows[i].address);
		assert_string_equal(mailbox.domain, rows[i].domain);
		assert_true(mailbox_is_address(mailbox.address));
		if (rows[i].name == NULL)
			assert_null(mailbox.name);
		else
			assert_string_equal(mailbox.name, rows[i].name);
	}
}

/* What is around an address is no part of it. */
static void
an_address_stands_alone(void **state)
{
	(void)state;
	assert_true(mailbox_is_address("a@b"));
	assert_false(mailbox_is_address("<a@b>"));
	assert_false(mailbox_is_address("A <a@b>"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mailboxes_are_read),
	    cmocka_unit_test(an_address_stands_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
