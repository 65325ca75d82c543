#include "scripts.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* The only statements outside schema shotai: the Supabase CLI's bookkeeping, and who we are. */
static const char open_sql[] = "begin;"
			       "set local client_min_messages = warning;"
			       "set local statement_timeout = 0;"
			       "set local lock_timeout = '30s';"
			       "select pg_advisory_xact_lock(hashtextextended('shotai migrate', 0));"
			       "select rolsuper from pg_catalog.pg_roles where rolname = current_user;";
static const char books_sql[] = "create schema if not exists supabase_migrations;"
				"create table if not exists supabase_migrations.schema_migrations"
				" (version text not null primary key, statements text[], name text);"
				"select version from supabase_migrations.schema_migrations order by version;";

static enum exit_status
run_script(struct ctl *ctl, const char *where, const char *sql, struct db_result **ret_result)
{
	const char *error = NULL;
	enum problem problem = db_script(ctl->db, ctl->arena, sql, ret_result, &error);
	if (problem == PROBLEM_NONE)
		return EXIT_DONE;
	return ctl_fail("%s: %s", where, error != NULL ? error : problem_describe(problem)->title[LANGUAGE_EN]);
}

static enum exit_status
run_silently(struct ctl *ctl, const char *where, const char *sql)
{
	AUTO_DB_RESULT result = NULL;
	return run_script(ctl, where, sql, &result);
}

static bool
is_applied(const struct db_result *versions, const char *version)
{
	for (size_t row = 0; row < db_rows(versions); row++)
		if (strcmp(db_text(versions, row, "version"), version) == 0)
			return true;
	return false;
}

static bool
is_known(const struct script *migrations, size_t count, const char *version)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(migrations[i].version, version) == 0)
			return true;
	return false;
}

/* The migration's row in the books. Its text is quoted by a tag that does not occur in it; names need no quoting. */
static const char *
record_sql(struct arena *arena, const struct script *migration)
{
	const char *tag = "$m$";
	for (int n = 0; strstr(migration->text, tag) != NULL; n++)
		tag = arena_printf(arena, "$m%d$", n);
	struct text sql;
	text_init(&sql, arena, strlen(migration->text) + 512);
	text_printf(&sql,
	    "insert into supabase_migrations.schema_migrations (version, name, statements) values ('%s', '%s', "
	    "array[%s",
	    migration->version, migration->name, tag);
	text_add(&sql, migration->text);
	text_printf(&sql, "%s])", tag);
	return sql.data;
}

static enum exit_status
apply_migrations(struct ctl *ctl, const struct db_result *versions, const struct script *migrations, size_t count,
    size_t *ret_applied)
{
	for (size_t i = 0; i < count; i++) {
		const struct script *migration = &migrations[i];
		if (is_applied(versions, migration->version))
			continue;
		enum exit_status status = run_silently(ctl, migration->path, migration->text);
		if (status == EXIT_DONE)
			status = run_silently(ctl, migration->path, record_sql(ctl->arena, migration));
		if (status != EXIT_DONE)
			return status;
		printf("applied %s_%s\n", migration->version, migration->name);
		*ret_applied += 1;
	}
	return EXIT_DONE;
}

static enum exit_status
open_transaction(struct ctl *ctl, struct db_result **ret_versions)
{
	AUTO_DB_RESULT role = NULL;
	enum exit_status status = run_script(ctl, "database", open_sql, &role);
	if (status != EXIT_DONE)
		return status;
	if (db_boolean(role, 0, "rolsuper"))
		return ctl_fail("DATABASE_ADMIN_URL signs in as a superuser; migrations run as an ordinary role");
	return run_script(ctl, "supabase_migrations", books_sql, ret_versions);
}

static enum exit_status
migrate(struct ctl *ctl, const char *folder)
{
	struct script *migrations = NULL, *functions = NULL;
	size_t migration_count = 0, function_count = 0, applied = 0;
	enum exit_status status = scripts_read(
	    ctl->arena, arena_printf(ctl->arena, "%s/migrations", folder), true, &migrations, &migration_count);
	if (status == EXIT_DONE)
		status = scripts_read(
		    ctl->arena, arena_printf(ctl->arena, "%s/functions", folder), false, &functions, &function_count);
	AUTO_DB_RESULT versions = NULL;
	if (status == EXIT_DONE)
		status = open_transaction(ctl, &versions);
	if (status != EXIT_DONE)
		return status;
	for (size_t row = 0; row < db_rows(versions); row++)
		if (!is_known(migrations, migration_count, db_text(versions, row, "version")))
			printf("note: the database holds migration %s, which is not in %s\n",
			    db_text(versions, row, "version"), folder);
	status = apply_migrations(ctl, versions, migrations, migration_count, &applied);
	for (size_t i = 0; status == EXIT_DONE && i < function_count; i++)
		status = run_silently(ctl, functions[i].path, functions[i].text);
	if (status == EXIT_DONE)
		status = run_silently(ctl, "commit", "commit");
	if (status == EXIT_DONE)
		printf("%zu of %zu migrations applied now, %zu files of functions in place\n", applied, migration_count,
		    function_count);
	return status;
}

enum exit_status
ctl_migrate(struct ctl *ctl, int argc, char **argv)
{
	const char *given = NULL;
	bool emit = false;
	for (int i = 0; i < argc; i++) {
		const char *value = ctl_option(argc, argv, &i, "--sql");
		if (value != NULL)
			given = value;
		else if (strcmp(argv[i], "--emit") == 0)
			emit = true;
		else
			return ctl_fail("migrate: %s is not understood", argv[i]);
	}
	const char *folder = scripts_folder(ctl->arena, given);
	if (folder == NULL)
		return ctl_fail("migrate: no folder sql/ here or beside the program; use --sql DIR");
	return emit ? scripts_emit(ctl->arena, folder) : migrate(ctl, folder);
}
