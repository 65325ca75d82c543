#include "feature/mail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/text.h"
#include "feature/support.h"
#include "feature/unsubscribe.h"
#include "service/db.h"
#include "service/message.h"
#include "service/smtp.h"

#define TIMEOUT_MS 60000
#define MESSAGE_MAX ((size_t)1 << 20)

enum statement { CLAIM_MAILS, START_MAIL, FINISH_MAIL };

static const struct db_statement statements[] = {
    [CLAIM_MAILS] = {.sql = "select * from shotai.claim_mails($1)"},
    [START_MAIL] = {.sql = "select * from shotai.start_mail($1, $2)"},
    [FINISH_MAIL] = {.sql = "select * from shotai.finish_mail($1, $2, $3, $4)"},
};

#define PARAMETERS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

struct mail_route {
	struct arena *arena;
	struct mailbox from;
	struct receipt_site site;
	struct smtp_server server;
	struct smtp *smtp; /* NULL: files */
	const char *folder, *secrets;
};

bool
mail_config_acceptable(const struct config *config, char *ret_error, size_t error_size)
{
	const char *url = config_text(config, CONFIG_SMTP_URL), *fault = NULL;

	if (url != NULL && !smtp_url_acceptable(url))
		fault = "SMTP_URL must be the address of a mail server";
	else if ((url != NULL || config_text(config, CONFIG_MAIL_DIRECTORY) != NULL) &&
		 config_text(config, CONFIG_MAIL_FROM) == NULL)
		fault = "MAIL_FROM is not set, and mails need a sender";
	if (fault != NULL)
		snprintf(ret_error, error_size, "%s", fault);
	return fault == NULL;
}

struct mail_route *
mail_route_new(const struct config *config)
{
	const char *url = config_text(config, CONFIG_SMTP_URL), *folder = config_text(config, CONFIG_MAIL_DIRECTORY);

	if (url == NULL && folder == NULL)
		return NULL;
	struct arena *arena = arena_new();
	struct mail_route *route = arena_alloc(arena, sizeof(*route));
	*route = (struct mail_route){
	    .arena = arena,
	    .site = {config_text(config, CONFIG_PUBLIC_URL), config_text(config, CONFIG_SUPPORT_EMAIL)},
	    .folder = folder,
	    .secrets = config_text(config, CONFIG_SECRET_KEY),
	};
	if (!mailbox_read(arena, config_text(config, CONFIG_MAIL_FROM), &route->from))
		abort();
	if (route->from.name == NULL)
		route->from.name = "ShotAI";
	if (url != NULL) {
		route->server = (struct smtp_server){.url = url, .hello = route->from.domain};
		route->smtp = smtp_new(&route->server);
	}
	return route;
}

void
mail_route_free(struct mail_route *route)
{
	if (route == NULL)
		return;
	smtp_free(route->smtp);
	arena_free(route->arena);
}

/* RFC 3339 in UTC as the database writes it; 0 when it is none. */
static int64_t
seconds_of(const char *time)
{
	struct tm utc = {0};
	const char *end = time == NULL ? NULL : strptime(time, "%Y-%m-%dT%H:%M:%S", &utc);

	return end == NULL ? 0 : timegm(&utc);
}

static const char *
text_of(struct arena *arena, const struct db_result *result, const char *column)
{
	return arena_strdup(arena, db_text(result, 0, column));
}

static int64_t
number_of(const struct db_result *result, const char *column)
{
	return db_text(result, 0, column) == NULL ? RECEIPT_NONE : db_integer(result, 0, column);
}

static struct receipt
read_receipt(struct arena *arena, const struct db_result *result, enum language language)
{
	bool refund = strcmp(db_text(result, 0, "kind"), "refund") == 0;
	int64_t amount = db_integer(result, 0, "amount_cents"), before = db_integer(result, 0, "before_cents");
	int64_t credits = db_integer(result, 0, "credits"), lost = db_integer(result, 0, "lost");
	const char *product = language == LANGUAGE_NL ? db_text(result, 0, "product_name_nl") : NULL;

	if (product == NULL || *product == '\0')
		product = db_text(result, 0, "product_name");
	return (struct receipt){
	    .refund = refund,
	    .product = product == NULL ? "ShotAI" : arena_strdup(arena, product),
	    .units = number_of(result, "units"),
	    .order = text_of(arena, result, db_text(result, 0, "creem_order") == NULL ? "order_id" : "creem_order"),
	    .transaction = text_of(arena, result, "transaction_id"),
	    .currency = text_of(arena, result, "currency"),
	    .amount = number_of(result, "price_cents"),
	    .tax = number_of(result, "tax_cents"),
	    .paid = refund ? number_of(result, "paid_cents") : amount,
	    .refunded = refund ? amount - before : RECEIPT_NONE,
	    .refunded_in_all = refund ? amount : RECEIPT_NONE,
	    .credits = refund ? credits - lost : credits,
	    .lost = refund ? lost : RECEIPT_NONE,
	    .at = text_of(arena, result, refund ? "created_at" : "paid_at"),
	    .period_start = text_of(arena, result, "period_start"),
	    .period_end = text_of(arena, result, "period_end"),
	};
}

