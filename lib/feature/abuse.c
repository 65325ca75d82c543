#include "feature/abuse.h"

#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"
#include "feature/secret.h"

/* Fewer letters are shared by strangers. */
#define STEM_MIN 4

enum { WATCH };

static const struct db_statement statements[] = {
    [WATCH] = {"select * from shotai.watch_accounts()", true}, /* what was looked at is not looked at again */
};

static const char *
mark_of(struct call *call, const char *purpose, const char *text)
{
	AUTO_SECRET_KEYS keys;
	secret_derive(call->arena, call->secrets, purpose, &keys);
	uint8_t mac[DIGEST_SHA256];
	char *hex = arena_alloc(call->arena, DIGEST_HEX);
	digest_hmac(keys.key[0], DIGEST_SHA256, text, strlen(text), mac);
	digest_hex(mac, sizeof mac, hex);
	return hex;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

const char *
abuse_stem_mark(struct call *call, const char *folded)
{
	const char *at = strrchr(folded, '@');
	if (at == NULL)
		return NULL;
	char *stem = arena_strdup(call->arena, folded), *end = stem;
	for (const char *c = folded; c < at && *c != '+'; c++)
		if (is_letter(*c))
			*end++ = *c;
	if (end - stem < STEM_MIN)
		return NULL;
	memmove(end, at, strlen(at) + 1);
	return mark_of(call, "mail-stem", stem);
}

const char *
abuse_domain_mark(struct call *call, const char *folded)
{
	const char *at = strrchr(folded, '@');
	return at != NULL ? mark_of(call, "mail-domain", at + 1) : NULL;
}

const char *
abuse_prompt_mark(struct call *call, const char *prompt)
{
	char *words = arena_strdup(call->arena, prompt), *end = words;
	for (const char *c = prompt; *c != '\0'; c++) {
		char low = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
		if (is_letter(low))
			*end++ = low;
		else if (end > words && end[-1] != ' ')
			*end++ = ' ';
	}
	if (end > words && end[-1] == ' ')
		end--;
	*end = '\0';
	return end > words ? mark_of(call, "prompt-mark", words) : NULL;
}

enum problem
abuse_watch(struct db *db, bool *ret_more)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	bool more = false;
	enum problem problem = db_call(db, arena, &statements[WATCH], NULL, 0, &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	for (size_t row = 0; row < db_rows(rows); row++) {
		bool failed = strcmp(db_text(rows, row, "name"), "failed") == 0;
		int64_t value = db_integer(rows, row, "value");
		if (failed && value > 0)
			log_event(LOG_ERROR, "watch_failed", "signals", db_text(rows, row, "value"), NULL);
		else if (!failed)
			more = value > 0;
	}
	*ret_more = more;
	return PROBLEM_NONE;
}
