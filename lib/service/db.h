/*
 * The database, the only module that touches libpq: calls of functions in
 * schema shotai, nothing else.
 *
 * Each module keeps one const table of the statements it calls. A statement is
 * prepared at first use (sent unnamed with DATABASE_PREPARED=0), prepared
 * again, once, after 0A000, 26000 or 42883, run again up to three times after
 * 40P01 and 40001, and a lost connection is opened again once: before anything
 * was sent, or when the call is marked read_only. A write whose answer was lost
 * is never repeated here.
 *
 * Refusals are results: when the first column is named `problem` and the first
 * row holds a code there, db_call returns that problem; the columns
 * `retry_after` (seconds) and `extras` (a JSON object) go to struct db_refusal; a
 * column `rate` does so whether the answer is a refusal or not.
 *
 * Only SQLSTATE, function name and constraint name are ever logged.
 */
#ifndef SHOTAI_DB_H
#define SHOTAI_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct arena;
struct config;
struct db;

struct db_statement {
	const char *sql; /* "select * from shotai.get_account($1, $2)" */
	bool read_only;  /* may be repeated after a lost connection */
};

struct db_refusal {
	int64_t retry_after; /* seconds, 0: none */
	const char *extras;  /* JSON object in the arena, or NULL */
	const char *rate;    /* what the last admitting function said of the rate, refused or not, or NULL */
};

struct db_result;

/*
 * Whether url may be used: it is a connection string without a service, and
 * local, or has sslmode=verify-full with sslrootcert. Else *ret_reason says
 * what it must be. No other connection is ever opened.
 */
bool db_url_acceptable(const char *url, const char **ret_reason);
/* db_url_acceptable for every database setting; false writes one line naming the first that is not. For main. */
bool db_config_acceptable(const struct config *config, char *ret_error, size_t error_size);

/*
 * A connection that is opened at first use and closed after 60 s idle
 * (db_idle). url is a libpq connection string, program its application_name.
 */
struct db *db_new(const char *url, const char *program, bool prepared);
void db_free(struct db *db);

/*
 * Calls statement with count text parameters (NULL is SQL null).
 * PROBLEM_NONE: *ret_result holds the rows (free with db_result_free).
 * A refusal: its problem, *ret_refusal filled when not NULL.
 * PROBLEM_DATABASE_UNAVAILABLE: no connection, 57P0x, 53xxx, a timeout, or
 * 40001 and 40P01 to the end.
 * PROBLEM_INTERNAL: anything else, logged.
 */
[[nodiscard]] enum problem db_call(struct db *db, struct arena *arena, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal);

/* Closes a connection that was not used for 60 s; called while a process waits. */
void db_idle(struct db *db);

void db_result_free(struct db_result *result);
static inline void
db_result_cleanup(struct db_result **result)
{
	db_result_free(*result);
}
#define AUTO_DB_RESULT __attribute__((cleanup(db_result_cleanup))) struct db_result *

size_t db_rows(const struct db_result *result);
/*
 * The value in a row of the named column, NULL for SQL null; it lives as long
 * as the result. An unknown column aborts: binaries and functions deploy in step.
 */
const char *db_text(const struct db_result *result, size_t row, const char *column);
/* As integer or boolean; SQL null gives 0 and false. */
int64_t db_integer(const struct db_result *result, size_t row, const char *column);
bool db_boolean(const struct db_result *result, size_t row, const char *column);

/* Formats an integer parameter. */
const char *db_parameter(struct arena *arena, int64_t value);
/* A PostgreSQL array literal of text items, quoted. */
const char *db_array(struct arena *arena, const char *const *items, size_t count);

/*
 * Runs a script of several statements by the simple protocol, for shotaictl
 * only, and waits as long as it takes. *ret_result holds the rows of the last statement. On failure *ret_error
 * is one line in the arena: "SQLSTATE message", preceded by "line N: " where
 * the server names a place. Inside a transaction that a script began, a lost
 * connection is not opened again.
 */
[[nodiscard]] enum problem db_script(
    struct db *db, struct arena *arena, const char *sql, struct db_result **ret_result, const char **ret_error);
/*
 * db_call without an end to its patience, in a transaction of its own: for
 * shotaictl, where a person waits for what reads everything.
 */
[[nodiscard]] enum problem db_call_patiently(struct db *db, struct arena *arena, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal);

/*
 * A small pool for multi-threaded programs: at most size connections,
 * handed out one at a time. db_pool_take blocks until one is free.
 */
struct db_pool;
struct db_pool *db_pool_new(const char *url, const char *program, bool prepared, size_t size);
void db_pool_free(struct db_pool *pool);
struct db *db_pool_take(struct db_pool *pool);
void db_pool_give(struct db_pool *pool, struct db *db);

#endif
