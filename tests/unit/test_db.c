/*
 * Against a real server: TEST_DATABASE_URL is the connection string of a
 * superuser. The tests make a database of their own there and drop it; without
 * the variable, those that need a server are skipped.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/db.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

static char url[1024];    /* of the tests' database */
static char database[64]; /* its name; empty without a server */
static PGconn *control;   /* connected to it */
static int64_t clock_offset;

int clock_gettime(clockid_t clock, struct timespec *ret_now);

int
clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int status = (int)syscall(SYS_clock_gettime, clock, ret_now);

	if (clock == CLOCK_MONOTONIC)
		ret_now->tv_sec += clock_offset;
	return status;
}

static const char schema[] =
    "create schema shotai; create sequence calls; create table counter(n int); insert into counter values (0);"
    "create table item(id int constraint item_named primary key, parent int);"
    "alter table item add constraint item_parent foreign key (parent) references item deferrable initially deferred;"
    "create function shotai.values_of(a text, b text) returns table(t text, i bigint, yes bool, no bool, nil text)"
    " language sql as $$ select a || '|' || coalesce(b, 'NULL'), 9007199254740993::bigint, true, false, null::text $$;"
    "create function shotai.refuse(code text, wait int, extra text)"
    " returns table(problem text, retry_after int, extras text, rate text)"
    " language sql as $$ select code, wait, extra, 'act;r=1'::text $$;"
    "create function shotai.fail(state text) returns table(x int) language plpgsql as"
    " $$ begin perform nextval('calls'); raise exception 'secret words' using errcode = state; end $$;"
    "create function shotai.insert_item(i int, p int) returns table(x int) language plpgsql as"
    " $$ begin raise notice 'secret words'; insert into item values (i, p); return query select 1; end $$;"
    "create function shotai.sleep_first() returns table(done bool) language plpgsql as $$ begin"
    " if nextval('calls') = 1 then perform pg_sleep(600); end if; return query select true; end $$;"
    "create function shotai.conflict() returns table(done bool) language plpgsql as $$ begin"
    " perform nextval('calls'); perform n from counter; perform pg_advisory_xact_lock(7);"
    " update counter set n = n + 1; return query select true; end $$;"
    "create function shotai.pid() returns table(pid int) language sql as $$ select pg_backend_pid() $$;"
    "create function shotai.prepared() returns table(n bigint) language sql as"
    " $$ select count(*) from pg_prepared_statements $$;";

/* Runs a statement on the control connection; the first value of its first row as a number. */
static int64_t
ask(const char *sql)
{
	PGresult *result = PQexec(control, sql);
	int64_t value = 0;

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%.60s: %s", sql, PQerrorMessage(control));
	if (PQntuples(result) > 0)
		value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return value;
}

static void
wait_for(const char *sql)
{
	for (int i = 0; i < 30000; i++) {
		if (ask(sql) != 0)
			return;
		usleep(1000);
	}
	fail_msg("never: %s", sql);
}

/* TEST_DATABASE_URL with another database, as keyword=value pairs. */
static void
url_for(const char *given, const char *name)
{
	PQconninfoOption *options = PQconninfoParse(given, NULL);
	int len = snprintf(url, sizeof url, "dbname=%s", name);

	assert_non_null(options);
	for (PQconninfoOption *option = options; option->keyword != NULL; option++)
		if (option->val != NULL && strcmp(option->keyword, "dbname") != 0)
			len += snprintf(url + len, sizeof url - (size_t)len, " %s='%s'", option->keyword, option->val);
	assert_true(len < (int)sizeof url);
	PQconninfoFree(options);
}

static int
open_server(void **state)
{
	const char *given = getenv("TEST_DATABASE_URL");
	char sql[128];

	(void)state;
	log_open("test_db", LOG_ERROR);
	if (given == NULL)
		return 0;
	control = PQconnectdb(given);
	snprintf(database, sizeof database, "test_db_%d", (int)getpid());
	snprintf(sql, sizeof sql, "create database %s", database);
	(void)ask(sql);
	PQfinish(control);
	url_for(given, database);
	control = PQconnectdb(url);
	(void)ask(schema);
	return 0;
}

