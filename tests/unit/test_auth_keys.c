#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forge.h"
#include "service/auth_keys.h"

static struct {
	struct arena *arena;
	EVP_PKEY *ec, *p384, *rsa, *rsa_short;
	char *x, *y, *n;
} given;

static int
make_keys(void **)
{
	struct arena *arena = given.arena = arena_new();
	given.ec = forge_ec("P-256");
	given.p384 = forge_ec("P-384");
	given.rsa = forge_rsa(2048);
	given.rsa_short = forge_rsa(1024);
	given.x = forge_number(arena, given.ec, OSSL_PKEY_PARAM_EC_PUB_X, 32);
	given.y = forge_number(arena, given.ec, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
	given.n = forge_number(arena, given.rsa, OSSL_PKEY_PARAM_RSA_N, 0);
	return 0;
}

static int
free_keys(void **)
{
	EVP_PKEY_free(given.ec);
	EVP_PKEY_free(given.p384);
	EVP_PKEY_free(given.rsa);
	EVP_PKEY_free(given.rsa_short);
	arena_free(given.arena);
	return 0;
}

static struct auth_keys *
parse(const char *json)
{
	return auth_keys_parse(json, strlen(json));
}

static void
pem_is_what_openssl_writes(void **)
{
	struct arena *arena = given.arena;
	struct auth_keys *keys = parse(arena_printf(arena, "{\"keys\":[%s,%s],\"more\":1}",
	    forge_ec_jwk(arena, given.ec, "one", "\"use\":\"sig\",\"key_ops\":[\"verify\"],\"ext\":true,"),
	    forge_rsa_jwk(arena, given.rsa, "two", "\"alg\":\"RS256\",")));
	assert_non_null(keys);
	assert_int_equal(auth_keys_count(keys), 2);
	const struct auth_key *one = auth_keys_by_kid(keys, "one"), *two = auth_keys_by_kid(keys, "two");
	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal(one->algorithm, AUTH_ES256);
	assert_int_equal(two->algorithm, AUTH_RS256);
	assert_string_equal(one->material, forge_pem(arena, given.ec));
	assert_string_equal(two->material, forge_pem(arena, given.rsa));
	assert_int_equal(one->len, strlen(one->material));
	assert_ptr_equal(auth_keys_by_id(keys, one->id), one);
	assert_memory_not_equal(one->id, two->id, DIGEST_SHA256);
	assert_null(auth_keys_by_kid(keys, "three"));
	auth_keys_free(keys);
}

/* Two sets hold the same key only when kid and material are the same. */
static void
ids_tell_keys_apart(void **)
{
	struct arena *arena = given.arena;
	struct auth_keys *keys = parse(arena_printf(arena, "{\"keys\":[%s]}", forge_ec_jwk(arena, given.ec, "a", "")));
	struct auth_keys *again = parse(arena_printf(arena, "{\"keys\":[%s,%s]}",
	    forge_ec_jwk(arena, given.ec, "b", ""), forge_ec_jwk(arena, given.ec, "a", "\"alg\":\"ES256\",")));
	const struct auth_key *a = auth_keys_by_kid(keys, "a");
	assert_ptr_equal(auth_keys_by_id(again, a->id), auth_keys_by_kid(again, "a"));
	assert_null(auth_keys_by_id(keys, auth_keys_by_kid(again, "b")->id));
	auth_keys_free(keys);
	auth_keys_free(again);
}

struct jwk_case {
	const char *label, *jwk;
	bool taken;
};

/* A key that is skipped does not spoil the set. */
static void
expect_imports(const struct jwk_case *cases, size_t count)
{
	struct arena *arena = given.arena;
	for (size_t i = 0; i < count; i++) {
		struct auth_keys *keys = parse(
		    arena_printf(arena, "{\"keys\":[%s,%s]}", cases[i].jwk, forge_ec_jwk(arena, given.ec, "good", "")));
		if (keys == NULL || auth_keys_by_kid(keys, "good") == NULL ||
		    (auth_keys_by_kid(keys, "k") != NULL) != cases[i].taken ||
		    auth_keys_count(keys) != (cases[i].taken ? 2 : 1))
			fail_msg("%s", cases[i].label);
		auth_keys_free(keys);
	}
}

static void
ec_keys_are_imported_strictly(void **)
{
	struct arena *arena = given.arena;
	char *x = given.x, *y = given.y;
	char *swapped =
	    arena_printf(arena, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"%s\",\"y\":\"%s\"}", y, x);
	uint8_t zeroes[33] = {0};
	char *zero = forge_base64url(arena, zeroes, 32), *zero33 = forge_base64url(arena, zeroes, 33);
#define EC(extra, crv, kid, x, y)                                                                                      \
	arena_printf(                                                                                                  \
	    arena, "{%s\"kty\":\"EC\",\"crv\":\"%s\",\"kid\":%s,\"x\":\"%s\",\"y\":\"%s\"}", extra, crv, kid, x, y)
	const struct jwk_case cases[] = {
	    {"EC, bare", EC("", "P-256", "\"k\"", x, y), true},
	    {"EC, all members",
		EC("\"alg\":\"ES256\",\"use\":\"sig\",\"key_ops\":[\"sign\",\"verify\"],", "P-256", "\"k\"", x, y),
		true},
	    {"EC, for encryption", EC("\"use\":\"enc\",", "P-256", "\"k\"", x, y), false},
	    {"EC, use a number", EC("\"use\":1,", "P-256", "\"k\"", x, y), false},
	    {"EC, only signs", EC("\"key_ops\":[\"sign\"],", "P-256", "\"k\"", x, y), false},
	    {"EC, no operation", EC("\"key_ops\":[],", "P-256", "\"k\"", x, y), false},
	    {"EC, operations a string", EC("\"key_ops\":\"verify\",", "P-256", "\"k\"", x, y), false},
	    {"EC, alg of RSA", EC("\"alg\":\"RS256\",", "P-256", "\"k\"", x, y), false},
	    {"EC, alg HS256", EC("\"alg\":\"HS256\",", "P-256", "\"k\"", x, y), false},
	    {"EC, alg none", EC("\"alg\":\"none\",", "P-256", "\"k\"", x, y), false},
	    {"EC, alg a number", EC("\"alg\":1,", "P-256", "\"k\"", x, y), false},
	    {"EC, private", EC("\"d\":\"AA\",", "P-256", "\"k\"", x, y), false},
	    {"EC, no kid", EC("", "P-256", "null", x, y), false},
	    {"EC, empty kid", EC("", "P-256", "\"\"", x, y), false},
	    {"EC, kid a number", EC("", "P-256", "1", x, y), false},
	    {"EC, P-384 named P-256",
		EC("", "P-256", "\"k\"", forge_number(arena, given.p384, OSSL_PKEY_PARAM_EC_PUB_X, 48),
		    forge_number(arena, given.p384, OSSL_PKEY_PARAM_EC_PUB_Y, 48)),
		false},
	    {"EC, P-384",
		EC("", "P-384", "\"k\"", forge_number(arena, given.p384, OSSL_PKEY_PARAM_EC_PUB_X, 48),
		    forge_number(arena, given.p384, OSSL_PKEY_PARAM_EC_PUB_Y, 48)),
		false},
	    {"EC, another name of the curve", EC("", "prime256v1", "\"k\"", x, y), false},
	    {"EC, secp256k1", EC("", "secp256k1", "\"k\"", x, y), false},
	    {"EC, off the curve", swapped, false},
	    {"EC, zero", EC("", "P-256", "\"k\"", zero, zero), false},
	    {"EC, x of 33 bytes", EC("", "P-256", "\"k\"", zero33, y), false},
	    {"EC, x with a byte behind", EC("", "P-256", "\"k\"", arena_printf(arena, "%sA", x), y), false},
	    {"EC, x of 31 bytes", EC("", "P-256", "\"k\"", forge_base64url(arena, zeroes, 31), y), false},
	    {"EC, x empty", EC("", "P-256", "\"k\"", "", y), false},
	    {"EC, x padded", EC("", "P-256", "\"k\"", arena_printf(arena, "%s=", x), y), false},
	    {"EC, no y", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"AA\"}", false},
	};
	expect_imports(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
other_keys_are_imported_strictly(void **)
{
	struct arena *arena = given.arena;
	char *n = given.n;
#define RSA(extra, n, e) arena_printf(arena, "{%s\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"%s\",\"e\":\"%s\"}", extra, n, e)
	const struct jwk_case cases[] = {
	    {"RSA, bare", RSA("", n, "AQAB"), true},
	    {"RSA, e = 3", RSA("", n, "Aw"), true},
	    {"RSA, alg PS256", RSA("\"alg\":\"PS256\",", n, "AQAB"), false},
	    {"RSA, alg RS512", RSA("\"alg\":\"RS512\",", n, "AQAB"), false},
	    {"RSA, 1024 bits", forge_rsa_jwk(arena, given.rsa_short, "k", ""), false},
	    {"RSA, e = 1", RSA("", n, "AQ"), false},
	    {"RSA, e even", RSA("", n, "Ag"), false},
	    {"RSA, e = 0", RSA("", n, "AA"), false},
	    {"RSA, e empty", RSA("", n, ""), false},
	    {"RSA, e huge", RSA("", n, "AQABAQABAQAB"), false},
	    {"RSA, n empty", RSA("", "", "AQAB"), false},
	    {"octets", "{\"kty\":\"oct\",\"kid\":\"k\",\"alg\":\"HS256\",\"k\":\"c2VjcmV0\"}", false},
	    {"Ed25519", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"AA\"}", false},
	    {"no type", "{\"kid\":\"k\"}", false},
	    {"a string", "\"k\"", false},
	    {"null", "null", false},
	};
	expect_imports(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
the_first_of_a_kid_counts(void **)
{
	struct arena *arena = given.arena;
	struct auth_keys *keys = parse(arena_printf(arena, "{\"keys\":[%s,%s]}", forge_ec_jwk(arena, given.ec, "k", ""),
	    forge_rsa_jwk(arena, given.rsa, "k", "")));
	assert_int_equal(auth_keys_count(keys), 1);
	assert_int_equal(auth_keys_by_kid(keys, "k")->algorithm, AUTH_ES256);
	auth_keys_free(keys);
}

static void
the_set_is_bounded(void **)
{
	struct arena *arena = given.arena;
	char *json = arena_strdup(arena, "");
	for (int i = 0; i < 2 * AUTH_KEYS_MAX; i++)
		json = arena_printf(arena, "%s%s%s", json, i == 0 ? "" : ",",
		    forge_ec_jwk(arena, given.ec, arena_printf(arena, "k%d", i), ""));
	struct auth_keys *keys = parse(arena_printf(arena, "{\"keys\":[%s]}", json));
	assert_int_equal(auth_keys_count(keys), AUTH_KEYS_MAX);
	auth_keys_free(keys);
	char kid[AUTH_KID_MAX + 2];
	memset(kid, 'k', sizeof(kid) - 1);
	kid[sizeof(kid) - 1] = '\0';
	keys = parse(arena_printf(arena, "{\"keys\":[%s,%s]}", forge_ec_jwk(arena, given.ec, kid, ""),
	    forge_ec_jwk(arena, given.ec, kid + 1, "")));
	assert_int_equal(auth_keys_count(keys), 1);
	auth_keys_free(keys);
}

static void
what_is_no_set_is_refused(void **)
{
	const char *const texts[] = {"", "{", "[]", "null", "{}", "{\"keys\":null}", "{\"keys\":{}}", "{\"keys\":\"\"}",
	    "{\"keys\":[]}x", "{\"keys\":[],\"keys\":[]}", "<html>"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(parse(texts[i]));
	struct auth_keys *keys = parse("{\"keys\":[]}");
	assert_non_null(keys);
	assert_int_equal(auth_keys_count(keys), 0);
	auth_keys_free(keys);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pem_is_what_openssl_writes),
	    cmocka_unit_test(ids_tell_keys_apart),
	    cmocka_unit_test(ec_keys_are_imported_strictly),
	    cmocka_unit_test(other_keys_are_imported_strictly),
	    cmocka_unit_test(the_first_of_a_kid_counts),
	    cmocka_unit_test(the_set_is_bounded),
	    cmocka_unit_test(what_is_no_set_is_refused),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
