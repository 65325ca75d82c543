#include "shotaictl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/delivery_status.h"

#define LISTED "100"
#define LISTED_MAX 10000
#define BOUNCE_MAX ((size_t)1 << 20)
#define MESSAGE_ID 32 /* hex digits before the @ */

enum { LIST, SHOW, STATUS, BOUNCE };

static const struct db_statement statements[] = {
    [LIST] = {"select * from shotai.list_mails($1, $2, $3)", true},
    [SHOW] = {"select * from shotai.show_mail($1)", true},
    [STATUS] = {"select * from shotai.mail_status()", true},
    [BOUNCE] = {"select * from shotai.report_bounce($1, $2)", false},
};

enum exit_status
ctl_mail_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"id", 8}, {"kind", 12}, {"state", 9}, {"tries", 3},
	    {"created_at", 24}, {"finished_at", 24}, {"announcement", 4}, {"user_id", 0}};
	const char *kind = NULL, *state = NULL, *limit = LISTED;
	const struct ctl_argument arguments[] = {
	    {.name = "--kind", .value = &kind, .optional = true, .words = "receipt|refund|announcement|support"},
	    {.name = "--state", .value = &state, .optional = true, .words = "waiting|sending|sent|failed|uncertain"},
	    {.name = "--limit", .value = &limit, .optional = true},
	};
	AUTO_DB_RESULT rows = NULL;
	int64_t number;

	if (!ctl_read(argc, argv, arguments, 3) || !ctl_integer(limit, 1, LISTED_MAX, &number))
		return ctl_usage(ctl);
	enum exit_status status =
	    ctl_call(ctl, "mail list", &statements[LIST], (const char *const[]){kind, state, limit}, 3, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, sizeof columns / sizeof *columns);
	return status;
}

/* A stranger's text: its lines stay, nothing else in it may move the terminal's cursor. */
static void
print_text(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; *c != '\0'; c++)
		if ((iscntrl((unsigned char)*c) && *c != '\n') ||
		    ((unsigned char)*c == 0xc2 && (unsigned char)c[1] < 0xa0))
			*c = ' ';
	printf("\n%s\n", copy);
}

enum exit_status
ctl_mail_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {
	    {"kind", 0}, {"state", 0}, {"created_at", 0}, {"user_id", 0}, {"reply_to", 0}};
	AUTO_DB_RESULT rows = NULL;
	int64_t id;

	if (argc != 1 || !ctl_integer(argv[0], 1, INT64_MAX, &id))
		return ctl_usage(ctl);
	enum exit_status status =
	    ctl_call(ctl, "mail show", &statements[SHOW], (const char *const[]){argv[0]}, 1, &rows);
	if (status != EXIT_DONE)
		return status;
	ctl_print(rows, columns, sizeof columns / sizeof *columns);
	if (db_text(rows, 0, "body") != NULL)
		print_text(ctl->arena, db_text(rows, 0, "body"));
	return EXIT_DONE;
}

enum exit_status
ctl_mail_status(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"name", 24}, {"value", 0}};
	AUTO_DB_RESULT rows = NULL;

	if (argc > 0)
		return ctl_usage(ctl);
	(void)argv;
	enum exit_status status = ctl_call_patiently(ctl, "mail status", &statements[STATUS], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, 2);
	return status;
}

/* Our part of a Message-ID; NULL when it is none of ours. */
static const char *
own_id(struct arena *arena, const char *message_id)
{
	if (message_id == NULL || strspn(message_id, "0123456789abcdef") != MESSAGE_ID || message_id[MESSAGE_ID] != '@')
		return NULL;
	return arena_strndup(arena, message_id, MESSAGE_ID);
}

/*
 * A mailbox pipes every mail into this, so what is no report of ours is no fault. Nothing of it is printed but the
 * status, which is digits and dots.
 */
enum exit_status
ctl_mail_bounce(struct ctl *ctl, int argc, char **argv)
{
	char *bytes = arena_alloc(ctl->arena, BOUNCE_MAX);
	struct delivery_status status;
	AUTO_DB_RESULT rows = NULL;

	if (argc > 0)
		return ctl_usage(ctl);
	(void)argv;
	size_t len = fread(bytes, 1, BOUNCE_MAX, stdin);
	if (!delivery_status_read(ctl->arena, bytes, len, &status)) {
		printf("no report of a failed delivery\n");
		return EXIT_DONE;
	}
	const char *id = own_id(ctl->arena, status.message_id);
	if (!delivery_status_is_final(status.status)) {
		printf("%s: says nothing about the address\n", status.status);
		return EXIT_DONE;
	}
	if (id == NULL) {
		printf("%s: not about a mail of ours\n", status.status);
		return EXIT_DONE;
	}
	enum exit_status found =
	    ctl_call(ctl, "mail bounce", &statements[BOUNCE], (const char *const[]){id, status.status}, 2, &rows);
	if (found == EXIT_DONE)
		printf("%s: recorded for %s\n", status.status, db_text(rows, 0, "user_id"));
	return found;
}
