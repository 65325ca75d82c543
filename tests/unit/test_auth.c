#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/config.h"
#include "forge.h"
#include "service/auth.h"
#include "service/auth_cache.h"

#define ISSUER "http://127.0.0.1:1/auth/v1"
#define USER "6f1c2a30-8a5b-4c6d-9e7f-000000000001"
#define SESSION "6f1c2a30-8a5b-4c6d-9e7f-000000000002"
#define SECRET "a-legacy-secret-of-more-than-32-characters"
#define HOUR 3600

/* Shared by all tests: keys are slow to make. */
static struct {
	struct arena *arena;
	EVP_PKEY *ec, *rsa, *other_ec, *p384, *ed25519;
	char *keys; /* the key set: ec, rsa */
	int64_t now;
} given;

static int
make_keys(void **)
{
	struct arena *arena = given.arena = arena_new();
	given.ec = forge_ec("P-256");
	given.other_ec = forge_ec("P-256");
	given.p384 = forge_ec("P-384");
	given.rsa = forge_rsa(2048);
	given.ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	given.keys =
	    arena_printf(arena, "{\"keys\":[%s,%s]}", forge_ec_jwk(arena, given.ec, "ec", "\"alg\":\"ES256\","),
		forge_rsa_jwk(arena, given.rsa, "rsa", "\"alg\":\"RS256\","));
	given.now = (int64_t)time(NULL);
	return 0;
}

static int
free_keys(void **)
{
	EVP_PKEY_free(given.ec);
	EVP_PKEY_free(given.other_ec);
	EVP_PKEY_free(given.p384);
	EVP_PKEY_free(given.rsa);
	EVP_PKEY_free(given.ed25519);
	arena_free(given.arena);
	return 0;
}

static struct auth *
new_auth(const char *secret)
{
	char error[256];
	setenv("SUPABASE_URL", "http://127.0.0.1:1", 1);
	setenv("SUPABASE_JWT_SECRET", secret, 1);
	struct config *config = config_load(error, sizeof(error));
	assert_non_null(config);
	struct auth *auth = auth_new(config);
	config_free(config);
	assert_true(auth_load_keys(auth, given.keys, strlen(given.keys)));
	return auth;
}

/* A payload whose members may be replaced: changes is "name\0json" pairs as an array ended by NULL; json NULL drops. */
struct change {
	const char *name, *json;
};

static char *
payload_with(const struct change *changes, size_t count)
{
	struct change members[16] = {
	    {"iss", "\"" ISSUER "\""},
	    {"sub", "\"" USER "\""},
	    {"aud", "\"authenticated\""},
	    {"exp", arena_printf(given.arena, "%" PRId64, given.now + HOUR)},
	    {"iat", arena_printf(given.arena, "%" PRId64, given.now)},
	    {"email", "\"a@example.test\""},
	    {"role", "\"authenticated\""},
	    {"session_id", "\"" SESSION "\""},
	    {"is_anonymous", "false"},
	};
	size_t used = 9;
	for (size_t i = 0; i < count && changes[i].name != NULL; i++) {
		size_t at = 0;
		while (at < used && strcmp(members[at].name, changes[i].name) != 0)
			at++;
		members[at] = changes[i];
		if (at == used)
			used++;
	}
	char *json = arena_strdup(given.arena, "{");
	for (size_t i = 0; i < used; i++)
		if (members[i].json != NULL)
			json = arena_printf(given.arena, "%s%s\"%s\":%s", json, json[1] == '\0' ? "" : ",",
			    members[i].name, members[i].json);
	return arena_printf(given.arena, "%s}", json);
}

static char *
good_payload(void)
{
	return payload_with(NULL, 0);
}

#define EC_HEADER "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"JWT\"}"
#define RSA_HEADER "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}"
#define HMAC_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static enum problem
verify(struct auth *auth, const char *token, struct claims *ret_claims)
{
	return auth_verify(auth, given.arena, token, strlen(token), ret_claims);
}