static int
close_server(void **state)
{
	const char *given = getenv("TEST_DATABASE_URL");
	char sql[128];

	(void)state;
	if (given == NULL)
		return 0;
	PQfinish(control);
	control = PQconnectdb(given);
	snprintf(sql, sizeof sql, "drop database %s (force)", database);
	(void)ask(sql);
	PQfinish(control);
	return 0;
}

struct fixture {
	struct arena *arena;
	struct db *db;
};

static int
setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.arena = arena_new()};
	*state = &fixture;
	if (*database == '\0')
		return 0;
	fixture.db = db_new(url, "test_db", true);
	(void)ask("select setval('calls', 1, false)");
	(void)ask("truncate item");
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	db_free(fixture->db);
	arena_free(fixture->arena);
	return 0;
}

static struct fixture *
need_server(void **state)
{
	if (*database == '\0')
		skip();
	return *state;
}

static int64_t
calls(void)
{
	return ask("select case when is_called then last_value else 0 end from calls");
}

/* A call without parameters that succeeds; its first row's named value. */
static int64_t
number(struct fixture *fixture, const char *sql, const char *column)
{
	const struct db_statement statement = {sql, true};
	AUTO_DB_RESULT result = NULL;

	assert_int_equal(db_call(fixture->db, fixture->arena, &statement, NULL, 0, &result, NULL), PROBLEM_NONE);
	return db_integer(result, 0, column);
}

static int64_t
backend(struct fixture *fixture)
{
	return number(fixture, "select * from shotai.pid()", "pid");
}

static enum problem
call(struct fixture *fixture, const char *sql, bool read_only, const char *parameter)
{
	const struct db_statement statement = {sql, read_only};
	AUTO_DB_RESULT result = NULL;

	return db_call(fixture->db, fixture->arena, &statement, &parameter, parameter == NULL ? 0 : 1, &result, NULL);
}

static void
terminate(int64_t pid)
{
	char sql[100];

	snprintf(sql, sizeof sql, "select pg_terminate_backend(%d, 30000)::int", (int)pid);
	assert_int_equal(ask(sql), 1);
}

static void
rows_are_read(void **state)
{
	static const struct db_statement statement = {"select * from shotai.values_of($1, $2)", true};
	struct fixture *fixture = need_server(state);
	const char *parameters[] = {"a'\"\\\u20ac", NULL};

	for (int i = 0; i < 3; i++) {
		AUTO_DB_RESULT result = NULL;

		assert_int_equal(
		    db_call(fixture->db, fixture->arena, &statement, parameters, 2, &result, NULL), PROBLEM_NONE);
		assert_int_equal(db_rows(result), 1);
		assert_string_equal(db_text(result, 0, "t"), "a'\"\\\u20ac|NULL");
		assert_true(db_integer(result, 0, "i") == 9007199254740993);
		assert_true(db_boolean(result, 0, "yes"));
		assert_false(db_boolean(result, 0, "no"));
		assert_null(db_text(result, 0, "nil"));
		assert_int_equal(db_integer(result, 0, "nil"), 0);
		assert_false(db_boolean(result, 0, "nil"));
	}
}

