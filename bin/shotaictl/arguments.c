#include "shotaictl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_option(const char *word)
{
	return strncmp(word, "--", 2) == 0;
}

static const struct ctl_argument *
option_of(const struct ctl_argument *arguments, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (arguments[i].name != NULL && strcmp(arguments[i].name, name) == 0)
			return &arguments[i];
	return NULL;
}

/* The first word that has no value yet. */
static const struct ctl_argument *
word_of(const struct ctl_argument *arguments, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (arguments[i].name == NULL && *arguments[i].value == NULL)
			return &arguments[i];
	return NULL;
}

static bool
is_one_of(const char *words, const char *text)
{
	size_t len = strlen(text);
	for (const char *at = words; at != NULL; at = strchr(at, '|')) {
		at += *at == '|';
		if (strcspn(at, "|") == len && strncmp(at, text, len) == 0)
			return true;
	}
	return words == NULL;
}

bool
ctl_read(int argc, char **argv, const struct ctl_argument *arguments, size_t count)
{
	bool given[16] = {false};
	for (int i = 0; i < argc; i++) {
		bool option = is_option(argv[i]);
		const struct ctl_argument *argument =
		    option ? option_of(arguments, count, argv[i]) : word_of(arguments, count);
		if (argument == NULL || given[argument - arguments])
			return false;
		given[argument - arguments] = true;
		if (argument->on != NULL) {
			*argument->on = true;
			continue;
		}
		if (option && ++i == argc)
			return false;
		if (!is_one_of(argument->words, argv[i]))
			return false;
		*argument->value = argv[i];
	}
	for (size_t i = 0; i < count; i++)
		if (!given[i] && !arguments[i].optional && arguments[i].on == NULL)
			return false;
	return true;
}

bool
ctl_integer(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
	char *end = NULL;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < min || number > max)
		return false;
	*ret_number = number;
	return true;
}

void
ctl_print(const struct db_result *rows, const struct ctl_column *columns, size_t count)
{
	for (size_t row = 0; row < db_rows(rows); row++) {
		for (size_t i = 0; i < count; i++) {
			const char *text = db_text(rows, row, columns[i].name);
			text = text != NULL && *text != '\0' ? text : "-";
			if (i + 1 < count)
				printf("%-*s ", columns[i].width, text);
			else
				printf("%s\n", text);
		}
	}
}

static enum exit_status
told(struct ctl *ctl, const char *what, enum problem problem, const struct db_refusal *refusal)
{
	if (problem == PROBLEM_NONE)
		return EXIT_DONE;
	return ctl_refuse(
	    refusal->extras != NULL ? arena_printf(ctl->arena, "%s: %s", what, refusal->extras) : what, problem);
}

enum exit_status
ctl_call(struct ctl *ctl, const char *what, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_rows)
{
	struct db_refusal refusal = {0};
	enum problem problem = db_call(ctl->db, ctl->arena, statement, parameters, count, ret_rows, &refusal);
	return told(ctl, what, problem, &refusal);
}

enum exit_status
ctl_call_patiently(struct ctl *ctl, const char *what, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_rows)
{
	struct db_refusal refusal = {0};
	enum problem problem = db_call_patiently(ctl->db, ctl->arena, statement, parameters, count, ret_rows, &refusal);
	return told(ctl, what, problem, &refusal);
}
