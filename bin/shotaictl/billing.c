#include "shotaictl.h"

#include <stdio.h>
#include <string.h>

enum { REFUNDS, EVENTS, EVENT, REPLAY, LINK, DISPUTES, CLOSE_DISPUTE, ADJUST };

static const struct db_statement statements[] = {
    [REFUNDS] = {"select * from shotai.list_refund_classes($1)", true},
    [EVENTS] = {"select * from shotai.list_events($1, $2, $3)", true},
    [EVENT] = {"select * from shotai.show_event($1)", true},
    [REPLAY] = {"select * from shotai.replay_event($1, $2)", false},
    [LINK] = {"select * from shotai.link_creem($1, $2, $3, $4, $5)", false},
    [DISPUTES] = {"select * from shotai.list_disputes($1)", true},
    [CLOSE_DISPUTE] = {"select * from shotai.close_dispute($1, $2, $3, $4)", false},
    [ADJUST] = {"select * from shotai.adjust_credits($1, $2, $3, $4)", false},
};

#define PAGE 100
#define LIMIT_DEFAULT 50
#define LIMIT_MAX 1000000
#define ADJUST_MAX 1000000000
#define LEN(array) (sizeof(array) / sizeof *(array))

enum exit_status
ctl_billing_refunds(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {
	    {"user_id", 36}, {"class", 16}, {"generations", 8}, {"credits", 10}, {"share", 0}};
	const char *since = NULL;
	const struct ctl_argument arguments[] = {{.name = "--since", .value = &since, .optional = true}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) || (since != NULL && !ctl_is_time(since)))
		return ctl_usage(ctl);
	enum exit_status status = ctl_call(ctl, "billing refunds", &statements[REFUNDS], &since, 1, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, LEN(columns));
	return status;
}

/* Prints the events of a state, newest first, up to limit. */
static enum exit_status
print_events(struct ctl *ctl, const char *state, int64_t limit)
{
	static const struct ctl_column columns[] = {
	    {"received_at", 24}, {"id", 28}, {"state", 8}, {"type", 28}, {"reason", 10}, {"subject", 0}};
	const char *cursor = NULL;
	enum exit_status status = EXIT_DONE;
	do {
		AUTO_DB_RESULT rows = NULL;
		const char *const parameters[] = {state, db_parameter(ctl->arena, limit < PAGE ? limit : PAGE), cursor};
		status = ctl_call(ctl, "webhooks list", &statements[EVENTS], parameters, LEN(parameters), &rows);
		if (status != EXIT_DONE || db_rows(rows) == 0)
			break;
		ctl_print(rows, columns, LEN(columns));
		size_t last = db_rows(rows) - 1;
		limit -= (int64_t)db_rows(rows);
		cursor =
		    db_boolean(rows, last, "more") ? arena_strdup(ctl->arena, db_text(rows, last, "cursor")) : NULL;
	} while (cursor != NULL && limit > 0);
	return status;
}

enum exit_status
ctl_webhooks_list(struct ctl *ctl, int argc, char **argv)
{
	const char *state = NULL, *wanted = NULL;
	const struct ctl_argument arguments[] = {
	    {.name = "--state", .value = &state, .optional = true, .words = "parked|failed|ignored|applied"},
	    {.name = "--limit", .value = &wanted, .optional = true},
	};
	int64_t limit = LIMIT_DEFAULT;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) ||
	    (wanted != NULL && !ctl_integer(wanted, 1, LIMIT_MAX, &limit)))
		return ctl_usage(ctl);
	return print_events(ctl, state, limit);
}

