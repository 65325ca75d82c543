#include "shotaictl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STATUS, FIND_ACCOUNT, GRANT_CREDITS };

static const struct db_statement statements[] = {
    [STATUS] = {"select * from shotai.operator_status()", true},
    [FIND_ACCOUNT] = {"select * from shotai.find_account($1)", true},
    [GRANT_CREDITS] = {"select * from shotai.grant_credits($1, $2, $3, $4, $5, $6)", false},
};

/* The role's statement_timeout is for what people wait for; the books of many years take longer. */
static const char audit_sql[] = "begin;"
				"set local statement_timeout = 0;"
				"select * from shotai.audit();";

#define GRANT_MAX 1000000000

enum exit_status
ctl_config(struct ctl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return ctl_fail("config: %s is not understood", argv[0]);
	config_print(ctl->config, stdout);
	return EXIT_DONE;
}

void
ctl_print_pairs(const struct db_result *rows, const char *name, const char *value)
{
	for (size_t row = 0; row < db_rows(rows); row++) {
		const char *text = db_text(rows, row, value);
		printf("%-32s %s\n", db_text(rows, row, name), text != NULL ? text : "-");
	}
}

enum exit_status
ctl_audit(struct ctl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return ctl_fail("audit: %s is not understood", argv[0]);
	AUTO_DB_RESULT result = NULL;
	AUTO_DB_RESULT end = NULL;
	const char *error = NULL;
	enum problem problem = db_script(ctl->db, ctl->arena, audit_sql, &result, &error);
	if (problem == PROBLEM_NONE)
		problem = db_script(ctl->db, ctl->arena, "commit", &end, &error);
	if (problem != PROBLEM_NONE)
		return ctl_fail("audit: %s (%s)", error, problem_describe(problem)->code);
	if (db_rows(result) == 0) {
		printf("clean\n");
		return EXIT_DONE;
	}
	ctl_print_pairs(result, "check_name", "detail");
	return EXIT_FOUND;
}

enum exit_status
ctl_status(struct ctl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return ctl_fail("status: %s is not understood", argv[0]);
	AUTO_DB_RESULT result = NULL;
	enum exit_status status = ctl_call_patiently(ctl, "status", &statements[STATUS], NULL, 0, &result);
	if (status != EXIT_DONE)
		return status;
	ctl_print_pairs(result, "name", "value");
	printf("%-32s %s\n", "telemetry", config_text(ctl->config, CONFIG_TELEMETRY));
	return EXIT_DONE;
}

enum exit_status
ctl_find_user(struct ctl *ctl, const char *user, const char **ret_user_id)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem =
	    db_call(ctl->db, ctl->arena, &statements[FIND_ACCOUNT], (const char *const[]){user}, 1, &result, NULL);
	if (problem == PROBLEM_NONE && (db_rows(result) == 0 || db_text(result, 0, "user_id") == NULL))
		problem = PROBLEM_NOT_FOUND;
	if (problem != PROBLEM_NONE)
		return ctl_refuse("user", problem);
	*ret_user_id = arena_strdup(ctl->arena, db_text(result, 0, "user_id"));
	return EXIT_DONE;
}

struct grant {
	const char *user, *amount, *reason, *expires;
};

static bool
grant_read(int argc, char **argv, struct grant *ret_grant)
{
	for (int i = 0; i < argc; i++) {
		const char *reason = ctl_option(argc, argv, &i, "--reason");
		const char *expires = reason == NULL ? ctl_option(argc, argv, &i, "--expires") : NULL;
		if (reason != NULL)
			ret_grant->reason = reason;
		else if (expires != NULL)
			ret_grant->expires = expires;
		else if (strncmp(argv[i], "--", 2) == 0)
			return false;
		else if (ret_grant->user == NULL)
			ret_grant->user = argv[i];
		else if (ret_grant->amount == NULL)
			ret_grant->amount = argv[i];
		else
			return false;
	}
	return ret_grant->amount != NULL && ret_grant->reason != NULL && ret_grant->reason[0] != '\0';
}

const char *
ctl_operator(struct arena *arena)
{
	char name[64];
	if (getlogin_r(name, sizeof name) == 0)
		return arena_strdup(arena, name);
	return arena_printf(arena, "uid %ld", (long)getuid());
}

bool
ctl_is_time(const char *text)
{
	struct tm when = {0};
	const char *zone = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
	if (zone == NULL)
		return false;
	if (*zone == '.')
		zone += 1 + strspn(zone + 1, "0123456789");
	struct tm real = when; /* 30 February becomes 2 March here */
	if (timegm(&real) == -1 || real.tm_mday != when.tm_mday)
		return false;
	const char *end = strcmp(zone, "Z") == 0 ? zone + 1 : strptime(zone, "%z", &when);
	return end != NULL && *end == '\0';
}

enum exit_status
ctl_credits_grant(struct ctl *ctl, int argc, char **argv)
{
	struct grant grant = {0};
	if (!grant_read(argc, argv, &grant))
		return ctl_fail("usage: shotaictl credits grant USER N --reason TEXT [--expires RFC3339]");
	char *end = NULL;
	errno = 0;
	long long amount = strtoll(grant.amount, &end, 10);
	if (errno != 0 || *end != '\0' || amount < 1 || amount > GRANT_MAX)
		return ctl_fail("credits grant: N is a whole number from 1 to %d", GRANT_MAX);
	if (grant.expires != NULL && !ctl_is_time(grant.expires))
		return ctl_fail("credits grant: --expires takes a time like 2030-01-31T12:00:00Z");
	const char *user_id = NULL;
	enum exit_status status = ctl_find_user(ctl, grant.user, &user_id);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {user_id, db_parameter(ctl->arena, amount), "adjustment", grant.expires,
	    grant.reason, ctl_operator(ctl->arena)};
	AUTO_DB_RESULT result = NULL;
	struct db_refusal refusal = {0};
	enum problem problem =
	    db_call(ctl->db, ctl->arena, &statements[GRANT_CREDITS], parameters, 6, &result, &refusal);
	if (problem != PROBLEM_NONE)
		return ctl_refuse(refusal.extras != NULL ? refusal.extras : "credits grant", problem);
	printf("granted %lld credits, balance %lld\n", amount, (long long)db_integer(result, 0, "balance"));
	return EXIT_DONE;
}
