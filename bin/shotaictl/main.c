#include "shotaictl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static const struct command commands[] = {
    {
	.name = "migrate",
	.usage = "[--sql DIR] [--emit]",
	.summary = "bring the database up to date; --emit: write the functions as a migration file instead",
	.needs = CONFIG_DATABASE_ADMIN_URL,
	.run = ctl_migrate,
    },
    {
	.name = "config",
	.usage = "",
	.summary = "print the effective settings, secrets masked",
	.needs = CONFIG_NAME__COUNT,
	.run = ctl_config,
    },
    {
	.name = "audit",
	.usage = "",
	.summary = "check every invariant of the books; 0: clean, 1: the offending rows follow, 2: could not check",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_audit,
    },
    {
	.name = "status",
	.usage = "",
	.summary = "queue, accounts, lots and liabilities",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_status,
    },
    {
	.name = "credits grant",
	.usage = "USER N --reason TEXT [--expires RFC3339]",
	.summary = "give USER (a uuid or an e-mail address) N credits",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_credits_grant,
    },
    {
	.name = "credits adjust",
	.usage = "USER N --reason TEXT",
	.summary = "correct the credits of USER by N, which may be less than 0",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_credits_adjust,
    },
    {
	.name = "product list",
	.usage = "",
	.summary = "what is sold: id, kind, credits, cents, currency, interval, from when, rolls over, enabled, "
		   "Creem's id, name",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_product_list,
    },
    {
	.name = "product add",
	.usage = "ID --kind subscription|top_up --name TEXT [--name-nl TEXT] [--interval month|year] [--rollover "
		 "on|off] [--creem ID] [--position N] [--enabled on|off]",
	.summary = "a new product; it is offered once it has a price and Creem's id",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_product_add,
    },
    {
	.name = "product set",
	.usage = "ID [--name TEXT] [--name-nl TEXT] [--interval month|year] [--rollover on|off] [--creem ID] "
		 "[--position N] [--enabled on|off]",
	.summary = "change a product; what is paid for one that is off is still granted",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_product_set,
    },
    {
	.name = "product price",
	.usage = "ID --credits N --cents N --currency EUR [--from RFC3339]",
	.summary = "a new version of a product's price; what was paid before keeps its own",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_product_price,
    },
    {
	.name = "model list",
	.usage = "",
	.summary = "the models: id, provider, credits, from when, enabled, provider enabled, name",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_model_list,
    },
    {
	.name = "model price",
	.usage = "ID CREDITS [--from RFC3339]",
	.summary = "a new version of a model's price",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_model_price,
    },
    {
	.name = "model enable",
	.usage = "ID",
	.summary = "take orders for a model",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_model_enable,
    },
    {
	.name = "model disable",
	.usage = "ID",
	.summary = "take no orders for a model",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_model_disable,
    },
    {
	.name = "plan list",
	.usage = "",
	.summary = "the plans: id, accounts, and each limit with its value",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_plan_list,
    },
    {
	.name = "plan add",
	.usage = "PLAN",
	.summary = "a new plan, with the values that a new installation has",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_plan_add,
    },
    {
	.name = "plan set",
	.usage = "PLAN NAME N",
	.summary = "change a limit of a plan, or its welcome_credits; plan list tells the names",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_plan_set,
    },
    {
	.name = "plan give",
	.usage = "USER PLAN --reason TEXT",
	.summary = "put a person on a plan",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_plan_give,
    },
    {
	.name = "billing refunds",
	.usage = "[--since RFC3339]",
	.summary = "credits that generations gave back, by person and cause, the most first",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_billing_refunds,
    },
    {
	.name = "billing live",
	.usage = "on|off",
	.summary = "on: only what Creem calls prod counts; off: only the rest",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_billing_live,
    },
    {
	.name = "webhooks list",
	.usage = "[--state parked|failed|ignored|applied] [--limit N]",
	.summary = "Creem's events, newest first: time, id, state, type, reason, what it changed",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_webhooks_list,
    },
    {
	.name = "webhooks show",
	.usage = "ID",
	.summary = "one event with all that is kept of it",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_webhooks_show,
    },
    {
	.name = "webhooks replay",
	.usage = "ID",
	.summary = "apply a stored event again; one that was applied changes nothing",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_webhooks_replay,
    },
    {
	.name = "webhooks link",
	.usage = "customer|subscription|order|checkout|transaction ID USER --reason TEXT",
	.summary = "say whose an id of Creem is, and apply what waited for that",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_webhooks_link,
    },
    {
	.name = "reconcile",
	.usage = "[--dry-run]",
	.summary = "ask Creem for what its webhooks did not tell, and repair it; 1: something is left to an operator",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_reconcile,
    },
    {
	.name = "dispute list",
	.usage = "[--open]",
	.summary =
	    "chargebacks: opened, id, state, person, payment, transaction, cents, currency, revoked credits, loss",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_dispute_list,
    },
    {
	.name = "dispute won",
	.usage = "ID --reason TEXT",
	.summary = "close a dispute (its id or the payment's): the credits come back",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_dispute_won,
    },
    {
	.name = "dispute lost",
	.usage = "ID --reason TEXT",
	.summary = "close a dispute (its id or the payment's): the credits stay away",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_dispute_lost,
    },
    {
	.name = "policy list",
	.usage = "",
	.summary = "versions of the privacy policy: version, from when, material, state, accounts that acknowledged it "
		   "last, change",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_policy_list,
    },
    {
	.name = "policy add",
	.usage = "VERSION --change TEXT --change-nl TEXT [--from RFC3339] [--minor]",
	.summary = "publish the installed text as a new version; all are asked to acknowledge it, unless it is minor",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_policy_add,
    },
    {
	.name = "share list",
	.usage = "[--all]",
	.summary = "the queue of reported shares: those of who was taken down before, then what waits longest; "
		   "--all: every share there is",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_share_list,
    },
    {
	.name = "share take-down",
	.usage = "SLUG --reason TEXT",
	.summary = "take a share (its slug or address) off the air; its picture cannot be shared again",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_share_take_down,
    },
    {
	.name = "share dismiss",
	.usage = "SLUG --reason TEXT",
	.summary = "close the reports of a share, which stays",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_share_dismiss,
    },
    {
	.name = "doctor",
	.usage = "[--hosts N]",
	.summary = "look an installation over: OK, WARN or FAIL by line, with what to do; N: how many hosts share the "
		   "database; 1: something failed",
	.needs = CONFIG_NAME__COUNT,
	.run = ctl_doctor,
    },
    {
	.name = "telemetry status",
	.usage = "",
	.summary = "what is recorded of requests (TELEMETRY), how much of it there is, and what was dropped",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_telemetry_status,
    },
    {
	.name = "telemetry show",
	.usage = "[--since RFC3339] [--by route|address]",
	.summary = "requests since then (24 hours ago) by route or address, the most first",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_telemetry_show,
    },
    {
	.name = "telemetry purge",
	.usage = "",
	.summary = "forget all of it now",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_telemetry_purge,
    },
    {
	.name = "erasures replay",
	.usage = "[--dry-run]",
	.summary =
	    "after a backup was restored, before workers start: erase and delete again what the journal in storage "
	    "tells",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_erasures_replay,
    },
    {
	.name = "erasures",
	.usage = "[--pending]",
	.summary =
	    "accounts that were erased, newest first: asked, id, cause, state, done, pseudonym, how much of what "
	    "(?: not yet), why it waits",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_erasures,
    },
    {
	.name = "hold set",
	.usage = "USER --basis TEXT",
	.summary = "keep what USER has: who asks for erasure is locked out, and nothing is erased until hold lift",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_hold_set,
    },
    {
	.name = "hold lift",
	.usage = "USER --basis TEXT",
	.summary = "end a hold; an erasure that was asked for goes on",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_hold_lift,
    },
    {
	.name = "disclose",
	.usage = "USER --basis TEXT",
	.summary = "what the law may ask for: who USER is and what was paid, as JSON; logged and counted",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_disclose,
    },
    {
	.name = "announce list",
	.usage = "",
	.summary = "announcements, newest first: id, state, times, mails written, sent, waiting, failed, uncertain, "
		   "people still to come, subject",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_announce_list,
    },
    {
	.name = "announce pause",
	.usage = "ID",
	.summary = "send no more of an announcement for now",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_announce_pause,
    },
    {
	.name = "announce resume",
	.usage = "ID",
	.summary = "go on with a paused announcement",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_announce_resume,
    },
    {
	.name = "announce cancel",
	.usage = "ID",
	.summary = "end an announcement; what is under way still arrives",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_announce_cancel,
    },
    {
	.name = "announce rate",
	.usage = "N",
	.summary = "send so many announcements a minute, all workers together",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_announce_rate,
    },
    {
	.name = "announce",
	.usage = "FILE.md [--dry-run | --preview DIR | --send]",
	.summary = "mail a Markdown file (- is standard input) to everybody who wants announcements: \"# en: Subject\" "
		   "and \"# nl: Onderwerp\" open its two parts; counts only, writes the mails to DIR, or sends; the "
		   "same file is sent once",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_announce,
    },
    {
	.name = "mail list",
	.usage =
	    "[--kind receipt|refund|announcement|support] [--state waiting|sending|sent|failed|uncertain] [--limit N]",
	.summary = "the outbox, newest first: id, kind, state, tries, times, announcement, person",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_mail_list,
    },
    {
	.name = "mail show",
	.usage = "ID",
	.summary = "one mail; of a message to support that was not sent also its text",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_mail_show,
    },
    {
	.name = "mail status",
	.usage = "",
	.summary = "the outbox in numbers, who wants mails, and bounces",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_mail_status,
    },
    {
	.name = "mail bounce",
	.usage = "",
	.summary = "read a delivery status notification from standard input; no more mail goes to an address that is "
		   "refused for good",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_mail_bounce,
    },
    {
	.name = "anomalies list",
	.usage = "[--all]",
	.summary = "open findings of abuse, the gravest first: id, state, action, signal, score, person, account's "
		   "status, first and last time, end; --all: also what was closed",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_anomalies_list,
    },
    {
	.name = "anomalies show",
	.usage = "ID",
	.summary = "one finding with its evidence",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_anomalies_show,
    },
    {
	.name = "anomalies resolve",
	.usage = "ID [--restore|--keep] --reason TEXT",
	.summary =
	    "close a finding: --restore (if neither is given) calls it mistaken and lifts what it did; --keep calls it "
	    "right, and the account stays as it is until it is restored",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_anomalies_resolve,
    },
    {
	.name = "account show",
	.usage = "USER",
	.summary = "what helps to judge an account: sums, findings, what operators did",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_account_show,
    },
    {
	.name = "account suspend",
	.usage = "USER --reason TEXT",
	.summary = "close an account to all that spends or makes; what is queued is cancelled",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_account_suspend,
    },
    {
	.name = "account restore",
	.usage = "USER --reason TEXT",
	.summary = "lift every restriction of an account but a dispute's",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_account_restore,
    },
    {
	.name = "disposable list",
	.usage = "",
	.summary = "domains of throw-away addresses, which get no welcome credits",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_disposable_list,
    },
    {
	.name = "disposable add",
	.usage = "DOMAIN",
	.summary = "refuse welcome credits to a domain and those below it",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_disposable_add,
    },
    {
	.name = "disposable remove",
	.usage = "DOMAIN",
	.summary = "give them again",
	.needs = CONFIG_DATABASE_OPERATOR_URL,
	.run = ctl_disposable_remove,
    },
    {
	.name = "storage copy",
	.usage = "FROM TO [--dry-run]",
	.summary =
	    "copy what is missing from one place (file, file:/PATH, r2) to another, then compare every object; can be "
	    "repeated; 1: objects differ or are missing",
	.needs = CONFIG_NAME__COUNT,
	.run = ctl_storage_copy,
    },
};

