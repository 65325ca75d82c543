#include "base/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/mailbox.h"

#define SECRET_MIN 32

struct setting {
	const char *name;
	enum config_kind kind;
	const char *fallback;
	bool secret;
	const char *meaning;
};

static const struct setting settings[CONFIG_NAME__COUNT] = {
#define X(name, kind, fallback, secret, meaning) [CONFIG_##name] = {#name, kind, fallback, secret, meaning},
    CONFIG_LIST(X)
#undef X
};

static const struct {
	int64_t min, max;
} ranges[CONFIG_NAME__COUNT] = {
#define X(name, min, max) [CONFIG_##name] = {min, max},
    CONFIG_RANGES(X)
#undef X
};

#define CHOICES 3

static const char *const choices[CONFIG_NAME__COUNT][CHOICES] = {
#define X(name, first, second, third) [CONFIG_##name] = {first, second, third},
    CONFIG_CHOICES(X)
#undef X
};

struct config {
	struct arena *arena;
	char *values[CONFIG_NAME__COUNT];
	int64_t integers[CONFIG_NAME__COUNT];
};

/* Each check returns what the value must be, or NULL when it is. It may shorten the value. */
typedef const char *check_value(struct config *config, enum config_name name, char *value);

static const char *
check_text(struct config *, enum config_name, char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			return "free of control characters";
	return NULL;
}

static const char *
check_integer(struct config *config, enum config_name name, char *value)
{
	char *end;
	int64_t integer;

	errno = 0;
	integer = strtoimax(value, &end, 10);
	if (errno != 0 || *end != '\0' || !(isdigit((unsigned char)*value) || *value == '-') ||
	    integer < ranges[name].min || integer > ranges[name].max)
		return arena_printf(
		    config->arena, "a whole number from %" PRId64 " to %" PRId64, ranges[name].min, ranges[name].max);
	config->integers[name] = integer;
	return NULL;
}

