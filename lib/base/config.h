/*
 * Configuration: the environment, read and checked once in main. One list
 * names every setting with its default and its meaning; README's table,
 * `shotaictl config` and the checks at start are made from it.
 */
#ifndef SHOTAI_CONFIG_H
#define SHOTAI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_kind {
	CONFIG_KIND_TEXT,
	CONFIG_KIND_INTEGER,
	CONFIG_KIND_URL,       /* https, or http to loopback; no trailing slash is kept */
	CONFIG_KIND_DATABASE,  /* a libpq connection string; db_config_acceptable checks it, since libpq is db.c's */
	CONFIG_KIND_STORAGE,   /* file:/absolute/path or r2 */
	CONFIG_KIND_SECRETS,   /* one or two secrets of at least 32 characters: current,previous */
	CONFIG_KIND_SECRET,    /* 32 characters or more */
	CONFIG_KIND_KEY,       /* what goes into a header as it is: visible characters, no space */
	CONFIG_KIND_ADDRESSES, /* IP addresses or networks (address/bits), by commas */
	CONFIG_KIND_EMAIL,
	CONFIG_KIND_LEVEL,   /* debug | info | warn | error */
	CONFIG_KIND_CHOICE,  /* one of two or three words; config_integer tells which, from 0 */
	CONFIG_KIND_SMTP,    /* smtps://[user:password@]host[:port] or smtp://..., whose TLS smtp.h tells */
	CONFIG_KIND_MAILBOX, /* local@domain or Name <local@domain> */
	CONFIG_KIND_FOLDER,  /* an absolute path */
	CONFIG_KIND_ORIGIN,  /* a URL without path; its default port is dropped */
	CONFIG_KIND_LINKS,   /* proxy | direct */
	CONFIG_KIND_BUCKET,  /* 3 to 63 of a-z 0-9 - */
	CONFIG_KIND__COUNT
};

/* name, kind, default (NULL: none, the setting may be absent), secret, meaning */
#define CONFIG_LIST(X)                                                                                                 \
	X(PUBLIC_URL, CONFIG_KIND_URL, "http://127.0.0.1:8080", false, "where browsers reach the service")             \
	X(SECRET_KEY, CONFIG_KIND_SECRETS, NULL, true, "current[,previous]: every HMAC key is derived from it")        \
	X(PROCESSES, CONFIG_KIND_INTEGER, "0", false, "children of generate, history and files; 0: two per core")      \
	X(WORKER_CONCURRENCY, CONFIG_KIND_INTEGER, "64", false, "jobs that one worker runs at a time")                 \
	X(TRUSTED_PROXIES, CONFIG_KIND_ADDRESSES, NULL, false,                                                         \
	    "addresses whose X-Forwarded-For nginx believes, by commas")                                               \
	X(SUPPORT_EMAIL, CONFIG_KIND_EMAIL, "support@shotai.example", false,                                           \
	    "shown to people who need help, and gets what they write to support")                                      \
	X(DATABASE_URL, CONFIG_KIND_DATABASE, NULL, true, "connection of the web programs (role shotai_web)")          \
	X(DATABASE_WEBHOOK_URL, CONFIG_KIND_DATABASE, NULL, true,                                                      \
	    "connection of billing-webhook (role shotai_webhook)")                                                     \
	X(DATABASE_WORKER_URL, CONFIG_KIND_DATABASE, NULL, true, "connection of the worker (role shotai_worker)")      \
	X(DATABASE_OPERATOR_URL, CONFIG_KIND_DATABASE, NULL, true, "connection of shotaictl (role shotai_operator)")   \
	X(DATABASE_ADMIN_URL, CONFIG_KIND_DATABASE, NULL, true,                                                        \
	    "connection of shotaictl migrate (postgres on Supabase)")                                                  \
	X(DATABASE_PREPARED, CONFIG_KIND_INTEGER, "1", false, "0 behind a transaction pooler: no named statements")    \
	X(SUPABASE_URL, CONFIG_KIND_URL, NULL, false, "project address; tokens are issued by SUPABASE_URL/auth/v1")    \
	X(SUPABASE_JWT_SECRET, CONFIG_KIND_SECRET, NULL, true, "legacy HS256 secret; absent: only the key set counts") \
	X(SUPABASE_ANON_KEY, CONFIG_KIND_KEY, NULL, false, "publishable key that the browser sends")                   \
	X(SUPABASE_SECRET_KEY, CONFIG_KIND_KEY, NULL, true, "secret key, to delete users")                             \
	X(STORAGE, CONFIG_KIND_STORAGE, NULL, false, "where pictures are kept: file:/path or r2")                      \
	X(STORAGE_LINKS, CONFIG_KIND_LINKS, "proxy", false, "direct: browsers fetch pictures from R2 itself")          \
	X(R2_ENDPOINT, CONFIG_KIND_ORIGIN, NULL, false, "Cloudflare R2: https://ACCOUNT.r2.cloudflarestorage.com")     \
	X(R2_BUCKET, CONFIG_KIND_BUCKET, NULL, false, "bucket of the pictures")                                        \
	X(R2_UPLOAD_BUCKET, CONFIG_KIND_BUCKET, NULL, false, "bucket of the uploads, another one")                     \
	X(R2_ACCESS_KEY_ID, CONFIG_KIND_KEY, NULL, true, "R2 token that may read and write objects in both")           \
	X(R2_SECRET_ACCESS_KEY, CONFIG_KIND_KEY, NULL, true, "its secret")                                             \
	X(OPENAI_BASE_URL, CONFIG_KIND_URL, "https://api.openai.com/v1", false, "OpenAI-compatible images API")        \
	X(OPENAI_API_KEY, CONFIG_KIND_KEY, NULL, true, "its key")                                                      \
	X(PROVIDER_TIMEOUT_SECONDS, CONFIG_KIND_INTEGER, "300", false, "deadline of one generation, retries included") \
	X(UPLOAD_TTL_SECONDS, CONFIG_KIND_INTEGER, "1800", false, "when an upload is deleted; may only be lowered")    \
	X(CREEM_API_URL, CONFIG_KIND_URL, "https://api.creem.io", false, "Creem's API; its paths start with /v1")      \
	X(CREEM_API_KEY, CONFIG_KIND_KEY, NULL, true, "its key; absent: nothing can be bought")                        \
	X(CREEM_WEBHOOK_SECRET, CONFIG_KIND_KEY, NULL, true, "signs Creem's webhooks; absent: all are refused")        \
	X(MODERATION, CONFIG_KIND_CHOICE, NULL, false,                                                                 \
	    "creem or off: who screens prompts; absent: creem with a CREEM_API_KEY, else off")                         \
	X(MODERATION_FLAG, CONFIG_KIND_CHOICE, "deny", false,                                                          \
	    "deny or allow: what becomes of a prompt that is flagged")                                                 \
	X(SMTP_URL, CONFIG_KIND_SMTP, NULL, true, "smtps://[user:password@]host[:port], or smtp:// with STARTTLS")     \
	X(MAIL_DIRECTORY, CONFIG_KIND_FOLDER, NULL, false, "without SMTP_URL: where mails become .eml files")          \
	X(MAIL_FROM, CONFIG_KIND_MAILBOX, NULL, false,                                                                 \
	    "sender of mails, Name <address>; its domain greets the server")                                           \
	X(TELEMETRY, CONFIG_KIND_CHOICE, "off", false,                                                                 \
	    "off, requests or requests+ip: what is recorded of each request")                                          \
	X(TELEMETRY_DAYS, CONFIG_KIND_INTEGER, "7", false, "for how many days that is kept")                           \
	X(SPOOL_DIRECTORY, CONFIG_KIND_FOLDER, "/var/tmp", false, "where the worker puts an archive together")         \
	X(LOG_LEVEL, CONFIG_KIND_LEVEL, "info", false, "debug, info, warn or error")

