#include "service/auth_cache.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/arena.h"

#define SETS 256
#define WAYS 8
#define UUID_SIZE 37
#define EMAIL_SIZE 256

struct entry {
	uint64_t used; /* 0: empty */
	uint8_t token[DIGEST_SHA256], key_id[DIGEST_SHA256];
	struct claims claims; /* without its strings */
	bool has_session;
	char user_id[UUID_SIZE], session_id[UUID_SIZE], email[EMAIL_SIZE];
};

struct auth_cache {
	pthread_mutex_t lock;
	uint64_t uses;
	struct entry entries[SETS][WAYS];
};
static_assert(SETS == 1 << 8, "the first byte of the digest selects the set");

struct auth_cache *
auth_cache_new(struct arena *arena)
{
	struct auth_cache *cache = arena_alloc(arena, sizeof(*cache));
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void
auth_cache_free(struct auth_cache *cache)
{
	pthread_mutex_destroy(&cache->lock);
}

static struct entry *
find(struct auth_cache *cache, const uint8_t *token)
{
	struct entry *set = cache->entries[token[0]];
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].used > 0 && memcmp(set[i].token, token, DIGEST_SHA256) == 0)
			return &set[i];
	return NULL;
}

bool
auth_cache_get(struct auth_cache *cache, struct arena *arena, const uint8_t token[static DIGEST_SHA256],
    struct claims *ret_claims, uint8_t ret_key_id[static DIGEST_SHA256])
{
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find(cache, token);
	if (entry != NULL) {
		entry->used = ++cache->uses;
		*ret_claims = entry->claims;
		ret_claims->user_id = arena_strdup(arena, entry->user_id);
		ret_claims->session_id = entry->has_session ? arena_strdup(arena, entry->session_id) : NULL;
		ret_claims->email = arena_strdup(arena, entry->email);
		memcpy(ret_key_id, entry->key_id, DIGEST_SHA256);
	}
	pthread_mutex_unlock(&cache->lock);
	return entry != NULL;
}

static struct entry *
oldest(struct entry *set)
{
	struct entry *entry = &set[0];
	for (size_t i = 1; i < WAYS; i++)
		if (set[i].used < entry->used)
			entry = &set[i];
	return entry;
}

void
auth_cache_put(struct auth_cache *cache, const uint8_t token[static DIGEST_SHA256],
    const uint8_t key_id[static DIGEST_SHA256], const struct claims *claims)
{
	if (strlen(claims->email) >= EMAIL_SIZE)
		return;
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find(cache, token);
	if (entry == NULL)
		entry = oldest(cache->entries[token[0]]);
	*entry = (struct entry){.used = ++cache->uses, .claims = *claims, .has_session = claims->session_id != NULL};
	memcpy(entry->token, token, DIGEST_SHA256);
	memcpy(entry->key_id, key_id, DIGEST_SHA256);
	memcpy(entry->user_id, claims->user_id, strlen(claims->user_id));
	memcpy(entry->email, claims->email, strlen(claims->email));
	if (entry->has_session)
		memcpy(entry->session_id, claims->session_id, strlen(claims->session_id));
	pthread_mutex_unlock(&cache->lock);
}

void
auth_cache_drop(struct auth_cache *cache, const uint8_t token[static DIGEST_SHA256])
{
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find(cache, token);
	if (entry != NULL)
		entry->used = 0;
	pthread_mutex_unlock(&cache->lock);
}