static void
expect(struct auth *auth, const char *label, const char *token, enum problem expected)
{
	struct claims claims = {.user_id = "untouched"};
	enum problem problem = verify(auth, token, &claims);
	if (problem != expected)
		fail_msg("%s: got %d, expected %d", label, (int)problem, (int)expected);
	if (expected != PROBLEM_NONE)
		assert_string_equal(claims.user_id, "untouched");
}

static void
genuine_tokens_are_accepted(void **)
{
	struct auth *auth = new_auth(SECRET);
	const char *tokens[] = {
	    forge_token(given.arena, EC_HEADER, good_payload(), given.ec, NULL),
	    forge_token(given.arena, RSA_HEADER, good_payload(), given.rsa, NULL),
	    forge_token(given.arena, HMAC_HEADER, good_payload(), NULL, SECRET),
	    forge_token(given.arena, "{\"kid\":\"ec\",\"alg\":\"ES256\"}", good_payload(), given.ec, NULL),
	    forge_token(given.arena, "{\"alg\":\"HS256\",\"kid\":\"any\"}", good_payload(), NULL, SECRET),
	};
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		/* Twice: verified, then from the cache. */
		for (int round = 0; round < 2; round++) {
			struct claims claims;
			assert_int_equal(verify(auth, tokens[i], &claims), PROBLEM_NONE);
			assert_string_equal(claims.user_id, USER);
			assert_string_equal(claims.session_id, SESSION);
			assert_string_equal(claims.email, "a@example.test");
			assert_false(claims.anonymous);
			assert_false(claims.has_client);
			assert_int_equal(claims.expires_at, given.now + HOUR);
			assert_int_equal(claims.signed_in_at, 0);
		}
	}
	auth_free(auth);
}

struct claim_case {
	const char *label;
	struct change changes[3];
	bool refused;
};

static void
claims_are_checked(void **)
{
	char *past = arena_printf(given.arena, "%" PRId64, given.now - 1);
	char *soon = arena_printf(given.arena, "%" PRId64, given.now + 20);
	char *later = arena_printf(given.arena, "%" PRId64, given.now + 300);
	const struct claim_case cases[] = {
	    {"aud as an array", {{"aud", "[\"other\",\"authenticated\"]"}}, false},
	    {"no session", {{"session_id", NULL}}, false},
	    {"no e-mail", {{"email", NULL}}, false},
	    {"nbf now", {{"nbf", soon}}, false},
	    {"iat within the skew", {{"iat", soon}}, false},
	    {"no iat", {{"iat", NULL}}, false},
	    {"upper-case sub", {{"sub", "\"6F1C2A30-8A5B-4C6D-9E7F-000000000001\""}}, false},
	    {"expired", {{"exp", past}}, true},
	    {"expires now", {{"exp", arena_printf(given.arena, "%" PRId64, (int64_t)time(NULL))}}, true},
	    {"no exp", {{"exp", NULL}}, true},
	    {"exp null", {{"exp", "null"}}, true},
	    {"exp a string", {{"exp", "\"99999999999\""}}, true},
	    {"exp a fraction", {{"exp", "99999999999.5"}}, true},
	    {"exp beyond what is exact", {{"exp", "1e300"}}, true},
	    {"exp negative", {{"exp", "-1"}}, true},
	    {"exp twice", {{"exp", "99999999999,\"exp\":99999999999"}}, true},
	    {"nbf ahead", {{"nbf", later}}, true},
	    {"nbf a string", {{"nbf", "\"0\""}}, true},
	    {"iat ahead", {{"iat", later}}, true},
	    {"no aud", {{"aud", NULL}}, true},
	    {"other aud", {{"aud", "\"anon\""}}, true},
	    {"aud an empty array", {{"aud", "[]"}}, true},
	    {"aud an array of others", {{"aud", "[\"anon\",1]"}}, true},
	    {"aud an object", {{"aud", "{\"authenticated\":true}"}}, true},
	    {"no iss", {{"iss", NULL}}, true},
	    {"another project's iss", {{"iss", "\"https://other.supabase.co/auth/v1\""}}, true},
	    {"iss with a slash more", {{"iss", "\"" ISSUER "/\""}}, true},
	    {"no role", {{"role", NULL}}, true},
	    {"role service_role", {{"role", "\"service_role\""}}, true},
	    {"role anon", {{"role", "\"anon\""}}, true},
	    {"no sub", {{"sub", NULL}}, true},
	    {"empty sub", {{"sub", "\"\""}}, true},
	    {"sub no UUID", {{"sub", "\"6f1c2a30-8a5b-4c6d-9e7f-00000000000g\""}}, true},
	    {"sub a number", {{"sub", "1"}}, true},
	    {"sub with a tail", {{"sub", "\"" USER "0\""}}, true},
	    {"session no UUID", {{"session_id", "\"x\""}}, true},
	    {"session a number", {{"session_id", "7"}}, true},
	    {"e-mail a number", {{"email", "7"}}, true},
	    {"is_anonymous a string", {{"is_anonymous", "\"true\""}}, true},
	};
	struct auth *auth = new_auth("");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *token = forge_token(given.arena, EC_HEADER, payload_with(cases[i].changes, 3), given.ec, NULL);
		expect(auth, cases[i].label, token, cases[i].refused ? PROBLEM_UNAUTHENTICATED : PROBLEM_NONE);
	}
	auth_free(auth);
}

