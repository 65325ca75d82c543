#include "service/db_connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

static const struct {
	const char *sqlstate; /* or its beginning */
	enum db_outcome outcome;
} outcomes[] = {
    {"40001", DB_AGAIN},
    {"40P01", DB_AGAIN},
    {"0A000", DB_PREPARE},
    {"26000", DB_PREPARE},
    {"42883", DB_PREPARE},
    {"57014", DB_AWAY}, /* statement_timeout */
    {"55P03", DB_AWAY}, /* lock_timeout */
    {"25006", DB_LOST}, /* this server became a standby */
    {"25P03", DB_LOST},
    {"57P", DB_LOST},
    {"53", DB_AWAY},
    {"08", DB_LOST},
};

int64_t
db_connection_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
db_connection_close(struct db *db)
{
	PQfinish(db->connection);
	db->connection = NULL;
	db->ending = false;
	for (size_t i = 0; i < db->statement_count; i++)
		db->statements[i].ready = false;
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
	    {"not yet accepting", "starting"},
	    {"recovery mode", "recovering"},
	    {"shutting down", "stopping"},
	    {"too many", "too many connections"},
	    {"remaining connection slots", "too many connections"},
	    {"certificate", "certificate"},
	    {"SSL", "TLS"},
	    {"does not exist", "no such role or database"},
	    {"translate host name", "host name unknown"},
	    {"No such file or directory", "no socket"},
	    {"Connection refused", "refused"},
	    {"closed the connection", "closed"},
	    {"reset by peer", "closed"},
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

bool
db_connection_open(struct db *db)
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
		db_connection_close(db);
		return false;
	}
	PQsetNoticeReceiver(db->connection, receive_notice, db);
	if (db->away)
		log_event(LOG_INFO, "db_back", NULL);
	db->away = false;
	return true;
}

bool
db_connection_alive(struct db *db)
{
	struct pollfd waiting = {.fd = PQsocket(db->connection), .events = POLLIN};

	/* Until there is no more: the end may come behind the last words. */
	while (poll(&waiting, 1, 0) > 0) {
		if (!PQconsumeInput(db->connection))
			return false;
		(void)PQisBusy(db->connection); /* reads what came, which may be the farewell */
	}
	return !db->ending && PQstatus(db->connection) == CONNECTION_OK;
}

bool
db_connection_in_transaction(const struct db *db)
{
	PGTransactionStatusType status = db->connection == NULL ? PQTRANS_IDLE : PQtransactionStatus(db->connection);

	return status != PQTRANS_IDLE && status != PQTRANS_UNKNOWN;
}

static bool
wait_readable(struct db *db, int64_t deadline)
{
	struct pollfd waiting = {.fd = PQsocket(db->connection), .events = POLLIN};

	for (;;) {
		int64_t left = deadline < 0 ? 1000 : deadline - db_connection_now();
		int ready = left <= 0 ? 0 : poll(&waiting, 1, (int)left);

		if (ready > 0)
			return true;
		if ((ready < 0 && errno != EINTR) || (ready == 0 && deadline >= 0))
			return false;
	}
}

PGresult *
db_connection_collect(struct db *db, int64_t deadline)
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

enum db_outcome
db_connection_judge(const struct db *db, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (result == NULL)
		return DB_LOST;
	if (PQresultStatus(result) != PGRES_FATAL_ERROR)
		return PQstatus(db->connection) == CONNECTION_OK ? DB_DONE : DB_LOST;
	for (size_t i = 0; sqlstate != NULL && i < sizeof outcomes / sizeof *outcomes; i++)
		if (strncmp(sqlstate, outcomes[i].sqlstate, strlen(outcomes[i].sqlstate)) == 0)
			return outcomes[i].outcome;
	return PQstatus(db->connection) == CONNECTION_OK ? DB_FAILED : DB_LOST;
}