/* name, least and greatest value of each CONFIG_KIND_INTEGER */
#define CONFIG_RANGES(X)                                                                                               \
	X(PROCESSES, 0, 64)                                                                                            \
	X(WORKER_CONCURRENCY, 1, 1024)                                                                                 \
	X(DATABASE_PREPARED, 0, 1)                                                                                     \
	X(PROVIDER_TIMEOUT_SECONDS, 1, 3600)                                                                           \
	X(UPLOAD_TTL_SECONDS, 1, 1800)                                                                                 \
	X(TELEMETRY_DAYS, 1, 90)

/* name and the words of each CONFIG_KIND_CHOICE; the third may be NULL */
#define CONFIG_CHOICES(X)                                                                                              \
	X(MODERATION, "off", "creem", NULL)                                                                            \
	X(MODERATION_FLAG, "deny", "allow", NULL)                                                                      \
	X(TELEMETRY, "off", "requests", "requests+ip")

enum config_name {
#define X(name, kind, fallback, secret, meaning) CONFIG_##name,
	CONFIG_LIST(X)
#undef X
	    CONFIG_NAME__COUNT
};

struct config;

/*
 * Reads and checks the environment; an empty value counts as absent. What
 * needs others (STORAGE=r2, STORAGE_LINKS=direct) is checked with them. On
 * failure returns NULL and writes one line naming the setting, never its
 * value, to ret_error (error_size bytes). Lives until config_free.
 */
struct config *config_load(char *ret_error, size_t error_size);
void config_free(struct config *config);

/*
 * The effective value, NULL when it is absent and has no default; a level also as config_integer, an enum log_level, a
 * choice as the number of its word.
 */
const char *config_text(const struct config *config, enum config_name name);
int64_t config_integer(const struct config *config, enum config_name name);
/* "PUBLIC_URL" and so on, and the setting's kind. */
const char *config_name(enum config_name name);
enum config_kind config_kind(enum config_name name);
/* Stops the program with one line naming the first of these settings that is absent; the list ends with
 * CONFIG_NAME__COUNT. */
void config_require(const struct config *config, const enum config_name *names);
/* NAME=value lines with the meaning as a comment, secrets as *** . */
void config_print(const struct config *config, FILE *to);

/* Whether a host's name or address, IPv6 with or without brackets, can only be this machine. */
bool config_is_loopback(const char *host);

#endif