/* host[:port][/path], without user, query or fragment. */
static bool
url_rest_valid(const char *rest, size_t *ret_host_len)
{
	size_t host = rest[0] == '[' ? strcspn(rest, "]") + 1 : strcspn(rest, ":/");
	const char *after = rest + host;

	if (host == 0 || host > strlen(rest) ||
	    strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-[]:") < host)
		return false;
	if (*after == ':') {
		size_t digits = strspn(after + 1, "0123456789");

		if (digits == 0 || digits > 5 || strtol(after + 1, NULL, 10) > 65535)
			return false;
		after += 1 + digits;
	}
	if (*after != '\0' && *after != '/')
		return false;
	for (; *after != '\0'; after++)
		if (*after <= ' ' || *after >= 0x7f || strchr("?#@\\\"<>`", *after) != NULL)
			return false;
	*ret_host_len = host;
	return true;
}

static const char *
check_url(struct config *config, enum config_name, char *value)
{
	static const char expected[] = "an https address (http only to loopback) without user, query or fragment";
	bool plain = strncmp(value, "http://", 7) == 0;
	size_t host_len, len;
	const char *rest;

	if (!plain && strncmp(value, "https://", 8) != 0)
		return expected;
	rest = value + (plain ? 7 : 8);
	if (!url_rest_valid(rest, &host_len) ||
	    (plain && !config_is_loopback(arena_strndup(config->arena, rest, host_len))))
		return expected;
	for (len = strlen(value); value[len - 1] == '/'; len--)
		value[len - 1] = '\0';
	return NULL;
}

/* Programs and nginx sign and send this as the Host, so both must find the same. */
static const char *
check_origin(struct config *config, enum config_name name, char *value)
{
	const char *expected = check_url(config, name, value);
	bool plain = strncmp(value, "http://", 7) == 0;
	char *port = strrchr(value, ':');

	if (expected != NULL)
		return expected;
	if (strchr(value + (plain ? 7 : 8), '/') != NULL)
		return "an https address (http only to loopback) without a path";
	if (strcmp(port, plain ? ":80" : ":443") == 0)
		*port = '\0';
	return NULL;
}

static const char *
check_links(struct config *, enum config_name, char *value)
{
	return strcmp(value, "proxy") == 0 || strcmp(value, "direct") == 0 ? NULL : "proxy or direct";
}

static const char *
check_bucket(struct config *, enum config_name, char *value)
{
	size_t len = strlen(value);

	if (len < 3 || len > 63 || strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return "3 to 63 lower-case letters, digits and hyphens";
	return NULL;
}

static const char *
check_storage(struct config *, enum config_name, char *value)
{
	if (strcmp(value, "r2") == 0)
		return NULL;
	return strncmp(value, "file:/", 6) == 0 && value[6] != '\0' ? NULL : "file:/absolute/path or r2";
}

static const char *
check_secrets(struct config *, enum config_name, char *value)
{
	static const char expected[] = "one or two secrets of at least 32 visible characters, by a comma";
	const char *comma = strchr(value, ',');
	size_t first = comma == NULL ? strlen(value) : (size_t)(comma - value);

	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return expected;
	if (first < SECRET_MIN)
		return expected;
	if (comma != NULL && (strlen(comma + 1) < SECRET_MIN || strchr(comma + 1, ',') != NULL))
		return expected;
	return NULL;
}

static const char *
check_secret(struct config *config, enum config_name name, char *value)
{
	if (strlen(value) < SECRET_MIN)
		return "a secret of at least 32 characters";
	return check_text(config, name, value);
}

static const char *
check_key(struct config *, enum config_name, char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return "a key of visible characters without spaces";
	return NULL;
}

/* address or address/bits; cuts value. */
static bool
is_network(char *value)
{
	char *slash = strchr(value, '/');
	struct in6_addr address;
	long most = strchr(value, ':') != NULL ? 128 : 32;

	if (slash != NULL) {
		size_t digits = strspn(slash + 1, "0123456789");
		if (digits == 0 || digits > 3 || slash[1 + digits] != '\0' || strtol(slash + 1, NULL, 10) > most)
			return false;
		*slash = '\0';
	}
	return inet_pton(most == 128 ? AF_INET6 : AF_INET, value, &address) == 1;
}

static const char *
check_addresses(struct config *config, enum config_name, char *value)
{
	for (const char *at = value;; at++) {
		size_t len = strcspn(at, ",");
		if (!is_network(arena_strndup(config->arena, at, len)))
			return "addresses or networks (address/bits), by commas without spaces";
		at += len;
		if (*at == '\0')
			return NULL;
	}
}

static const char *
check_email(struct config *, enum config_name, char *value)
{
	const char *at = strchr(value, '@');

	if (at == NULL || at == value || at[1] == '\0' || strchr(at + 1, '@') != NULL)
		return "an e-mail address";
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("<>\"(),;:\\", *c) != NULL)
			return "an e-mail address";
	return NULL;
}

static const char *
check_level(struct config *config, enum config_name name, char *value)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};

	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		if (strcmp(value, levels[i]) == 0) {
			config->integers[name] = (int64_t)i;
			return NULL;
		}
	}
	return "debug, info, warn or error";
}

static const char *
check_choice(struct config *config, enum config_name name, char *value)
{
	const char *const *words = choices[name];

	for (size_t i = 0; i < CHOICES && words[i] != NULL; i++) {
		if (strcmp(value, words[i]) == 0) {
			config->integers[name] = (int64_t)i;
			return NULL;
		}
	}
	return words[2] == NULL ? arena_printf(config->arena, "%s or %s", words[0], words[1])
				: arena_printf(config->arena, "%s, %s or %s", words[0], words[1], words[2]);
}