static void
unknown_column_aborts(void **state)
{
	static const struct db_statement statement = {"select * from shotai.pid()", true};
	struct fixture *fixture = need_server(state);
	AUTO_DB_RESULT result = NULL;
	int status = 0;
	pid_t child;

	assert_int_equal(db_call(fixture->db, fixture->arena, &statement, NULL, 0, &result, NULL), PROBLEM_NONE);
	child = fork();
	if (child == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		(void)db_text(result, 0, "pidd");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void
refusals(void **state)
{
	static const struct {
		const char *parameters[3];
		enum problem problem;
		int64_t retry_after;
		const char *extras;
	} rows[] = {
	    {{NULL, NULL, NULL}, PROBLEM_NONE, -1, NULL},
	    {{"rate_limited", "7", NULL}, PROBLEM_RATE_LIMITED, 7, NULL},
	    {{"insufficient_credits", NULL, "{\"required\": 5}"}, PROBLEM_INSUFFICIENT_CREDITS, 0, "{\"required\": 5}"},
	    {{"no_such_code", NULL, NULL}, PROBLEM_INTERNAL, 0, NULL},
	};
	static const struct db_statement statement = {"select * from shotai.refuse($1, $2, $3)", false};
	struct fixture *fixture = need_server(state);

	for (size_t i = 0; i < LEN(rows); i++) {
		AUTO_DB_RESULT result = NULL;
		struct db_refusal refusal = {.retry_after = -1};

		assert_int_equal(
		    db_call(fixture->db, fixture->arena, &statement, rows[i].parameters, 3, &result, &refusal),
		    rows[i].problem);
		assert_int_equal(refusal.retry_after, rows[i].retry_after);
		assert_string_equal(refusal.rate, "act;r=1");
		assert_int_equal(result != NULL, rows[i].problem == PROBLEM_NONE);
		if (rows[i].extras == NULL)
			assert_null(refusal.extras);
		else
			assert_string_equal(refusal.extras, rows[i].extras);
	}
}

/* How each class of error ends, how often the function ran, and that the next call works. */
static void
errors_by_sqlstate(void **state)
{
	static const struct {
		const char *sqlstate;
		enum problem problem;
		int64_t calls;
	} rows[] = {
	    {"P0001", PROBLEM_INTERNAL, 1},
	    {"42501", PROBLEM_INTERNAL, 1},
	    {"22012", PROBLEM_INTERNAL, 1},
	    {"40001", PROBLEM_DATABASE_UNAVAILABLE, 4},
	    {"40P01", PROBLEM_DATABASE_UNAVAILABLE, 4},
	    {"0A000", PROBLEM_INTERNAL, 2},
	    {"26000", PROBLEM_INTERNAL, 2},
	    {"42883", PROBLEM_INTERNAL, 2},
	    {"57014", PROBLEM_DATABASE_UNAVAILABLE, 1},
	    {"55P03", PROBLEM_DATABASE_UNAVAILABLE, 1},
	    {"53300", PROBLEM_DATABASE_UNAVAILABLE, 1},
	    {"57P01", PROBLEM_DATABASE_UNAVAILABLE, 1},
	    {"08006", PROBLEM_DATABASE_UNAVAILABLE, 1},
	};
	struct fixture *fixture = need_server(state);

	log_open("test_db", LOG__COUNT);
	for (size_t i = 0; i < LEN(rows); i++) {
		(void)ask("select setval('calls', 1, false)");
		assert_int_equal(
		    call(fixture, "select * from shotai.fail($1)", false, rows[i].sqlstate), rows[i].problem);
		assert_int_equal(calls(), rows[i].calls);
		assert_true(backend(fixture) > 0);
	}
	log_open("test_db", LOG_ERROR);
}

static void
timeouts_are_unavailability(void **state)
{
	struct fixture *fixture = need_server(state);
	struct db_result *result;
	const char *error;

	assert_int_equal(db_script(fixture->db, fixture->arena, "set statement_timeout = 1000", &result, &error), 0);
	db_result_free(result);
	assert_int_equal(call(fixture, "select * from shotai.sleep_first()", true, NULL), PROBLEM_DATABASE_UNAVAILABLE);
	assert_int_equal(calls(), 1);
}

static void
patience_outlasts_the_timeout(void **state)
{
	static const struct db_statement slow = {"select 1 as done from pg_sleep(0.5)", true},
					 wrong = {"select * from shotai.fail('P0001')", false};
	struct fixture *fixture = need_server(state);
	struct db_result *result;
	const char *error;

	log_open("test_db", LOG__COUNT);
	assert_int_equal(db_script(fixture->db, fixture->arena, "set statement_timeout = 100", &result, &error), 0);
	db_result_free(result);
	assert_int_equal(call(fixture, slow.sql, true, NULL), PROBLEM_DATABASE_UNAVAILABLE);
	assert_int_equal(db_call_patiently(fixture->db, fixture->arena, &slow, NULL, 0, &result, NULL), PROBLEM_NONE);
	assert_int_equal(db_integer(result, 0, "done"), 1);
	db_result_free(result);
	assert_int_equal(
	    db_call_patiently(fixture->db, fixture->arena, &wrong, NULL, 0, &result, NULL), PROBLEM_INTERNAL);
	assert_int_equal(call(fixture, slow.sql, true, NULL), PROBLEM_DATABASE_UNAVAILABLE);
	log_open("test_db", LOG_ERROR);
}

/* The statement succeeds and its commit fails: that is no success. */
static void
failed_commit(void **state)
{
	struct fixture *fixture = need_server(state);

	log_open("test_db", LOG__COUNT);
	assert_int_equal(call(fixture, "select * from shotai.insert_item($1, 99)", false, "1"), PROBLEM_INTERNAL);
	log_open("test_db", LOG_ERROR);
	assert_int_equal(ask("select count(*) from item"), 0);
	assert_int_equal(call(fixture, "select * from shotai.insert_item($1, null)", false, "1"), PROBLEM_NONE);
	assert_int_equal(ask("select count(*) from item"), 1);
}

static void
logs_tell_no_data(void **state)
{
	struct fixture *fixture = need_server(state);
	char line[4096] = "";
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(call(fixture, "select * from shotai.insert_item($1, null)", false, "4711"), PROBLEM_NONE);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	enum problem problem = call(fixture, "select * from shotai.insert_item($1, null)", false, "4711");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	len = read(ends[0], line, sizeof line - 1);
	close(ends[0]);
	assert_int_equal(problem, PROBLEM_INTERNAL);
	assert_true(len > 0);
	assert_non_null(
	    strstr(line, " error test_db db_failed function=insert_item sqlstate=23505 constraint=item_named\n"));
	assert_null(strstr(line, "4711"));
	assert_null(strstr(line, "secret"));
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

/* A connection that the server closed while it lay idle is replaced, even for a write. */
static void
idle_connection_is_replaced(void **state)
{
	struct fixture *fixture = need_server(state);
	int64_t first = backend(fixture);

	assert_int_equal(call(fixture, "select * from shotai.insert_item($1, null)", false, "1"), PROBLEM_NONE);
	terminate(first);
	assert_int_equal(call(fixture, "select * from shotai.insert_item($1, null)", false, "2"), PROBLEM_NONE);
	assert_int_equal(ask("select count(*) from item"), 2);
	assert_true(backend(fixture) != first);
}

static void *
kill_sleeper(void *state)
{
	(void)state;
	wait_for("select count(*) from pg_stat_activity where wait_event = 'PgSleep' and application_name = 'test_db'");
	assert_int_equal(ask("select count(pg_terminate_backend(pid, 30000)) from pg_stat_activity"
			     " where wait_event = 'PgSleep' and application_name = 'test_db'"),
	    1);
	return NULL;
}

static enum problem
call_and_kill(struct fixture *fixture, bool read_only)
{
	pthread_t killer;
	enum problem problem;

	assert_int_equal(pthread_create(&killer, NULL, kill_sleeper, NULL), 0);
	problem = call(fixture, "select * from shotai.sleep_first()", read_only, NULL);
	pthread_join(killer, NULL);
	return problem;
}

static void
lost_write_is_not_repeated(void **state)
{
	struct fixture *fixture = need_server(state);

	assert_int_equal(call_and_kill(fixture, false), PROBLEM_DATABASE_UNAVAILABLE);
	assert_int_equal(calls(), 1);
	assert_int_equal(call(fixture, "select * from shotai.sleep_first()", false, NULL), PROBLEM_NONE);
	assert_int_equal(calls(), 2);
}

static void
lost_read_is_repeated_once(void **state)
{
	struct fixture *fixture = need_server(state);

	assert_int_equal(call_and_kill(fixture, true), PROBLEM_NONE);
	assert_int_equal(calls(), 2);
}

static void *
cause_conflict(void *state)
{
	(void)state;
	wait_for("select count(*) from pg_locks where locktype = 'advisory' and not granted");
	(void)ask("update counter set n = n + 10");
	(void)ask("select pg_advisory_unlock(7)");
	return NULL;
}

/* A real conflict: the row changes between the function's snapshot and its update. */
static void
serialization_failure_is_repeated(void **state)
{
	struct fixture *fixture = need_server(state);
	pthread_t other;
	struct db_result *result;
	const char *error;

	assert_int_equal(db_script(fixture->db, fixture->arena, "set default_transaction_isolation = 'repeatable read'",
			     &result, &error),
	    PROBLEM_NONE);
	db_result_free(result);
	(void)ask("update counter set n = 0");
	(void)ask("select pg_advisory_lock(7)");
	assert_int_equal(pthread_create(&other, NULL, cause_conflict, NULL), 0);
	assert_int_equal(call(fixture, "select * from shotai.conflict()", false, NULL), PROBLEM_NONE);
	pthread_join(other, NULL);
	assert_int_equal(calls(), 2);
	assert_int_equal(ask("select n from counter"), 11);
}

static void
changed_function_is_prepared_again(void **state)
{
	struct fixture *fixture = need_server(state);
	struct db_result *result;
	const char *error;

	(void)ask("create function shotai.changing() returns table(a int) language sql as 'select 1'");
	assert_int_equal(number(fixture, "select * from shotai.changing()", "a"), 1);
	(void)ask("drop function shotai.changing()");
	(void)ask("create function shotai.changing() returns table(b bigint) language sql as 'select 2::bigint'");
	assert_int_equal(number(fixture, "select * from shotai.changing()", "b"), 2);
	(void)ask("drop function shotai.changing()");
	log_open("test_db", LOG__COUNT);
	assert_int_equal(call(fixture, "select * from shotai.changing()", false, NULL), PROBLEM_INTERNAL);
	log_open("test_db", LOG_ERROR);
	(void)ask("create function shotai.changing() returns table(c text) language sql as $$ select '3'::text $$");
	assert_int_equal(number(fixture, "select * from shotai.changing()", "c"), 3);
	assert_int_equal(db_script(fixture->db, fixture->arena, "deallocate all", &result, &error), PROBLEM_NONE);
	db_result_free(result);
	assert_int_equal(number(fixture, "select * from shotai.changing()", "c"), 3);
	(void)ask("drop function shotai.changing()");
}

static void
statements_are_prepared_once(void **state)
{
	struct fixture *fixture = need_server(state);
	struct fixture unnamed = {.arena = fixture->arena, .db = db_new(url, "test_db", false)};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(number(fixture, "select * from shotai.prepared()", "n"), 1);
		assert_int_equal(number(&unnamed, "select * from shotai.prepared()", "n"), 0);
	}
	db_free(unnamed.db);
}

/* More statements than are kept prepared, the last ones unnamed. */
static void
many_statements(void **state)
{
	struct fixture *fixture = need_server(state);
	char sql[100];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 100; i++) {
			snprintf(sql, sizeof sql, "select %d as x from shotai.pid()", i);
			assert_int_equal(number(fixture, sql, "x"), i);
		}
	}
}

