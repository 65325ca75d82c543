#include "shotaictl.h"

#include <stdio.h>

#define LEN(array) (sizeof(array) / sizeof *(array))

enum { HOLD, DISCLOSE };

static const struct db_statement statements[] = {
    [HOLD] = {"select * from shotai.set_hold($1, $2, $3, $4)", false},
    [DISCLOSE] = {"select * from shotai.disclose($1, $2, $3)", false},
};

/* USER --basis TEXT */
static enum exit_status
read_person(struct ctl *ctl, int argc, char **argv, const char **ret_user_id, const char **ret_basis)
{
	const char *user = NULL;
	const struct ctl_argument arguments[] = {{.value = &user}, {.name = "--basis", .value = ret_basis}};
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	return ctl_find_user(ctl, user, ret_user_id);
}

static enum exit_status
hold(struct ctl *ctl, int argc, char **argv, bool set)
{
	const char *user_id = NULL, *basis = NULL;
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = read_person(ctl, argc, argv, &user_id, &basis);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {user_id, set ? "true" : "false", basis, ctl_operator(ctl->arena)};
	status = ctl_call(ctl, set ? "hold set" : "hold lift", &statements[HOLD], parameters, LEN(parameters), &rows);
	if (status != EXIT_DONE)
		return status;
	const char *erasure = db_text(rows, 0, "erasure_id");
	printf("%s", set ? "held" : "no longer held");
	if (!db_boolean(rows, 0, "changed"))
		printf(", as before");
	if (erasure != NULL)
		printf("; erasure %s %s", erasure, set ? "is paused" : "goes on");
	printf("\n");
	return EXIT_DONE;
}

enum exit_status
ctl_hold_set(struct ctl *ctl, int argc, char **argv)
{
	return hold(ctl, argc, argv, true);
}

enum exit_status
ctl_hold_lift(struct ctl *ctl, int argc, char **argv)
{
	return hold(ctl, argc, argv, false);
}

enum exit_status
ctl_disclose(struct ctl *ctl, int argc, char **argv)
{
	const char *user_id = NULL, *basis = NULL;
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = read_person(ctl, argc, argv, &user_id, &basis);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {user_id, basis, ctl_operator(ctl->arena)};
	status = ctl_call(ctl, "disclose", &statements[DISCLOSE], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("%s\n", db_text(rows, 0, "record"));
	return status;
}
