/*
 * The operator's command line: one table of commands, one file per group.
 *
 * Each command gets its own arguments and answers with an exit status. What a
 * person should read goes to stdout, one line per fact; an error is one line
 * on stderr.
 */
#ifndef SHOTAI_SHOTAICTL_H
#define SHOTAI_SHOTAICTL_H

#include "base/arena.h"
#include "base/config.h"
#include "base/problem.h"
#include "service/db.h"

enum exit_status {
	EXIT_DONE,
	EXIT_FOUND, /* audit found faults; a refusal */
	EXIT_FAILED /* the command could not be carried out, or was not understood */
};

struct command;

struct ctl {
	struct config *config;
	struct arena *arena;
	struct db *db; /* of the setting that the command needs; NULL when it needs none */
	const struct command *command;
};

struct command {
	const char *name; /* one or two words */
	const char *usage, *summary;
	enum config_name needs; /* the database it talks to; CONFIG_NAME__COUNT: none */
	enum exit_status (*run)(struct ctl *ctl, int argc, char **argv);
};

enum exit_status ctl_migrate(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_config(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_audit(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_status(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_credits_grant(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_storage_copy(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_share_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_share_take_down(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_share_dismiss(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_credits_adjust(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_product_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_product_add(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_product_set(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_product_price(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_model_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_model_price(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_model_enable(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_model_disable(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_plan_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_plan_add(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_plan_set(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_plan_give(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_billing_live(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_billing_refunds(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_webhooks_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_webhooks_show(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_webhooks_replay(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_webhooks_link(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_erasures(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_erasures_replay(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_hold_set(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_hold_lift(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_disclose(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_reconcile(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_policy_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_policy_add(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_dispute_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_dispute_won(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_dispute_lost(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_doctor(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_telemetry_status(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_telemetry_show(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_telemetry_purge(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_announce(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_announce_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_announce_pause(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_announce_resume(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_announce_cancel(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_announce_rate(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_mail_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_mail_show(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_mail_status(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_mail_bounce(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_anomalies_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_anomalies_show(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_anomalies_resolve(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_account_show(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_account_suspend(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_account_restore(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_disposable_list(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_disposable_add(struct ctl *ctl, int argc, char **argv);
enum exit_status ctl_disposable_remove(struct ctl *ctl, int argc, char **argv);

/* One line on stderr; gives EXIT_FAILED. */
enum exit_status ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for what the database answered: a refusal is EXIT_FOUND, anything else EXIT_FAILED. */
enum exit_status ctl_refuse(const char *what, enum problem problem);
/* The same: how the command is used. */
enum exit_status ctl_usage(const struct ctl *ctl);

/* Of the options --NAME VALUE: the value of argv[*index], *index moved past it; NULL when argv[*index] is not --name
 * or lacks its value. */
const char *ctl_option(int argc, char **argv, int *index, const char *name);

/* An argument of a command: a word in its place, an option with a value, or a switch. */
struct ctl_argument {
	const char *name;   /* "--reason"; NULL: a word */
	const char **value; /* stays as it is when the argument is not there */
	bool *on;           /* of a switch, instead of value */
	bool optional;
	const char *words; /* what it may be, separated by "|"; NULL: anything */
};

/* Reads all of argv; false when something is missing, given twice or not understood. */
bool ctl_read(int argc, char **argv, const struct ctl_argument *arguments, size_t count);
/* A whole number from min to max. */
bool ctl_integer(const char *text, int64_t min, int64_t max, int64_t *ret_number);
/* Whether text is a time like 2030-01-31T12:00:00Z. */
bool ctl_is_time(const char *text);
/* Who types this, for the books: the login name, which is no customer's data. */
const char *ctl_operator(struct arena *arena);

struct ctl_column {
	const char *name;
	int width; /* at least; the last column's does not matter */
};

/* Prints the columns of each row on a line, "-" for what is null. */
void ctl_print(const struct db_result *rows, const struct ctl_column *columns, size_t count);
/* Prints a result of two text columns, a row on a line. */
void ctl_print_pairs(const struct db_result *rows, const char *name, const char *value);
/* Calls a statement that answers a refusal or rows; a refusal is told on stderr with its extras. */
enum exit_status ctl_call(struct ctl *ctl, const char *what, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_rows);
/* The same for what reads all accounts or a week of requests, which takes longer than people wait for a page. */
enum exit_status ctl_call_patiently(struct ctl *ctl, const char *what, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_rows);

/* The id of a person given as a UUID or an e-mail address. */
enum exit_status ctl_find_user(struct ctl *ctl, const char *user, const char **ret_user_id);

#endif