static void
idle_connection_closes(void **state)
{
	struct fixture *fixture = need_server(state);
	int64_t first = backend(fixture);
	char sql[100];

	clock_offset += 59;
	db_idle(fixture->db);
	assert_int_equal(backend(fixture), first);
	clock_offset += 61;
	db_idle(fixture->db);
	snprintf(sql, sizeof sql, "select (count(*) = 0)::int from pg_stat_activity where pid = %d", (int)first);
	wait_for(sql);
	assert_true(backend(fixture) != first);
}

static void
scripts(void **state)
{
	static const struct {
		const char *sql, *error;
	} rows[] = {
	    {"select 1;\n-- \u20ac\u20ac\nselct 2", "line 3: 42601 syntax error at or near \"selct\""},
	    {"select 1;\nselect 1 / 0", "22012 division by zero"},
	    {"begin; insert into item values (3);\nselect * from absent; commit",
		"line 2: 42P01 relation \"absent\" does not exist"},
	    {"rollback; do $$ begin raise 'two\nlines'; end $$", "P0001 two lines"},
	};
	struct fixture *fixture = need_server(state);
	const char *error = NULL;
	AUTO_DB_RESULT result = NULL;

	assert_int_equal(
	    db_script(fixture->db, fixture->arena,
		"begin; insert into item values (1), (2); commit; select count(*) as n from item", &result, &error),
	    PROBLEM_NONE);
	assert_int_equal(db_integer(result, 0, "n"), 2);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct db_result *none = NULL;

		assert_int_equal(db_script(fixture->db, fixture->arena, rows[i].sql, &none, &error), PROBLEM_INTERNAL);
		assert_string_equal(error, rows[i].error);
		assert_null(none);
	}
	assert_int_equal(ask("select count(*) from item"), 2);
}

