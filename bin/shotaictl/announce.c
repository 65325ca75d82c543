#include "shotaictl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/text.h"
#include "feature/mail.h"

#define FILE_MAX ((size_t)64 << 10)
#define MAIL_MAX ((size_t)1 << 20)
#define RATE_MAX 60000

enum { START, COUNT, LIST, MOVE, PACE };

static const struct db_statement statements[] = {
    [START] = {"select * from shotai.start_announcement($1, $2, $3, $4, $5, $6)", false},
    [COUNT] = {"select * from shotai.count_recipients()", true},
    [LIST] = {"select * from shotai.list_announcements()", true},
    [MOVE] = {"select * from shotai.move_announcement($1, $2, $3)", false},
    [PACE] = {"select * from shotai.set_announcement_pace($1)", false},
};

static const char *const languages[LANGUAGE__COUNT] = {[LANGUAGE_EN] = "en", [LANGUAGE_NL] = "nl"};

/* A whole file of at most FILE_MAX bytes and one more; NULL when it cannot be read. "-" is standard input. */
static const char *
read_file(struct arena *arena, const char *name, size_t *ret_len)
{
	int fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	char *bytes = arena_alloc(arena, FILE_MAX + 2);
	size_t len = 0;
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 && len <= FILE_MAX) {
		got = read(fd, bytes + len, FILE_MAX + 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	if (fd > STDIN_FILENO)
		close(fd);
	*ret_len = len;
	return got < 0 ? NULL : bytes;
}

static bool
write_file(const char *name, const char *bytes)
{
	FILE *to = fopen(name, "we");

	if (to == NULL)
		return false;
	bool written = fputs(bytes, to) >= 0;
	return fclose(to) == 0 && written;
}

/* What everybody would get, but for the link that is each person's own. */
static enum exit_status
preview(struct ctl *ctl, const struct announcement *announcement, const char *folder)
{
	char error[256];
	struct mail_route *route =
	    mail_config_acceptable(ctl->config, error, sizeof error) ? mail_route_new(ctl->config) : NULL;
	enum exit_status status = EXIT_DONE;

	if (route == NULL)
		return ctl_fail("announce: mail is off: SMTP_URL (or MAIL_DIRECTORY) and MAIL_FROM are not set");
	for (enum language language = 0; status == EXIT_DONE && language < LANGUAGE__COUNT; language++) {
		const struct mail mail = {
		    .kind = MAIL_ANNOUNCEMENT,
		    .message_id = "preview",
		    .email = "you@shotai.example",
		    .caused_at = time(NULL),
		    .language = language,
		    .announcement = announcement->part[language],
		};
		struct text eml;
		const char *html = NULL;
		const char *name = arena_printf(ctl->arena, "%s/announcement-%s", folder, languages[language]);
		text_init(&eml, ctl->arena, MAIL_MAX);
		if (!mail_write(route, &mail, &eml) || !mail_html(ctl->arena, route, &mail, &html))
			status = ctl_fail("announce: the mail cannot be written");
		else if (!write_file(arena_printf(ctl->arena, "%s.eml", name), eml.data) ||
			 !write_file(arena_printf(ctl->arena, "%s.html", name), html))
			status = ctl_fail("announce: %s: %s", folder, strerror(errno));
		else
			printf("%s.eml, %s.html\n", name, name);
	}
	mail_route_free(route);
	return status;
}

/* How many people that is, and how long it takes. */
static enum exit_status
print_counts(struct ctl *ctl)
{
	AUTO_DB_RESULT rows = NULL;
	int64_t all = 0, rate = 1;
	enum exit_status status = ctl_call_patiently(ctl, "announce", &statements[COUNT], NULL, 0, &rows);

	if (status != EXIT_DONE)
		return status;
	for (size_t row = 0; row < db_rows(rows); row++) {
		printf("%s %lld\n", db_text(rows, row, "locale"), (long long)db_integer(rows, row, "people"));
		all += db_integer(rows, row, "people");
		rate = db_integer(rows, row, "per_minute");
	}
	printf("all %lld, about %lld minutes at %lld a minute\n", (long long)all, (long long)((all + rate - 1) / rate),
	    (long long)rate);
	return EXIT_DONE;
}

static enum exit_status
start(struct ctl *ctl, const struct announcement *announcement, const char *bytes, size_t len)
{
	uint8_t digest[DIGEST_SHA256];
	char hex[DIGEST_HEX], error[256];
	AUTO_DB_RESULT rows = NULL;

	if (!mail_config_acceptable(ctl->config, error, sizeof error))
		return ctl_fail("%s", error);
	digest_sha256(bytes, len, digest);
	digest_hex(digest, sizeof digest, hex);
	const char *const parameters[] = {hex, announcement->part[LANGUAGE_EN].subject,
	    announcement->part[LANGUAGE_EN].body, announcement->part[LANGUAGE_NL].subject,
	    announcement->part[LANGUAGE_NL].body, ctl_operator(ctl->arena)};
	enum exit_status status = ctl_call(ctl, "announce", &statements[START], parameters, 6, &rows);
	if (status != EXIT_DONE)
		return status;
	printf("announcement %s %s\n", db_text(rows, 0, "id"),
	    db_boolean(rows, 0, "fresh")
		? "started"
		: arena_printf(ctl->arena, "was started before: %s", db_text(rows, 0, "state")));
	return EXIT_DONE;
}

enum exit_status
ctl_announce(struct ctl *ctl, int argc, char **argv)
{
	const char *name = NULL, *folder = NULL, *error = NULL;
	bool send = false, dry = false;
	const struct ctl_argument arguments[] = {
	    {.value = &name},
	    {.name = "--preview", .value = &folder, .optional = true},
	    {.name = "--dry-run", .on = &dry},
	    {.name = "--send", .on = &send},
	};
	struct announcement announcement;
	size_t len = 0;

	if (!ctl_read(argc, argv, arguments, 4) || send + dry + (folder != NULL) > 1)
		return ctl_usage(ctl);
	const char *bytes = read_file(ctl->arena, name, &len);
	if (bytes == NULL)
		return ctl_fail("announce: %s: %s", name, strerror(errno));
	if (!announcement_read(ctl->arena, bytes, len, &announcement, &error))
		return ctl_fail("announce: %s", error);
	if (folder != NULL)
		return preview(ctl, &announcement, folder);
	enum exit_status status = send ? start(ctl, &announcement, bytes, len) : EXIT_DONE;
	return status == EXIT_DONE ? print_counts(ctl) : status;
}

enum exit_status
ctl_announce_list(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"id", 4}, {"state", 8}, {"created_at", 24}, {"finished_at", 24},
	    {"mailed", 7}, {"sent", 7}, {"waiting", 4}, {"failed", 5}, {"uncertain", 4}, {"remaining", 7},
	    {"subject", 0}};
	AUTO_DB_RESULT rows = NULL;

	if (argc > 0)
		return ctl_usage(ctl);
	(void)argv;
	enum exit_status status = ctl_call_patiently(ctl, "announce list", &statements[LIST], NULL, 0, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, sizeof columns / sizeof *columns);
	return status;
}

