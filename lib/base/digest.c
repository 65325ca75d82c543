#include "base/digest.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char urlsafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
digest_sha256(const void *bytes, size_t len, uint8_t ret_digest[static DIGEST_SHA256])
{
	if (EVP_Digest(bytes, len, ret_digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

void
digest_md5(const void *bytes, size_t len, uint8_t ret_digest[static 16])
{
	if (EVP_Digest(bytes, len, ret_digest, NULL, EVP_md5(), NULL) != 1)
		abort();
}

void
digest_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret_mac[static DIGEST_SHA256])
{
	unsigned int size = 0;

	if (key_len > INT_MAX ||
	    HMAC(EVP_sha256(), key_len == 0 ? "" : key, (int)key_len, bytes, len, ret_mac, &size) == NULL ||
	    size != DIGEST_SHA256)
		abort();
}

void
digest_derive_key(const char *secret, const char *purpose, uint8_t ret_key[static DIGEST_SHA256])
{
	digest_hmac(secret, strlen(secret), purpose, strlen(purpose), ret_key);
}

void
digest_hex(const uint8_t *bytes, size_t len, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret_hex[2 * i] = digits[bytes[i] >> 4];
		ret_hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_hex[2 * len] = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
digest_unhex(const char *hex, size_t len, uint8_t *ret_bytes)
{
	if (strnlen(hex, 2 * len + 1) != 2 * len)
		return false;
	for (size_t i = 0; i < 2 * len; i++)
		if (hex_digit(hex[i]) < 0)
			return false;
	for (size_t i = 0; i < len; i++)
		ret_bytes[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	return true;
}

static char *
base64_encode(struct arena *arena, const uint8_t *bytes, size_t len, const char *alphabet, bool padded)
{
	char *text = arena_array(arena, len / 3 + 2, 4), *to = text;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t group =
		    (uint32_t)bytes[i] << 16 | (n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);

		for (size_t j = 0; j < n + 1; j++)
			*to++ = alphabet[group >> (18 - 6 * j) & 63];
		for (size_t j = n; padded && j < 3; j++)
			*to++ = '=';
	}
	return text;
}

char *
digest_base64(struct arena *arena, const void *bytes, size_t len)
{
	return base64_encode(arena, bytes, len, standard, true);
}

char *
digest_base64url(struct arena *arena, const void *bytes, size_t len)
{
	return base64_encode(arena, bytes, len, urlsafe, false);
}

/* text: unpadded. */
static bool
base64_decode(
    struct arena *arena, const char *text, size_t len, const char *alphabet, uint8_t **ret_bytes, size_t *ret_len)
{
	uint8_t values[256], *bytes;
	uint32_t bits = 0;
	size_t done = 0;

	if (len % 4 == 1)
		return false;
	memset(values, 0xff, sizeof values);
	for (uint8_t i = 0; i < 64; i++)
		values[(unsigned char)alphabet[i]] = i;
	bytes = arena_alloc(arena, len / 4 * 3 + 3);
	for (size_t i = 0; i < len; i++) {
		uint8_t value = values[(unsigned char)text[i]];

		if (value == 0xff)
			return false;
		bits = bits << 6 | value;
		if (i % 4 != 0)
			bytes[done++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	/* The bits that the last character has over must be zero. */
	if ((len % 4 == 2 && (bits & 15) != 0) || (len % 4 == 3 && (bits & 3) != 0))
		return false;
	*ret_bytes = bytes;
	*ret_len = done;
	return true;
}

bool
digest_base64_decode(struct arena *arena, const char *text, size_t len, uint8_t **ret_bytes, size_t *ret_len)
{
	if (len % 4 != 0)
		return false;
	for (int padding = 0; padding < 2 && len > 0 && text[len - 1] == '='; padding++)
		len--;
	return base64_decode(arena, text, len, standard, ret_bytes, ret_len);
}

bool
digest_base64url_decode(struct arena *arena, const char *text, size_t len, uint8_t **ret_bytes, size_t *ret_len)
{
	return base64_decode(arena, text, len, urlsafe, ret_bytes, ret_len);
}

bool
digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
digest_random(void *ret_bytes, size_t len)
{
	if (len > INT_MAX || RAND_bytes(ret_bytes, (int)len) != 1)
		abort();
}

void
digest_uuid(char ret_uuid[static 37])
{
	uint8_t bytes[16];
	char hex[33];

	digest_random(bytes, sizeof bytes);
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	digest_hex(bytes, sizeof bytes, hex);
	for (size_t from = 0, to = 0; to < 36; to++)
		ret_uuid[to] = to == 8 || to == 13 || to == 18 || to == 23 ? '-' : hex[from++];
	ret_uuid[36] = '\0';
}

void
digest_cleanse(void *bytes, size_t len)
{
	OPENSSL_cleanse(bytes, len);
}
