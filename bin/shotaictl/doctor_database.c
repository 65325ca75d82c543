#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"
#include "scripts.h"

#define SKEW_WARN_MS 2000
#define SKEW_FAIL_MS 60000 /* tokens and signatures count for little longer than they say */
#define WORKER_CONNECTIONS 16
/* Share of the connections from which on a reload, which doubles the processes, may find none. */
#define ROOM_WARN_PERCENT 60

enum { STATE, DOCTOR, ROOM };

static const struct db_statement statements[] = {
    [STATE] = {"select * from shotai.service_state()", true},
    [DOCTOR] = {"select * from shotai.doctor($1, $2)", true},
    [ROOM] = {"select * from shotai.connection_room()", true},
};

static const char who_sql[] =
    "select session_user as role, (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as "
    "tls, (extract(epoch from clock_timestamp()) * 1000)::bigint as now";

static const struct {
	enum config_name setting;
	const char *role; /* NULL: any that is no superuser; shotaictl migrate sees to it */
} connections[] = {
    {CONFIG_DATABASE_URL, "shotai_web"},
    {CONFIG_DATABASE_WEBHOOK_URL, "shotai_webhook"},
    {CONFIG_DATABASE_WORKER_URL, "shotai_worker"},
    {CONFIG_DATABASE_OPERATOR_URL, "shotai_operator"},
    {CONFIG_DATABASE_ADMIN_URL, NULL},
};

/* Children of each web program, 0: PROCESSES. */
static const int children[] = {0, 0, 0, 2, 2, 2, 2, 8};

static int64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
check_clock(struct doctor *doctor, int64_t theirs, int64_t before, int64_t after)
{
	int64_t skew = theirs < before ? before - theirs : theirs > after ? theirs - after : 0;
	enum doctor_level level = skew >= SKEW_FAIL_MS ? DOCTOR_FAIL : skew >= SKEW_WARN_MS ? DOCTOR_WARN : DOCTOR_OK;
	if (level == DOCTOR_OK)
		doctor_tell(doctor, level, "clock", "as the database's");
	else
		doctor_tell(doctor, level, "clock", "%" PRId64 " s from the database's: let NTP set it", skew / 1000);
}

static void
check_connection(struct doctor *doctor, enum config_name setting, const char *role)
{
	const char *url = config_text(doctor->ctl->config, setting), *name = config_name(setting), *error = NULL;
	AUTO_DB_RESULT row = NULL;
	if (url == NULL) {
		if (role == NULL)
			doctor_tell(
			    doctor, DOCTOR_OK, "database", "%s is not set: only shotaictl migrate needs it", name);
		return;
	}
	struct db *db = db_new(url, "shotaictl", false);
	int64_t before = now_ms();
	enum problem problem = db_script(db, doctor->ctl->arena, who_sql, &row, &error);
	int64_t after = now_ms();
	db_free(db);
	if (problem != PROBLEM_NONE) {
		doctor_tell(doctor, DOCTOR_FAIL, "database", "%s: %s; the line db_away says why", name, error);
		return;
	}
	const char *is = db_text(row, 0, "role"), *tls = db_boolean(row, 0, "tls") ? "TLS" : "local, without TLS";
	if (role != NULL && strcmp(is, role) != 0)
		doctor_tell(doctor, DOCTOR_FAIL, "database", "%s signs in as %s, not as %s", name, is, role);
	else
		doctor_tell(doctor, DOCTOR_OK, "database", "%s: %s, %s", name, is, tls);
	if (setting == CONFIG_DATABASE_OPERATOR_URL)
		check_clock(doctor, db_integer(row, 0, "now"), before, after);
}

static void
check_migrations(struct doctor *doctor)
{
	struct ctl *ctl = doctor->ctl;
	AUTO_DB_RESULT row = NULL;
	struct script *scripts = NULL;
	size_t count = 0;
	if (db_call(ctl->db, ctl->arena, &statements[STATE], NULL, 0, &row, NULL) != PROBLEM_NONE) {
		doctor_tell(doctor, DOCTOR_FAIL, "migrations", "the database has none of ours: run shotaictl migrate");
		return;
	}
	const char *is = db_text(row, 0, "version"), *folder = scripts_folder(ctl->arena, NULL);
	if (folder == NULL ||
	    scripts_read(ctl->arena, arena_printf(ctl->arena, "%s/migrations", folder), true, &scripts, &count) !=
		EXIT_DONE ||
	    count == 0) {
		doctor_tell(doctor, DOCTOR_WARN, "migrations", "at %s; no folder sql/ here to compare with", is);
		return;
	}
	const char *head = scripts[count - 1].version;
	if (is == NULL || strcmp(is, head) < 0)
		doctor_tell(doctor, DOCTOR_FAIL, "migrations", "at %s, head is %s: run shotaictl migrate",
		    is != NULL ? is : "none", head);
	else if (strcmp(is, head) > 0)
		doctor_tell(doctor, DOCTOR_WARN, "migrations", "at %s, newer than this program's %s", is, head);
	else
		doctor_tell(doctor, DOCTOR_OK, "migrations", "at head, %s", is);
}

