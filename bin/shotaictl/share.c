#include "shotaictl.h"

#include <stdio.h>
#include <string.h>

#define LISTED_MAX 1000

enum { LIST, DECIDE };

static const struct db_statement statements[] = {
    [LIST] = {"select * from shotai.operator_shares($1, $2)", true},
    [DECIDE] = {"select * from shotai.decide_share($1, $2, $3, $4)", false},
};

/* Reasons come from strangers: nothing in them may move the terminal's cursor. */
static const char *
printable(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f || ((unsigned char)*c == 0xc2 && (unsigned char)c[1] < 0xa0))
			*c = ' ';
	return copy;
}

static void
print_share(struct ctl *ctl, const struct db_result *result, size_t row)
{
	const char *reported = db_text(result, row, "reported_at");
	const char *reason = db_text(result, row, "reason");
	const char *user = db_text(result, row, "user_id");
	printf("%s  %s, %lld reports, %lld views, user %s (taken down before: %lld), picture %s/%s\n",
	    db_text(result, row, "slug"), db_text(result, row, "state"), (long long)db_integer(result, row, "reports"),
	    (long long)db_integer(result, row, "views"), user != NULL ? user : "-",
	    (long long)db_integer(result, row, "upheld"), db_text(result, row, "generation_id"),
	    db_text(result, row, "image_index"));
	if (strcmp(db_text(result, row, "state"), "live") == 0)
		printf("    %s/s/%s\n", config_text(ctl->config, CONFIG_PUBLIC_URL), db_text(result, row, "slug"));
	if (reported != NULL)
		printf("    waits %s, since %s: %s\n", db_text(result, row, "waits"), reported,
		    printable(ctl->arena, reason));
}

enum exit_status
ctl_share_list(struct ctl *ctl, int argc, char **argv)
{
	bool all = argc == 1 && strcmp(argv[0], "--all") == 0;
	if (argc > 0 && !all)
		return ctl_fail("share list: %s is not understood", argv[0]);
	const char *const parameters[] = {all ? "true" : "false", db_parameter(ctl->arena, LISTED_MAX)};
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(ctl->db, ctl->arena, &statements[LIST], parameters, 2, &result, NULL);
	if (problem != PROBLEM_NONE)
		return ctl_refuse("share list", problem);
	for (size_t row = 0; row < db_rows(result); row++)
		print_share(ctl, result, row);
	if (db_rows(result) == 0)
		printf(all ? "nothing is shared\n" : "no open reports\n");
	else if (!all)
		printf("%zu shares wait for a decision\n", db_rows(result));
	return EXIT_DONE;
}

/* The slug in an address of ours, or text itself. */
static const char *
slug_in(struct arena *arena, const char *text)
{
	const char *path = strstr(text, "/s/");
	const char *slug = path != NULL ? path + 3 : text;
	return arena_strndup(arena, slug, strcspn(slug, "/?#"));
}

static enum exit_status
decide(struct ctl *ctl, int argc, char **argv, bool upheld)
{
	const char *share = NULL, *reason = NULL, *name = upheld ? "share take-down" : "share dismiss";
	for (int i = 0; i < argc; i++) {
		const char *value = ctl_option(argc, argv, &i, "--reason");
		if (value != NULL)
			reason = value;
		else if (share == NULL && strncmp(argv[i], "--", 2) != 0)
			share = argv[i];
		else
			return ctl_fail("%s: %s is not understood", name, argv[i]);
	}
	if (share == NULL || reason == NULL || *reason == '\0')
		return ctl_fail("usage: shotaictl %s SLUG --reason TEXT", name);
	const char *const parameters[] = {
	    slug_in(ctl->arena, share), upheld ? "true" : "false", reason, ctl_operator(ctl->arena)};
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(ctl->db, ctl->arena, &statements[DECIDE], parameters, 4, &result, NULL);
	if (problem != PROBLEM_NONE)
		return ctl_refuse(name, problem);
	printf("%s, %lld open reports closed\n", upheld ? "taken down" : "it stays",
	    (long long)db_integer(result, 0, "reports"));
	return EXIT_DONE;
}

enum exit_status
ctl_share_take_down(struct ctl *ctl, int argc, char **argv)
{
	return decide(ctl, argc, argv, true);
}

enum exit_status
ctl_share_dismiss(struct ctl *ctl, int argc, char **argv)
{
	return decide(ctl, argc, argv, false);
}
