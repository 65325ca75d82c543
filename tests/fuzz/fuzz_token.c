/*
 * Access tokens. The first byte says what the rest is: `t` a whole token, `p`
 * the payload, `h` the header of a token that is then MACed with the legacy
 * secret, so that what is behind the signature is reached too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "service/auth.h"

#define SECRET "a-legacy-secret-of-more-than-32-characters"
#define KEYS                                                                                                           \
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"x\":"                                           \
	"\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                                             \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"
#define PAYLOAD                                                                                                        \
	"{\"iss\":\"http://127.0.0.1:1/auth/"                                                                          \
	"v1\",\"aud\":\"authenticated\",\"role\":\"authenticated\",\"exp\":99999999999,"                               \
	"\"sub\":\"6f1c2a30-8a5b-4c6d-9e7f-000000000001\"}"
#define SIZE_MAX_TRIED 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct auth *
open_auth(void)
{
	char error[256];
	setenv("SUPABASE_URL", "http://127.0.0.1:1", 1);
	setenv("SUPABASE_JWT_SECRET", SECRET, 1);
	log_open("fuzz", LOG_ERROR);
	struct config *config = config_load(error, sizeof(error));
	if (config == NULL)
		abort();
	struct auth *auth = auth_new(config);
	config_free(config);
	if (!auth_load_keys(auth, KEYS, strlen(KEYS)))
		abort();
	return auth;
}

static char *
mac(struct arena *arena, const void *header, size_t header_len, const void *payload, size_t payload_len)
{
	uint8_t code[DIGEST_SHA256];
	char *input = arena_printf(
	    arena, "%s.%s", digest_base64url(arena, header, header_len), digest_base64url(arena, payload, payload_len));
	digest_hmac(SECRET, strlen(SECRET), input, strlen(input), code);
	return arena_printf(arena, "%s.%s", input, digest_base64url(arena, code, sizeof(code)));
}

static void
try(struct auth *auth, struct arena *arena, const char *token, size_t len)
{
	struct claims claims;
	/* Verified, then from the cache: the same answer. */
	enum problem first = auth_verify(auth, arena, token, len, &claims);
	if (first != PROBLEM_NONE && first != PROBLEM_UNAUTHENTICATED && first != PROBLEM_AUTH_UNAVAILABLE)
		abort();
	if (first == PROBLEM_NONE && (claims.user_id == NULL || strlen(claims.user_id) != 36 || claims.email == NULL ||
					 claims.expires_at <= (int64_t)time(NULL) || claims.signed_in_at < 0))
		abort();
	if ((auth_verify(auth, arena, token, len, &claims) == PROBLEM_NONE) != (first == PROBLEM_NONE))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct auth *auth;
	if (auth == NULL)
		auth = open_auth();
	if (size == 0 || size > SIZE_MAX_TRIED)
		return 0;
	AUTO_ARENA arena = arena_new();
	const char *rest = (const char *)data + 1, *token = rest;
	size_t len = size - 1;
	const char *header = "{\"alg\":\"HS256\"}";
	if (data[0] == 'p')
		token = mac(arena, header, strlen(header), rest, len);
	else if (data[0] == 'h')
		token = mac(arena, rest, len, PAYLOAD, strlen(PAYLOAD));
	try(auth, arena, token, token == rest ? len : strlen(token));
	return 0;
}