/* What a lost transaction did is gone, so neither a script nor a read may go on as if it were there. */
static void
lost_transaction_is_not_resumed(void **state)
{
	struct fixture *fixture = need_server(state);
	const char *error = NULL;

	log_open("test_db", LOG__COUNT);
	for (int i = 0; i < 2; i++) {
		int64_t pid = backend(fixture);
		struct db_result *result = NULL;

		assert_int_equal(
		    db_script(fixture->db, fixture->arena, "begin; insert into item values (1)", &result, &error),
		    PROBLEM_NONE);
		db_result_free(result);
		terminate(pid);
		if (i == 0)
			assert_int_equal(
			    db_script(fixture->db, fixture->arena, "insert into item values (2)", &result, &error),
			    PROBLEM_DATABASE_UNAVAILABLE);
		else
			assert_int_equal(
			    call(fixture, "select * from shotai.pid()", true, NULL), PROBLEM_DATABASE_UNAVAILABLE);
	}
	log_open("test_db", LOG_ERROR);
	assert_int_equal(ask("select count(*) from item"), 0);
}

static void
parameters_survive(void **state)
{
	static const char *const items[] = {"plain", "", "a b", "q\"uote", "back\\slash", "{,}", "NULL", "\u20ac"};
	static const struct db_statement statement = {
	    "select t, n::int, $2::bigint as number from unnest($1::text[]) with ordinality as u(t, n)", true};
	struct fixture *fixture = need_server(state);
	const char *parameters[] = {
	    db_array(fixture->arena, items, LEN(items)), db_parameter(fixture->arena, INT64_MIN)};
	AUTO_DB_RESULT result = NULL;

	assert_int_equal(db_call(fixture->db, fixture->arena, &statement, parameters, 2, &result, NULL), PROBLEM_NONE);
	assert_int_equal(db_rows(result), LEN(items));
	for (size_t i = 0; i < LEN(items); i++)
		assert_string_equal(db_text(result, i, "t"), items[i]);
	assert_true(db_integer(result, 0, "number") == INT64_MIN);
	assert_string_equal(db_array(fixture->arena, NULL, 0), "{}");
}