static struct claims
claims_of(struct auth *auth, const struct change *changes, size_t count)
{
	struct claims claims = {0};
	char *token = forge_token(given.arena, EC_HEADER, payload_with(changes, count), given.ec, NULL);
	assert_int_equal(verify(auth, token, &claims), PROBLEM_NONE);
	return claims;
}

static void
claims_are_read(void **)
{
	struct auth *auth = new_auth("");
	struct claims claims = claims_of(auth,
	    (struct change[]){
		{"is_anonymous", "true"}, {"email", "\"\""}, {"session_id", NULL}, {"client_id", "\"app\""}},
	    4);
	assert_true(claims.anonymous);
	assert_true(claims.has_client);
	assert_string_equal(claims.email, "");
	assert_null(claims.session_id);
	claims = claims_of(auth, (struct change[]){{"client_id", "{}"}}, 1);
	assert_true(claims.has_client);
	claims = claims_of(auth,
	    (struct change[]){{"amr", "[{\"method\":\"password\",\"timestamp\":100},\"otp\",7,{\"timestamp\":200},"
				      "{\"method\":\"token_refresh\",\"timestamp\":300}]"}},
	    1);
	assert_int_equal(claims.signed_in_at, 200);
	claims = claims_of(auth, (struct change[]){{"sub", "\"6F1C2A30-8A5B-4C6D-9E7F-000000000001\""}}, 1);
	assert_string_equal(claims.user_id, USER);
	auth_free(auth);
}

static char *
tampered(const char *token)
{
	char *copy = arena_strdup(given.arena, token);
	char *payload = strchr(copy, '.') + 20;
	*payload = *payload == 'A' ? 'B' : 'A';
	return copy;
}

/* The signature as it stands, over another payload. */
static char *
grafted(const char *token, const char *payload)
{
	const char *first = strchr(token, '.'), *second = strchr(first + 1, '.');
	return arena_printf(
	    given.arena, "%.*s.%s%s", (int)(first - token), token, forge_text64(given.arena, payload), second);
}

struct forged {
	const char *label, *token;
};

static void
expect_all_refused(const struct forged *cases, size_t count)
{
	struct auth *auth = new_auth(SECRET);
	for (size_t i = 0; i < count; i++)
		expect(auth, cases[i].label, cases[i].token, PROBLEM_UNAUTHENTICATED);
	auth_free(auth);
}