/* Only the shape: the module that speaks SMTP parses it for good. */
static const char *
check_smtp(struct config *config, enum config_name, char *value)
{
	static const char expected[] = "smtps://[user:password@]host[:port] or smtp://[user:password@]host[:port], "
				       "user and password percent-encoded";
	const char *rest = strncmp(value, "smtps://", 8) == 0  ? value + 8
			   : strncmp(value, "smtp://", 7) == 0 ? value + 7
							       : NULL;
	const char *at = rest == NULL ? NULL : strchr(rest, '@');
	size_t host_len;

	if (rest == NULL)
		return expected;
	if (at != NULL) {
		const char *user = arena_strndup(config->arena, rest, (size_t)(at - rest)), *colon = strchr(user, ':');

		if (*user == '\0' || *user == ':' || (colon != NULL && strchr(colon + 1, ':') != NULL))
			return expected;
		for (const char *c = user; *c != '\0'; c++)
			if (*c <= ' ' || *c >= 0x7f || strchr("/?#;[]\\\"<>`", *c) != NULL)
				return expected;
		rest = at + 1;
	}
	return url_rest_valid(rest, &host_len) && strchr(rest, '/') == NULL ? NULL : expected;
}

static const char *
check_mailbox(struct config *config, enum config_name, char *value)
{
	struct mailbox mailbox;

	return mailbox_read(config->arena, value, &mailbox) ? NULL : "local@domain or Name <local@domain>";
}

static const char *
check_folder(struct config *config, enum config_name name, char *value)
{
	return value[0] == '/' && value[1] != '\0' && check_text(config, name, value) == NULL ? NULL
											      : "an absolute path";
}

static check_value *const checks[CONFIG_KIND__COUNT] = {
    [CONFIG_KIND_TEXT] = check_text,
    [CONFIG_KIND_INTEGER] = check_integer,
    [CONFIG_KIND_URL] = check_url,
    [CONFIG_KIND_DATABASE] = check_text,
    [CONFIG_KIND_ORIGIN] = check_origin,
    [CONFIG_KIND_STORAGE] = check_storage,
    [CONFIG_KIND_LINKS] = check_links,
    [CONFIG_KIND_BUCKET] = check_bucket,
    [CONFIG_KIND_SECRETS] = check_secrets,
    [CONFIG_KIND_SECRET] = check_secret,
    [CONFIG_KIND_KEY] = check_key,
    [CONFIG_KIND_ADDRESSES] = check_addresses,
    [CONFIG_KIND_EMAIL] = check_email,
    [CONFIG_KIND_LEVEL] = check_level,
    [CONFIG_KIND_CHOICE] = check_choice,
    [CONFIG_KIND_SMTP] = check_smtp,
    [CONFIG_KIND_MAILBOX] = check_mailbox,
    [CONFIG_KIND_FOLDER] = check_folder,
};

/* Creem obliges whoever sells pictures through it to screen every prompt; only its test keys are free of that. */
static const char *
settle_moderation(struct config *config)
{
	const char *key = config->values[CONFIG_CREEM_API_KEY];
	bool in_earnest = key != NULL && strncmp(key, "creem_test_", 11) != 0;

	if (config->values[CONFIG_MODERATION] == NULL) {
		config->integers[CONFIG_MODERATION] = key != NULL;
		config->values[CONFIG_MODERATION] =
		    arena_strdup(config->arena, choices[CONFIG_MODERATION][key != NULL]);
	}
	bool screens = config->integers[CONFIG_MODERATION] != 0;
	if (screens && key == NULL)
		return "MODERATION cannot be creem without CREEM_API_KEY";
	return !screens && in_earnest ? "MODERATION must not be off with a CREEM_API_KEY of production" : NULL;
}