/* What the database finds wrong with itself. */
static void
check_inside(struct doctor *doctor)
{
	static const char *const subjects[] = {"roles", "postgres log", "addresses", "worker", "uploads"};
	struct ctl *ctl = doctor->ctl;
	AUTO_DB_RESULT rows = NULL;
	const char *const parameters[] = {
	    config_text(ctl->config, CONFIG_TELEMETRY), config_text(ctl->config, CONFIG_TELEMETRY_DAYS)};
	if (db_call(ctl->db, ctl->arena, &statements[DOCTOR], parameters, 2, &rows, NULL) != PROBLEM_NONE) {
		doctor_tell(
		    doctor, DOCTOR_FAIL, "database", "it could not be asked about itself: run shotaictl migrate");
		return;
	}
	for (size_t row = 0; row < db_rows(rows); row++)
		doctor_tell(doctor, strcmp(db_text(rows, row, "level"), "FAIL") == 0 ? DOCTOR_FAIL : DOCTOR_WARN,
		    db_text(rows, row, "check_name"), "%s", db_text(rows, row, "detail"));
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
		bool found = false;
		for (size_t row = 0; row < db_rows(rows); row++)
			found |= strcmp(db_text(rows, row, "check_name"), subjects[i]) == 0;
		if (!found)
			doctor_tell(doctor, DOCTOR_OK, subjects[i], "nothing wrong is found");
	}
}

static int64_t
connections_of_host(const struct config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t processes = config_integer(config, CONFIG_PROCESSES), web = 0;
	if (processes == 0)
		processes = cores > 0 ? 2 * cores : 2;
	for (size_t i = 0; i < sizeof children / sizeof *children; i++)
		web += children[i] > 0 ? children[i] : processes;
	/* Telemetry has a connection of its own. */
	return web * (config_integer(config, CONFIG_TELEMETRY) != 0 ? 2 : 1) + WORKER_CONNECTIONS;
}

static void
check_room(struct doctor *doctor)
{
	struct ctl *ctl = doctor->ctl;
	AUTO_DB_RESULT row = NULL;
	int64_t need = doctor->hosts * connections_of_host(ctl->config);
	if (config_integer(ctl->config, CONFIG_DATABASE_PREPARED) == 0) {
		doctor_tell(doctor, DOCTOR_OK, "connections",
		    "up to %" PRId64 " to the pooler (DATABASE_PREPARED=0), whose limits count", need);
		return;
	}
	if (db_call(ctl->db, ctl->arena, &statements[ROOM], NULL, 0, &row, NULL) != PROBLEM_NONE)
		return;
	int64_t room = db_integer(row, 0, "most") - db_integer(row, 0, "others");
	enum doctor_level level = need > room                             ? DOCTOR_FAIL
				  : need * 100 > room * ROOM_WARN_PERCENT ? DOCTOR_WARN
									  : DOCTOR_OK;
	doctor_tell(doctor, level, "connections",
	    "%" PRId64 " host(s) open up to %" PRId64 " of the %" PRId64 " that the database has left%s", doctor->hosts,
	    need, room,
	    level == DOCTOR_OK ? "" : ": raise max_connections, lower PROCESSES, or go through a transaction pooler");
}

void
doctor_database(struct doctor *doctor)
{
	struct ctl *ctl = doctor->ctl;
	const char *url = config_text(ctl->config, CONFIG_DATABASE_OPERATOR_URL);
	for (size_t i = 0; i < sizeof connections / sizeof *connections; i++)
		check_connection(doctor, connections[i].setting, connections[i].role);
	if (url == NULL)
		return;
	ctl->db = db_new(url, "shotaictl", false);
	check_migrations(doctor);
	check_inside(doctor);
	check_room(doctor);
}
