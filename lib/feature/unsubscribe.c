#include "feature/unsubscribe.h"

#include <string.h>

#include "base/arena.h"
#include "feature/call.h"
#include "feature/refusal.h"
#include "feature/secret.h"

#define MAC 16
#define NUMBER 8
#define TOKEN_LENGTH 32 /* base64url of MAC + NUMBER bytes */

enum { UNSUBSCRIBE };

static const struct db_statement statements[] = {
    [UNSUBSCRIBE] = {"select * from shotai.unsubscribe($1)", false},
};

static const char purpose[] = "unsubscribe";

/* The token's bytes of a number under a key. */
static void
seal(const uint8_t *key, int64_t account, uint8_t ret_bytes[static MAC + NUMBER])
{
	uint8_t number[NUMBER], mac[DIGEST_SHA256], cover[DIGEST_SHA256];

	for (size_t i = 0; i < NUMBER; i++)
		number[i] = (uint8_t)((uint64_t)account >> (8 * (NUMBER - 1 - i)));
	digest_hmac(key, DIGEST_SHA256, number, sizeof number, mac);
	digest_hmac(key, DIGEST_SHA256, mac, MAC, cover);
	memcpy(ret_bytes, mac, MAC);
	for (size_t i = 0; i < NUMBER; i++)
		ret_bytes[MAC + i] = number[i] ^ cover[i];
}

/* The number in a token's bytes, which are right only if sealing it gives them again. */
static int64_t
uncover(const uint8_t *key, const uint8_t bytes[static MAC + NUMBER])
{
	uint8_t cover[DIGEST_SHA256];
	uint64_t number = 0;

	digest_hmac(key, DIGEST_SHA256, bytes, MAC, cover);
	for (size_t i = 0; i < NUMBER; i++)
		number = number << 8 | (uint64_t)(bytes[MAC + i] ^ cover[i]);
	return (int64_t)number;
}

const char *
unsubscribe_token(struct arena *arena, const char *secrets, int64_t account)
{
	uint8_t bytes[MAC + NUMBER];
	AUTO_SECRET_KEYS keys;

	secret_derive(arena, secrets, purpose, &keys);
	seal(keys.key[0], account, bytes);
	return digest_base64url(arena, bytes, sizeof bytes);
}

bool
unsubscribe_read(struct arena *arena, const char *secrets, const char *token, int64_t *ret_account)
{
	uint8_t *bytes, sealed[MAC + NUMBER];
	size_t len;
	AUTO_SECRET_KEYS keys;

	if (strlen(token) != TOKEN_LENGTH || !digest_base64url_decode(arena, token, TOKEN_LENGTH, &bytes, &len) ||
	    len != sizeof sealed)
		return false;
	secret_derive(arena, secrets, purpose, &keys);
	for (size_t i = 0; i < keys.count; i++) {
		int64_t account = uncover(keys.key[i], bytes);
		seal(keys.key[i], account, sealed);
		if (digest_equal(sealed, bytes, sizeof sealed)) {
			*ret_account = account;
			return true;
		}
	}
	return false;
}

enum problem
unsubscribe_check(struct call *call, const char *token)
{
	int64_t account;

	return unsubscribe_read(call->arena, call->secrets, token, &account) ? PROBLEM_NONE : PROBLEM_NOT_FOUND;
}

enum problem
unsubscribe(struct call *call, const char *token)
{
	AUTO_DB_RESULT rows = NULL;
	int64_t account;

	if (!unsubscribe_read(call->arena, call->secrets, token, &account))
		return PROBLEM_NOT_FOUND;
	return refusal_call(
	    call, &statements[UNSUBSCRIBE], (const char *const[]){db_parameter(call->arena, account)}, 1, &rows);
}
