#include "service/db.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"

#define STATEMENTS_MAX 64
#define CALL_TIMEOUT_MS 15000 /* behind statement_timeout: only a server that hangs meets it */
#define IDLE_MS 60000
#define REPEATS_MAX 3
#define SCRIPT_ERROR_MAX 1000

struct db {
	struct arena *arena;
	const char *url, *program;
	bool prepared;
	PGconn *connection; /* NULL: closed */
	int64_t used_at;    /* monotonic, milliseconds */
	bool ending;        /* the server said that it closes this connection */
	bool away;          /* the last attempt to connect failed, and was logged */
	struct {
		const char *sql;
		bool ready; /* prepared on this connection */
	} statements[STATEMENTS_MAX];
	size_t statement_count;
};

/* What an error means for the call. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_AGAIN,   /* rolled back by the server: run it again */
	OUTCOME_PREPARE, /* the plan is out of date: prepare it again */
	OUTCOME_LOST,    /* the connection is gone */
	OUTCOME_AWAY,    /* the database cannot serve this now */
	OUTCOME_FAILED,
};

static const struct {
	const char *sqlstate; /* or its beginning */
	enum outcome outcome;
} outcomes[] = {
    {"40001", OUTCOME_AGAIN},
    {"40P01", OUTCOME_AGAIN},
    {"0A000", OUTCOME_PREPARE},
    {"26000", OUTCOME_PREPARE},
    {"42883", OUTCOME_PREPARE},
    {"57014", OUTCOME_AWAY}, /* statement_timeout */
    {"55P03", OUTCOME_AWAY}, /* lock_timeout */
    {"25006", OUTCOME_LOST}, /* this server became a standby */
    {"25P03", OUTCOME_LOST},
    {"57P", OUTCOME_LOST},
    {"53", OUTCOME_AWAY},
    {"08", OUTCOME_LOST},
};

/* One call on its way. */
struct call {
	const struct db_statement *statement;
	const char *const *parameters;
	int count;
	bool sent; /* the server may have run it */
	PGresult *result;
};

static void
pgresult_cleanup(PGresult **result)
{
	PQclear(*result);
}
#define AUTO_PGRESULT __attribute__((cleanup(pgresult_cleanup))) PGresult *

