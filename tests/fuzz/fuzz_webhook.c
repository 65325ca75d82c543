/* A delivery: one byte of the signature's length, the signature, then the body. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/text.h"
#include "feature/billing.h"
#include "service/creem.h"

#define SECRET "whsec_made_up"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stands in for service/db: whatever reaches it must be text that PostgreSQL takes. */
static const char *reached;

static void
require(bool condition)
{
	if (!condition)
		abort();
}

enum problem
db_call(struct db *db, struct arena *arena, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	(void)db;
	(void)arena;
	(void)ret_result;
	(void)ret_refusal;
	require(count == 1 && strstr(statement->sql, "receive_event") != NULL);
	reached = parameters[0];
	return PROBLEM_DATABASE_UNAVAILABLE;
}

void
db_result_free(struct db_result *result)
{
	require(result == NULL);
}

size_t
db_rows(const struct db_result *result)
{
	(void)result;
	return 0;
}

const char *
db_text(const struct db_result *result, size_t row, const char *column)
{
	(void)result;
	(void)row;
	(void)column;
	abort();
}

int64_t
db_integer(const struct db_result *result, size_t row, const char *column)
{
	return db_text(result, row, column) != NULL;
}

bool
db_boolean(const struct db_result *result, size_t row, const char *column)
{
	return db_text(result, row, column) != NULL;
}

const char *
db_parameter(struct arena *arena, int64_t value)
{
	return arena_printf(arena, "%lld", (long long)value);
}

static void
check_event(struct arena *arena, const char *body, size_t len)
{
	const char *outcome = NULL;
	reached = NULL;
	enum problem problem = billing_receive(NULL, arena, body, len, &outcome);
	require(problem == (reached != NULL ? PROBLEM_DATABASE_UNAVAILABLE : PROBLEM_INVALID_REQUEST));
	if (reached == NULL)
		return;
	require(reached == body && strlen(reached) == len);
	for (size_t at = 0, step; at < len; at += step) {
		step = text_utf8(body + at, len - at);
		require(step > 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA arena = arena_new();
	if (size == 0 || size < 1 + (size_t)data[0])
		return 0;
	const char *signature = arena_strndup(arena, (const char *)data + 1, data[0]);
	size_t len = size - 1 - data[0];
	const char *body = arena_strndup(arena, (const char *)data + 1 + data[0], len);
	uint8_t mac[DIGEST_SHA256];
	char good[DIGEST_HEX];
	digest_hmac(SECRET, strlen(SECRET), body, len, mac);
	digest_hex(mac, sizeof mac, good);
	require(creem_verify_signature(SECRET, body, len, good));
	require(!creem_verify_signature("", body, len, good));
	require(creem_verify_signature(SECRET, body, len, signature) == (strcasecmp(signature, good) == 0));
	check_event(arena, body, len);
	return 0;
}