static enum mail_kind
kind_of(const char *kind)
{
	if (strcmp(kind, "announcement") == 0)
		return MAIL_ANNOUNCEMENT;
	return strcmp(kind, "support") == 0 ? MAIL_SUPPORT : MAIL_RECEIPT;
}

enum problem
mail_claim(struct db *db, struct arena *arena, struct mail *ret_mail, bool *ret_found)
{
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(db, arena, &statements[CLAIM_MAILS], PARAMETERS("1"), &result, NULL);

	if (problem != PROBLEM_NONE)
		return problem;
	*ret_found = db_rows(result) > 0;
	if (!*ret_found)
		return PROBLEM_NONE;
	enum language language = strcmp(db_text(result, 0, "locale"), "nl") == 0 ? LANGUAGE_NL : LANGUAGE_EN;
	enum mail_kind kind = kind_of(db_text(result, 0, "kind"));
	*ret_mail = (struct mail){
	    .kind = kind,
	    .id = db_integer(result, 0, "id"),
	    .attempt = db_integer(result, 0, "attempt"),
	    .message_id = text_of(arena, result, "message_id"),
	    .email = text_of(arena, result, "email"),
	    .caused_at = seconds_of(db_text(result, 0, "created_at")),
	    .language = language,
	    .announcement = {text_of(arena, result, "subject"), text_of(arena, result, "body")},
	    .account = number_of(result, "account"),
	    .body = text_of(arena, result, "body"),
	    .reply_to = text_of(arena, result, "reply_to"),
	    .user_id = text_of(arena, result, "user_id"),
	};
	if (kind == MAIL_RECEIPT)
		ret_mail->receipt = read_receipt(arena, result, language);
	return PROBLEM_NONE;
}

/* Where it goes. */
static const char *
recipient(const struct mail_route *route, const struct mail *mail)
{
	return mail->kind == MAIL_SUPPORT ? route->site.support : mail->email;
}

/* Fills what a message says; false when it cannot be said. */
static bool
write_content(struct arena *arena, const struct mail_route *route, const struct mail *mail, struct message *message)
{
	struct receipt_mail receipt;
	struct announcement_mail announcement;
	struct support_mail support;

	switch (mail->kind) {
	case MAIL_ANNOUNCEMENT:
		message->unsubscribe = arena_printf(arena, "%s/unsubscribe/%s", route->site.url,
		    unsubscribe_token(arena, route->secrets, mail->account));
		if (!announcement_write(arena, &mail->announcement,
			&(struct announcement_site){route->site.url, route->site.support, message->unsubscribe},
			mail->language, &announcement))
			return false;
		message->subject = mail->announcement.subject;
		message->text = announcement.text;
		message->html = announcement.html;
		return true;
	case MAIL_SUPPORT:
		support_write(arena, mail->body, mail->user_id, &support);
		message->reply_to = mail->reply_to;
		message->subject = support.subject;
		message->text = support.text;
		return true;
	case MAIL_RECEIPT:
	case MAIL_KIND__COUNT:
	default:
		receipt_write(arena, &mail->receipt, &route->site, mail->language, &receipt);
		message->subject = receipt.subject;
		message->text = receipt.text;
		message->html = receipt.html;
		return true;
	}
}

bool
mail_write(const struct mail_route *route, const struct mail *mail, struct text *to)
{
	struct message message = {
	    .from = &route->from,
	    .reply_to = route->site.support,
	    .to = recipient(route, mail),
	    .id = arena_printf(to->arena, "%s@%s", mail->message_id, route->from.domain),
	    .language = mail->language == LANGUAGE_NL ? "nl" : "en",
	    .date = mail->caused_at,
	};

	return write_content(to->arena, route, mail, &message) && message_write(to, &message);
}

bool
mail_html(struct arena *arena, const struct mail_route *route, const struct mail *mail, const char **ret_html)
{
	struct message message = {0};

	if (!write_content(arena, route, mail, &message) || message.html == NULL)
		return false;
	*ret_html = message.html;
	return true;
}

/* One mail being sent. */
struct sending {
	struct db *db;
	const struct mail *mail;
	bool lost;
	bool (*stopped)(void *);
	void *context;
};

