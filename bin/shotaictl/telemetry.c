#include "shotaictl.h"

#include <stdio.h>
#include <time.h>

#define SHOWN_SECONDS 86400

enum { STATUS, SHOW, PURGE };

static const struct db_statement statements[] = {
    [STATUS] = {"select * from shotai.telemetry_status()", true},
    [SHOW] = {"select * from shotai.show_telemetry($1, $2)", true},
    [PURGE] = {"select * from shotai.purge_telemetry($1)", false},
};

enum exit_status
ctl_telemetry_status(struct ctl *ctl, int argc, char **)
{
	static const struct ctl_column columns[] = {{"name", 32}, {"value", 0}};
	AUTO_DB_RESULT rows = NULL;
	if (argc > 0)
		return ctl_usage(ctl);
	enum exit_status status = ctl_call_patiently(ctl, "telemetry status", &statements[STATUS], NULL, 0, &rows);
	if (status != EXIT_DONE)
		return status;
	printf("%-32s %s\n", "telemetry", config_text(ctl->config, CONFIG_TELEMETRY));
	printf("%-32s %s\n", "telemetry_days", config_text(ctl->config, CONFIG_TELEMETRY_DAYS));
	ctl_print(rows, columns, sizeof columns / sizeof columns[0]);
	return EXIT_DONE;
}

static const char *
yesterday(struct arena *arena)
{
	time_t then = time(NULL) - SHOWN_SECONDS;
	struct tm utc;
	char text[32];
	gmtime_r(&then, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return arena_strdup(arena, text);
}

enum exit_status
ctl_telemetry_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {
	    {"requests", 9}, {"errors", 7}, {"median_ms", 9}, {"p99_ms", 7}, {"accounts", 8}, {"subject", 0}};
	const char *since = yesterday(ctl->arena), *by = "route";
	const struct ctl_argument arguments[] = {
	    {.name = "--since", .value = &since, .optional = true},
	    {.name = "--by", .value = &by, .optional = true, .words = "route|address"},
	};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, sizeof arguments / sizeof arguments[0]) || !ctl_is_time(since))
		return ctl_usage(ctl);
	const char *const parameters[] = {since, by};
	enum exit_status status = ctl_call_patiently(ctl, "telemetry show", &statements[SHOW], parameters, 2, &rows);
	if (status != EXIT_DONE)
		return status;
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
		printf("%-*s%s", columns[i].width, columns[i].name, columns[i].width > 0 ? " " : "\n");
	ctl_print(rows, columns, sizeof columns / sizeof columns[0]);
	return EXIT_DONE;
}

enum exit_status
ctl_telemetry_purge(struct ctl *ctl, int argc, char **)
{
	AUTO_DB_RESULT rows = NULL;
	if (argc > 0)
		return ctl_usage(ctl);
	const char *const parameters[] = {ctl_operator(ctl->arena)};
	enum exit_status status = ctl_call_patiently(ctl, "telemetry purge", &statements[PURGE], parameters, 1, &rows);
	if (status == EXIT_DONE)
		printf("%s requests forgotten\n", db_text(rows, 0, "requests"));
	return status;
}
