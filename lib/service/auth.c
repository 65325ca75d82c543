#include "service/auth.h"

#include <ctype.h>
#include <jwt.h>
#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "base/digest.h"
#include "service/auth_cache.h"
#include "service/auth_keys.h"
#include "service/auth_source.h"

#define TOKEN_MAX 8192  /* libjwt takes its work space from the stack, by the token's length */
#define SKEW_SECONDS 30 /* how far ahead nbf and iat may be; exp has none, clients renew in time */
#define UUID_LEN 36
#define ISSUER_PATH "/auth/v1"

struct auth {
	struct arena *arena;
	const char *issuer;
	char *secret;           /* SUPABASE_JWT_SECRET, NULL: HS256 is refused */
	struct auth_key legacy; /* made of it */
	struct auth_source *source;
	struct auth_cache *cache;
	int64_t advanced_ms; /* by a test */
};

/* How libjwt and a token's header name an algorithm. */
static const struct {
	const char *name;
	jwt_alg_t alg;
} algorithms[AUTH_ALGORITHM__COUNT] = {
    [AUTH_ES256] = {"ES256", JWT_ALG_ES256},
    [AUTH_RS256] = {"RS256", JWT_ALG_RS256},
    [AUTH_HS256] = {"HS256", JWT_ALG_HS256},
};

struct segment {
	const char *text;
	size_t len;
};

struct token {
	char *text; /* NUL-terminated, for libjwt */
	struct segment header, payload, signature;
};

static void
jwt_cleanup(jwt_t **jwt)
{
	jwt_free(*jwt);
}
#define AUTO_JWT __attribute__((cleanup(jwt_cleanup))) jwt_t *

static void
set_legacy(struct auth *auth, const char *secret)
{
	if (secret == NULL)
		return;
	auth->secret = arena_strdup(auth->arena, secret);
	auth->legacy = (struct auth_key){
	    .kid = "",
	    .algorithm = AUTH_HS256,
	    .material = auth->secret,
	    .len = strlen(secret),
	};
	auth_keys_identify(auth->arena, &auth->legacy);
}

struct auth *
auth_new(const struct config *config)
{
	struct arena *arena = arena_new();
	struct auth *auth = arena_alloc(arena, sizeof(*auth));
	const char *url = config_text(config, CONFIG_SUPABASE_URL);
	auth->arena = arena;
	auth->issuer = arena_printf(arena, "%s" ISSUER_PATH, url == NULL ? "" : url);
	auth->source = auth_source_new(arena_printf(arena, "%s/.well-known/jwks.json", auth->issuer));
	auth->cache = auth_cache_new(arena);
	set_legacy(auth, config_text(config, CONFIG_SUPABASE_JWT_SECRET));
	return auth;
}

void
auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	auth_source_free(auth->source);
	auth_cache_free(auth->cache);
	if (auth->secret != NULL)
		digest_cleanse(auth->secret, auth->legacy.len);
	arena_free(auth->arena);
}

bool
auth_load_keys(struct auth *auth, const char *json, size_t len)
{
	return auth_source_load(auth->source, json, len);
}

void
auth_advance(struct auth *auth, int64_t milliseconds)
{
	auth->advanced_ms += milliseconds;
	auth_source_advance(auth->source, milliseconds);
}

static int64_t
now_seconds(const struct auth *auth)
{
	return (int64_t)time(NULL) + auth->advanced_ms / 1000;
}

static bool
is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Three non-empty segments of base64url and nothing else. */
static bool
split(struct arena *arena, const char *text, size_t len, struct token *ret_token)
{
	struct segment segments[3] = {{.text = text}};
	size_t current = 0;
	for (size_t i = 0; i < len; i++) {
		if (is_base64url(text[i])) {
			segments[current].len++;
		} else if (text[i] == '.' && segments[current].len > 0 && current < 2) {
			segments[++current].text = text + i + 1;
		} else {
			return false;
		}
	}
	if (current != 2 || segments[2].len == 0)
		return false;
	*ret_token = (struct token){
	    .text = arena_strndup(arena, text, len),
	    .header = segments[0],
	    .payload = segments[1],
	    .signature = segments[2],
	};
	return true;
}

