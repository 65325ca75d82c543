/* What waits for the database, and what becomes of it when the database is slow or away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/db.h"
#include "service/telemetry.h"

/* The database: it holds each call until it is let go, and keeps what it was told. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed, away;
	size_t calls, rows;
	int64_t dropped;
	char last[4096]; /* the beginning of the last batch */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct db *
db_new(const char *url, const char *program, bool prepared)
{
	(void)url, (void)program, (void)prepared;
	return NULL;
}

void
db_free(struct db *db)
{
	(void)db;
}

void
db_idle(struct db *db)
{
	(void)db;
}

void
db_result_free(struct db_result *result)
{
	(void)result;
}

const char *
db_parameter(struct arena *arena, int64_t value)
{
	return arena_printf(arena, "%lld", (long long)value);
}

enum problem
db_call(struct db *db, struct arena *arena, const struct db_statement *statement, const char *const *parameters,
    size_t count, struct db_result **ret_result, struct db_refusal *ret_refusal)
{
	(void)db, (void)arena, (void)statement, (void)ret_refusal;
	assert_int_equal(count, 3);
	pthread_mutex_lock(&server.lock);
	server.calls++;
	pthread_cond_broadcast(&server.changed);
	while (server.closed)
		pthread_cond_wait(&server.changed, &server.lock);
	bool away = server.away;
	for (const char *at = parameters[1]; !away && (at = strstr(at, "\"at\"")) != NULL; at++)
		server.rows++;
	strncpy(server.last, parameters[1], sizeof server.last - 1);
	if (!away)
		server.dropped += strtoll(parameters[2], NULL, 10);
	pthread_mutex_unlock(&server.lock);
	*ret_result = NULL;
	return away ? PROBLEM_DATABASE_UNAVAILABLE : PROBLEM_NONE;
}

static struct config *
config_with(const char *mode)
{
	char error[256];
	setenv("TELEMETRY", mode, 1);
	struct config *config = config_load(error, sizeof error);
	assert_non_null(config);
	return config;
}

static void
set_server(bool closed, bool away)
{
	pthread_mutex_lock(&server.lock);
	server.closed = closed;
	server.away = away;
	pthread_cond_broadcast(&server.changed);
	pthread_mutex_unlock(&server.lock);
}

static int
forget(void **state)
{
	(void)state;
	set_server(false, false);
	server.calls = server.rows = 0;
	server.dropped = 0;
	return 0;
}

static void
add(struct telemetry *telemetry, size_t count)
{
	const struct telemetry_record record = {
	    .at_ms = 1700000000000, .duration_ms = 3, .method = "GET", .route = "/x", .status = 200};
	for (size_t i = 0; i < count; i++)
		telemetry_add(telemetry, &record);
}

static void
off_records_nothing(void **state)
{
	(void)state;
	struct config *config = config_with("off");
	struct telemetry *telemetry = telemetry_new(config, "", "test");
	assert_null(telemetry);
	add(telemetry, 1);
	telemetry_free(telemetry);
	assert_int_equal(server.calls, 0);
	config_free(config);
}

static void
what_waits_is_bounded_and_the_rest_is_counted(void **state)
{
	(void)state;
	struct config *config = config_with("requests");
	struct telemetry *telemetry = telemetry_new(config, "", "test");
	set_server(true, false);
	add(telemetry, 256);
	pthread_mutex_lock(&server.lock);
	while (server.calls == 0)
		pthread_cond_wait(&server.changed, &server.lock);
	pthread_mutex_unlock(&server.lock);
	/* None of these waits, though the database does not answer. */
	add(telemetry, 1024 + 10);
	set_server(false, false);
	telemetry_free(telemetry);
	assert_int_equal(server.rows, 256 + 1024);
	assert_int_equal(server.dropped, 10);
	config_free(config);
}

static void
an_outage_drops_and_tells_afterwards(void **state)
{
	(void)state;
	struct config *config = config_with("requests");
	struct telemetry *telemetry = telemetry_new(config, "", "test");
	set_server(false, true);
	add(telemetry, 256);
	pthread_mutex_lock(&server.lock);
	while (server.calls == 0)
		pthread_cond_wait(&server.changed, &server.lock);
	pthread_mutex_unlock(&server.lock);
	set_server(false, false);
	add(telemetry, 1);
	telemetry_free(telemetry);
	assert_int_equal(server.dropped, 256);
	assert_int_equal(server.rows, 1);
	config_free(config);
}

static void
only_what_is_meant_is_written(void **state)
{
	static const struct {
		const char *mode, *method, *address, *expected, *never;
	} rows[] = {
	    {"requests", "GET", "192.0.2.1", "\"method\":\"GET\"", "192.0.2.1"},
	    {"requests+ip", "GET", "192.0.2.1", "\"address\":\"192.0.2.1\"", "null,\"status"},
	    {"requests+ip", "GET", "2001:db8::1", "\"address\":\"2001:db8::1\"", "unix"},
	    {"requests+ip", "GET", "unix:", "\"address\":null", "unix"},
	    {"requests+ip", "SECRET-WORD", NULL, "\"method\":\"other\"", "SECRET"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config *config = config_with(rows[i].mode);
		struct telemetry *telemetry = telemetry_new(config, "", "test");
		telemetry_add(
		    telemetry, &(struct telemetry_record){
				   .method = rows[i].method, .route = "/x", .status = 200, .address = rows[i].address});
		telemetry_free(telemetry);
		assert_non_null(strstr(server.last, rows[i].expected));
		assert_null(strstr(server.last, rows[i].never));
		config_free(config);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(off_records_nothing, forget),
	    cmocka_unit_test_setup(what_waits_is_bounded_and_the_rest_is_counted, forget),
	    cmocka_unit_test_setup(an_outage_drops_and_tells_afterwards, forget),
	    cmocka_unit_test_setup(only_what_is_meant_is_written, forget),
	};
	log_open("test", LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