static void
options_cleanup(PQconninfoOption **options)
{
	PQconninfoFree(*options);
}
#define AUTO_OPTIONS __attribute__((cleanup(options_cleanup))) PQconninfoOption *

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
pause_ms(int64_t milliseconds)
{
	struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* The value in the connection string, else the one that libpq takes from the environment. */
static const char *
option_value(const PQconninfoOption *url, const PQconninfoOption *defaults, const char *keyword)
{
	const PQconninfoOption *sources[] = {url, defaults};

	for (size_t i = 0; i < 2; i++)
		for (const PQconninfoOption *option = sources[i]; option != NULL && option->keyword != NULL; option++)
			if (strcmp(option->keyword, keyword) == 0 && option->val != NULL && *option->val != '\0')
				return option->val;
	return "";
}

static bool
is_local(const char *host)
{
	struct in_addr address;

	return *host == '\0' || *host == '/' || *host == '@' || strcmp(host, "localhost") == 0 ||
	       strcmp(host, "::1") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static bool
are_local(const char *hosts)
{
	for (;; hosts++) {
		char host[256];
		size_t len = strcspn(hosts, ",");

		if (len >= sizeof host)
			return false;
		memcpy(host, hosts, len);
		host[len] = '\0';
		if (!is_local(host))
			return false;
		hosts += len;
		if (*hosts == '\0')
			return true;
	}
}

bool
db_url_acceptable(const char *url, const char **ret_reason)
{
	AUTO_OPTIONS options = PQconninfoParse(url, NULL);
	AUTO_OPTIONS defaults = PQconndefaults();

	if (options == NULL) {
		*ret_reason = "a PostgreSQL connection string";
		return false;
	}
	if (*option_value(options, defaults, "service") != '\0') {
		*ret_reason = "without a service";
		return false;
	}
	if (are_local(option_value(options, defaults, "host")) &&
	    are_local(option_value(options, defaults, "hostaddr")))
		return true;
	*ret_reason = "local, or have sslmode=verify-full with sslrootcert";
	return strcmp(option_value(options, defaults, "sslmode"), "verify-full") == 0 &&
	       *option_value(options, defaults, "sslrootcert") != '\0';
}

bool
db_config_acceptable(const struct config *config, char *ret_error, size_t error_size)
{
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++) {
		const char *reason, *url = config_text(config, name);

		if (config_kind(name) == CONFIG_KIND_DATABASE && url != NULL && !db_url_acceptable(url, &reason)) {
			snprintf(ret_error, error_size, "%s must be %s", config_name(name), reason);
			return false;
		}
	}
	return true;
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

static void
disconnect(struct db *db)
{
	PQfinish(db->connection);
	db->connection = NULL;
	db->ending = false;
	for (size_t i = 0; i < db->statement_count; i++)
		db->statements[i].ready = false;
}

void
db_free(struct db *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	arena_free(db->arena);
}

void
db_idle(struct db *db)
{
	if (db->connection != NULL && now_ms() - db->used_at >= IDLE_MS)
		disconnect(db);
}

/* Notices are dropped, since their texts may quote data; the one that counts is the server's farewell. */
static void
receive_notice(void *context, const PGresult *notice)
{
	struct db *db = context;
	const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		db->ending = true;
}

/* Why a connection failed, in words of ours: libpq's message may hold names and addresses. */
static const char *
connect_reason(const PGconn *connection)
{
	static const struct {
		const char *words, *reason;
	} reasons[] = {
	    {"password authentication failed", "password refused"},
	    {"no password supplied", "no password"},
	    {"timeout expired", "timeout"},
	    {"starting up", "starting"},
	    {"shutting down", "stopping"},
	    {"too many", "too many connections"},
	    {"remaining connection slots", "too many connections"},
	    {"certificate", "certificate"},
	    {"SSL", "TLS"},
	    {"does not exist", "no such role or database"},
	    {"translate host name", "host name unknown"},
	    {"No such file or directory", "no socket"},
	    {"Connection refused", "refused"},
	};
	const char *message = PQerrorMessage(connection);

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (strstr(message, reasons[i].words) != NULL)
			return reasons[i].reason;
	return "other";
}

static bool
log_away(struct db *db, const char *reason)
{
	if (!db->away)
		log_event(LOG_ERROR, "db_away", "reason", reason, NULL);
	db->away = true;
	return false;
}

static bool
connect_to(struct db *db)
{
	/* What stands before dbname may be overridden in the connection string, what follows may not. */
	const char *const keywords[] = {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count",
	    "tcp_user_timeout", "fallback_application_name", "dbname", "gssencmode", "client_encoding", NULL};
	const char *const values[] = {"2", "30", "10", "3", "10000", db->program, db->url, "disable", "UTF8", NULL};
	const char *reason;

	if (!db_url_acceptable(db->url, &reason))
		return log_away(db, "connection string refused");
	db->connection = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(db->connection) != CONNECTION_OK) {
		log_away(db, connect_reason(db->connection));
		disconnect(db);
		return false;
	}
	PQsetNoticeReceiver(db->connection, receive_notice, db);
	if (db->away)
		log_event(LOG_INFO, "db_back", NULL);
	db->away = false;
	return true;
}

/* False when the server has closed the connection since the last call: nothing was sent on it then. */
static bool
still_open(struct db *db)
{
	struct pollfd waiting = {.fd = PQsocket(db->connection), .events = POLLIN};

	if (poll(&waiting, 1, 0) > 0) {
		if (!PQconsumeInput(db->connection))
			return false;
		(void)PQisBusy(db->connection); /* reads what came, which may be the farewell */
	}
	return !db->ending && PQstatus(db->connection) == CONNECTION_OK;
}

static bool
in_transaction(const struct db *db)
{
	PGTransactionStatusType status = db->connection == NULL ? PQTRANS_IDLE : PQtransactionStatus(db->connection);

	return status != PQTRANS_IDLE && status != PQTRANS_UNKNOWN;
}

static bool
wait_readable(struct db *db, int64_t deadline)
{
	struct pollfd waiting = {.fd = PQsocket(db->connection), .events = POLLIN};

	for (;;) {
		int64_t left = deadline < 0 ? 1000 : deadline - now_ms();
		int ready = left <= 0 ? 0 : poll(&waiting, 1, (int)left);

		if (ready > 0)
			return true;
		if ((ready < 0 && errno != EINTR) || (ready == 0 && deadline >= 0))
			return false;
	}
}

/*
 * Waits for the end of what was sent, up to deadline (-1: for ever). The first
 * error counts, else the last result; NULL when the server fell silent.
 */
static PGresult *
collect(struct db *db, int64_t deadline)
{
	AUTO_PGRESULT kept = NULL;
	PGresult *result;

	for (;;) {
		while (PQisBusy(db->connection)) {
			if (!wait_readable(db, deadline))
				return NULL;
			if (!PQconsumeInput(db->connection))
				break;
		}
		result = PQgetResult(db->connection);
		if (result == NULL)
			break;
		if (PQresultStatus(kept) == PGRES_FATAL_ERROR && kept != NULL) {
			PQclear(result);
			continue;
		}
		PQclear(kept);
		kept = result;
		if (PQresultStatus(kept) != PGRES_TUPLES_OK && PQresultStatus(kept) != PGRES_COMMAND_OK &&
		    PQresultStatus(kept) != PGRES_FATAL_ERROR && PQresultStatus(kept) != PGRES_EMPTY_QUERY)
			return NULL; /* COPY and the like: nobody would feed it */
	}
	result = kept;
	kept = NULL;
	return result;
}

static enum outcome
judge(struct db *db, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (result == NULL)
		return OUTCOME_LOST;
	if (PQresultStatus(result) != PGRES_FATAL_ERROR)
		return PQstatus(db->connection) == CONNECTION_OK ? OUTCOME_DONE : OUTCOME_LOST;
	for (size_t i = 0; sqlstate != NULL && i < sizeof outcomes / sizeof *outcomes; i++)
		if (strncmp(sqlstate, outcomes[i].sqlstate, strlen(outcomes[i].sqlstate)) == 0)
			return outcomes[i].outcome;
	return PQstatus(db->connection) == CONNECTION_OK ? OUTCOME_FAILED : OUTCOME_LOST;
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

/* The statement's place among those known; STATEMENTS_MAX when it must go unnamed. */
static size_t
statement_slot(struct db *db, const char *sql)
{
	size_t i = 0;

	if (!db->prepared)
		return STATEMENTS_MAX;
	while (i < db->statement_count && strcmp(db->statements[i].sql, sql) != 0)
		i++;
	if (i == db->statement_count && i < STATEMENTS_MAX) {
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

static enum outcome
finish(struct db *db, struct call *call, int accepted)
{
	PQclear(call->result);
	call->result = accepted ? collect(db, now_ms() + CALL_TIMEOUT_MS) : NULL;
	return judge(db, call->result);
}

static enum outcome
prepare(struct db *db, struct call *call, size_t slot)
{
	char name[16];
	enum outcome outcome;

	if (slot == STATEMENTS_MAX || db->statements[slot].ready)
		return OUTCOME_DONE;
	statement_name(slot, name);
	outcome = finish(db, call, PQsendPrepare(db->connection, name, call->statement->sql, call->count, NULL));
	db->statements[slot].ready = outcome == OUTCOME_DONE;
	return outcome;
}

/* Drops a prepared statement whose plan no longer holds. */
static void
forget(struct db *db, const char *sql)
{
	size_t slot = statement_slot(db, sql);
	char name[16], command[32];

	if (slot == STATEMENTS_MAX || !db->statements[slot].ready)
		return;
	statement_name(slot, name);
	snprintf(command, sizeof command, "deallocate %s", name);
	if (PQsendQuery(db->connection, command))
		PQclear(collect(db, now_ms() + CALL_TIMEOUT_MS));
	db->statements[slot].ready = false;
}

static enum outcome
attempt(struct db *db, struct call *call)
{
	size_t slot;
	char name[16];
	enum outcome outcome;
	int accepted;

	call->sent = false;
	if (db->connection == NULL && !connect_to(db))
		return OUTCOME_AWAY;
	if (!still_open(db))
		return OUTCOME_LOST;
	slot = statement_slot(db, call->statement->sql);
	outcome = prepare(db, call, slot);
	if (outcome != OUTCOME_DONE)
		return outcome;
	statement_name(slot, name);
	call->sent = true;
	if (slot == STATEMENTS_MAX)
		accepted = PQsendQueryParams(
		    db->connection, call->statement->sql, call->count, NULL, call->parameters, NULL, NULL, 0);
	else
		accepted = PQsendQueryPrepared(db->connection, name, call->count, call->parameters, NULL, NULL, 0);
	return finish(db, call, accepted);
}

/* Whether the call may be made once more; waits and cleans up for it. */
static bool
may_repeat(struct db *db, struct arena *arena, const struct call *call, enum outcome outcome,
    unsigned int tries[static OUTCOME_FAILED])
{
	uint8_t jitter;

	switch (outcome) {
	case OUTCOME_AGAIN:
		if (tries[outcome]++ == REPEATS_MAX)
			return false;
		log_error(arena, LOG_INFO, "db_repeat", call);
		digest_random(&jitter, 1);
		pause_ms((int64_t)tries[outcome] * (2 + jitter % 16));
		return true;
	case OUTCOME_PREPARE:
		if (tries[outcome]++ > 0)
			return false;
		forget(db, call->statement->sql);
		return true;
	case OUTCOME_LOST:
		return tries[outcome]++ == 0 && (!call->sent || call->statement->read_only);
	case OUTCOME_DONE:
	case OUTCOME_AWAY:
	case OUTCOME_FAILED:
		return false;
	}
	return false;
}

/* Makes the call, and again where that is safe. Leaves the last result in call. */
static enum outcome
run(struct db *db, struct arena *arena, struct call *call)
{
	unsigned int tries[OUTCOME_FAILED] = {0};

	for (;;) {
		bool whole = !in_transaction(db);
		enum outcome outcome = attempt(db, call);
		bool repeat = whole && may_repeat(db, arena, call, outcome, tries);

		db->used_at = now_ms();
		if (outcome == OUTCOME_LOST) {
			if (call->sent)
				log_error(arena, LOG_WARN, "db_lost", call);
			disconnect(db);
		}
		if (!repeat)
			return outcome;
	}
}

/* The problem in the first column of the first row, if it is called so. */
static enum problem
refusal_of(struct arena *arena, const PGresult *result, struct db_refusal *ret_refusal)
{
	const char *code;
	int column;

	if (PQntuples(result) == 0 || PQnfields(result) == 0 || strcmp(PQfname(result, 0), "problem") != 0 ||
	    PQgetisnull(result, 0, 0))
		return PROBLEM_NONE;
	code = PQgetvalue(result, 0, 0);
	if (ret_refusal != NULL) {
		*ret_refusal = (struct db_refusal){0};
		column = PQfnumber(result, "retry_after");
		if (column >= 0)
			ret_refusal->retry_after = strtoimax(PQgetvalue(result, 0, column), NULL, 10);
		column = PQfnumber(result, "extras");
		if (column >= 0 && !PQgetisnull(result, 0, column))
			ret_refusal->extras = arena_strdup(arena, PQgetvalue(result, 0, column));
	}
	return problem_from_code(code);
}

static struct db_result *
result_release(PGresult **result)
{
	struct db_result *released = (struct db_result *)*result;

	*result = NULL;
	return released;
}

static const PGresult *
result_of(const struct db_result *result)
{
	return (const PGresult *)result;
}

enum problem
db_call(struct db *db, struct arena *arena, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	struct call call = {.statement = statement, .parameters = parameters, .count = (int)count};
	enum outcome outcome = run(db, arena, &call);
	AUTO_PGRESULT result = call.result;
	enum problem problem;

	if (outcome == OUTCOME_LOST)
		return PROBLEM_DATABASE_UNAVAILABLE;
	if (outcome == OUTCOME_AWAY) {
		if (result != NULL)
			log_error(arena, LOG_WARN, "db_busy", &call);
		return PROBLEM_DATABASE_UNAVAILABLE;
	}
	if (outcome != OUTCOME_DONE) {
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
	enum outcome outcome;

	if (db->connection != NULL && !still_open(db)) {
		bool begun = in_transaction(db);

		disconnect(db);
		if (begun) {
			*ret_error = "- connection lost";
			return PROBLEM_DATABASE_UNAVAILABLE;
		}
	}
	if (db->connection == NULL && !connect_to(db)) {
		*ret_error = "- no connection";
		return PROBLEM_DATABASE_UNAVAILABLE;
	}
	if (PQsendQuery(db->connection, sql))
		result = collect(db, -1);
	outcome = judge(db, result);
	db->used_at = now_ms();
	if (outcome != OUTCOME_DONE) {
		*ret_error = script_error(arena, sql, result);
		if (outcome == OUTCOME_LOST)
			disconnect(db);
		return outcome == OUTCOME_LOST || outcome == OUTCOME_AWAY ? PROBLEM_DATABASE_UNAVAILABLE
									  : PROBLEM_INTERNAL;
	}
	*ret_result = result_release(&result);
	return PROBLEM_NONE;
}

void
db_result_free(struct db_result *result)
{
	PQclear((PGresult *)result);
}

size_t
db_rows(const struct db_result *result)
{
	return (size_t)PQntuples(result_of(result));
}

const char *
db_text(const struct db_result *result, size_t row, const char *column)
{
	int number = PQfnumber(result_of(result), column);

	if (number < 0 || row >= db_rows(result)) {
		log_event(LOG_ERROR, "db_column", "missing", column, NULL);
		abort();
	}
	if (PQgetisnull(result_of(result), (int)row, number))
		return NULL;
	return PQgetvalue(result_of(result), (int)row, number);
}

int64_t
db_integer(const struct db_result *result, size_t row, const char *column)
{
	const char *text = db_text(result, row, column);

	return text == NULL ? 0 : strtoimax(text, NULL, 10);
}

bool
db_boolean(const struct db_result *result, size_t row, const char *column)
{
	const char *text = db_text(result, row, column);

	return text != NULL && *text == 't';
}

const char *
db_parameter(struct arena *arena, int64_t value)
{
	return arena_printf(arena, "%" PRId64, value);
}

const char *
db_array(struct arena *arena, const char *const *items, size_t count)
{
	struct text array;

	text_init(&array, arena, SIZE_MAX);
	text_add(&array, "{");
	for (size_t i = 0; i < count; i++) {
		text_add(&array, i == 0 ? "\"" : ",\"");
		for (const char *c = items[i]; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				text_add(&array, "\\");
			text_add_bytes(&array, c, 1);
		}
		text_add(&array, "\"");
	}
	text_add(&array, "}");
	return array.data;
}
