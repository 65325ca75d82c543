#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"

#define COORDINATE 32

struct key {
	struct arena *arena;
	EVP_PKEY *pkey;
	const char *kid, *set;
};

/* Writes a new key beside the file and links it there, unless another process was first. */
static bool
make_file(const char *path)
{
	AUTO_ARENA arena = arena_new();
	char suffix[37];
	digest_uuid(suffix);
	const char *fresh = arena_printf(arena, "%s.%s", path, suffix);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file == NULL)
		return false;
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	bool written = pkey != NULL && PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) == 1 &&
		       fflush(file) == 0 && fsync(fd) == 0;
	EVP_PKEY_free(pkey);
	written = fclose(file) == 0 && written;
	if (written && link(fresh, path) != 0 && errno != EEXIST)
		written = false;
	unlink(fresh);
	return written;
}

static EVP_PKEY *
read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	char group[32];
	if (pkey == NULL ||
	    (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 && strcmp(group, "prime256v1") == 0))
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

static char *
coordinate(const struct key *key, const char *parameter)
{
	BIGNUM *number = NULL;
	uint8_t bytes[COORDINATE];
	if (EVP_PKEY_get_bn_param(key->pkey, parameter, &number) != 1 || BN_bn2binpad(number, bytes, COORDINATE) < 0) {
		BN_free(number);
		return NULL;
	}
	BN_free(number);
	return digest_base64url(key->arena, bytes, COORDINATE);
}

/* The kid is a UUID, as Supabase's are, that follows from the key. */
static bool
describe(struct key *key)
{
	const char *x = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X), *y = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y);
	if (x == NULL || y == NULL)
		return false;
	uint8_t digest[DIGEST_SHA256];
	char hex[DIGEST_HEX];
	const char *both = arena_printf(key->arena, "%s.%s", x, y);
	digest_sha256(both, strlen(both), digest);
	digest_hex(digest, sizeof(digest), hex);
	key->kid = arena_printf(key->arena, "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15, hex + 18);
	key->set = arena_printf(key->arena,
	    "{\"keys\":[{\"alg\":\"ES256\",\"crv\":\"P-256\",\"ext\":true,\"key_ops\":[\"verify\"],\"kid\":\"%s\","
	    "\"kty\":\"EC\",\"use\":\"sig\",\"x\":\"%s\",\"y\":\"%s\"}]}",
	    key->kid, x, y);
	return true;
}

struct key *
key_open(const char *path)
{
	EVP_PKEY *pkey = read_file(path);
	if (pkey == NULL && access(path, F_OK) != 0 && make_file(path))
		pkey = read_file(path);
	if (pkey == NULL) {
		log_event(
		    LOG_ERROR, "key_unusable", "setting", "SANDBOX_KEY_FILE", "errno", strerrorname_np(errno), NULL);
		return NULL;
	}
	struct arena *arena = arena_new();
	struct key *key = arena_alloc(arena, sizeof(*key));
	key->arena = arena;
	key->pkey = pkey;
	if (describe(key))
		return key;
	key_free(key);
	return NULL;
}

void
key_free(struct key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	arena_free(key->arena);
}

const char *
key_set(const struct key *key)
{
	return key->set;
}

/* OpenSSL's DER signature as JWS wants it: both numbers at full width. */
static bool
to_raw(const uint8_t *der, size_t len, uint8_t ret_raw[static 2 * COORDINATE])
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool done = pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_raw, COORDINATE) == COORDINATE &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_raw + COORDINATE, COORDINATE) == COORDINATE;
	ECDSA_SIG_free(pair);
	return done;
}

char *
key_sign(const struct key *key, struct arena *arena, const char *claims)
{
	const char *header = arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", key->kid);
	const char *input = arena_printf(arena, "%s.%s", digest_base64url(arena, header, strlen(header)),
	    digest_base64url(arena, claims, strlen(claims)));
	uint8_t der[128], raw[2 * COORDINATE];
	size_t len = sizeof(der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
		    EVP_DigestSign(context, der, &len, (const uint8_t *)input, strlen(input)) == 1 &&
		    to_raw(der, len, raw);
	EVP_MD_CTX_free(context);
	return done ? arena_printf(arena, "%s.%s", input, digest_base64url(arena, raw, sizeof(raw))) : NULL;
}