static struct body_tree *
parse(struct arena *arena, const struct segment *segment)
{
	uint8_t *bytes;
	size_t len;
	if (!digest_base64url_decode(arena, segment->text, segment->len, &bytes, &len))
		return NULL;
	return body_tree_parse((const char *)bytes, len);
}

/* The algorithm that the header names, exactly; AUTH_ALGORITHM__COUNT: none of ours. */
static enum auth_algorithm
named_algorithm(const struct body_value *header)
{
	const char *name = body_string(body_member(header, "alg"));
	for (unsigned i = 0; name != NULL && i < AUTH_ALGORITHM__COUNT; i++)
		if (strcmp(name, algorithms[i].name) == 0)
			return (enum auth_algorithm)i;
	return AUTH_ALGORITHM__COUNT;
}

/* The one key by which this header's token may be verified. */
static enum problem
select_key(struct auth *auth, struct arena *arena, const struct body_value *header, struct auth_key *ret_key)
{
	const struct body_value *type = body_member(header, "typ");
	const char *type_name = body_string(type), *kid = body_string(body_member(header, "kid"));
	enum auth_algorithm algorithm = named_algorithm(header);
	if (algorithm == AUTH_ALGORITHM__COUNT || body_member(header, "crit") != NULL ||
	    (type != NULL && (type_name == NULL || strcmp(type_name, "JWT") != 0)))
		return PROBLEM_UNAUTHENTICATED;
	struct auth_key key = auth->legacy;
	if (algorithm != AUTH_HS256) {
		if (kid == NULL || *kid == '\0' || strlen(kid) > AUTH_KID_MAX)
			return PROBLEM_UNAUTHENTICATED;
		enum problem problem = auth_source_key(auth->source, arena, kid, &key);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	if (key.algorithm != algorithm || key.material == NULL || key.len == 0)
		return PROBLEM_UNAUTHENTICATED;
	*ret_key = key;
	return PROBLEM_NONE;
}

static bool
is_signed_by(const struct token *token, const struct auth_key *key)
{
	AUTO_JWT jwt = NULL;
	int error = jwt_decode(&jwt, token->text, (const unsigned char *)key->material, (int)key->len);
	ERR_clear_error(); /* a forged token leaves its mark, and others share the queue */
	return error == 0 && jwt != NULL && jwt_get_alg(jwt) == algorithms[key->algorithm].alg;
}

static const char *
claim_uuid(struct arena *arena, const struct body_value *claim)
{
	const char *text = body_string(claim);
	if (text == NULL || strlen(text) != UUID_LEN)
		return NULL;
	char *uuid = arena_strdup(arena, text);
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return NULL;
		uuid[i] = (char)tolower((unsigned char)text[i]);
	}
	return uuid;
}

static bool
is_string(const struct body_value *value, const char *expected)
{
	const char *text = body_string(value);
	return text != NULL && strcmp(text, expected) == 0;
}

static bool
is_for_us(const struct body_value *audience)
{
	if (!body_is_array(audience))
		return is_string(audience, "authenticated");
	for (size_t i = 0; i < body_count(audience); i++)
		if (is_string(body_element(audience, i), "authenticated"))
			return true;
	return false;
}

/* An absent time is none; one that is no whole number, or too far ahead, is a refusal. */
static bool
has_begun(const struct body_value *time_claim, int64_t now)
{
	int64_t at;
	return time_claim == NULL || (body_integer(time_claim, &at) && at <= now + SKEW_SECONDS);
}

static int64_t
signed_in_at(const struct body_value *methods)
{
	int64_t newest = 0, at;
	for (size_t i = 0; body_is_array(methods) && i < body_count(methods); i++) {
		const struct body_value *entry = body_element(methods, i);
		if (body_is_object(entry) && !is_string(body_member(entry, "method"), "token_refresh") &&
		    body_integer(body_member(entry, "timestamp"), &at) && at > newest)
			newest = at;
	}
	return newest;
}