static void
forged_tokens_are_refused(void **)
{
	struct arena *arena = given.arena;
	char *payload = good_payload();
	char *ec = forge_token(arena, EC_HEADER, payload, given.ec, NULL);
	char *rsa = forge_token(arena, RSA_HEADER, payload, given.rsa, NULL);
	char *hmac = forge_token(arena, HMAC_HEADER, payload, NULL, SECRET);
	char *other_sub = payload_with((struct change[]){{"sub", "\"" SESSION "\""}}, 1);
	char *service_role = payload_with(
	    (struct change[]){{"iss", "\"supabase\""}, {"role", "\"service_role\""}, {"sub", NULL}, {"aud", NULL}}, 4);
	char *anon_key = payload_with(
	    (struct change[]){{"iss", "\"supabase\""}, {"role", "\"anon\""}, {"sub", NULL}, {"aud", NULL}}, 4);
	char *flipped = arena_strdup(arena, ec);
	flipped[strlen(flipped) - 10] = flipped[strlen(flipped) - 10] == 'A' ? 'B' : 'A';
	const struct forged cases[] = {
	    {"ES256, payload tampered", tampered(ec)},
	    {"RS256, payload tampered", tampered(rsa)},
	    {"HS256, payload tampered", tampered(hmac)},
	    {"ES256, another payload", grafted(ec, other_sub)},
	    {"RS256, another payload", grafted(rsa, other_sub)},
	    {"HS256, another payload", grafted(hmac, other_sub)},
	    {"ES256, signature changed", flipped},
	    {"ES256 by a stranger's key", forge_token(arena, EC_HEADER, payload, given.other_ec, NULL)},
	    {"alg none, no signature", forge_token(arena, "{\"alg\":\"none\",\"kid\":\"ec\"}", payload, NULL, NULL)},
	    {"alg NoNe, no signature", forge_token(arena, "{\"alg\":\"NoNe\",\"kid\":\"ec\"}", payload, NULL, NULL)},
	    {"alg none with a signature",
		forge_token(arena, "{\"alg\":\"none\",\"kid\":\"ec\"}", payload, given.ec, NULL)},
	    {"alg none, no kid", forge_token(arena, "{\"alg\":\"none\"}", payload, NULL, NULL)},
	    {"no alg", forge_token(arena, "{\"kid\":\"ec\",\"typ\":\"JWT\"}", payload, given.ec, NULL)},
	    {"alg a number", forge_token(arena, "{\"alg\":256,\"kid\":\"ec\"}", payload, given.ec, NULL)},
	    {"HS256 MACed with the RSA public PEM",
		forge_token(arena, "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", payload, NULL, forge_pem(arena, given.rsa))},
	    {"HS256 MACed with the EC public PEM",
		forge_token(arena, "{\"alg\":\"HS256\",\"kid\":\"ec\"}", payload, NULL, forge_pem(arena, given.ec))},
	    {"HS256 MACed with the EC public PEM, no kid",
		forge_token(arena, HMAC_HEADER, payload, NULL, forge_pem(arena, given.ec))},
	    {"HS256 with an empty key", forge_token(arena, HMAC_HEADER, payload, NULL, "")},
	    {"HS384 with the secret", forge_token(arena, "{\"alg\":\"HS384\"}", payload, NULL, SECRET)},
	    {"RS256 token naming the EC key",
		forge_token(arena, "{\"alg\":\"RS256\",\"kid\":\"ec\"}", payload, given.rsa, NULL)},
	    {"ES256 token naming the RSA key",
		forge_token(arena, "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", payload, given.ec, NULL)},
	    {"ES384 on P-384", forge_token(arena, "{\"alg\":\"ES384\",\"kid\":\"ec\"}", payload, given.p384, NULL)},
	    {"ES256 on P-384", forge_token(arena, EC_HEADER, payload, given.p384, NULL)},
	    {"EdDSA", forge_token(arena, "{\"alg\":\"EdDSA\",\"kid\":\"ec\"}", payload, given.ed25519, NULL)},
	    {"service_role key", forge_token(arena, HMAC_HEADER, service_role, NULL, SECRET)},
	    {"anon key", forge_token(arena, HMAC_HEADER, anon_key, NULL, SECRET)},
	    {"lower-case hs256", forge_token(arena, "{\"alg\":\"hs256\",\"typ\":\"JWT\"}", payload, NULL, SECRET)},
	    {"lower-case es256", forge_token(arena, "{\"alg\":\"es256\",\"kid\":\"ec\"}", payload, given.ec, NULL)},
	    {"crit",
		forge_token(arena, "{\"alg\":\"ES256\",\"kid\":\"ec\",\"crit\":[\"exp\"]}", payload, given.ec, NULL)},
	    {"alg twice",
		forge_token(arena, "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"ec\"}", payload, given.ec, NULL)},
	    {"at+jwt",
		forge_token(arena, "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"at+jwt\"}", payload, given.ec, NULL)},
	    {"ES256 without kid", forge_token(arena, "{\"alg\":\"ES256\"}", payload, given.ec, NULL)},
	    {"kid a number", forge_token(arena, "{\"alg\":\"ES256\",\"kid\":1}", payload, given.ec, NULL)},
	    {"kid empty", forge_token(arena, "{\"alg\":\"ES256\",\"kid\":\"\"}", payload, given.ec, NULL)},
	};
	expect_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
what_is_no_token_is_refused(void **)
{
	struct arena *arena = given.arena;
	char *payload = good_payload();
	char *ec = forge_token(arena, EC_HEADER, payload, given.ec, NULL);
	const char *ec_signature = strrchr(ec, '.') + 1;
	const struct forged cases[] = {
	    {"padded with ==", arena_printf(arena, "%s==", ec)},
	    {"a blank behind", arena_printf(arena, "%s ", ec)},
	    {"a newline behind", arena_printf(arena, "%s\n", ec)},
	    {"a ! inside the signature",
		arena_printf(arena, "%.*s!%s", (int)(strlen(ec) - 10), ec, ec + strlen(ec) - 10)},
	    {"four segments", arena_printf(arena, "%s.%s", ec, ec_signature)},
	    {"a dot behind", arena_printf(arena, "%s.", ec)},
	    {"two segments", arena_printf(arena, "%.*s", (int)(ec_signature - ec - 1), ec)},
	    {"only dots", ".."},
	    {"empty header", strchr(ec, '.')},
	    {"empty payload", arena_printf(arena, "%s..%s", forge_text64(arena, EC_HEADER), ec_signature)},
	    {"one segment", "abc"},
	    {"nothing", ""},
	    {"header no JSON", forge_token(arena, "ES256", payload, given.ec, NULL)},
	    {"header an array", forge_token(arena, "[\"ES256\"]", payload, given.ec, NULL)},
	    {"payload an array", forge_token(arena, EC_HEADER, "[]", given.ec, NULL)},
	    {"payload with a tail",
		forge_token(arena, EC_HEADER, arena_printf(arena, "%s{}", payload), given.ec, NULL)},
	};
	expect_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
long_tokens_are_refused(void **)
{
	struct auth *auth = new_auth("");
	for (size_t len = 5000; len < 9000; len += 100) {
		char *filler = arena_alloc(given.arena, len + 1);
		memset(filler, 'x', len);
		char *json = arena_printf(given.arena, "\"%s\"", filler);
		char *token = forge_token(given.arena, EC_HEADER,
		    payload_with((struct change[]){{"user_metadata", json}}, 1), given.ec, NULL);
		expect(auth, "length", token, strlen(token) > 8192 ? PROBLEM_UNAUTHENTICATED : PROBLEM_NONE);
	}
	size_t huge = 9u << 20;
	char *token = malloc(huge);
	memset(token, 'a', huge);
	token[100] = token[200] = '.';
	struct claims claims;
	assert_int_equal(auth_verify(auth, given.arena, token, huge, &claims), PROBLEM_UNAUTHENTICATED);
	free(token);
	auth_free(auth);
}

static void
legacy_secret_counts_only_when_set(void **)
{
	char *token = forge_token(given.arena, HMAC_HEADER, good_payload(), NULL, SECRET);
	struct auth *auth = new_auth("");
	expect(auth, "no secret", token, PROBLEM_UNAUTHENTICATED);
	expect(auth, "empty secret", forge_token(given.arena, HMAC_HEADER, good_payload(), NULL, ""),
	    PROBLEM_UNAUTHENTICATED);
	auth_free(auth);
	auth = new_auth("another-secret-of-more-than-32-characters");
	expect(auth, "another secret", token, PROBLEM_UNAUTHENTICATED);
	auth_free(auth);
}

static void
a_cached_token_expires(void **)
{
	struct auth *auth = new_auth(SECRET);
	char *tokens[] = {forge_token(given.arena, EC_HEADER, good_payload(), given.ec, NULL),
	    forge_token(given.arena, HMAC_HEADER, good_payload(), NULL, SECRET)};
	for (size_t i = 0; i < 2; i++)
		expect(auth, "fresh", tokens[i], PROBLEM_NONE);
	auth_advance(auth, (HOUR - 60) * 1000);
	assert_true(auth_load_keys(auth, given.keys, strlen(given.keys)));
	for (size_t i = 0; i < 2; i++)
		expect(auth, "a minute before", tokens[i], PROBLEM_NONE);
	auth_advance(auth, 61 * 1000);
	for (size_t i = 0; i < 2; i++)
		expect(auth, "after", tokens[i], PROBLEM_UNAUTHENTICATED);
	auth_free(auth);
}

static void
a_cached_token_goes_with_its_key(void **)
{
	struct arena *arena = given.arena;
	struct auth *auth = new_auth("");
	char *by_ec = forge_token(arena, EC_HEADER, good_payload(), given.ec, NULL);
	char *by_rsa = forge_token(arena, RSA_HEADER, good_payload(), given.rsa, NULL);
	expect(auth, "EC before", by_ec, PROBLEM_NONE);
	expect(auth, "RSA before", by_rsa, PROBLEM_NONE);
	/* kid "ec" now is another key. */
	char *swapped = arena_printf(arena, "{\"keys\":[%s,%s]}", forge_ec_jwk(arena, given.other_ec, "ec", ""),
	    forge_rsa_jwk(arena, given.rsa, "rsa", ""));
	assert_true(auth_load_keys(auth, swapped, strlen(swapped)));
	expect(auth, "EC, key replaced", by_ec, PROBLEM_UNAUTHENTICATED);
	expect(auth, "RSA, key kept", by_rsa, PROBLEM_NONE);
	/* Nothing listens where the key set would be fetched, so an absent kid cannot be told from a new one. */
	assert_true(auth_load_keys(auth, "{\"keys\":[]}", 11));
	expect(auth, "RSA, key revoked", by_rsa, PROBLEM_AUTH_UNAVAILABLE);
	assert_false(auth_load_keys(auth, "{}", 2));
	auth_free(auth);
}

static void
the_cache_is_bounded(void **)
{
	struct arena *arena = arena_new();
	struct auth_cache *cache = auth_cache_new(arena);
	const struct claims claims = {.user_id = USER, .session_id = NULL, .email = "a@example.test", .expires_at = 7};
	uint8_t token[DIGEST_SHA256], key_id[DIGEST_SHA256] = {1}, found_id[DIGEST_SHA256];
	struct claims found;
	size_t kept = 0;
	const unsigned many = 20000;
	for (unsigned i = 0; i < many; i++) {
		digest_sha256(&i, sizeof(i), token);
		auth_cache_put(cache, token, key_id, &claims);
		assert_true(auth_cache_get(cache, arena, token, &found, found_id));
	}
	for (unsigned i = 0; i < many; i++) {
		digest_sha256(&i, sizeof(i), token);
		kept += auth_cache_get(cache, arena, token, &found, found_id);
	}
	assert_in_range(kept, 2000, 2048);
	digest_sha256(&(unsigned){many - 1}, sizeof(unsigned), token);
	assert_true(auth_cache_get(cache, arena, token, &found, found_id));
	assert_string_equal(found.user_id, USER);
	assert_null(found.session_id);
	assert_string_equal(found.email, "a@example.test");
	assert_int_equal(found.expires_at, 7);
	assert_memory_equal(found_id, key_id, DIGEST_SHA256);
	auth_cache_drop(cache, token);
	assert_false(auth_cache_get(cache, arena, token, &found, found_id));
	auth_cache_free(cache);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(genuine_tokens_are_accepted),
	    cmocka_unit_test(claims_are_checked),
	    cmocka_unit_test(claims_are_read),
	    cmocka_unit_test(forged_tokens_are_refused),
	    cmocka_unit_test(what_is_no_token_is_refused),
	    cmocka_unit_test(long_tokens_are_refused),
	    cmocka_unit_test(legacy_secret_counts_only_when_set),
	    cmocka_unit_test(a_cached_token_expires),
	    cmocka_unit_test(a_cached_token_goes_with_its_key),
	    cmocka_unit_test(the_cache_is_bounded),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
