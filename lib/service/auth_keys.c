#include "service/auth_keys.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/body.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define RSA_EXPONENT_BITS_MAX 32
#define P256_BYTES 32

#define CLEANUP(type, name, release)                                                                                   \
	static void name##_cleanup(type **handle)                                                                      \
	{                                                                                                              \
		release(*handle);                                                                                      \
	}
CLEANUP(EVP_PKEY, pkey, EVP_PKEY_free)
CLEANUP(EVP_PKEY_CTX, pkey_ctx, EVP_PKEY_CTX_free)
CLEANUP(OSSL_PARAM_BLD, param_bld, OSSL_PARAM_BLD_free)
CLEANUP(OSSL_PARAM, param, OSSL_PARAM_free)
CLEANUP(BIGNUM, bignum, BN_free)
CLEANUP(BIO, bio, BIO_free_all)
#define AUTO(name) __attribute__((cleanup(name##_cleanup)))

struct auth_keys {
	struct arena *arena;
	struct auth_key items[AUTH_KEYS_MAX];
	size_t count;
};

static bool
decode_member(struct arena *arena, const struct body_value *jwk, const char *name, uint8_t **ret_bytes, size_t *ret_len)
{
	const char *text = body_string(body_member(jwk, name));
	return text != NULL && digest_base64url_decode(arena, text, strlen(text), ret_bytes, ret_len);
}

static EVP_PKEY *
key_from_params(const char *type, OSSL_PARAM_BLD *build)
{
	AUTO(param) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	AUTO(pkey_ctx) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;
	if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

static EVP_PKEY *
ec_key(struct arena *arena, const struct body_value *jwk)
{
	const char *curve = body_string(body_member(jwk, "crv"));
	uint8_t *x, *y;
	size_t x_len, y_len;
	if (curve == NULL || strcmp(curve, "P-256") != 0 || !decode_member(arena, jwk, "x", &x, &x_len) ||
	    !decode_member(arena, jwk, "y", &y, &y_len) || x_len != P256_BYTES || y_len != P256_BYTES)
		return NULL;
	uint8_t point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
	memcpy(point + 1, x, P256_BYTES);
	memcpy(point + 1 + P256_BYTES, y, P256_BYTES);
	AUTO(param_bld) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (build == NULL || OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) != 1)
		return NULL;
	return key_from_params("EC", build); /* refuses a point off the curve */
}

static EVP_PKEY *
rsa_key(struct arena *arena, const struct body_value *jwk)
{
	uint8_t *n_bytes, *e_bytes;
	size_t n_len, e_len;
	if (!decode_member(arena, jwk, "n", &n_bytes, &n_len) || !decode_member(arena, jwk, "e", &e_bytes, &e_len) ||
	    n_len > RSA_BITS_MAX / 8 || e_len > RSA_EXPONENT_BITS_MAX / 8)
		return NULL;
	AUTO(bignum) BIGNUM *n = BN_bin2bn(n_bytes, (int)n_len, NULL);
	AUTO(bignum) BIGNUM *e = BN_bin2bn(e_bytes, (int)e_len, NULL);
	if (n == NULL || e == NULL || BN_num_bits(n) < RSA_BITS_MIN || !BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e))
		return NULL;
	AUTO(param_bld) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (build == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		return NULL;
	return key_from_params("RSA", build);
}

struct key_type {
	const char *kty, *alg;
	enum auth_algorithm algorithm;
	EVP_PKEY *(*import)(struct arena *arena, const struct body_value *jwk);
};

static const struct key_type key_types[] = {
    {.kty = "EC", .alg = "ES256", .algorithm = AUTH_ES256, .import = ec_key},
    {.kty = "RSA", .alg = "RS256", .algorithm = AUTH_RS256, .import = rsa_key},
};

static const struct key_type *
key_type_of(const struct body_value *jwk)
{
	const char *kty = body_string(body_member(jwk, "kty"));
	const struct body_value *alg = body_member(jwk, "alg");
	for (size_t i = 0; kty != NULL && i < sizeof(key_types) / sizeof(key_types[0]); i++) {
		const struct key_type *type = &key_types[i];
		if (strcmp(kty, type->kty) != 0)
			continue;
		const char *named = body_string(alg);
		return alg == NULL || (named != NULL && strcmp(named, type->alg) == 0) ? type : NULL;
	}
	return NULL;
}

