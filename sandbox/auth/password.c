#include "password.h"

#include <assert.h>
#include <crypt.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"

#define COST 10

const char *
password_refusal(const char *password)
{
	if (strlen(password) < PASSWORD_MIN)
		return "password_weak";
	return strlen(password) > PASSWORD_MAX ? "password_too_long" : NULL;
}

const char *
password_hash(struct arena *arena, const char *password)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data data = {0};
	const char *made = crypt_gensalt_rn("$2b$", COST, NULL, 0, setting, sizeof(setting));
	assert(made != NULL);
	const char *hash = crypt_r(password, setting, &data);
	assert(hash != NULL && hash[0] != '*');
	hash = arena_strdup(arena, hash);
	digest_cleanse(&data, sizeof(data));
	return hash;
}

bool
password_fits(const char *password, const char *hash)
{
	static const char nobodys[] = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8J0Qd2y1v7bFzY5hJmGq1b1b1b1b1.";
	bool exists = hash != NULL && *hash != '\0';
	struct crypt_data data = {0};
	const char *expected = exists ? hash : nobodys, *got = crypt_r(password, expected, &data);
	bool fits = exists && got != NULL && got[0] != '*' && strlen(got) == strlen(expected) &&
		    digest_equal(got, expected, strlen(expected));
	digest_cleanse(&data, sizeof(data));
	return fits;
}
