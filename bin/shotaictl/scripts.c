#include "scripts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define SCRIPT_MAX ((size_t)4 * 1024 * 1024)
#define VERSION_DIGITS 14
#define EMITTED_SUFFIX "_functions.sql"

static void
close_folder(DIR **folder)
{
	if (*folder != NULL)
		closedir(*folder);
}

static void
close_file(FILE **file)
{
	if (*file != NULL)
		fclose(*file);
}

static enum exit_status
read_text(struct arena *arena, const char *path, const char **ret_text)
{
	__attribute__((cleanup(close_file))) FILE *file = fopen(path, "rbe");
	struct stat info;
	if (file == NULL || fstat(fileno(file), &info) != 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode) || (size_t)info.st_size > SCRIPT_MAX)
		return ctl_fail("%s: not a file of at most 4 MiB", path);
	char *text = arena_alloc(arena, (size_t)info.st_size + 1);
	size_t len = fread(text, 1, (size_t)info.st_size, file);
	if (len != (size_t)info.st_size)
		return ctl_fail("%s: could not be read whole", path);
	if (strlen(text) != len)
		return ctl_fail("%s: holds a NUL byte", path);
	*ret_text = text;
	return EXIT_DONE;
}

static bool
is_sql(const char *name)
{
	size_t len = strlen(name);
	return len > 4 && name[0] != '.' && strcmp(name + len - 4, ".sql") == 0;
}

/* <14 digits>_<name>.sql, as the Supabase CLI names them. */
static bool
is_versioned(const char *name)
{
	return strspn(name, "0123456789") == VERSION_DIGITS && name[VERSION_DIGITS] == '_' &&
	       strcmp(name + VERSION_DIGITS + 1 +
			  strspn(name + VERSION_DIGITS + 1, "abcdefghijklmnopqrstuvwxyz0123456789_"),
		   ".sql") == 0;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum exit_status
list_names(struct arena *arena, const char *folder, const char ***ret_names, size_t *ret_count)
{
	__attribute__((cleanup(close_folder))) DIR *open = opendir(folder);
	if (open == NULL)
		return ctl_fail("%s: %s", folder, strerror(errno));
	size_t count = 0, cap = 64;
	const char **names = arena_array(arena, cap, sizeof names[0]);
	for (const struct dirent *entry; (entry = readdir(open)) != NULL;) {
		if (!is_sql(entry->d_name))
			continue;
		if (count == cap) {
			const char **more = arena_array(arena, 2 * cap, sizeof names[0]);
			memcpy(more, names, cap * sizeof names[0]);
			names = more;
			cap *= 2;
		}
		names[count++] = arena_strdup(arena, entry->d_name);
	}
	qsort(names, count, sizeof names[0], compare_names);
	*ret_names = names;
	*ret_count = count;
	return EXIT_DONE;
}

enum exit_status
scripts_read(struct arena *arena, const char *folder, bool versioned, struct script **ret_scripts, size_t *ret_count)
{
	const char **names = NULL;
	size_t count = 0;
	enum exit_status status = list_names(arena, folder, &names, &count);
	if (status != EXIT_DONE)
		return status;
	struct script *scripts = arena_array(arena, count + 1, sizeof scripts[0]);
	for (size_t i = 0; i < count; i++) {
		struct script *script = &scripts[i];
		script->path = arena_printf(arena, "%s/%s", folder, names[i]);
		if (versioned && !is_versioned(names[i]))
			return ctl_fail("%s: the name is not <14 digits>_<name>.sql", script->path);
		size_t start = versioned ? VERSION_DIGITS + 1 : 0;
		script->version = versioned ? arena_strndup(arena, names[i], VERSION_DIGITS) : NULL;
		script->name = arena_strndup(arena, names[i] + start, strlen(names[i]) - start - 4);
		if (versioned && i > 0 && strcmp(scripts[i - 1].version, script->version) == 0)
			return ctl_fail("%s: another migration has the same version", script->path);
		status = read_text(arena, script->path, &script->text);
		if (status != EXIT_DONE)
			return status;
	}
	*ret_scripts = scripts;
	*ret_count = count;
	return EXIT_DONE;
}

static bool
holds_scripts(struct arena *arena, const char *folder)
{
	return access(arena_printf(arena, "%s/migrations", folder), R_OK | X_OK) == 0;
}

const char *
scripts_folder(struct arena *arena, const char *given)
{
	if (given != NULL)
		return given;
	if (holds_scripts(arena, "sql"))
		return "sql";
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
	if (len <= 0)
		return NULL;
	program[len] = '\0';
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(program, '/');
		if (slash == NULL)
			return NULL;
		*slash = '\0';
		const char *folder = arena_printf(arena, "%s/sql", program);
		if (holds_scripts(arena, folder))
			return folder;
	}
	return NULL;
}

static enum exit_status
write_whole(const char *path, const struct text *text)
{
	__attribute__((cleanup(close_file))) FILE *file = fopen(path, "wbxe");
	if (file == NULL || fwrite(text->data, 1, text->len, file) != text->len || fflush(file) != 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	printf("wrote %s\n", path);
	return EXIT_DONE;
}

enum exit_status
scripts_emit(struct arena *arena, const char *folder)
{
	struct script *functions = NULL, *migrations = NULL;
	size_t count = 0, migration_count = 0;
	const char *target = arena_printf(arena, "%s/migrations", folder);
	enum exit_status status =
	    scripts_read(arena, arena_printf(arena, "%s/functions", folder), false, &functions, &count);
	if (status == EXIT_DONE)
		status = scripts_read(arena, target, true, &migrations, &migration_count);
	if (status != EXIT_DONE)
		return status;

	struct text all;
	text_init(&all, arena, 16 * SCRIPT_MAX);
	text_add(&all, "-- Written by `shotaictl migrate --emit` from sql/functions; do not edit.\n");
	for (size_t i = 0; i < count; i++)
		text_printf(&all, "\n-- functions/%s.sql\n%s", functions[i].name, functions[i].text);
	for (size_t i = migration_count; i > 0; i--) {
		if (strcmp(migrations[i - 1].name, "functions") != 0)
			continue;
		if (strcmp(migrations[i - 1].text, all.data) != 0)
			break;
		printf("%s is up to date\n", migrations[i - 1].path);
		return EXIT_DONE;
	}
	char version[VERSION_DIGITS + 1];
	struct tm when;
	time_t now = time(NULL);
	gmtime_r(&now, &when);
	strftime(version, sizeof version, "%Y%m%d%H%M%S", &when);
	return write_whole(arena_printf(arena, "%s/%s" EMITTED_SUFFIX, target, version), &all);
}
