/*
 * Signed links to pictures: /files/<object key>?e=<expiry>&s=<signature>.
 *
 * The expiry is a full hour 1 to 2 hours ahead, so that a link stays the same,
 * and cached, for an hour. The signature is the first 128 bits of
 * HMAC-SHA256(key of SECRET_KEY for links, object key, expiry), base64url. A
 * link tells nothing about a person and needs no token: it is made only for
 * the owner, and every use asks the database whether the picture still exists.
 * With STORAGE_LINKS=direct a link is the storage's own instead, for the same
 * time: then nobody asks, and only deleting the object ends it earlier.
 */
#ifndef SHOTAI_PICTURE_H
#define SHOTAI_PICTURE_H

#include <stdint.h>

#include "base/problem.h"
#include "feature/secret.h"
#include "service/db.h"

struct config;

struct picture_signer {
	struct secret_keys keys;
	int64_t expires_at;
	const struct config *direct; /* NULL, or what decides whether links lead to the storage itself */
};

/* now: unix seconds. Good for one request: expires_at is fixed here. */
void picture_signer_init(struct picture_signer *signer, struct arena *arena, const char *secrets, int64_t now);
static inline void
picture_signer_cleanup(struct picture_signer *signer)
{
	secret_cleanup(&signer->keys);
}
#define AUTO_PICTURE_SIGNER __attribute__((cleanup(picture_signer_cleanup))) struct picture_signer

/* The link to an object, valid until expires_at, in the arena; NULL for a NULL key. */
const char *picture_link(const struct picture_signer *signer, struct arena *arena, const char *key);

/* Which objects nginx may keep for a while. */
enum picture_kind { PICTURE_IMAGE, PICTURE_THUMBNAIL };

struct picture_file {
	const char *content_type;
	const char *filename; /* of what is to be kept, not shown; else NULL */
	enum picture_kind kind;
};

/*
 * Whether key, expires (the text of e) and signature (the text of s) belong
 * together and now is not past; the current and the previous secret count.
 * PROBLEM_NOT_FOUND for a forged and for an expired link alike.
 */
[[nodiscard]] enum problem picture_verify(
    const struct picture_signer *signer, const char *key, const char *expires, const char *signature, int64_t now);

/* Asks whether the object may be served; strings in the arena. PROBLEM_NOT_FOUND when it may not. */
[[nodiscard]] enum problem picture_authorize(
    struct db *db, struct arena *arena, const char *key, struct picture_file *ret_file);

#endif
