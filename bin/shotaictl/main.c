#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "commands.h"

static bool
is_of(const struct command *command, const char *group)
{
	size_t len = strlen(group);
	return strncmp(command->name, group, len) == 0 && strchr(" ", command->name[len]) != NULL;
}

/* The commands whose first word is group; all when there are none. */
static void
print_help(FILE *to, const char *group)
{
	bool known = false;
	for (size_t i = 0; i < command_count && !known; i++)
		known = is_of(&commands[i], group);
	fprintf(to, "usage: shotaictl COMMAND\n\n");
	for (size_t i = 0; i < command_count; i++)
		if (!known || is_of(&commands[i], group))
			fprintf(to, "  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].summary);
	fprintf(to, "\nCOMMAND --help tells about one. Settings come from the environment.\n");
}

/* How many words of argv name the command, 0: not this one. */
static int
command_matches(const struct command *command, int argc, char **argv)
{
	const char *rest = command->name;
	for (int words = 0; words < argc; words++) {
		size_t len = strcspn(rest, " ");
		if (strlen(argv[words]) != len || strncmp(argv[words], rest, len) != 0)
			return 0;
		if (rest[len] == '\0')
			return words + 1;
		rest += len + 1;
	}
	return 0;
}

static bool
asks_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static void
ctl_close(struct ctl *ctl)
{
	arena_free(ctl->arena);
	if (ctl->db != NULL)
		db_free(ctl->db);
	if (ctl->config != NULL)
		config_free(ctl->config);
}

static enum exit_status
command_run(const struct command *command, int argc, char **argv)
{
	__attribute__((cleanup(ctl_close))) struct ctl ctl = {.arena = arena_new(), .command = command};
	char error[256];
	if (asks_help(argc, argv)) {
		printf("usage: shotaictl %s %s\n%s\n", command->name, command->usage, command->summary);
		return EXIT_DONE;
	}
	ctl.config = config_load(error, sizeof error);
	if (ctl.config == NULL || !db_config_acceptable(ctl.config, error, sizeof error))
		return ctl_fail("%s", error);
	if (command->needs != CONFIG_NAME__COUNT) {
		const char *url = config_text(ctl.config, command->needs);
		if (url == NULL)
			return ctl_fail("%s is not set", config_name(command->needs));
		ctl.db = db_new(url, "shotaictl", false);
	}
	return command->run(&ctl, argc, argv);
}

int
main(int argc, char **argv)
{
	log_open("shotaictl", LOG_ERROR);
	for (size_t i = 0; i < command_count; i++) {
		int words = command_matches(&commands[i], argc - 1, argv + 1);
		if (words > 0)
			return (int)command_run(&commands[i], argc - 1 - words, argv + 1 + words);
	}
	if (asks_help(argc - 1, argv + 1)) {
		print_help(stdout, argv[1]);
		return EXIT_DONE;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("shotaictl %s\n", SHOTAI_VERSION);
		return EXIT_DONE;
	}
	print_help(stderr, argc > 1 ? argv[1] : "");
	if (argc > 1)
		return (int)ctl_fail("there is no such command");
	return EXIT_FAILED;
}

enum exit_status
ctl_fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("shotaictl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return EXIT_FAILED;
}

enum exit_status
ctl_usage(const struct ctl *ctl)
{
	return ctl_fail("usage: shotaictl %s %s", ctl->command->name, ctl->command->usage);
}

enum exit_status
ctl_refuse(const char *what, enum problem problem)
{
	const struct problem_kind *kind = problem_describe(problem);
	enum exit_status status = ctl_fail("%s: %s (%s)", what, kind->title[LANGUAGE_EN], kind->code);
	return kind->status < 500 ? EXIT_FOUND : status;
}

const char *
ctl_option(int argc, char **argv, int *index, const char *name)
{
	if (strcmp(argv[*index], name) != 0 || *index + 1 >= argc)
		return NULL;
	*index += 1;
	return argv[*index];
}
