#include "feature/takeout.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/body.h"
#include "base/digest.h"
#include "base/log.h"
#include "feature/picture.h"
#include "feature/refusal.h"

#define RANDOM_BYTES 16
#define WORDS_MAX 64
#define NAME_MAX_BYTES 200
#define ID_SHOWN 8
#define PARAMETERS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

enum { CREATE, GET, CLAIM, RENEW, FINISH, RELEASE, PAGE };

static const struct db_statement statements[] = {
    [CREATE] = {"select * from shotai.create_archive($1, $2, $3, $4, $5)", false},
    [GET] = {"select * from shotai.get_archive($1, $2, $3)", true},
    [CLAIM] = {"select * from shotai.claim_archive($1)", false},
    [RENEW] = {"select * from shotai.renew_archive($1, $2)", true},
    [FINISH] = {"select * from shotai.finish_archive($1, $2, $3)", true},
    [RELEASE] = {"select * from shotai.release_archive($1, $2, $3)", false},
    [PAGE] = {"select * from shotai.archive_page($1, $2, $3, $4)", true},
};

static enum problem
no_rows(const struct db_statement *statement)
{
	log_event(LOG_ERROR, "no_rows", "statement", statement->sql, NULL);
	return PROBLEM_INTERNAL;
}

static void
write_archive(struct call *call, const struct db_result *rows)
{
	const char *key = db_text(rows, 0, "key"), *url = NULL;
	if (key != NULL) {
		AUTO_PICTURE_SIGNER signer;
		picture_signer_init(&signer, call->arena, call->secrets, time(NULL));
		signer.expires_at = db_integer(rows, 0, "link_until");
		url = picture_link(&signer, call->arena, key);
	}
	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "id", db_text(rows, 0, "id"));
	text_json_string(call->json, "status", db_text(rows, 0, "status"));
	text_json_string(call->json, "url", url);
	text_json_string(call->json, "expires_at", db_text(rows, 0, "expires_at"));
	text_json_close(call->json, '}');
}

enum problem
takeout_create(struct call *call, const struct takeout_wish *wish, const char **ret_id, bool *ret_replayed)
{
	AUTO_DB_RESULT rows = NULL;
	const struct body_list *chosen = wish->generations;
	enum problem problem = refusal_call(call, &statements[CREATE],
	    PARAMETERS(call->user->user_id, call->user->session_id,
		chosen->count == 0 ? NULL : db_array(call->arena, chosen->items, chosen->count), wish->idempotency_key,
		wish->request_hash),
	    &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(rows) == 0)
		return no_rows(&statements[CREATE]);
	write_archive(call, rows);
	*ret_id = arena_strdup(call->arena, db_text(rows, 0, "id"));
	*ret_replayed = db_boolean(rows, 0, "replayed");
	return PROBLEM_NONE;
}

enum problem
takeout_get(struct call *call, const char *id)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem =
	    refusal_call(call, &statements[GET], PARAMETERS(call->user->user_id, call->user->session_id, id), &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	if (db_rows(rows) == 0)
		return no_rows(&statements[GET]);
	write_archive(call, rows);
	return PROBLEM_NONE;
}

enum problem
takeout_claim(struct db *db, struct arena *arena, struct takeout *ret_takeout, bool *ret_found)
{
	uint8_t random[RANDOM_BYTES];
	char hex[2 * RANDOM_BYTES + 1];
	AUTO_DB_RESULT rows = NULL;
	digest_random(random, sizeof random);
	digest_hex(random, sizeof random, hex);
	const char *key = arena_printf(arena, "archives/%s", hex);
	enum problem problem = db_call(db, arena, &statements[CLAIM], PARAMETERS(key), &rows, NULL);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_found = db_rows(rows) > 0;
	if (*ret_found)
		*ret_takeout = (struct takeout){.id = arena_strdup(arena, db_text(rows, 0, "id")),
		    .key = key,
		    .whole = db_boolean(rows, 0, "whole")};
	return PROBLEM_NONE;
}

/* Calls a statement that tells whether the attempt is held. */
static enum problem
call_held(
    struct db *db, const struct db_statement *statement, const char *const *parameters, size_t count, bool *ret_held)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, statement, parameters, count, &rows, NULL);
	if (problem == PROBLEM_NONE && db_rows(rows) == 0)
		problem = no_rows(statement);
	if (problem == PROBLEM_NONE)
		*ret_held = db_boolean(rows, 0, "held");
	return problem;
}

enum problem
takeout_renew(struct db *db, const struct takeout *takeout, bool *ret_held)
{
	return call_held(db, &statements[RENEW], PARAMETERS(takeout->id, takeout->key), ret_held);
}

enum problem
takeout_finish(struct db *db, const struct takeout *takeout, int64_t bytes, bool *ret_held)
{
	AUTO_ARENA arena = arena_new();
	return call_held(
	    db, &statements[FINISH], PARAMETERS(takeout->id, takeout->key, db_parameter(arena, bytes)), ret_held);
}

enum problem
takeout_release(struct db *db, const struct takeout *takeout, bool blameless)
{
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT rows = NULL;
	return db_call(db, arena, &statements[RELEASE],
	    PARAMETERS(takeout->id, takeout->key, blameless ? "true" : "false"), &rows, NULL);
}

const struct db_statement *
takeout_page(void)
{
	return &statements[PAGE];
}

/* Length of a character that may stand in a file's name: no control, no space or mark of direction, no sign. */
static size_t
letter(const char *text)
{
	unsigned char c = (unsigned char)*text;
	if (c < 0x80)
		return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
	size_t len = text_utf8(text, strlen(text));
	bool latin_sign = len == 2 && c == 0xc2;
	bool punctuation = len == 3 && c == 0xe2 && ((unsigned char)text[1] & 0xfc) == 0x80;
	bool marker = len == 3 && (memcmp(text, "\uFEFF", 3) == 0 || memcmp(text, "\u3000", 3) == 0);
	bool language_tag = len == 4 && c == 0xf3;
	return latin_sign || punctuation || marker || language_tag ? 0 : len;
}

const char *
takeout_file_name(struct arena *arena, const struct export_image *image)
{
	struct text name;
	const char *id = strchr(image->key, '/'), *slash = strrchr(image->key, '/'), *ending = strrchr(image->key, '.');
	bool gap = false;
	size_t start;
	text_init(&name, arena, NAME_MAX_BYTES);
	text_add(&name, "pictures/");
	start = name.len;
	for (const char *c = image->title; *c != '\0' && name.len < start + WORDS_MAX;) {
		size_t len = letter(c);
		if (len > 0 && gap && name.len > start)
			text_add(&name, "-");
		text_add_bytes(&name, c, len);
		gap = len == 0;
		c += len > 0 ? len : 1;
	}
	text_printf(&name, "-%.*s-%ld%s", ID_SHOWN, id + 1, strtol(slash + 1, NULL, 10) + 1,
	    ending != NULL && ending > slash ? ending : "");
	return name.data;
}
