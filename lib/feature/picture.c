#include "feature/picture.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "service/storage.h"

#define HOUR 3600
#define VALID (2 * HOUR) /* from the full hour before */
#define SIGNATURE_BYTES 16
#define KEY_MAX 200
#define EXPIRES_MAX 12

static const char purpose[] = "file-link";

enum { AUTHORIZE };

static const struct db_statement statements[] = {
    [AUTHORIZE] = {"select * from shotai.authorize_file($1)", true},
};

void
picture_signer_init(struct picture_signer *signer, struct arena *arena, const char *secrets, int64_t now)
{
	secret_derive(arena, secrets, purpose, &signer->keys);
	signer->expires_at = now / HOUR * HOUR + VALID;
	signer->direct = NULL;
}

static void
sign(const uint8_t *key, struct arena *arena, const char *object, const char *expires, uint8_t *ret_mac)
{
	const char *message = arena_printf(arena, "%s\n%s", object, expires);
	digest_hmac(key, DIGEST_SHA256, message, strlen(message), ret_mac);
}

const char *
picture_link(const struct picture_signer *signer, struct arena *arena, const char *key)
{
	if (key == NULL)
		return NULL;
	if (signer->direct != NULL) {
		int64_t from = signer->expires_at - VALID;
		const char *link = storage_link(signer->direct, arena, key, from, signer->expires_at);
		if (link != NULL)
			return link;
	}
	uint8_t mac[DIGEST_SHA256];
	const char *expires = arena_printf(arena, "%lld", (long long)signer->expires_at);
	sign(signer->keys.key[0], arena, key, expires, mac);
	return arena_printf(arena, "/files/%s?e=%s&s=%s", key, expires, digest_base64url(arena, mac, SIGNATURE_BYTES));
}

/* The alphabet of our object keys, without an empty, `.` or `..` segment. */
static bool
is_object_key(const char *key)
{
	size_t len = strlen(key);
	if (len == 0 || len > KEY_MAX || strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789/._-") != len)
		return false;
	for (const char *segment = key;; segment += strcspn(segment, "/") + 1) {
		if (*segment == '/' || *segment == '.' || *segment == '\0')
			return false;
		if (strchr(segment, '/') == NULL)
			return true;
	}
}

static bool
is_expiry(const char *expires)
{
	size_t len = strlen(expires);
	return len > 0 && len <= EXPIRES_MAX && strspn(expires, "0123456789") == len;
}

enum problem
picture_verify(
    const struct picture_signer *signer, const char *key, const char *expires, const char *signature, int64_t now)
{
	if (expires == NULL || signature == NULL || !is_object_key(key) || !is_expiry(expires))
		return PROBLEM_NOT_FOUND;
	AUTO_ARENA scratch = arena_new();
	uint8_t *given = NULL;
	size_t given_len = 0;
	if (!digest_base64url_decode(scratch, signature, strlen(signature), &given, &given_len) ||
	    given_len != SIGNATURE_BYTES)
		return PROBLEM_NOT_FOUND;
	bool genuine = false;
	for (size_t i = 0; i < signer->keys.count; i++) {
		uint8_t mac[DIGEST_SHA256];
		sign(signer->keys.key[i], scratch, key, expires, mac);
		genuine |= digest_equal(mac, given, SIGNATURE_BYTES);
	}
	return genuine && strtoll(expires, NULL, 10) > now ? PROBLEM_NONE : PROBLEM_NOT_FOUND;
}

enum problem
picture_authorize(struct db *db, struct arena *arena, const char *key, struct picture_file *ret_file)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(db, arena, &statements[AUTHORIZE], (const char *const[]){key}, 1, &result, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(result) == 0)
		return PROBLEM_NOT_FOUND;
	*ret_file = (struct picture_file){.content_type = arena_strdup(arena, db_text(result, 0, "content_type")),
	    .filename = arena_strdup(arena, db_text(result, 0, "filename")),
	    .kind = strcmp(db_text(result, 0, "kind"), "thumbnail") == 0 ? PICTURE_THUMBNAIL : PICTURE_IMAGE};
	return PROBLEM_NONE;
}
