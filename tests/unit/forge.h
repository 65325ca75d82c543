/*
 * Keys, key sets and tokens for tests, good and forged, made with OpenSSL and
 * without the code under test.
 */
#ifndef SHOTAI_TEST_FORGE_H
#define SHOTAI_TEST_FORGE_H

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

static inline char *
forge_base64url(struct arena *arena, const void *bytes, size_t len)
{
	char *text = arena_alloc(arena, len * 4 / 3 + 8);
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
	for (char *c = text; *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	text[strcspn(text, "=")] = '\0';
	return text;
}

static inline char *
forge_text64(struct arena *arena, const char *text)
{
	return forge_base64url(arena, text, strlen(text));
}

static inline EVP_PKEY *
forge_ec(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	assert(key != NULL);
	return key;
}

static inline EVP_PKEY *
forge_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);
	assert(key != NULL);
	return key;
}

static inline char *
forge_number(struct arena *arena, EVP_PKEY *key, const char *parameter, int len)
{
	BIGNUM *number = NULL;
	unsigned char bytes[1024];
	int got = EVP_PKEY_get_bn_param(key, parameter, &number);
	assert(got == 1);
	if (len == 0)
		len = BN_num_bytes(number);
	BN_bn2binpad(number, bytes, len);
	BN_free(number);
	return forge_base64url(arena, bytes, (size_t)len);
}

/* One key of a key set; extra is put into the object ("\"use\":\"sig\"," or ""). */
static inline char *
forge_ec_jwk(struct arena *arena, EVP_PKEY *key, const char *kid, const char *extra)
{
	return arena_printf(arena, "{%s\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}",
	    extra, kid, forge_number(arena, key, OSSL_PKEY_PARAM_EC_PUB_X, 32),
	    forge_number(arena, key, OSSL_PKEY_PARAM_EC_PUB_Y, 32));
}

static inline char *
forge_rsa_jwk(struct arena *arena, EVP_PKEY *key, const char *kid, const char *extra)
{
	return arena_printf(arena, "{%s\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"}", extra, kid,
	    forge_number(arena, key, OSSL_PKEY_PARAM_RSA_N, 0), forge_number(arena, key, OSSL_PKEY_PARAM_RSA_E, 0));
}

static inline char *
forge_pem(struct arena *arena, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	int wrote = PEM_write_bio_PUBKEY(bio, key);
	assert(wrote == 1);
	long len = BIO_get_mem_data(bio, &data);
	char *pem = arena_strndup(arena, data, (size_t)len);
	BIO_free(bio);
	return pem;
}

static inline char *
forge_sign(struct arena *arena, EVP_PKEY *key, const char *input)
{
	unsigned char signature[1024], wide[96];
	size_t len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int signed_it =
	    EVP_DigestSignInit(context, NULL, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(context, signature, &len, (const unsigned char *)input, strlen(input)) == 1;
	assert(signed_it);
	EVP_MD_CTX_free(context);
	if (!EVP_PKEY_is_a(key, "EC"))
		return forge_base64url(arena, signature, len);
	const unsigned char *der = signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
	int half = EVP_PKEY_get_bits(key) > 256 ? 48 : 32;
	BN_bn2binpad(ECDSA_SIG_get0_r(pair), wide, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(pair), wide + half, half);
	ECDSA_SIG_free(pair);
	return forge_base64url(arena, wide, 2 * (size_t)half);
}

static inline char *
forge_mac(struct arena *arena, const char *secret, const char *input)
{
	unsigned char mac[32];
	unsigned len = sizeof(mac);
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)input, strlen(input), mac, &len);
	return forge_base64url(arena, mac, len);
}

/* header and payload are JSON; signed by key, else MACed with secret, else without a signature (ending in a dot). */
static inline char *
forge_token(struct arena *arena, const char *header, const char *payload, EVP_PKEY *key, const char *secret)
{
	char *input = arena_printf(arena, "%s.%s", forge_text64(arena, header), forge_text64(arena, payload));
	const char *signature = "";
	if (key != NULL)
		signature = forge_sign(arena, key, input);
	else if (secret != NULL)
		signature = forge_mac(arena, secret, input);
	return arena_printf(arena, "%s.%s", input, signature);
}

#endif