static void
no_server_is_unavailability(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char deaf[100];
	const char *const urls[] = {
	    "host=/nonexistent dbname=x user=x", deaf, "host=db.example dbname=x", "no connection string"};

	(void)state;
	/* Accepts connections (the backlog does) and says nothing. */
	assert_int_equal(bind(silent, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(silent, 5), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &len), 0);
	snprintf(deaf, sizeof deaf, "host=127.0.0.1 port=%d dbname=x user=x", ntohs(address.sin_port));
	log_open("test_db", LOG__COUNT);
	for (size_t i = 0; i < LEN(urls); i++) {
		struct fixture fixture = {.arena = arena_new(), .db = db_new(urls[i], "test_db", true)};
		time_t start = time(NULL);

		assert_int_equal(
		    call(&fixture, "select * from shotai.pid()", true, NULL), PROBLEM_DATABASE_UNAVAILABLE);
		assert_true(time(NULL) - start < 10);
		db_free(fixture.db);
		arena_free(fixture.arena);
	}
	log_open("test_db", LOG_ERROR);
	close(silent);
}

static void
acceptable_urls(void **state)
{
	static const struct {
		const char *url;
		bool acceptable;
	} rows[] = {
	    {"host=/run/postgresql dbname=x", true},
	    {"dbname=x", true},
	    {"host=localhost dbname=x", true},
	    {"host=127.0.0.5", true},
	    {"postgresql://u:p@127.0.0.1:5432/x", true},
	    {"postgresql://u:p@[::1]/x", true},
	    {"postgresql:///x?host=/run/postgresql", true},
	    {"postgresql://u@%2Frun%2Fpostgresql/x", true},
	    {"host=db.example sslmode=verify-full sslrootcert=/etc/ca.pem", true},
	    {"postgresql://u@db.example:6543/x?sslmode=verify-full&sslrootcert=/etc/ca.pem", true},
	    {"host=db.example", false},
	    {"host=db.example sslmode=require", false},
	    {"host=db.example sslmode=verify-ca sslrootcert=/etc/ca.pem", false},
	    {"host=db.example sslmode=verify-full", false},
	    {"host=db.example sslmode=verify-full sslrootcert=''", false},
	    {"host=127.0.0.1,db.example", false},
	    {"host=localhost hostaddr=192.0.2.1", false},
	    {"host=localhost.example", false},
	    {"postgresql://localhost@db.example/x", false},
	    {"postgresql://127.0.0.1/x?host=db.example", false},
	    {"service=remote", false},
	    {"nonsense", false},
	    {"host=", true},
	};
	const char *reason;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		if (db_url_acceptable(rows[i].url, &reason) != rows[i].acceptable)
			fail_msg("%s", rows[i].url);
	/* libpq would take the host from here. */
	setenv("PGHOST", "db.example", 1);
	assert_false(db_url_acceptable("dbname=x", &reason));
	assert_true(db_url_acceptable("host=localhost dbname=x", &reason));
	unsetenv("PGHOST");
	setenv("PGHOSTADDR", "192.0.2.1", 1);
	assert_false(db_url_acceptable("host=localhost dbname=x", &reason));
	unsetenv("PGHOSTADDR");
}

