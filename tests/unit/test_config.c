#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/config.h"
#include "base/log.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define LEN(array) (sizeof(array) / sizeof *(array))

static void
clear_settings(void)
{
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++)
		unsetenv(config_name(name));
}

static int
setup(void **state)
{
	(void)state;
	clear_settings();
	return 0;
}

/* expected: the effective value; NULL when it must be refused with one line that names the setting. */
struct row {
	const char *name, *value, *expected;
};

static const struct row rows[] = {
    {"PUBLIC_URL", "https://shotai.example", "https://shotai.example"},
    {"PUBLIC_URL", "https://shotai.example/", "https://shotai.example"},
    {"PUBLIC_URL", "https://shotai.example/base//", "https://shotai.example/base"},
    {"PUBLIC_URL", "https://shotai.example:8443/base", "https://shotai.example:8443/base"},
    {"PUBLIC_URL", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"},
    {"PUBLIC_URL", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
    {"PUBLIC_URL", "http://127.9.8.7", "http://127.9.8.7"},
    {"PUBLIC_URL", "http://[::1]:8080", "http://[::1]:8080"},
    {"PUBLIC_URL", "http://localhost:1", "http://localhost:1"},
    {"PUBLIC_URL", "", "http://127.0.0.1:8080"},
    {"PUBLIC_URL", "http://shotai.example", NULL},
    {"PUBLIC_URL", "http://127.0.0.1.example", NULL},
    {"PUBLIC_URL", "http://localhost.example", NULL},
    {"PUBLIC_URL", "http://127.0.0.1@shotai.example", NULL},
    {"PUBLIC_URL", "http://128.0.0.1", NULL},
    {"PUBLIC_URL", "http://0177.0.0.1", NULL},
    {"PUBLIC_URL", "https://user:word@shotai.example", NULL},
    {"PUBLIC_URL", "https://shotai.example?x", NULL},
    {"PUBLIC_URL", "https://shotai.example/#x", NULL},
    {"PUBLIC_URL", "https://shotai.example/a b", NULL},
    {"PUBLIC_URL", "https://shotai.example/\x01", NULL},
    {"PUBLIC_URL", "https://shotai.example\\x", NULL},
    {"PUBLIC_URL", "https://shotai.example:", NULL},
    {"PUBLIC_URL", "https://shotai.example:65536", NULL},
    {"PUBLIC_URL", "https://shotai.example:8x", NULL},
    {"PUBLIC_URL", "https://[::1", NULL},
    {"PUBLIC_URL", "https://", NULL},
    {"PUBLIC_URL", "https:///path", NULL},
    {"PUBLIC_URL", "ftp://shotai.example", NULL},
    {"PUBLIC_URL", "shotai.example", NULL},
    {"SECRET_KEY", SECRET, SECRET},
    {"SECRET_KEY", SECRET "," SECRET, SECRET "," SECRET},
    {"SECRET_KEY", "0123456789abcdef0123456789abcde", NULL},
    {"SECRET_KEY", SECRET ",", NULL},
    {"SECRET_KEY", "," SECRET, NULL},
    {"SECRET_KEY", SECRET ",short", NULL},
    {"SECRET_KEY", SECRET "," SECRET "," SECRET, NULL},
    {"SECRET_KEY", SECRET " " SECRET, NULL},
    {"SECRET_KEY", SECRET "\n", NULL},
    {"PROCESSES", "0", "0"},
    {"PROCESSES", "64", "64"},
    {"PROCESSES", "65", NULL},
    {"PROCESSES", "-1", NULL},
    {"PROCESSES", " 1", NULL},
    {"PROCESSES", "+1", NULL},
    {"PROCESSES", "1.0", NULL},
    {"PROCESSES", "0x10", NULL},
    {"PROCESSES", "four", NULL},
    {"PROCESSES", "99999999999999999999", NULL},
    {"WORKER_CONCURRENCY", "1024", "1024"},
    {"WORKER_CONCURRENCY", "0", NULL},
    {"DATABASE_PREPARED", "0", "0"},
    {"DATABASE_PREPARED", "2", NULL},
    {"PROVIDER_TIMEOUT_SECONDS", "20", "20"},
    {"PROVIDER_TIMEOUT_SECONDS", "0", NULL},
    {"PROVIDER_TIMEOUT_SECONDS", "3601", NULL},
    {"UPLOAD_TTL_SECONDS", "1", "1"},
    {"UPLOAD_TTL_SECONDS", "1800", "1800"},
    {"UPLOAD_TTL_SECONDS", "1801", NULL},
    {"UPLOAD_TTL_SECONDS", "0", NULL},
    {"STORAGE", "file:/srv/shotai", "file:/srv/shotai"},
    {"STORAGE", "file:", NULL},
    {"STORAGE", "file:/", NULL},
    {"STORAGE", "file:relative", NULL},
    {"STORAGE", "r2x", NULL},
    {"STORAGE", "/srv/shotai", NULL},
    {"STORAGE_LINKS", "", "proxy"},
    {"STORAGE_LINKS", "direct", NULL},
    {"STORAGE_LINKS", "r2", NULL},
    {"R2_ENDPOINT", "https://a.r2.cloudflarestorage.com", "https://a.r2.cloudflarestorage.com"},
    {"R2_ENDPOINT", "https://a.r2.cloudflarestorage.com/", "https://a.r2.cloudflarestorage.com"},
    {"R2_ENDPOINT", "https://a.r2.cloudflarestorage.com:443", "https://a.r2.cloudflarestorage.com"},
    {"R2_ENDPOINT", "https://a.r2.cloudflarestorage.com:8443", "https://a.r2.cloudflarestorage.com:8443"},
    {"R2_ENDPOINT", "http://127.0.0.1:80", "http://127.0.0.1"},
    {"R2_ENDPOINT", "http://127.0.0.1:443", "http://127.0.0.1:443"},
    {"R2_ENDPOINT", "http://[::1]:9000", "http://[::1]:9000"},
    {"R2_ENDPOINT", "https://a.r2.cloudflarestorage.com/pictures", NULL},
    {"R2_ENDPOINT", "http://a.r2.cloudflarestorage.com", NULL},
    {"R2_ENDPOINT", "a.r2.cloudflarestorage.com", NULL},
    {"R2_BUCKET", "pictures-1", "pictures-1"},
    {"R2_BUCKET", "ab", NULL},
    {"R2_BUCKET", "0123456789012345678901234567890123456789012345678901234567890123", NULL},
    {"R2_BUCKET", "Pictures", NULL},
    {"R2_BUCKET", "a/b", NULL},
    {"R2_UPLOAD_BUCKET", "a..b", NULL},
    {"LOG_LEVEL", "debug", "debug"},
    {"LOG_LEVEL", "error", "error"},
    {"LOG_LEVEL", "ERROR", NULL},
    {"LOG_LEVEL", "trace", NULL},
    {"CREEM_API_URL", "", "https://api.creem.io"},
    {"CREEM_API_URL", "http://127.0.0.1:8080/sandbox/creem", "http://127.0.0.1:8080/sandbox/creem"},
    {"CREEM_API_URL", "http://api.creem.io", NULL},
    {"MODERATION", "off", "off"},
    {"MODERATION", "", "off"},
    {"MODERATION", "on", NULL},
    {"MODERATION", "creem", NULL},
    {"MODERATION_FLAG", "", "deny"},
    {"MODERATION_FLAG", "allow", "allow"},
    {"MODERATION_FLAG", "Allow", NULL},
    {"TELEMETRY", "", "off"},
    {"TELEMETRY", "requests", "requests"},
    {"TELEMETRY", "requests+ip", "requests+ip"},
    {"TELEMETRY", "requests+", NULL},
    {"TELEMETRY", "on", NULL},
    {"TELEMETRY_DAYS", "0", NULL},
    {"TELEMETRY_DAYS", "90", "90"},
    {"OPENAI_API_KEY", "sk-made-up", "sk-made-up"},
    {"OPENAI_API_KEY", "sk\nX-Forged: 1", NULL},
    {"OPENAI_API_KEY", "sk made up", NULL},
    {"SUPABASE_ANON_KEY", "sb_publishable_x\t", NULL},
    {"SUPABASE_SECRET_KEY", "sb_secret_\xc3\xa9", NULL},
    {"SUPABASE_JWT_SECRET", SECRET, SECRET},
    {"SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcde", NULL},
    {"SUPABASE_JWT_SECRET", SECRET "\n", NULL},
    {"TRUSTED_PROXIES", "192.0.2.1", "192.0.2.1"},
    {"TRUSTED_PROXIES", "10.0.0.0/8,2001:db8::/32,::1", "10.0.0.0/8,2001:db8::/32,::1"},
    {"TRUSTED_PROXIES", "proxy.example", NULL},
    {"TRUSTED_PROXIES", "192.0.2.1;", NULL},
    {"TRUSTED_PROXIES", "192.0.2.1,", NULL},
    {"TRUSTED_PROXIES", "192.0.2.1, 192.0.2.2", NULL},
    {"TRUSTED_PROXIES", "192.0.2.0/33", NULL},
    {"TRUSTED_PROXIES", "2001:db8::/129", NULL},
    {"TRUSTED_PROXIES", "192.0.2.0/", NULL},
    {"TRUSTED_PROXIES", "192.0.2.0/8/8", NULL},
    {"SUPPORT_EMAIL", "", "support@shotai.example"},
    {"SUPPORT_EMAIL", "help@shotai.example", "help@shotai.example"},
    {"SUPPORT_EMAIL", "help", NULL},
    {"SUPPORT_EMAIL", "@shotai.example", NULL},
    {"SUPPORT_EMAIL", "help@", NULL},
    {"SUPPORT_EMAIL", "a@b@c", NULL},
    {"SUPPORT_EMAIL", "Help <help@shotai.example>", NULL},
    {"SMTP_URL", "smtps://mail.shotai.example", "smtps://mail.shotai.example"},
    {"SMTP_URL", "smtp://user%40x:p%2Fw@mail.shotai.example:587", "smtp://user%40x:p%2Fw@mail.shotai.example:587"},
    {"SMTP_URL", "smtp://127.0.0.1:25", "smtp://127.0.0.1:25"},
    {"SMTP_URL", "smtps://user@[2001:db8::1]:465", "smtps://user@[2001:db8::1]:465"},
    {"SMTP_URL", "mail.shotai.example", NULL},
    {"SMTP_URL", "https://mail.shotai.example", NULL},
    {"SMTP_URL", "smtps://mail.shotai.example/", NULL},
    {"SMTP_URL", "smtps://mail.shotai.example?x", NULL},
    {"SMTP_URL", "smtps://", NULL},
    {"SMTP_URL", "smtps://@mail.shotai.example", NULL},
    {"SMTP_URL", "smtps://:secret@mail.shotai.example", NULL},
    {"SMTP_URL", "smtps://a:b:c@mail.shotai.example", NULL},
    {"SMTP_URL", "smtps://a:b@c@mail.shotai.example", NULL},
    {"SMTP_URL", "smtps://user:pass;AUTH=NONE@mail.shotai.example", NULL},
    {"SMTP_URL", "smtps://us\ner@mail.shotai.example", NULL},
    {"MAIL_DIRECTORY", "/srv/mail", "/srv/mail"},
    {"MAIL_DIRECTORY", "mail", NULL},
    {"MAIL_DIRECTORY", "/", NULL},
    {"MAIL_FROM", "ShotAI <mail@shotai.example>", "ShotAI <mail@shotai.example>"},
    {"MAIL_FROM", "mail@shotai.example", "mail@shotai.example"},
    {"MAIL_FROM", "ShotAI <mail@shotai.example>\r\nBcc: x@y", NULL},
    {"MAIL_FROM", "ShotAI", NULL},
    {"MAIL_FROM", "Shot\"AI <mail@shotai.example>", NULL},
};

static enum config_name
find(const char *wanted)
{
	enum config_name name = 0;

	while (strcmp(config_name(name), wanted) != 0)
		name++;
	return name;
}

static void
values(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char error[256] = "";
		struct config *config;

		setenv(rows[i].name, rows[i].value, 1);
		config = config_load(error, sizeof error);
		unsetenv(rows[i].name);
		if (rows[i].expected == NULL) {
			if (config != NULL)
				fail_msg("accepted %s=%s", rows[i].name, rows[i].value);
			assert_int_equal(strncmp(error, rows[i].name, strlen(rows[i].name)), 0);
			assert_null(strchr(error, '\n'));
			if (strlen(rows[i].value) > 20)
				assert_null(strstr(error, rows[i].value));
			continue;
		}
		if (config == NULL)
			fail_msg("refused %s=%s: %s", rows[i].name, rows[i].value, error);
		assert_string_equal(config_text(config, find(rows[i].name)), rows[i].expected);
		config_free(config);
	}
}

/* What is set on top of a whole R2 configuration (an empty value takes away), and the setting that is wrong then. */
static void
settings_agree(void **state)
{
	static const char *const r2[][2] = {{"STORAGE", "r2"}, {"R2_ENDPOINT", "https://a.example"},
	    {"R2_BUCKET", "pictures"}, {"R2_UPLOAD_BUCKET", "uploads"}, {"R2_ACCESS_KEY_ID", "id"},
	    {"R2_SECRET_ACCESS_KEY", "secret"}};
	static const struct {
		const char *name, *value, *wrong;
	} changes[] = {{"STORAGE", "r2", NULL}, {"STORAGE_LINKS", "direct", NULL},
	    {"R2_ENDPOINT", "", "R2_ENDPOINT must be set when STORAGE is r2"},
	    {"R2_BUCKET", "", "R2_BUCKET must be set when STORAGE is r2"},
	    {"R2_UPLOAD_BUCKET", "", "R2_UPLOAD_BUCKET must be set when STORAGE is r2"},
	    {"R2_ACCESS_KEY_ID", "", "R2_ACCESS_KEY_ID must be set when STORAGE is r2"},
	    {"R2_SECRET_ACCESS_KEY", "", "R2_SECRET_ACCESS_KEY must be set when STORAGE is r2"},
	    {"R2_UPLOAD_BUCKET", "pictures", "R2_UPLOAD_BUCKET must be another bucket than R2_BUCKET"}};

	(void)state;
	for (size_t i = 0; i < LEN(changes); i++) {
		char error[256] = "";
		struct config *config;

		clear_settings();
		for (size_t k = 0; k < LEN(r2); k++)
			setenv(r2[k][0], r2[k][1], 1);
		setenv(changes[i].name, changes[i].value, 1);
		config = config_load(error, sizeof error);
		assert_string_equal(error, changes[i].wrong == NULL ? "" : changes[i].wrong);
		assert_int_equal(config != NULL, changes[i].wrong == NULL);
		config_free(config);
	}
	clear_settings();
	setenv("STORAGE", "file:/srv/shotai", 1);
	setenv("STORAGE_LINKS", "direct", 1);
	char error[256] = "";
	assert_null(config_load(error, sizeof error));
	assert_string_equal(error, "STORAGE_LINKS must be proxy unless STORAGE is r2");
}

/* Who screens prompts with this key and this setting; expected NULL: nobody may start so. */
static void
moderation(void **state)
{
	static const struct {
		const char *key, *value, *expected;
	} cases[] = {
	    {"", "", "off"},
	    {"", "off", "off"},
	    {"", "creem", NULL},
	    {"creem_test_made_up", "", "creem"},
	    {"creem_test_made_up", "off", "off"},
	    {"creem_test_made_up", "creem", "creem"},
	    {"creem_made_up", "", "creem"},
	    {"creem_made_up", "creem", "creem"},
	    {"creem_made_up", "off", NULL},
	    {"made_up", "off", NULL},
	    {"CREEM_TEST_made_up", "off", NULL},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		char error[256] = "";

		setenv("CREEM_API_KEY", cases[i].key, 1);
		setenv("MODERATION", cases[i].value, 1);
		struct config *config = config_load(error, sizeof error);
		assert_int_equal(config == NULL, cases[i].expected == NULL);
		if (config == NULL) {
			assert_int_equal(strncmp(error, "MODERATION ", 11), 0);
			assert_null(strstr(error, "made_up"));
			continue;
		}
		assert_string_equal(config_text(config, CONFIG_MODERATION), cases[i].expected);
		assert_int_equal(config_integer(config, CONFIG_MODERATION), strcmp(cases[i].expected, "creem") == 0);
		config_free(config);
	}
	clear_settings();
}

static void
defaults_are_valid(void **state)
{
	char error[256] = "";
	struct config *config = config_load(error, sizeof error);

	(void)state;
	assert_string_equal(error, "");
	assert_non_null(config);
	assert_null(config_text(config, CONFIG_SECRET_KEY));
	assert_null(config_text(config, CONFIG_DATABASE_URL));
	assert_string_equal(config_text(config, CONFIG_PUBLIC_URL), "http://127.0.0.1:8080");
	assert_int_equal(config_integer(config, CONFIG_WORKER_CONCURRENCY), 64);
	assert_int_equal(config_integer(config, CONFIG_PROVIDER_TIMEOUT_SECONDS), 300);
	assert_int_equal(config_integer(config, CONFIG_UPLOAD_TTL_SECONDS), 1800);
	assert_int_equal(config_integer(config, CONFIG_DATABASE_PREPARED), 1);
	assert_int_equal(config_integer(config, CONFIG_LOG_LEVEL), LOG_INFO);
	config_free(config);
}

/* Each level by its name and number. */
static void
levels(void **state)
{
	static const char *const names[LOG__COUNT] = {"debug", "info", "warn", "error"};

	(void)state;
	for (enum log_level level = 0; level < LOG__COUNT; level++) {
		char error[256];
		struct config *config;

		setenv("LOG_LEVEL", names[level], 1);
		config = config_load(error, sizeof error);
		assert_non_null(config);
		assert_int_equal(config_integer(config, CONFIG_LOG_LEVEL), level);
		config_free(config);
	}
}

static void
secrets_are_masked(void **state)
{
	char *printed = NULL, error[256];
	size_t len = 0;
	FILE *to = open_memstream(&printed, &len);
	struct config *config;

	(void)state;
	setenv("SECRET_KEY", SECRET, 1);
	setenv("DATABASE_URL", "postgresql://web:hunter2@db.example/x", 1);
	setenv("OPENAI_API_KEY", "sk-made-up", 1);
	config = config_load(error, sizeof error);
	assert_non_null(config);
	config_print(config, to);
	fclose(to);
	assert_null(strstr(printed, SECRET));
	assert_null(strstr(printed, "hunter2"));
	assert_null(strstr(printed, "sk-made-up"));
	assert_non_null(strstr(printed, "\nSECRET_KEY=***\n"));
	assert_non_null(strstr(printed, "\nSUPABASE_SECRET_KEY=\n"));
	assert_non_null(strstr(printed, "# jobs that one worker runs at a time\nWORKER_CONCURRENCY=64\n"));
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++)
		assert_non_null(strstr(printed, config_name(name)));
	free(printed);
	config_free(config);
}

