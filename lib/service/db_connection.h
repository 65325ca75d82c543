/*
 * The connection under service/db: it is opened, waited on and closed here,
 * and errors are judged by their SQLSTATE. Only db and its parts include this.
 */
#ifndef SHOTAI_DB_CONNECTION_H
#define SHOTAI_DB_CONNECTION_H

#include <libpq-fe.h>

#include "service/db.h"

#define DB_STATEMENTS_MAX 64

struct db {
	struct arena *arena;
	char *url;
	const char *program;
	bool prepared;
	PGconn *connection; /* NULL: closed */
	int64_t used_at;    /* monotonic, milliseconds */
	bool ending;        /* the server said that it closes this connection */
	bool away;          /* the last attempt to connect failed, and was logged */
	bool patient;       /* a call may take as long as it takes */
	struct {
		const char *sql;
		bool ready; /* prepared on this connection */
	} statements[DB_STATEMENTS_MAX];
	size_t statement_count;
};

/* What an error means for the call. */
enum db_outcome {
	DB_DONE,
	DB_AGAIN,   /* rolled back by the server: run it again */
	DB_PREPARE, /* the plan is out of date: prepare it again */
	DB_LOST,    /* the connection is gone */
	DB_AWAY,    /* the database cannot serve this now */
	DB_FAILED,
	DB__COUNT
};

static inline void
db_pgresult_cleanup(PGresult **result)
{
	PQclear(*result);
}
#define AUTO_PGRESULT __attribute__((cleanup(db_pgresult_cleanup))) PGresult *

/* Monotonic milliseconds. */
int64_t db_connection_now(void);
/* False, logged once per outage, when there is no connection to be had. */
bool db_connection_open(struct db *db);
void db_connection_close(struct db *db);
/* False when the server has closed the connection since the last call: nothing was sent on it then. */
bool db_connection_alive(struct db *db);
bool db_connection_in_transaction(const struct db *db);
/*
 * Waits for the end of what was sent, up to deadline (-1: for ever). The first
 * error counts, else the last result; NULL when the server fell silent.
 */
PGresult *db_connection_collect(struct db *db, int64_t deadline);
/* What the result (NULL: none came) means. */
enum db_outcome db_connection_judge(const struct db *db, const PGresult *result);

#endif
