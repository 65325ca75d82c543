#include "service/db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "service/db_connection.h"

#define CALL_TIMEOUT_MS 15000 /* behind statement_timeout: only a server that hangs meets it */
#define IDLE_MS 60000
#define REPEATS_MAX 3
#define SCRIPT_ERROR_MAX 1000

/* One call on its way. */
struct call {
	const struct db_statement *statement;
	const char *const *parameters;
	int count;
	bool sent; /* the server may have run it */
	PGresult *result;
};

static void
pause_ms(int64_t milliseconds)
{
	struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

struct db *
db_new(const char *url, const char *program, bool prepared)
{
	struct arena *arena = arena_new();
	struct db *db = arena_alloc(arena, sizeof *db);

	db->arena = arena;
	db->url = arena_strdup(arena, url);
	db->program = arena_strdup(arena, program);
	db->prepared = prepared;
	return db;
}

void
db_free(struct db *db)
{
	if (db == NULL)
		return;
	db_connection_close(db);
	digest_cleanse(db->url, strlen(db->url));
	arena_free(db->arena);
}

void
db_idle(struct db *db)
{
	if (db->connection != NULL && db_connection_now() - db->used_at >= IDLE_MS)
		db_connection_close(db);
}

static const char *
function_name(struct arena *arena, const char *sql)
{
	const char *start = strstr(sql, "shotai.");

	if (start == NULL)
		return "-";
	start += strlen("shotai.");
	return arena_strndup(arena, start, strspn(start, "abcdefghijklmnopqrstuvwxyz0123456789_"));
}

static void
log_error(struct arena *arena, enum log_level level, const char *event, const struct call *call)
{
	const char *constraint = PQresultErrorField(call->result, PG_DIAG_CONSTRAINT_NAME);

	log_event(level, event, "function", function_name(arena, call->statement->sql), "sqlstate",
	    PQresultErrorField(call->result, PG_DIAG_SQLSTATE), constraint == NULL ? NULL : "constraint", constraint,
	    NULL);
}

/* The statement's place among those known; DB_STATEMENTS_MAX when it must go unnamed. */
static size_t
statement_slot(struct db *db, const char *sql)
{
	size_t i = 0;

	if (!db->prepared)
		return DB_STATEMENTS_MAX;
	while (i < db->statement_count && strcmp(db->statements[i].sql, sql) != 0)
		i++;
	if (i == db->statement_count && i < DB_STATEMENTS_MAX) {
		db->statements[i].sql = arena_strdup(db->arena, sql);
		db->statements[i].ready = false;
		db->statement_count++;
	}
	return i;
}

static void
statement_name(size_t slot, char ret_name[static 16])
{
	snprintf(ret_name, 16, "s%zu", slot);
}

static enum db_outcome
finish(struct db *db, struct call *call, int accepted)
{
	int64_t until = db->patient ? -1 : db_connection_now() + CALL_TIMEOUT_MS;

	PQclear(call->result);
	call->result = accepted ? db_connection_collect(db, until) : NULL;
	return db_connection_judge(db, call->result);
}

static enum db_outcome
prepare(struct db *db, struct call *call, size_t slot)
{
	char name[16];
	enum db_outcome outcome;

	if (slot == DB_STATEMENTS_MAX || db->statements[slot].ready)
		return DB_DONE;
	statement_name(slot, name);
	outcome = finish(db, call, PQsendPrepare(db->connection, name, call->statement->sql, call->count, NULL));
	db->statements[slot].ready = outcome == DB_DONE;
	return outcome;
}

/* Drops a prepared statement whose plan no longer holds. */
static void
forget(struct db *db, const char *sql)
{
	size_t slot = statement_slot(db, sql);
	char name[16], command[32];

	if (slot == DB_STATEMENTS_MAX || !db->statements[slot].ready)
		return;
	statement_name(slot, name);
	snprintf(command, sizeof command, "deallocate %s", name);
	if (PQsendQuery(db->connection, command))
		PQclear(db_connection_collect(db, db_connection_now() + CALL_TIMEOUT_MS));
	db->statements[slot].ready = false;
}

static enum db_outcome
attempt(struct db *db, struct call *call)
{
	size_t slot;
	char name[16];
	enum db_outcome outcome;
	int accepted;

	call->sent = false;
	PQclear(call->result);
	call->result = NULL;
	if (db->connection == NULL && !db_connection_open(db))
		return DB_AWAY;
	if (!db_connection_alive(db))
		return DB_LOST;
	slot = statement_slot(db, call->statement->sql);
	outcome = prepare(db, call, slot);
	if (outcome != DB_DONE)
		return outcome;
	statement_name(slot, name);
	call->sent = true;
	if (slot == DB_STATEMENTS_MAX)
		accepted = PQsendQueryParams(
		    db->connection, call->statement->sql, call->count, NULL, call->parameters, NULL, NULL, 0);
	else
		accepted = PQsendQueryPrepared(db->connection, name, call->count, call->parameters, NULL, NULL, 0);
	return finish(db, call, accepted);
}

/* Whether the call may be made once more; waits and cleans up for it. */
static bool
may_repeat(struct db *db, struct arena *arena, const struct call *call, enum db_outcome outcome,
    unsigned int tries[static DB__COUNT])
{
	uint8_t jitter;

	switch (outcome) {
	case DB_AGAIN:
		if (tries[outcome]++ == REPEATS_MAX)
			return false;
		log_error(arena, LOG_INFO, "db_repeat", call);
		digest_random(&jitter, 1);
		pause_ms((int64_t)tries[outcome] * (2 + jitter % 16));
		return true;
	case DB_PREPARE:
		if (tries[outcome]++ > 0)
			return false;
		forget(db, call->statement->sql);
		return true;
	case DB_LOST:
		return tries[outcome]++ == 0 && (!call->sent || call->statement->read_only);
	case DB_DONE:
	case DB_AWAY:
	case DB_FAILED:
	case DB__COUNT:
		return false;
	}
	return false;
}

/* Makes the call, and again where that is safe. Leaves the last result in call. */
static enum db_outcome
run(struct db *db, struct arena *arena, struct call *call)
{
	unsigned int tries[DB__COUNT] = {0};

	for (;;) {
		bool whole = !db_connection_in_transaction(db);
		enum db_outcome outcome = attempt(db, call);
		bool repeat = whole && may_repeat(db, arena, call, outcome, tries);

		db->used_at = db_connection_now();
		if (outcome == DB_LOST) {
			if (call->sent)
				log_error(arena, LOG_WARN, "db_lost", call);
			db_connection_close(db);
		}
		if (!repeat)
			return outcome;
	}
}

/* A copy of a column of the first row; NULL: null, or there is no such column. */
static const char *
copy_first(struct arena *arena, const PGresult *result, const char *name)
{
	int column = PQfnumber(result, name);

	return column >= 0 && !PQgetisnull(result, 0, column) ? arena_strdup(arena, PQgetvalue(result, 0, column))
							      : NULL;
}

/* The problem in the first column of the first row, if it is called so. */
static enum problem
refusal_of(struct arena *arena, const PGresult *result, struct db_refusal *ret_refusal)
{
	struct db_refusal nowhere = {0};
	struct db_refusal *refusal = ret_refusal != NULL ? ret_refusal : &nowhere;

	if (PQntuples(result) == 0 || PQnfields(result) == 0 || strcmp(PQfname(result, 0), "problem") != 0)
		return PROBLEM_NONE;
	const char *rate = copy_first(arena, result, "rate");
	if (rate != NULL)
		refusal->rate = rate;
	if (PQgetisnull(result, 0, 0))
		return PROBLEM_NONE;
	const char *seconds = copy_first(arena, result, "retry_after");
	refusal->retry_after = seconds != NULL ? strtoimax(seconds, NULL, 10) : 0;
	refusal->extras = copy_first(arena, result, "extras");
	return problem_from_code(PQgetvalue(result, 0, 0));
}

static struct db_result *
result_release(PGresult **result)
{
	struct db_result *released = (struct db_result *)*result;

	*result = NULL;
	return released;
}

enum problem
db_call(struct db *db, struct arena *arena, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	struct call call = {.statement = statement, .parameters = parameters, .count = (int)count};
	enum db_outcome outcome = run(db, arena, &call);
	AUTO_PGRESULT result = call.result;
	enum problem problem;

	if (outcome == DB_LOST)
		return PROBLEM_DATABASE_UNAVAILABLE;
	if (outcome == DB_AWAY || outcome == DB_AGAIN) {
		if (result != NULL)
			log_error(arena, LOG_WARN, "db_busy", &call);
		return PROBLEM_DATABASE_UNAVAILABLE;
	}
	if (outcome != DB_DONE) {
		log_error(arena, LOG_ERROR, "db_failed", &call);
		return PROBLEM_INTERNAL;
	}
	problem = refusal_of(arena, result, ret_refusal);
	if (problem == PROBLEM_NONE)
		*ret_result = result_release(&result);
	return problem;
}

static const char *
script_error(struct arena *arena, const char *sql, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	struct text error;

	text_init(&error, arena, SCRIPT_ERROR_MAX);
	if (position != NULL) {
		intmax_t characters = strtoimax(position, NULL, 10), line = 1;

		for (const char *c = sql; *c != '\0' && characters > 1; c++) {
			line += *c == '\n';
			characters -= (c[1] & 0xc0) != 0x80;
		}
		text_printf(&error, "line %jd: ", line);
	}
	text_printf(&error, "%s %s", sqlstate == NULL ? "-" : sqlstate, message == NULL ? "connection lost" : message);
	for (char *c = error.data; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	return error.data;
}

enum problem
db_script(struct db *db, struct arena *arena, const char *sql, struct db_result **ret_result, const char **ret_error)
{
	AUTO_PGRESULT result = NULL;
	bool begun = db_connection_in_transaction(db);
	enum db_outcome outcome;

	if (db->connection != NULL && !db_connection_alive(db)) {
		db_connection_close(db);
		if (begun) {
			*ret_error = "- connection lost";
			return PROBLEM_DATABASE_UNAVAILABLE;
		}
	}
	if (db->connection == NULL && !db_connection_open(db)) {
		*ret_error = "- no connection";
		return PROBLEM_DATABASE_UNAVAILABLE;
	}
	if (PQsendQuery(db->connection, sql))
		result = db_connection_collect(db, -1);
	outcome = db_connection_judge(db, result);
	db->used_at = db_connection_now();
	if (outcome != DB_DONE) {
		*ret_error = script_error(arena, sql, result);
		if (outcome == DB_LOST)
			db_connection_close(db);
		return outcome == DB_LOST || outcome == DB_AWAY ? PROBLEM_DATABASE_UNAVAILABLE : PROBLEM_INTERNAL;
	}
	*ret_result = result_release(&result);
	return PROBLEM_NONE;
}

enum problem
db_call_patiently(struct db *db, struct arena *arena, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	static const char begin[] = "begin; set local statement_timeout = 0; set local lock_timeout = '10s'";
	AUTO_DB_RESULT begun = NULL;
	AUTO_DB_RESULT ended = NULL;
	const char *error = NULL;
	enum problem problem = db_script(db, arena, begin, &begun, &error);
	if (problem != PROBLEM_NONE)
		return problem;
	db->patient = true;
	problem = db_call(db, arena, statement, parameters, count, ret_result, ret_refusal);
	db->patient = false;
	bool keep = problem != PROBLEM_INTERNAL && problem != PROBLEM_DATABASE_UNAVAILABLE;
	enum problem end = db_script(db, arena, keep ? "commit" : "rollback", &ended, &error);
	return problem == PROBLEM_NONE ? end : problem;
}
