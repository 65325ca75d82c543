#include "shotaictl.h"

#include <stdio.h>
#include <string.h>

#define LISTED_MAX 1000

enum { LIST, SHOW, RESOLVE, SHOW_ACCOUNT, RESTRICT, LIST_DISPOSABLE, SET_DISPOSABLE };

static const struct db_statement statements[] = {
    [LIST] = {"select * from shotai.list_findings($1, $2)", true},
    [SHOW] = {"select * from shotai.show_finding($1)", true},
    [RESOLVE] = {"select * from shotai.resolve_finding($1, $2, $3, $4)", false},
    [SHOW_ACCOUNT] = {"select * from shotai.show_account($1)", true},
    [RESTRICT] = {"select * from shotai.restrict_account($1, $2, $3, $4)", false},
    [LIST_DISPOSABLE] = {"select * from shotai.list_disposable()", true},
    [SET_DISPOSABLE] = {"select * from shotai.set_disposable($1, $2)", true}, /* twice is once */
};

enum exit_status
ctl_anomalies_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"id", 6}, {"state", 8}, {"action", 8}, {"signal", 9}, {"score", 6},
	    {"user_id", 36}, {"account_status", 9}, {"first_at", 24}, {"last_at", 24}, {"expires_at", 0}};
	bool all = false;
	const struct ctl_argument arguments[] = {{.name = "--all", .on = &all}};
	if (!ctl_read(argc, argv, arguments, 1))
		return ctl_usage(ctl);
	const char *const parameters[] = {all ? "true" : "false", db_parameter(ctl->arena, LISTED_MAX)};
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, "anomalies list", &statements[LIST], parameters, 2, &rows);
	if (status != EXIT_DONE)
		return status;
	ctl_print(rows, columns, sizeof columns / sizeof columns[0]);
	if (db_rows(rows) == 0)
		printf(all ? "nothing was ever found\n" : "no open findings\n");
	return EXIT_DONE;
}

/* The number of a finding as a parameter, or NULL after a line on stderr. */
static const char *
finding_id(struct ctl *ctl, const char *text)
{
	int64_t id = 0;
	if (ctl_integer(text, 1, INT64_MAX, &id))
		return db_parameter(ctl->arena, id);
	ctl_usage(ctl);
	return NULL;
}

enum exit_status
ctl_anomalies_show(struct ctl *ctl, int argc, char **argv)
{
	const char *id = NULL;
	const struct ctl_argument arguments[] = {{.value = &id}};
	if (!ctl_read(argc, argv, arguments, 1))
		return ctl_usage(ctl);
	if ((id = finding_id(ctl, id)) == NULL)
		return EXIT_FAILED;
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, "anomalies show", &statements[SHOW], &id, 1, &rows);
	if (status != EXIT_DONE)
		return status;
	if (db_rows(rows) == 0)
		return ctl_refuse("anomalies show", PROBLEM_NOT_FOUND);
	ctl_print_pairs(rows, "name", "value");
	return EXIT_DONE;
}

enum exit_status
ctl_anomalies_resolve(struct ctl *ctl, int argc, char **argv)
{
	const char *id = NULL, *reason = NULL;
	bool keep = false, restore = false;
	const struct ctl_argument arguments[] = {{.value = &id}, {.name = "--keep", .on = &keep},
	    {.name = "--restore", .on = &restore}, {.name = "--reason", .value = &reason}};
	if (!ctl_read(argc, argv, arguments, sizeof arguments / sizeof arguments[0]) || (keep && restore))
		return ctl_usage(ctl);
	if ((id = finding_id(ctl, id)) == NULL)
		return EXIT_FAILED;
	const char *const parameters[] = {id, keep ? "true" : "false", reason, ctl_operator(ctl->arena)};
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, "anomalies resolve", &statements[RESOLVE], parameters, 4, &rows);
	if (status != EXIT_DONE)
		return status;
	bool throttled = db_integer(rows, 0, "throttle") > 1;
	printf("%s, the account is %s%s\n", keep ? "kept" : "restored", db_text(rows, 0, "status"),
	    throttled ? " and throttled" : "");
	return EXIT_DONE;
}

enum exit_status
ctl_account_show(struct ctl *ctl, int argc, char **argv)
{
	const char *user = NULL;
	const struct ctl_argument arguments[] = {{.value = &user}};
	if (!ctl_read(argc, argv, arguments, 1))
		return ctl_usage(ctl);
	enum exit_status status = ctl_find_user(ctl, user, &user);
	AUTO_DB_RESULT rows = NULL;
	if (status == EXIT_DONE)
		status = ctl_call(ctl, "account show", &statements[SHOW_ACCOUNT], &user, 1, &rows);
	if (status != EXIT_DONE)
		return status;
	if (db_rows(rows) == 0)
		return ctl_refuse("account show", PROBLEM_NOT_FOUND);
	ctl_print_pairs(rows, "name", "value");
	return EXIT_DONE;
}

static enum exit_status
restrict_account(struct ctl *ctl, int argc, char **argv, const char *suspend)
{
	const char *user = NULL, *reason = NULL;
	const struct ctl_argument arguments[] = {{.value = &user}, {.name = "--reason", .value = &reason}};
	if (!ctl_read(argc, argv, arguments, 2))
		return ctl_usage(ctl);
	enum exit_status status = ctl_find_user(ctl, user, &user);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {user, suspend, reason, ctl_operator(ctl->arena)};
	AUTO_DB_RESULT rows = NULL;
	status = ctl_call(ctl, ctl->command->name, &statements[RESTRICT], parameters, 4, &rows);
	if (status == EXIT_DONE)
		printf("the account is %s\n", db_text(rows, 0, "status"));
	return status;
}

enum exit_status
ctl_account_suspend(struct ctl *ctl, int argc, char **argv)
{
	return restrict_account(ctl, argc, argv, "true");
}

enum exit_status
ctl_account_restore(struct ctl *ctl, int argc, char **argv)
{
	return restrict_account(ctl, argc, argv, "false");
}

enum exit_status
ctl_disposable_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"domain", 0}};
	if (!ctl_read(argc, argv, NULL, 0))
		return ctl_usage(ctl);
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, "disposable list", &statements[LIST_DISPOSABLE], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, 1);
	return status;
}

static enum exit_status
set_disposable(struct ctl *ctl, int argc, char **argv, const char *disposable)
{
	const char *domain = NULL;
	const struct ctl_argument arguments[] = {{.value = &domain}};
	if (!ctl_read(argc, argv, arguments, 1))
		return ctl_usage(ctl);
	const char *const parameters[] = {domain, disposable};
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, ctl->command->name, &statements[SET_DISPOSABLE], parameters, 2, &rows);
	if (status == EXIT_DONE)
		printf(db_boolean(rows, 0, "changed") ? "done\n" : "it was so already\n");
	return status;
}

enum exit_status
ctl_disposable_add(struct ctl *ctl, int argc, char **argv)
{
	return set_disposable(ctl, argc, argv, "true");
}

enum exit_status
ctl_disposable_remove(struct ctl *ctl, int argc, char **argv)
{
	return set_disposable(ctl, argc, argv, "false");
}