/* Commits that the message is about to leave. */
static bool
mark(void *context)
{
	struct sending *sending = context;
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;
	enum problem problem = db_call(sending->db, arena, &statements[START_MAIL],
	    PARAMETERS(db_parameter(arena, sending->mail->id), db_parameter(arena, sending->mail->attempt)), &result,
	    NULL);

	if (problem != PROBLEM_NONE)
		return false;
	sending->lost = db_rows(result) == 0 || !db_boolean(result, 0, "held");
	return !sending->lost;
}

static bool
is_stopped(void *context)
{
	const struct sending *sending = context;

	return sending->stopped != NULL && sending->stopped(sending->context);
}

static enum mail_outcome
send_smtp(const struct mail_route *route, struct sending *sending, const struct text *message)
{
	static const enum mail_outcome outcomes[SMTP__COUNT] = {
	    [SMTP_SENT] = MAIL_SENT,
	    [SMTP_REFUSED] = MAIL_FAILED,
	    [SMTP_BOUNCED] = MAIL_BOUNCED,
	    [SMTP_LATER] = MAIL_RETRY,
	    [SMTP_UNCERTAIN] = MAIL_UNCERTAIN,
	};
	enum smtp_outcome outcome = smtp_send(route->smtp, &(struct smtp_message){
							       .from = route->from.address,
							       .to = recipient(route, sending->mail),
							       .bytes = message->data,
							       .len = message->len,
							       .timeout_ms = TIMEOUT_MS,
							       .leaving = mark,
							       .stopped = is_stopped,
							       .context = sending,
							   });

	return sending->lost ? MAIL_LOST : outcomes[outcome];
}

static bool
write_file(const char *name, const struct text *message)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t at = 0;

	if (fd < 0)
		return false;
	while (at < message->len) {
		ssize_t size = write(fd, message->data + at, message->len - at);

		if (size <= 0)
			break;
		at += (size_t)size;
	}
	bool synced = fsync(fd) == 0;
	return close(fd) == 0 && synced && at == message->len;
}

/* Whole or not at all: the name appears when the bytes are there. */
static enum mail_outcome
send_file(const struct mail_route *route, struct sending *sending, const struct text *message)
{
	AUTO_ARENA arena = arena_new();
	const char *name = arena_printf(arena, "%s/%s.eml", route->folder, sending->mail->message_id);
	const char *draft = arena_printf(arena, "%s.%lld-%d", name, (long long)sending->mail->attempt, (int)getpid());

	if ((mkdir(route->folder, 0700) < 0 && errno != EEXIST) || !write_file(draft, message)) {
		log_event(LOG_WARN, "mail_file_failed", "cause", strerror(errno), NULL);
		unlink(draft);
		return MAIL_RETRY;
	}
	if (!mark(sending)) {
		unlink(draft);
		return sending->lost ? MAIL_LOST : MAIL_RETRY;
	}
	if (rename(draft, name) < 0) {
		log_event(LOG_WARN, "mail_file_failed", "cause", strerror(errno), NULL);
		unlink(draft);
		return MAIL_RETRY;
	}
	return MAIL_SENT;
}

enum mail_outcome
mail_send(struct mail_route *route, struct db *db, const struct mail *mail, bool (*stopped)(void *), void *context)
{
	AUTO_ARENA arena = arena_new();
	struct sending sending = {.db = db, .mail = mail, .stopped = stopped, .context = context};
	struct text message;

	text_init(&message, arena, MESSAGE_MAX);
	if (!mail_write(route, mail, &message)) {
		log_event(LOG_WARN, "mail_unwritable", NULL);
		return MAIL_FAILED;
	}
	return route->smtp != NULL ? send_smtp(route, &sending, &message) : send_file(route, &sending, &message);
}

enum problem
mail_finish(const struct mail_route *route, struct db *db, const struct mail *mail, enum mail_outcome outcome)
{
	static const char *const outcomes[] = {
	    [MAIL_SENT] = "sent",
	    [MAIL_RETRY] = "retry",
	    [MAIL_FAILED] = "failed",
	    [MAIL_BOUNCED] = "bounced",
	    [MAIL_UNCERTAIN] = "uncertain",
	};
	AUTO_ARENA arena = arena_new();
	AUTO_DB_RESULT result = NULL;

	assert(outcome < MAIL_LOST);
	return db_call(db, arena, &statements[FINISH_MAIL],
	    PARAMETERS(db_parameter(arena, mail->id), db_parameter(arena, mail->attempt), outcomes[outcome],
		outcome == MAIL_BOUNCED ? smtp_status(route->smtp) : NULL),
	    &result, NULL);
}
