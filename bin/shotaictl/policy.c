#include "shotaictl.h"

#include <stdio.h>

enum { LIST, ADD };

static const struct db_statement statements[] = {
    [LIST] = {"select * from shotai.list_policies()", true},
    [ADD] = {"select * from shotai.add_policy($1, $2, $3, $4, $5, $6)", false},
};

enum exit_status
ctl_policy_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"version", 12}, {"effective_from", 24}, {"material", 1},
	    {"state", 7}, {"acknowledged", 6}, {"change_en", 0}};
	if (!ctl_read(argc, argv, NULL, 0))
		return ctl_usage(ctl);
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, "policy list", &statements[LIST], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, sizeof columns / sizeof columns[0]);
	return status;
}

enum exit_status
ctl_policy_add(struct ctl *ctl, int argc, char **argv)
{
	const char *version = NULL, *change = NULL, *change_nl = NULL, *from = NULL;
	bool minor = false;
	const struct ctl_argument arguments[] = {
	    {.value = &version},
	    {.name = "--change", .value = &change},
	    {.name = "--change-nl", .value = &change_nl},
	    {.name = "--from", .value = &from, .optional = true},
	    {.name = "--minor", .on = &minor},
	};
	if (!ctl_read(argc, argv, arguments, sizeof arguments / sizeof arguments[0]) ||
	    (from != NULL && !ctl_is_time(from)))
		return ctl_usage(ctl);
	const char *const parameters[] = {
	    version, from, minor ? "false" : "true", change, change_nl, ctl_operator(ctl->arena)};
	AUTO_DB_RESULT rows = NULL;
	enum exit_status status = ctl_call(ctl, "policy add", &statements[ADD], parameters, 6, &rows);
	if (status == EXIT_DONE)
		printf("version %s holds from %s\n", version, db_text(rows, 0, "effective_from"));
	return status;
}