enum exit_status
ctl_webhooks_show(struct ctl *ctl, int argc, char **argv)
{
	static const char *const columns[] = {"id", "type", "state", "reason", "subject", "user_id", "keys", "tries",
	    "sent_at", "received_at", "handled_at", "raw"};
	const char *id = NULL;
	const struct ctl_argument arguments[] = {{.value = &id}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	enum exit_status status = ctl_call(ctl, id, &statements[EVENT], &id, 1, &rows);
	for (size_t i = 0; status == EXIT_DONE && i < LEN(columns); i++) {
		const char *text = db_text(rows, 0, columns[i]);
		printf("%-12s %s\n", columns[i], text != NULL ? text : "-");
	}
	return status;
}

enum exit_status
ctl_webhooks_replay(struct ctl *ctl, int argc, char **argv)
{
	const char *id = NULL;
	const struct ctl_argument arguments[] = {{.value = &id}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	const char *const parameters[] = {id, ctl_operator(ctl->arena)};
	enum exit_status status = ctl_call(ctl, id, &statements[REPLAY], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("%s %s\n", id, db_text(rows, 0, "outcome"));
	return status;
}

enum exit_status
ctl_webhooks_link(struct ctl *ctl, int argc, char **argv)
{
	const char *kind = NULL, *id = NULL, *user = NULL, *reason = NULL, *user_id = NULL;
	const struct ctl_argument arguments[] = {
	    {.value = &kind}, {.value = &id}, {.value = &user}, {.name = "--reason", .value = &reason}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	enum exit_status status = ctl_find_user(ctl, user, &user_id);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {kind, id, user_id, reason, ctl_operator(ctl->arena)};
	status = ctl_call(ctl, "webhooks link", &statements[LINK], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("linked; %s parked events applied\n", db_text(rows, 0, "applied"));
	return status;
}

enum exit_status
ctl_dispute_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"opened_at", 24}, {"id", 28}, {"state", 6}, {"user_id", 36},
	    {"payment_id", 36}, {"transaction_id", 28}, {"amount_cents", 8}, {"currency", 4}, {"revoked", 8},
	    {"loss", 0}};
	bool open = false;
	const struct ctl_argument arguments[] = {{.name = "--open", .on = &open}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	const char *parameter = open ? "true" : "false";
	enum exit_status status = ctl_call(ctl, "dispute list", &statements[DISPUTES], &parameter, 1, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, LEN(columns));
	return status;
}

static enum exit_status
dispute_close(struct ctl *ctl, int argc, char **argv, const char *won)
{
	const char *id = NULL, *reason = NULL;
	const struct ctl_argument arguments[] = {{.value = &id}, {.name = "--reason", .value = &reason}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	const char *const parameters[] = {id, won, ctl_operator(ctl->arena), reason};
	enum exit_status status = ctl_call(ctl, id, &statements[CLOSE_DISPUTE], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf(
		    "dispute %s is closed, balance %s\n", db_text(rows, 0, "dispute_id"), db_text(rows, 0, "balance"));
	return status;
}

enum exit_status
ctl_dispute_won(struct ctl *ctl, int argc, char **argv)
{
	return dispute_close(ctl, argc, argv, "true");
}

enum exit_status
ctl_dispute_lost(struct ctl *ctl, int argc, char **argv)
{
	return dispute_close(ctl, argc, argv, "false");
}

enum exit_status
ctl_credits_adjust(struct ctl *ctl, int argc, char **argv)
{
	const char *user = NULL, *amount = NULL, *reason = NULL, *user_id = NULL;
	const struct ctl_argument arguments[] = {
	    {.value = &user}, {.value = &amount}, {.name = "--reason", .value = &reason}};
	int64_t number = 0;
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)) ||
	    !ctl_integer(amount, -ADJUST_MAX, ADJUST_MAX, &number) || number == 0)
		return ctl_usage(ctl);
	enum exit_status status = ctl_find_user(ctl, user, &user_id);
	if (status != EXIT_DONE)
		return status;
	const char *const parameters[] = {user_id, amount, reason, ctl_operator(ctl->arena)};
	status = ctl_call(ctl, "credits adjust", &statements[ADJUST], parameters, LEN(parameters), &rows);
	if (status == EXIT_DONE)
		printf("adjusted by %s credits, balance %s\n", amount, db_text(rows, 0, "balance"));
	return status;
}