static void
config_names_the_setting(void **state)
{
	char error[256] = "";
	struct config *config;

	(void)state;
	setenv("DATABASE_WORKER_URL", "postgresql://w:secret@db.example/x", 1);
	config = config_load(error, sizeof error);
	assert_non_null(config);
	assert_false(db_config_acceptable(config, error, sizeof error));
	assert_string_equal(error, "DATABASE_WORKER_URL must be local, or have sslmode=verify-full with sslrootcert");
	config_free(config);
	setenv("DATABASE_WORKER_URL", "host=/run/postgresql", 1);
	config = config_load(error, sizeof error);
	assert_true(db_config_acceptable(config, error, sizeof error));
	config_free(config);
	unsetenv("DATABASE_WORKER_URL");
}

enum { POOL_SIZE = 2, POOL_THREADS = 6, POOL_ROUNDS = 20 };

struct pool_user {
	struct db_pool *pool;
	int *in_use;
	int most, failures;
};

static void *
use_pool(void *context)
{
	static const struct db_statement statement = {"select * from shotai.pid()", true};
	struct pool_user *user = context;
	AUTO_ARENA arena = arena_new();

	for (int i = 0; i < POOL_ROUNDS; i++) {
		struct db *db = db_pool_take(user->pool);
		int now = __atomic_add_fetch(user->in_use, 1, __ATOMIC_SEQ_CST);
		AUTO_DB_RESULT result = NULL;

		if (now > user->most)
			user->most = now;
		user->failures += db_call(db, arena, &statement, NULL, 0, &result, NULL) != PROBLEM_NONE;
		__atomic_sub_fetch(user->in_use, 1, __ATOMIC_SEQ_CST);
		db_pool_give(user->pool, db);
	}
	return NULL;
}

static void
pool_is_shared(void **state)
{
	struct pool_user users[POOL_THREADS];
	pthread_t threads[POOL_THREADS];
	struct db_pool *pool;
	int in_use = 0;

	(void)need_server(state);
	pool = db_pool_new(url, "test_pool", true, POOL_SIZE);
	for (int i = 0; i < POOL_THREADS; i++) {
		users[i] = (struct pool_user){.pool = pool, .in_use = &in_use};
		assert_int_equal(pthread_create(&threads[i], NULL, use_pool, &users[i]), 0);
	}
	for (int i = 0; i < POOL_THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(users[i].failures, 0);
		assert_in_range(users[i].most, 1, POOL_SIZE);
	}
	assert_in_range(
	    ask("select count(*) from pg_stat_activity where application_name = 'test_pool'"), 1, POOL_SIZE);
	db_pool_free(pool);
	wait_for("select (count(*) = 0)::int from pg_stat_activity where application_name = 'test_pool'");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(rows_are_read),
	    TEST(unknown_column_aborts),
	    TEST(refusals),
	    TEST(errors_by_sqlstate),
	    TEST(timeouts_are_unavailability),
	    TEST(patience_outlasts_the_timeout),
	    TEST(failed_commit),
	    TEST(logs_tell_no_data),
	    TEST(idle_connection_is_replaced),
	    TEST(lost_write_is_not_repeated),
	    TEST(lost_read_is_repeated_once),
	    TEST(serialization_failure_is_repeated),
	    TEST(changed_function_is_prepared_again),
	    TEST(statements_are_prepared_once),
	    TEST(many_statements),
	    TEST(idle_connection_closes),
	    TEST(scripts),
	    TEST(lost_transaction_is_not_resumed),
	    TEST(parameters_survive),
	    TEST(pool_is_shared),
	    cmocka_unit_test(no_server_is_unavailability),
	    cmocka_unit_test(acceptable_urls),
	    cmocka_unit_test(config_names_the_setting),
	};

	return cmocka_run_group_tests(tests, open_server, close_server);
}
