#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "doctor.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define PATH_BYTES 512

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

/* All of a small file with its NULs as spaces; NULL when it cannot be read. */
static char *
read_file(struct arena *arena, const char *path)
{
	__attribute__((cleanup(close_file))) FILE *file = fopen(path, "re");
	struct text text;
	char bytes[4096];
	if (file == NULL)
		return NULL;
	text_init(&text, arena, FILE_MAX_BYTES);
	for (size_t len; (len = fread(bytes, 1, sizeof bytes, file)) > 0;) {
		for (size_t i = 0; i < len; i++)
			bytes[i] = bytes[i] == '\0' ? ' ' : bytes[i];
		text_add_bytes(&text, bytes, len);
	}
	return ferror(file) == 0 ? text.data : NULL;
}

/* The word after an option in a command line, NULL: none. */
static const char *
word_after(struct arena *arena, const char *command, const char *option)
{
	const char *at = strstr(command, option);
	return at == NULL ? NULL : arena_strndup(arena, at + strlen(option), strcspn(at + strlen(option), " "));
}

/* One that nginx's configuration has besides those that write nothing about a request. */
static bool
logs_requests(const char *text)
{
	static const char *const harmless[] = {"access_log off;", "error_log /dev/null;", "error_log stderr "};
	for (const char *at = text; (at = strstr(at, "_log ")) != NULL; at++) {
		const char *start = at;
		while (start > text && strchr(" \t\n;{", start[-1]) == NULL)
			start--;
		bool fine = false;
		for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
			fine |= strncmp(start, harmless[i], strlen(harmless[i])) == 0;
		if (!fine)
			return true;
	}
	return false;
}

/* Outside http only what is said before any request goes to stderr. */
static bool
is_silent(const char *main)
{
	const char *http = strstr(main, "\nhttp {");
	return http != NULL && strstr(http, "access_log off;") != NULL &&
	       strstr(http, "error_log /dev/null;") != NULL && strstr(http, "error_log stderr") == NULL;
}

static void
check_nginx_folder(struct doctor *doctor, const char *folder, const char *main)
{
	struct arena *arena = doctor->ctl->arena;
	__attribute__((cleanup(close_folder))) DIR *files = opendir(folder);
	bool told = false, loud = !is_silent(main);
	for (struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
		const char *suffix = strrchr(entry->d_name, '.');
		if (suffix == NULL || strcmp(suffix, ".conf") != 0)
			continue;
		const char *text = read_file(arena, arena_printf(arena, "%s/%s", folder, entry->d_name));
		loud |= text == NULL || logs_requests(text);
		told |= text != NULL && strstr(text, "fastcgi_param REMOTE_ADDR") != NULL;
	}
	bool wanted = strcmp(config_text(doctor->ctl->config, CONFIG_TELEMETRY), "requests+ip") == 0;
	if (loud)
		doctor_tell(doctor, DOCTOR_FAIL, "nginx", "%s writes a log of requests: render it again", folder);
	if (told != wanted)
		doctor_tell(doctor, wanted ? DOCTOR_WARN : DOCTOR_FAIL, "nginx",
		    "programs are %s addresses, unlike TELEMETRY says: render it again", told ? "told" : "not told");
	if (!loud && told == wanted)
		doctor_tell(doctor, DOCTOR_OK, "nginx", "%s writes no log of requests", folder);
}

static void
check_nginx(struct doctor *doctor, const char *command)
{
	struct arena *arena = doctor->ctl->arena;
	const char *file = word_after(arena, command, " -c ");
	const char *text = file != NULL ? read_file(arena, file) : NULL;
	if (text == NULL)
		doctor_tell(doctor, DOCTOR_WARN, "nginx",
		    "its configuration cannot be read: run this as the user that it runs as");
	else
		check_nginx_folder(doctor, arena_strndup(arena, file, (size_t)(strrchr(file, '/') - file)), text);
}

/* Whether a process may leave a core dump; a kernel that pipes them away asks for more, which our programs do. */
static bool
dumps_core(struct arena *arena, const char *pid)
{
	const char *limits = read_file(arena, arena_printf(arena, "/proc/%s/limits", pid));
	const char *line = limits != NULL ? strstr(limits, "Max core file size") : NULL;
	return line != NULL && strtol(line + strlen("Max core file size"), NULL, 10) != 0;
}

static bool
is_ours(const char *command)
{
	const char *end = command + strcspn(command, " ");
	const char *worker = "/bin/worker";
	return memmem(command, (size_t)(end - command), "/cgi-bin/", strlen("/cgi-bin/")) != NULL ||
	       ((size_t)(end - command) > strlen(worker) && strncmp(end - strlen(worker), worker, strlen(worker)) == 0);
}

void
doctor_host(struct doctor *doctor)
{
	struct arena *arena = doctor->ctl->arena;
	__attribute__((cleanup(close_folder))) DIR *processes = opendir("/proc");
	size_t ours = 0, dumping = 0, fronts = 0;
	for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
			continue;
		const char *command = read_file(arena, arena_printf(arena, "/proc/%s/cmdline", entry->d_name));
		bool front = command != NULL && strncmp(command, "nginx: master process ", 22) == 0;
		if (command == NULL || (!front && !is_ours(command)))
			continue;
		ours++;
		dumping += dumps_core(arena, entry->d_name);
		if (front) {
			fronts++;
			check_nginx(doctor, command);
		}
	}
	if (fronts == 0)
		doctor_tell(doctor, DOCTOR_WARN, "nginx", "does not run here: look at the host where it does");
	if (dumping > 0)
		doctor_tell(doctor, DOCTOR_FAIL, "core dumps",
		    "%zu of %zu processes may leave one: LimitCORE=0, or ulimit -c 0", dumping, ours);
	else if (ours > 0)
		doctor_tell(doctor, DOCTOR_OK, "core dumps", "none of %zu processes leaves one", ours);
}