/* Whether the claims make this a person's token, begun and made for us. */
static bool
is_persons(const struct auth *auth, const struct body_value *payload, int64_t now)
{
	return has_begun(body_member(payload, "nbf"), now) && has_begun(body_member(payload, "iat"), now) &&
	       is_for_us(body_member(payload, "aud")) && is_string(body_member(payload, "iss"), auth->issuer) &&
	       is_string(body_member(payload, "role"), "authenticated");
}

static bool
is_boolean(const struct body_value *value)
{
	return body_boolean(value, false) == body_boolean(value, true);
}

/* A member of the wrong type is a refusal, not an absent one. */
static enum problem
read_claims(const struct auth *auth, struct arena *arena, const struct body_value *payload, struct claims *ret_claims)
{
	const struct body_value *session = body_member(payload, "session_id"), *email = body_member(payload, "email"),
				*anonymous = body_member(payload, "is_anonymous");
	int64_t now = now_seconds(auth);
	struct claims claims = {
	    .user_id = claim_uuid(arena, body_member(payload, "sub")),
	    .session_id = claim_uuid(arena, session),
	    .email = email == NULL ? "" : arena_strdup(arena, body_string(email)),
	    .anonymous = body_boolean(anonymous, false),
	    .has_client = body_member(payload, "client_id") != NULL,
	    .signed_in_at = signed_in_at(body_member(payload, "amr")),
	};
	if (!body_integer(body_member(payload, "exp"), &claims.expires_at) || claims.expires_at <= now ||
	    !is_persons(auth, payload, now) || claims.user_id == NULL || claims.email == NULL ||
	    (session != NULL && claims.session_id == NULL) || (anonymous != NULL && !is_boolean(anonymous)))
		return PROBLEM_UNAUTHENTICATED;
	*ret_claims = claims;
	return PROBLEM_NONE;
}

static enum problem
verify(struct auth *auth, struct arena *arena, const struct token *token, struct claims *ret_claims,
    uint8_t ret_key_id[static DIGEST_SHA256])
{
	AUTO_BODY_TREE header = parse(arena, &token->header);
	if (header == NULL || !body_is_object(body_root(header)))
		return PROBLEM_UNAUTHENTICATED;
	struct auth_key key;
	enum problem problem = select_key(auth, arena, body_root(header), &key);
	if (problem != PROBLEM_NONE)
		return problem;
	if (!is_signed_by(token, &key))
		return PROBLEM_UNAUTHENTICATED;
	AUTO_BODY_TREE payload = parse(arena, &token->payload);
	if (payload == NULL || !body_is_object(body_root(payload)))
		return PROBLEM_UNAUTHENTICATED;
	memcpy(ret_key_id, key.id, DIGEST_SHA256);
	return read_claims(auth, arena, body_root(payload), ret_claims);
}

/* Whether the cache answers for this token; an entry that no longer counts is dropped. */
static bool
is_known(struct auth *auth, struct arena *arena, const uint8_t digest[static DIGEST_SHA256], struct claims *ret_claims)
{
	uint8_t key_id[DIGEST_SHA256];
	struct claims claims;
	if (!auth_cache_get(auth->cache, arena, digest, &claims, key_id))
		return false;
	bool legacy = auth->secret != NULL && memcmp(key_id, auth->legacy.id, DIGEST_SHA256) == 0;
	if (claims.expires_at <= now_seconds(auth) || !(legacy || auth_source_holds(auth->source, key_id))) {
		auth_cache_drop(auth->cache, digest);
		return false;
	}
	*ret_claims = claims;
	return true;
}

enum problem
auth_verify(struct auth *auth, struct arena *arena, const char *token, size_t len, struct claims *ret_claims)
{
	uint8_t digest[DIGEST_SHA256], key_id[DIGEST_SHA256];
	struct token parts;
	if (len == 0 || len > TOKEN_MAX)
		return PROBLEM_UNAUTHENTICATED;
	digest_sha256(token, len, digest);
	if (is_known(auth, arena, digest, ret_claims))
		return PROBLEM_NONE;
	if (!split(arena, token, len, &parts))
		return PROBLEM_UNAUTHENTICATED;
	enum problem problem = verify(auth, arena, &parts, ret_claims, key_id);
	if (problem == PROBLEM_NONE)
		auth_cache_put(auth->cache, digest, key_id, ret_claims);
	return problem;
}
