#include "service/smtp.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/delivery_status.h"
#include "base/log.h"
#include "base/mailbox.h"

#define CONNECT_TIMEOUT_MS 10000

struct smtp {
	struct arena *arena;
	const struct smtp_server *server;
	CURL *easy;
	char status[DELIVERY_STATUS_MAX];
};

static void
curlu_cleanup(CURLU **url)
{
	curl_url_cleanup(*url);
}
#define AUTO_CURLU __attribute__((cleanup(curlu_cleanup))) CURLU *

static void
slist_cleanup(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}
#define AUTO_SLIST __attribute__((cleanup(slist_cleanup))) struct curl_slist *

static void
string_cleanup(char **string)
{
	curl_free(*string);
}
#define AUTO_STRING __attribute__((cleanup(string_cleanup))) char *

/* How far the talk has come. */
enum phase { PHASE_OPENING, PHASE_RECIPIENT, PHASE_MESSAGE, PHASE_LEFT };

static const char *const phase_names[] = {
    [PHASE_OPENING] = "opening",
    [PHASE_RECIPIENT] = "recipient",
    [PHASE_MESSAGE] = "message",
    [PHASE_LEFT] = "left",
};

/* One message on its way. */
struct delivery {
	const struct smtp_message *message;
	char *status; /* room for that of a refused recipient */
	bool bounced;
	size_t at;
	enum phase phase;
};

static void
start_curl(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

struct smtp *
smtp_new(const struct smtp_server *server)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct arena *arena = arena_new();
	struct smtp *smtp = arena_alloc(arena, sizeof *smtp);

	pthread_once(&once, start_curl);
	*smtp = (struct smtp){.arena = arena, .server = server, .easy = curl_easy_init()};
	if (smtp->easy == NULL)
		abort();
	return smtp;
}

void
smtp_free(struct smtp *smtp)
{
	if (smtp == NULL)
		return;
	curl_easy_cleanup(smtp->easy);
	arena_free(smtp->arena);
}

/* The parsed URL, *ret_plain whether it goes without TLS; NULL when it is none. */
static CURLU *
parse_url(const char *address, bool *ret_plain)
{
	AUTO_CURLU url = curl_url();
	AUTO_STRING scheme = NULL;
	AUTO_STRING host = NULL;
	AUTO_STRING path = NULL;
	AUTO_STRING query = NULL;
	AUTO_STRING fragment = NULL;
	CURLU *parsed = url;

	if (url == NULL || curl_url_set(url, CURLUPART_URL, address, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK || strcmp(path, "/") != 0 ||
	    curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK ||
	    curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK)
		return NULL;
	if (strcmp(scheme, "smtp") != 0 && strcmp(scheme, "smtps") != 0)
		return NULL;
	*ret_plain = strcmp(scheme, "smtp") == 0 && config_is_loopback(host);
	url = NULL;
	return parsed;
}

bool
smtp_url_acceptable(const char *url)
{
	bool plain;
	AUTO_CURLU parsed = parse_url(url, &plain);

	return parsed != NULL;
}

/* The commands tell which of them the server's last status answers; of what they say only a status is kept. */
static int
on_talk(CURL *, curl_infotype type, char *bytes, size_t len, void *context)
{
	struct delivery *delivery = context;

	if (type == CURLINFO_HEADER_OUT && len >= 5 && memcmp(bytes, "RCPT ", 5) == 0)
		delivery->phase = PHASE_RECIPIENT;
	if (type == CURLINFO_HEADER_IN && delivery->phase == PHASE_RECIPIENT && !delivery->bounced)
		delivery->bounced = delivery_status_refuses(bytes, len, delivery->status);
	return 0;
}

static int
on_progress(void *context, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
	const struct delivery *delivery = context;

	return delivery->phase != PHASE_LEFT && delivery->message->stopped != NULL &&
	       delivery->message->stopped(delivery->message->context);
}

static size_t
on_read(char *to, size_t size, size_t count, void *context)
{
	struct delivery *delivery = context;
	const struct smtp_message *message = delivery->message;
	size_t len = size * count, left = message->len - delivery->at;

	if (left == 0)
		return 0;
	if (delivery->phase < PHASE_MESSAGE)
		delivery->phase = PHASE_MESSAGE;
	if (len < left) {
		left = len;
	} else {
		if (message->leaving != NULL && !message->leaving(message->context))
			return CURL_READFUNC_ABORT;
		delivery->phase = PHASE_LEFT;
	}
	memcpy(to, message->bytes + delivery->at, left);
	delivery->at += left;
	return left;
}

static void
set_policy(CURL *easy, const struct smtp_server *server, bool plain)
{
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(easy, CURLOPT_USE_SSL, plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (server->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, server->ca_file);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

static void
set_message(CURL *easy, struct delivery *delivery, struct curl_slist *recipients)
{
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)delivery->message->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_MAIL_FROM, delivery->message->from);
	curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, delivery);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, delivery);
	curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_talk);
	curl_easy_setopt(easy, CURLOPT_DEBUGDATA, delivery);
}