static const size_t command_count = sizeof commands / sizeof commands[0];

static void
print_help(FILE *to)
{
	fprintf(to, "usage: shotaictl COMMAND\n\n");
	for (size_t i = 0; i < command_count; i++)
		fprintf(to, "  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].summary);
	fprintf(to, "\nCOMMAND --help tells about one. Settings come from the environment.\n");
}

/* How many words of argv name the command, 0: not this one. */
static int
command_matches(const struct command *command, int argc, char **argv)
{
	const char *rest = command->name;
	for (int words = 0; words < argc; words++) {
		size_t len = strcspn(rest, " ");
		if (strlen(argv[words]) != len || strncmp(argv[words], rest, len) != 0)
			return 0;
		if (rest[len] == '\0')
			return words + 1;
		rest += len + 1;
	}
	return 0;
}

static bool
asks_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static void
ctl_close(struct ctl *ctl)
{
	arena_free(ctl->arena);
	if (ctl->db != NULL)
		db_free(ctl->db);
	if (ctl->config != NULL)
		config_free(ctl->config);
}

static enum exit_status
command_run(const struct command *command, int argc, char **argv)
{
	__attribute__((cleanup(ctl_close))) struct ctl ctl = {.arena = arena_new(), .command = command};
	char error[256];
	if (asks_help(argc, argv)) {
		printf("usage: shotaictl %s %s\n%s\n", command->name, command->usage, command->summary);
		return EXIT_DONE;
	}
	ctl.config = config_load(error, sizeof error);
	if (ctl.config == NULL || !db_config_acceptable(ctl.config, error, sizeof error))
		return ctl_fail("%s", error);
	if (command->needs != CONFIG_NAME__COUNT) {
		const char *url = config_text(ctl.config, command->needs);
		if (url == NULL)
			return ctl_fail("%s is not set", config_name(command->needs));
		ctl.db = db_new(url, "shotaictl", false);
	}
	return command->run(&ctl, argc, argv);
}

int
main(int argc, char **argv)
{
	log_open("shotaictl", LOG_ERROR);
	for (size_t i = 0; i < command_count; i++) {
		int words = command_matches(&commands[i], argc - 1, argv + 1);
		if (words > 0)
			return (int)command_run(&commands[i], argc - 1 - words, argv + 1 + words);
	}
	if (argc > 1 && asks_help(1, argv + 1)) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("shotaictl %s\n", SHOTAI_VERSION);
		return EXIT_DONE;
	}
	print_help(stderr);
	return EXIT_FAILED;
}

enum exit_status
ctl_fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("shotaictl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return EXIT_FAILED;
}

enum exit_status
ctl_usage(const struct ctl *ctl)
{
	return ctl_fail("usage: shotaictl %s %s", ctl->command->name, ctl->command->usage);
}

enum exit_status
ctl_refuse(const char *what, enum problem problem)
{
	const struct problem_kind *kind = problem_describe(problem);
	enum exit_status status = ctl_fail("%s: %s (%s)", what, kind->title[LANGUAGE_EN], kind->code);
	return kind->status < 500 ? EXIT_FOUND : status;
}

const char *
ctl_option(int argc, char **argv, int *index, const char *name)
{
	if (strcmp(argv[*index], name) != 0 || *index + 1 >= argc)
		return NULL;
	*index += 1;
	return argv[*index];
}