/* What config_require writes before it stops the program; its exit status in *ret_status. */
static void
require(const struct config *config, const enum config_name *names, char *ret_line, size_t size, int *ret_status)
{
	int ends[2];
	pid_t child;
	ssize_t len;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		config_require(config, names);
		_exit(0);
	}
	close(ends[1]);
	len = read(ends[0], ret_line, size - 1);
	ret_line[len < 0 ? 0 : len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, ret_status, 0), child);
}

static void
missing_settings_stop(void **state)
{
	static const enum config_name present[] = {CONFIG_PUBLIC_URL, CONFIG_LOG_LEVEL, CONFIG_NAME__COUNT};
	static const enum config_name absent[] = {
	    CONFIG_PUBLIC_URL, CONFIG_STORAGE, CONFIG_SECRET_KEY, CONFIG_NAME__COUNT};
	char error[256], line[256];
	struct config *config = config_load(error, sizeof error);
	int status;

	(void)state;
	require(config, present, line, sizeof line, &status);
	assert_int_equal(status, 0);
	assert_string_equal(line, "");
	require(config, absent, line, sizeof line, &status);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(strncmp(line, "STORAGE is not set", 18), 0);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	config_free(config);
}

static void
every_integer_has_a_range(void **state)
{
	bool ranged[CONFIG_NAME__COUNT] = {false};

	(void)state;
#define X(name, min, max)                                                                                              \
	ranged[CONFIG_##name] = true;                                                                                  \
	assert_true((min) < (max));
	CONFIG_RANGES(X)
#undef X
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++)
		assert_int_equal(ranged[name], config_kind(name) == CONFIG_KIND_INTEGER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(values, setup),
	    cmocka_unit_test_setup(settings_agree, setup),
	    cmocka_unit_test_setup(defaults_are_valid, setup),
	    cmocka_unit_test_setup(levels, setup),
	    cmocka_unit_test_setup(moderation, setup),
	    cmocka_unit_test_setup(secrets_are_masked, setup),
	    cmocka_unit_test_setup(missing_settings_stop, setup),
	    cmocka_unit_test(every_integer_has_a_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