/* A 5xx before the recipient is named is about us, not about this mail: a wrong password must not drop every mail. */
static enum smtp_outcome
outcome_of(const struct delivery *delivery, CURLcode code, long status)
{
	if (code == CURLE_OK)
		return SMTP_SENT;
	if (status / 100 == 5 && delivery->phase == PHASE_RECIPIENT && delivery->bounced)
		return SMTP_BOUNCED;
	if (status / 100 == 5 && delivery->phase >= PHASE_RECIPIENT)
		return SMTP_REFUSED;
	if (status / 100 == 4 || delivery->phase < PHASE_LEFT)
		return SMTP_LATER;
	return SMTP_UNCERTAIN;
}

static enum smtp_outcome
perform(struct smtp *smtp, CURLU *url, struct delivery *delivery, bool plain)
{
	CURL *easy = smtp->easy;
	AUTO_SLIST recipients = curl_slist_append(NULL, delivery->message->to);
	long status = 0;

	if (recipients == NULL)
		abort();
	curl_easy_setopt(easy, CURLOPT_CURLU, url);
	set_policy(easy, smtp->server, plain);
	set_message(easy, delivery, recipients);
	CURLcode code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		char number[16];

		snprintf(number, sizeof number, "%ld", status);
		log_event(LOG_WARN, "smtp_failed", "cause", curl_easy_strerror(code), "phase",
		    phase_names[delivery->phase], "status", number, NULL);
	}
	curl_easy_reset(easy);
	return outcome_of(delivery, code, status);
}

/* The server's address; the path is what curl says in EHLO, and without one it tells the host's name. */
static CURLU *
open_url(struct arena *arena, const struct smtp_server *server, bool *ret_plain)
{
	AUTO_CURLU url = parse_url(server->url, ret_plain);
	CURLU *opened = url;

	if (url == NULL || curl_url_set(url, CURLUPART_PATH, arena_printf(arena, "/%s", server->hello), 0) != CURLUE_OK)
		return NULL;
	url = NULL;
	return opened;
}

bool
smtp_probe(struct smtp *smtp, int64_t timeout_ms)
{
	bool plain;
	AUTO_ARENA arena = arena_new();
	AUTO_CURLU url = open_url(arena, smtp->server, &plain);

	if (url == NULL)
		return false;
	curl_easy_setopt(smtp->easy, CURLOPT_CURLU, url);
	set_policy(smtp->easy, smtp->server, plain);
	curl_easy_setopt(smtp->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(smtp->easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(smtp->easy, CURLOPT_CUSTOMREQUEST, "NOOP");
	CURLcode code = curl_easy_perform(smtp->easy);
	curl_easy_reset(smtp->easy);
	if (code != CURLE_OK)
		log_event(LOG_ERROR, "smtp_failed", "cause", curl_easy_strerror(code), "phase", "probe", NULL);
	return code == CURLE_OK;
}

enum smtp_outcome
smtp_send(struct smtp *smtp, const struct smtp_message *message)
{
	struct delivery delivery = {.message = message, .status = smtp->status};
	bool plain;
	AUTO_ARENA arena = arena_new();
	AUTO_CURLU url = open_url(arena, smtp->server, &plain);

	if (!mailbox_is_address(message->to) || message->len == 0)
		return SMTP_REFUSED;
	if (url == NULL || !mailbox_is_address(message->from) || message->timeout_ms <= 0) {
		log_event(LOG_ERROR, "smtp_failed", "cause", "not set up", NULL);
		return SMTP_LATER;
	}
	return perform(smtp, url, &delivery, plain);
}

const char *
smtp_status(const struct smtp *smtp)
{
	return smtp->status;
}
