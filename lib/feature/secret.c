#include "feature/secret.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"

void
secret_derive(struct arena *arena, const char *secrets, const char *purpose, struct secret_keys *ret_keys)
{
	assert(secrets != NULL && secrets[0] != '\0');
	struct secret_keys keys = {0};
	for (const char *rest = secrets; *rest != '\0' && keys.count < SECRET_KEYS;) {
		size_t len = strcspn(rest, ",");
		char *secret = arena_strndup(arena, rest, len);
		digest_derive_key(secret, purpose, keys.key[keys.count++]);
		digest_cleanse(secret, len);
		rest += len + (rest[len] == ',');
	}
	*ret_keys = keys;
	digest_cleanse(&keys, sizeof keys);
}