bool
config_is_loopback(const char *host)
{
	struct in_addr address;

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

/* The setting that does not go with the others, and what it must be; NULL: they agree. */
static const char *
check_together(const struct config *config, enum config_name *ret_name)
{
	static const enum config_name r2[] = {CONFIG_R2_ENDPOINT, CONFIG_R2_BUCKET, CONFIG_R2_UPLOAD_BUCKET,
	    CONFIG_R2_ACCESS_KEY_ID, CONFIG_R2_SECRET_ACCESS_KEY};
	const char *storage = config->values[CONFIG_STORAGE], *bucket = config->values[CONFIG_R2_BUCKET],
		   *uploads = config->values[CONFIG_R2_UPLOAD_BUCKET];
	bool in_r2 = storage != NULL && strcmp(storage, "r2") == 0;

	for (size_t i = 0; in_r2 && i < sizeof r2 / sizeof *r2; i++) {
		*ret_name = r2[i];
		if (config->values[r2[i]] == NULL)
			return "set when STORAGE is r2";
	}
	*ret_name = CONFIG_R2_UPLOAD_BUCKET;
	if (bucket != NULL && uploads != NULL && strcmp(bucket, uploads) == 0)
		return "another bucket than R2_BUCKET";
	*ret_name = CONFIG_STORAGE_LINKS;
	if (!in_r2 && strcmp(config->values[CONFIG_STORAGE_LINKS], "direct") == 0)
		return "proxy unless STORAGE is r2";
	return NULL;
}

struct config *
config_load(char *ret_error, size_t error_size)
{
	enum config_name wrong;
	const char *together;
	struct arena *arena = arena_new();
	struct config *config = arena_alloc(arena, sizeof *config);

	config->arena = arena;
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++) {
		const struct setting *setting = &settings[name];
		const char *value = getenv(setting->name), *expected;

		if (value == NULL || *value == '\0')
			value = setting->fallback;
		if (value == NULL)
			continue;
		config->values[name] = arena_strdup(arena, value);
		expected = checks[setting->kind](config, name, config->values[name]);
		if (expected != NULL) {
			snprintf(ret_error, error_size, "%s must be %s", setting->name, expected);
			config_free(config);
			return NULL;
		}
	}
	together = check_together(config, &wrong);
	if (together != NULL) {
		snprintf(ret_error, error_size, "%s must be %s", settings[wrong].name, together);
		config_free(config);
		return NULL;
	}
	const char *fault = settle_moderation(config);
	if (fault != NULL) {
		snprintf(ret_error, error_size, "%s", fault);
		config_free(config);
		return NULL;
	}
	return config;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++)
		if (settings[name].secret && config->values[name] != NULL)
			digest_cleanse(config->values[name], strlen(config->values[name]));
	arena_free(config->arena);
}

const char *
config_name(enum config_name name)
{
	assert(name < CONFIG_NAME__COUNT);
	return settings[name].name;
}

enum config_kind
config_kind(enum config_name name)
{
	assert(name < CONFIG_NAME__COUNT);
	return settings[name].kind;
}

const char *
config_text(const struct config *config, enum config_name name)
{
	assert(name < CONFIG_NAME__COUNT);
	return config->values[name];
}

int64_t
config_integer(const struct config *config, enum config_name name)
{
	assert(settings[name].kind == CONFIG_KIND_INTEGER || settings[name].kind == CONFIG_KIND_LEVEL ||
	       settings[name].kind == CONFIG_KIND_CHOICE);
	return config->integers[name];
}

void
config_require(const struct config *config, const enum config_name *names)
{
	for (; *names != CONFIG_NAME__COUNT; names++) {
		if (config->values[*names] == NULL) {
			fprintf(stderr, "%s is not set (%s)\n", settings[*names].name, settings[*names].meaning);
			exit(EXIT_FAILURE);
		}
	}
}

void
config_print(const struct config *config, FILE *to)
{
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++) {
		const char *value = config->values[name];

		if (value != NULL && settings[name].secret)
			value = "***";
		fprintf(to, "# %s\n%s=%s\n", settings[name].meaning, settings[name].name, value == NULL ? "" : value);
	}
}
