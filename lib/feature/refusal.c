#include "feature/refusal.h"

#include <string.h>

#include "base/body.h"

#define EXTRAS_MAX 16384

/* Beginnings of details; what follows one (numbers, names) is kept. */
static const struct {
	const char *english, *dutch;
} phrases[] = {
    {"must not be empty", "mag niet leeg zijn"},
    {"must be one of ", "moet een van deze zijn: "},
    {"must be from 1 to ", "moet een geheel getal zijn van 1 tot en met "},
    {"this model takes no reference", "dit model neemt geen referentie"},
    {"at most ", "ten hoogste "},
    {"is not one that a list gave", "komt niet uit een lijst"},
    {"is no version that is in force or was", "is geen versie die geldt of gold"},
    {"must be en or nl", "moet en of nl zijn"},
    {"there is no such picture", "deze opname is er niet"},
    {"is shared often enough: at most ", "is vaak genoeg gedeeld: ten hoogste "},
};

static const char *
translate(struct arena *arena, const char *detail)
{
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
		size_t len = strlen(phrases[i].english);
		if (strncmp(detail, phrases[i].english, len) == 0)
			return arena_printf(arena, "%s%s", phrases[i].dutch, detail + len);
	}
	return detail;
}

/* Writes {"errors":[...]} anew. */
static const char *
translate_errors(struct arena *arena, const struct body_value *errors)
{
	struct text text;
	text_init(&text, arena, EXTRAS_MAX);
	text_json_open(&text, NULL, '{');
	text_json_open(&text, "errors", '[');
	for (size_t i = 0; i < body_count(errors); i++) {
		const struct body_value *error = body_element(errors, i);
		const char *detail = body_string(body_member(error, "detail"));
		text_json_open(&text, NULL, '{');
		text_json_string(&text, "pointer", body_string(body_member(error, "pointer")));
		text_json_string(&text, "detail", translate(arena, detail != NULL ? detail : ""));
		text_json_close(&text, '}');
	}
	text_json_close(&text, ']');
	text_json_close(&text, '}');
	return text.data;
}

/* Why, as far as the database says, and whom to ask. */
static const char *
suspension(struct call *call, const char *extras)
{
	AUTO_BODY_TREE tree = extras != NULL ? body_tree_parse(extras, strlen(extras)) : NULL;
	const struct body_value *reason = tree != NULL ? body_member(body_root(tree), "reason") : NULL;
	struct text text;
	text_init(&text, call->arena, EXTRAS_MAX);
	text_json_open(&text, NULL, '{');
	text_json_string(&text, "reason", reason != NULL ? body_string(reason) : NULL);
	text_json_string(&text, "contact", config_text(call->config, CONFIG_SUPPORT_EMAIL));
	text_json_close(&text, '}');
	return text.data;
}

enum problem
refusal_call(struct call *call, const struct db_statement *statement, const char *const *parameters, size_t count,
    struct db_result **ret_rows)
{
	enum problem problem = db_call(call->db, call->arena, statement, parameters, count, ret_rows, call->refusal);
	const char *extras = call->refusal->extras;
	if (problem == PROBLEM_ACCOUNT_SUSPENDED)
		call->refusal->extras = suspension(call, extras);
	if (problem != PROBLEM_INVALID_REQUEST || call->language != LANGUAGE_NL || extras == NULL)
		return problem;
	AUTO_BODY_TREE tree = body_tree_parse(extras, strlen(extras));
	const struct body_value *errors = body_member(body_root(tree), "errors");
	if (body_is_array(errors))
		call->refusal->extras = translate_errors(call->arena, errors);
	return problem;
}