static enum exit_status
move(struct ctl *ctl, int argc, char **argv, const char *state)
{
	AUTO_DB_RESULT rows = NULL;
	int64_t id;

	if (argc != 1 || !ctl_integer(argv[0], 1, INT64_MAX, &id))
		return ctl_usage(ctl);
	const char *const parameters[] = {argv[0], state, ctl_operator(ctl->arena)};
	enum exit_status status = ctl_call(ctl, ctl->command->name, &statements[MOVE], parameters, 3, &rows);
	if (status == EXIT_DONE)
		printf("announcement %s: %s\n", argv[0], db_text(rows, 0, "state"));
	return status;
}

enum exit_status
ctl_announce_pause(struct ctl *ctl, int argc, char **argv)
{
	return move(ctl, argc, argv, "paused");
}

enum exit_status
ctl_announce_resume(struct ctl *ctl, int argc, char **argv)
{
	return move(ctl, argc, argv, "sending");
}

enum exit_status
ctl_announce_cancel(struct ctl *ctl, int argc, char **argv)
{
	return move(ctl, argc, argv, "canceled");
}

enum exit_status
ctl_announce_rate(struct ctl *ctl, int argc, char **argv)
{
	AUTO_DB_RESULT rows = NULL;
	int64_t rate;

	if (argc != 1 || !ctl_integer(argv[0], 1, RATE_MAX, &rate))
		return ctl_usage(ctl);
	enum exit_status status =
	    ctl_call(ctl, "announce rate", &statements[PACE], (const char *const[]){argv[0]}, 1, &rows);
	if (status == EXIT_DONE)
		printf("%s announcements a minute\n", argv[0]);
	return status;
}
