#include "shotaictl.h"

#include <stdio.h>

#define LEN(array) (sizeof(array) / sizeof *(array))
#define VALUE_MAX 1000000000

enum { LIST, ADD, SET, GIVE };

static const struct db_statement statements[] = {
    [LIST] = {"select * from shotai.list_plans()", true},
    [ADD] = {"select * from shotai.add_plan($1, $2)", false},
    [SET] = {"select * from shotai.set_plan($1, $2, $3, $4)", false},
    [GIVE] = {"select * from shotai.give_plan($1, $2, $3, $4)", false},
};

enum exit_status
ctl_plan_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"plan", 12}, {"accounts", 8}, {"name", 24}, {"value", 0}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, NULL, 0))
		return ctl_usage(ctl);
	enum exit_status status = ctl_call(ctl, "plan list", &statements[LIST], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, LEN(columns));
	return status;
}

enum exit_status
ctl_plan_add(struct ctl *ctl, int argc, char **argv)
{
	const char *plan = NULL;
	const struct ctl_argument arguments[] = {{.value = &plan}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	const char *const parameters[] = {plan, ctl_operator(ctl->arena)};
	enum exit_status status = ctl_call(ctl, "plan add", &statements[ADD], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("plan %s\n", plan);
	return status;
}

enum exit_status
ctl_plan_set(struct ctl *ctl, int argc, char **argv)
{
	const char *plan = NULL, *name = NULL, *value = NULL;
	const struct ctl_argument arguments[] = {{.value = &plan}, {.value = &name}, {.value = &value}};
	int64_t number;
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) || !ctl_integer(value, 0, VALUE_MAX, &number))
		return ctl_usage(ctl);
	const char *const parameters[] = {plan, name, value, ctl_operator(ctl->arena)};
	enum exit_status status = ctl_call(ctl, "plan set", &statements[SET], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("plan %s: %s is %s\n", plan, name, value);
	return status;
}

enum exit_status
ctl_plan_give(struct ctl *ctl, int argc, char **argv)
{
	const char *user = NULL, *plan = NULL, *reason = NULL, *user_id = NULL;
	const struct ctl_argument arguments[] = {
	    {.value = &user}, {.value = &plan}, {.name = "--reason", .value = &reason}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	enum exit_status status = ctl_find_user(ctl, user, &user_id);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {user_id, plan, reason, ctl_operator(ctl->arena)};
	status = ctl_call(ctl, "plan give", &statements[GIVE], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("%s is on plan %s\n", user_id, plan);
	return status;
}