/* Whether a key says that it verifies signatures, or says nothing about its use, and is no private key. */
static bool
is_for_verifying(const struct body_value *jwk)
{
	const struct body_value *use = body_member(jwk, "use"), *operations = body_member(jwk, "key_ops");
	const char *named = body_string(use);
	if (body_member(jwk, "d") != NULL || (use != NULL && (named == NULL || strcmp(named, "sig") != 0)))
		return false;
	if (operations == NULL)
		return true;
	for (size_t i = 0; body_is_array(operations) && i < body_count(operations); i++) {
		const char *operation = body_string(body_element(operations, i));
		if (operation != NULL && strcmp(operation, "verify") == 0)
			return true;
	}
	return false;
}

static bool
write_pem(struct arena *arena, EVP_PKEY *pkey, struct auth_key *key)
{
	AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
	char *pem = NULL;
	if (bio == NULL || PEM_write_bio_PUBKEY(bio, pkey) != 1)
		return false;
	long len = BIO_get_mem_data(bio, &pem);
	if (len <= 0)
		return false;
	key->material = arena_strndup(arena, pem, (size_t)len);
	key->len = (size_t)len;
	return true;
}

static bool
import_key(struct auth_keys *keys, struct arena *scratch, const struct body_value *jwk, struct auth_key *ret_key)
{
	const char *kid = body_string(body_member(jwk, "kid"));
	const struct key_type *type = key_type_of(jwk);
	if (type == NULL || !is_for_verifying(jwk) || kid == NULL || *kid == '\0' || strlen(kid) > AUTH_KID_MAX ||
	    auth_keys_by_kid(keys, kid) != NULL)
		return false;
	AUTO(pkey) EVP_PKEY *pkey = type->import(scratch, jwk);
	struct auth_key key = {.algorithm = type->algorithm};
	if (pkey == NULL || !write_pem(keys->arena, pkey, &key))
		return false;
	key.kid = arena_strdup(keys->arena, kid);
	auth_keys_identify(scratch, &key);
	*ret_key = key;
	return true;
}

struct auth_keys *
auth_keys_parse(const char *json, size_t len)
{
	AUTO_BODY_TREE tree = body_tree_parse(json, len);
	const struct body_value *list = tree == NULL ? NULL : body_member(body_root(tree), "keys");
	if (list == NULL || !body_is_array(list))
		return NULL;
	AUTO_ARENA scratch = arena_new();
	struct arena *arena = arena_new();
	struct auth_keys *keys = arena_alloc(arena, sizeof(*keys));
	keys->arena = arena;
	for (size_t i = 0; i < body_count(list) && keys->count < AUTH_KEYS_MAX; i++)
		if (import_key(keys, scratch, body_element(list, i), &keys->items[keys->count]))
			keys->count++;
	ERR_clear_error(); /* of the keys that were skipped: others share the queue */
	return keys;
}

void
auth_keys_free(struct auth_keys *keys)
{
	if (keys != NULL)
		arena_free(keys->arena);
}

size_t
auth_keys_count(const struct auth_keys *keys)
{
	return keys->count;
}

const struct auth_key *
auth_keys_by_kid(const struct auth_keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->items[i].kid, kid) == 0)
			return &keys->items[i];
	return NULL;
}

const struct auth_key *
auth_keys_by_id(const struct auth_keys *keys, const uint8_t id[static DIGEST_SHA256])
{
	for (size_t i = 0; i < keys->count; i++)
		if (memcmp(keys->items[i].id, id, DIGEST_SHA256) == 0)
			return &keys->items[i];
	return NULL;
}

void
auth_keys_identify(struct arena *arena, struct auth_key *key)
{
	size_t kid_len = strlen(key->kid), len = 1 + kid_len + 1 + key->len;
	uint8_t *bytes = arena_alloc(arena, len);
	bytes[0] = (uint8_t)key->algorithm;
	memcpy(bytes + 1, key->kid, kid_len);
	memcpy(bytes + 1 + kid_len + 1, key->material, key->len);
	digest_sha256(bytes, len, key->id);
	digest_cleanse(bytes, len);
}
