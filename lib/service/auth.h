/*
 * Supabase access tokens: libjwt behind the guards that it lacks, the key set
 * (JWKS) and a bounded cache of verified tokens. With base/digest the only
 * module that touches OpenSSL keys, and the only one that touches libjwt.
 *
 * Order of the checks: length, characters, three non-empty segments, header
 * (no crit), key by kid (the legacy secret only when configured and alg is
 * exactly HS256), algorithm equal to the key's, signature, then exp, nbf, aud,
 * iss, role, sub. Keys: ES256 (P-256) and RS256 (2048 bits or more) from the
 * key set, which is refreshed from minute 8 by a side thread, for an unknown
 * kid at most every 30 s, replaced as a whole and kept for at most 1 h of
 * outage.
 */
#ifndef SHOTAI_AUTH_H
#define SHOTAI_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct auth;
struct config;
struct arena;

struct claims {
	const char *user_id;    /* sub, a lower-case UUID */
	const char *session_id; /* a lower-case UUID, or NULL when the token has none */
	const char *email;      /* "" when absent; never trusted beyond comparison in SQL */
	bool anonymous;         /* is_anonymous */
	bool has_client;        /* issued to another application (client_id) */
	int64_t expires_at;     /* unix seconds */
	int64_t signed_in_at;   /* newest amr timestamp whose method is not token_refresh, 0: unknown */
};

/*
 * From SUPABASE_URL and SUPABASE_JWT_SECRET. Opens nothing and starts no
 * thread: the key set is fetched, by a side thread, when the first token needs
 * it. After that a fork loses the thread, so each child makes its own.
 * A struct auth may be used by many threads.
 */
struct auth *auth_new(const struct config *config);
void auth_free(struct auth *auth);

/*
 * Verifies a token (without "Bearer "). PROBLEM_UNAUTHENTICATED: refused.
 * PROBLEM_AUTH_UNAVAILABLE: no usable key set. Claims live in the arena.
 */
[[nodiscard]] enum problem auth_verify(
    struct auth *auth, struct arena *arena, const char *token, size_t len, struct claims *ret_claims);

/* Loads a key set from its JSON text, as the refresh does; false when it is no key set. For tests, fuzzers and the
 * stand-in, which knows its own key. */
bool auth_load_keys(struct auth *auth, const char *json, size_t len);
/* For tests: moves every clock of this module ahead. */
void auth_advance(struct auth *auth, int64_t milliseconds);

#endif
