#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/digest.h"
#include "feature/unsubscribe.h"

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

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "fedcba9876543210fedcba9876543210"

static void
names_one_account(void **state)
{
	static const int64_t accounts[] = {1, 2, 255, 256, 4711, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < LEN(accounts); i++) {
		const char *token = unsubscribe_token(arena, ONE, accounts[i]);
		int64_t account = 0;

		assert_int_equal(strlen(token), 32);
		assert_string_equal(token, unsubscribe_token(arena, ONE, accounts[i]));
		assert_true(unsubscribe_read(arena, ONE, token, &account));
		assert_int_equal(account, accounts[i]);
	}
}

/* Neighbours have nothing in common, so that no token tells its number. */
static void
tells_nothing(void **state)
{
	uint8_t *first, *second;
	size_t len, same = 0;

	(void)state;
	assert_true(digest_base64url_decode(arena, unsubscribe_token(arena, ONE, 1), 32, &first, &len));
	assert_true(digest_base64url_decode(arena, unsubscribe_token(arena, ONE, 2), 32, &second, &len));
	for (size_t i = 0; i < len; i++)
		same += first[i] == second[i];
	assert_true(same < 4);
}

static void
outlives_one_rotation(void **state)
{
	const char *token = unsubscribe_token(arena, ONE, 7);
	int64_t account = 0;

	(void)state;
	assert_true(unsubscribe_read(arena, TWO "," ONE, token, &account));
	assert_int_equal(account, 7);
	assert_false(unsubscribe_read(arena, TWO, token, &account));
	assert_string_not_equal(unsubscribe_token(arena, TWO "," ONE, 7), token);
}

/* Each changed bit, and each other length, is none of ours. */
static void
cannot_be_forged(void **state)
{
	const char *token = unsubscribe_token(arena, ONE, 7);
	uint8_t *bytes;
	int64_t account;
	size_t len;

	(void)state;
	assert_true(digest_base64url_decode(arena, token, 32, &bytes, &len));
	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(unsubscribe_read(arena, ONE, digest_base64url(arena, bytes, len), &account));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < 32; cut++)
		assert_false(unsubscribe_read(arena, ONE, arena_strndup(arena, token, cut), &account));
	assert_false(unsubscribe_read(arena, ONE, arena_printf(arena, "%sA", token), &account));
	assert_false(unsubscribe_read(arena, ONE, "................................", &account));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(names_one_account),
	    TEST(tells_nothing),
	    TEST(outlives_one_rotation),
	    TEST(cannot_be_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
