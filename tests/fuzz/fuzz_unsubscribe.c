/* A token from a stranger: what is taken for one of ours is what we would have made. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "feature/unsubscribe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char secrets[] = "0123456789abcdef0123456789abcdef";
	AUTO_ARENA arena = arena_new();
	const char *token = arena_strndup(arena, (const char *)data, size);
	int64_t account;
	if (unsubscribe_read(arena, secrets, token, &account))
		assert(strcmp(token, unsubscribe_token(arena, secrets, account)) == 0);
	return 0;
}
