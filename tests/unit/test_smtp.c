/*
 * Against a server in a thread of this process, which keeps what it was told and answers as each test wants; its
 * certificate is made here. mail.localhost is an address of this machine, but not one that config calls loopback.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/log.h"
#include "service/smtp.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define HEARD_MAX 65536
#define HELLO "shotai.example"
#define MAIL "Subject: x\r\n\r\nOne\r\n.\r\n..two\r\nthree\r\n"
#define MAIL_STUFFED "Subject: x\r\n\r\nOne\r\n..\r\n...two\r\nthree\r\n.\r\n"

/* Answers known by their addresses: the connection is closed, or nothing is said until the other side leaves. */
static const char cut[] = "", hang[] = "";

/* What the server answers to each command; NULL: what a server that agrees to everything says. */
static struct script {
	bool implicit_tls, no_starttls, no_auth;
	const char *greeting, *ehlo, *starttls, *auth, *mail, *rcpt, *data, *end;
} script;

static struct {
	int fd, stop, port;
	pthread_t thread;
	SSL_CTX *tls;
	char heard[HEARD_MAX]; /* every line as it came, a "[TLS]" where TLS began */
	size_t heard_len;
	size_t connections;
} server;

static struct {
	EVP_PKEY *key;
	X509 *certificate;
	char file[32]; /* of the certificate, as a CA */
} identity;

static struct arena *arena;

/* ---- the certificate: its own CA, for mail.localhost */

static void
add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static int
make_identity(void **state)
{
	X509_NAME *name;
	FILE *file;
	int fd;

	(void)state;
	log_open("test_smtp", LOG__COUNT);
	identity.key = EVP_EC_gen("P-256");
	identity.certificate = X509_new();
	X509_set_version(identity.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(identity.certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(identity.certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(identity.certificate), 3600);
	X509_set_pubkey(identity.certificate, identity.key);
	name = X509_get_subject_name(identity.certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mail.localhost", -1, -1, 0);
	X509_set_issuer_name(identity.certificate, name);
	add_extension(identity.certificate, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(identity.certificate, NID_subject_alt_name, "DNS:mail.localhost");
	assert_true(X509_sign(identity.certificate, identity.key, EVP_sha256()) > 0);
	snprintf(identity.file, sizeof identity.file, "/tmp/test_smtp.XXXXXX");
	fd = mkstemp(identity.file);
	file = fdopen(fd, "w");
	assert_int_equal(PEM_write_X509(file, identity.certificate), 1);
	fclose(file);
	return 0;
}

static int
forget_identity(void **state)
{
	(void)state;
	unlink(identity.file);
	X509_free(identity.certificate);
	EVP_PKEY_free(identity.key);
	return 0;
}

/* ---- the server */

struct line {
	int fd;
	SSL *ssl;
	char buffer[4096];
	size_t len;
	bool open;
};

static void
note(const char *bytes, size_t len)
{
	assert_true(server.heard_len + len < HEARD_MAX);
	memcpy(server.heard + server.heard_len, bytes, len);
	server.heard_len += len;
}

/* False when the peer has closed, or the server is to stop. */
static bool
wait_readable(int fd)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = server.stop, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0)
		;
	return fds[1].revents == 0;
}

static void
say(struct line *line, const char *answer)
{
	size_t len = strlen(answer);

	if (answer == cut)
		line->open = false;
	else if (answer != hang && line->ssl != NULL)
		SSL_write(line->ssl, answer, (int)len);
	else if (answer != hang)
		send(line->fd, answer, len, MSG_NOSIGNAL);
}

static void
say_or(struct line *line, const char *answer, const char *usual)
{
	say(line, answer != NULL ? answer : usual);
}

/* The next line with its end, in ret_line; false when the connection is over. */
static bool
hear(struct line *line, char *ret_line, size_t size)
{
	char *end;
	size_t len;

	while ((end = memchr(line->buffer, '\n', line->len)) == NULL) {
		ssize_t got = -1;

		assert_true(line->len < sizeof line->buffer);
		if (line->open && ((line->ssl != NULL && SSL_pending(line->ssl) > 0) || wait_readable(line->fd)))
			got =
			    line->ssl != NULL
				? SSL_read(line->ssl, line->buffer + line->len, (int)(sizeof line->buffer - line->len))
				: read(line->fd, line->buffer + line->len, sizeof line->buffer - line->len);
		if (got <= 0)
			return false;
		line->len += (size_t)got;
	}
	len = (size_t)(end + 1 - line->buffer);
	assert_true(len < size);
	memcpy(ret_line, line->buffer, len);
	ret_line[len] = '\0';
	memmove(line->buffer, end + 1, line->len - len);
	line->len -= len;
	note(ret_line, len);
	return true;
}

static void
begin_tls(struct line *line)
{
	line->ssl = SSL_new(server.tls);
	SSL_set_fd(line->ssl, line->fd);
	if (SSL_accept(line->ssl) != 1)
		line->open = false;
	else
		note("[TLS]\n", 6);
}

static void
answer_ehlo(struct line *line)
{
	char answer[128];

	snprintf(answer, sizeof answer, "250-mail.localhost\r\n%s%s250 SIZE 1000000\r\n",
	    script.no_starttls || line->ssl != NULL ? "" : "250-STARTTLS\r\n",
	    script.no_auth ? "" : "250-AUTH PLAIN\r\n");
	say_or(line, script.ehlo, answer);
}

static void
answer_data(struct line *line)
{
	char text[4096] = "";

	say_or(line, script.data, "354 Go on\r\n");
	if (script.data != NULL && strncmp(script.data, "354", 3) != 0)
		return;
	while (strcmp(text, ".\r\n") != 0)
		if (!hear(line, text, sizeof text))
			return;
	say_or(line, script.end, "250 Taken\r\n");
}

static void
answer(struct line *line, const char *command)
{
	if (strncmp(command, "EHLO ", 5) == 0) {
		answer_ehlo(line);
	} else if (strcmp(command, "STARTTLS\r\n") == 0) {
		say_or(line, script.starttls, "220 Go on\r\n");
		if (script.starttls == NULL)
			begin_tls(line);
	} else if (strcmp(command, "AUTH PLAIN\r\n") == 0) {
		char word[256];

		say(line, "334 \r\n");
		if (hear(line, word, sizeof word))
			say_or(line, script.auth, "235 Welcome\r\n");
	} else if (strncmp(command, "MAIL FROM:", 10) == 0) {
		say_or(line, script.mail, "250 Fine\r\n");
	} else if (strncmp(command, "RCPT TO:", 8) == 0) {
		say_or(line, script.rcpt, "250 Fine\r\n");
	} else if (strcmp(command, "DATA\r\n") == 0) {
		answer_data(line);
	} else if (strcmp(command, "QUIT\r\n") == 0) {
		say(line, "221 Bye\r\n");
	} else {
		say(line, "502 What?\r\n");
	}
}

static void *
serve(void *unused)
{
	while (wait_readable(server.fd)) {
		struct line line = {.fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC), .open = true};
		char command[4096];

		server.connections++;
		if (script.implicit_tls)
			begin_tls(&line);
		say_or(&line, script.greeting, "220 mail.localhost\r\n");
		while (hear(&line, command, sizeof command))
			answer(&line, command);
		SSL_free(line.ssl);
		close(line.fd);
	}
	return unused;
}

static int
setup(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;

	(void)state;
	memset(&server, 0, sizeof server);
	memset(&script, 0, sizeof script);
	arena = arena_new();
	server.tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(server.tls, identity.certificate);
	SSL_CTX_use_PrivateKey(server.tls, identity.key);
	server.stop = eventfd(0, EFD_CLOEXEC);
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server.fd, 4), 0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&address, &len), 0);
	server.port = ntohs(address.sin_port);
	return 0;
}

static void
start(const struct script *wanted)
{
	script = *wanted;
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

/* After it, what the server heard may be looked at. */
static void
stop(void)
{
	if (server.thread == 0)
		return;
	assert_int_equal(eventfd_write(server.stop, 1), 0);
	pthread_join(server.thread, NULL);
	server.thread = 0;
}

static int
teardown(void **state)
{
	(void)state;
	stop();
	close(server.fd);
	close(server.stop);
	SSL_CTX_free(server.tls);
	arena_free(arena);
	return 0;
}

/* ---- what the tests say */

static int leaving_calls;
static bool leaving_answer;

static bool
on_leaving(void *context)
{
	assert_ptr_equal(context, &leaving_calls);
	leaving_calls++;
	return leaving_answer;
}

static struct smtp_message
message_to(const char *to)
{
	leaving_calls = 0;
	leaving_answer = true;
	return (struct smtp_message){.from = "mail@shotai.example",
	    .to = to,
	    .bytes = MAIL,
	    .len = strlen(MAIL),
	    .timeout_ms = 20000,
	    .leaving = on_leaving,
	    .context = &leaving_calls};
}

static const char *
url_of(const char *scheme, const char *user, const char *host)
{
	return arena_printf(arena, "%s://%s%s:%d", scheme, user, host, server.port);
}

static enum smtp_outcome
send_over(const char *url, bool trusted, const struct smtp_message *message)
{
	const struct smtp_server target = {.url = url, .hello = HELLO, .ca_file = trusted ? identity.file : NULL};
	struct smtp *smtp = smtp_new(&target);
	enum smtp_outcome outcome = smtp_send(smtp, message);

	smtp_free(smtp);
	return outcome;
}

static enum smtp_outcome
send_plain(const struct smtp_message *message)
{
	return send_over(url_of("smtp", "", "127.0.0.1"), false, message);
}

static bool
heard(const char *bytes)
{
	return memmem(server.heard, server.heard_len, bytes, strlen(bytes)) != NULL;
}

static void
assert_heard(const char *whole)
{
	server.heard[server.heard_len] = '\0';
	assert_string_equal(server.heard, whole);
}

#define TALK "MAIL FROM:<mail@shotai.example>\r\nRCPT TO:<you@there.example>\r\nDATA\r\n" MAIL_STUFFED "QUIT\r\n"

/* ---- the tests */

/* To loopback there is no TLS, even when it is offered; the host's name is not told, no size, no address of ours. */
static void
plain_to_loopback(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){0});
	assert_int_equal(send_plain(&message), SMTP_SENT);
	stop();
	assert_heard("EHLO " HELLO "\r\n" TALK);
	assert_int_equal(leaving_calls, 1);
}

static void
starttls_comes_before_everything(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){0});
	assert_int_equal(send_over(url_of("smtp", "me%40x:p%2Fw@", "mail.localhost"), true, &message), SMTP_SENT);
	stop();
	assert_heard("EHLO " HELLO "\r\nSTARTTLS\r\n[TLS]\nEHLO " HELLO "\r\nAUTH PLAIN\r\nAG1lQHgAcC93\r\n" TALK);
}

static void
tls_from_the_start(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){.implicit_tls = true});
	assert_int_equal(send_over(url_of("smtps", "me:pw@", "mail.localhost"), true, &message), SMTP_SENT);
	stop();
	assert_heard("[TLS]\nEHLO " HELLO "\r\nAUTH PLAIN\r\nAG1lAHB3\r\n" TALK);
}

/* No mail, no sign-in and no address goes out without TLS, or to a server that cannot show who it is. */
static void
without_tls_nothing_is_said(void **state)
{
	static const struct {
		const char *scheme, *host;
		bool trusted;
		struct script script;
	} rows[] = {
	    {"smtp", "mail.localhost", true, {.no_starttls = true}},
	    {"smtp", "mail.localhost", true, {.starttls = "454 Not now\r\n"}},
	    {"smtp", "mail.localhost", false, {0}},
	    {"smtp", "other.localhost", true, {0}},
	    {"smtps", "127.0.0.1", true, {.implicit_tls = true}},
	    {"smtps", "mail.localhost", false, {.implicit_tls = true}},
	    {"smtps", "mail.localhost", true, {0}},
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct smtp_message message = message_to("you@there.example");

		start(&rows[i].script);
		message.timeout_ms = 2000;
		assert_int_equal(
		    send_over(url_of(rows[i].scheme, "me:pw@", rows[i].host), rows[i].trusted, &message), SMTP_LATER);
		stop();
		assert_false(heard("MAIL"));
		assert_false(heard("AUTH"));
		assert_int_equal(leaving_calls, 0);
		teardown(state);
		setup(state);
	}
}

static const struct answers {
	const char *what;
	struct script script;
	enum smtp_outcome outcome;
	int leaving;        /* how often `leaving` was asked */
	int64_t timeout_ms; /* 0: plenty */
} answers[] = {
    {"greeted with 554", {.greeting = "554 Go away\r\n"}, SMTP_LATER, 0, 0},
    {"greeted with 421", {.greeting = "421 Later\r\n"}, SMTP_LATER, 0, 0},
    {"cut at the greeting", {.greeting = cut}, SMTP_LATER, 0, 0},
    {"not SMTP", {.greeting = "HTTP/1.1 400 Bad Request\r\n\r\n"}, SMTP_LATER, 0, 500},
    {"sender refused", {.mail = "550 5.7.1 Not you\r\n"}, SMTP_LATER, 0, 0},
    {"sender later", {.mail = "451 Later\r\n"}, SMTP_LATER, 0, 0},
    {"recipient refused", {.rcpt = "550 5.1.1 Nobody\r\n"}, SMTP_BOUNCED, 0, 0},
    {"recipient refused at length", {.rcpt = "550-5.1.1 Nobody\r\n550 5.1.1 of that name\r\n"}, SMTP_BOUNCED, 0, 0},
    {"recipient refused because of us", {.rcpt = "550 5.7.1 Not you\r\n"}, SMTP_REFUSED, 0, 0},
    {"recipient refused as full", {.rcpt = "552 5.2.2 Full\r\n"}, SMTP_REFUSED, 0, 0},
    {"recipient later", {.rcpt = "450 4.2.0 Greylisted\r\n"}, SMTP_LATER, 0, 0},
    {"cut at the recipient", {.rcpt = cut}, SMTP_LATER, 0, 0},
    {"data refused", {.data = "554 No\r\n"}, SMTP_REFUSED, 0, 0},
    {"data later", {.data = "452 Full\r\n"}, SMTP_LATER, 0, 0},
    {"cut at data", {.data = cut}, SMTP_LATER, 0, 0},
    {"message refused", {.end = "554 5.6.0 Spam\r\n"}, SMTP_REFUSED, 1, 0},
    {"message later", {.end = "451 4.3.0 Full\r\n"}, SMTP_LATER, 1, 0},
    {"cut after the message", {.end = cut}, SMTP_UNCERTAIN, 1, 0},
    {"nonsense after the message", {.end = "Hello\r\n"}, SMTP_UNCERTAIN, 1, 2000},
    {"354 after the message", {.end = "354 Again\r\n"}, SMTP_UNCERTAIN, 1, 0},
};

static void
answers_decide(void **state)
{
	for (size_t i = 0; i < LEN(answers); i++) {
		struct smtp_message message = message_to("you@there.example");
		enum smtp_outcome outcome;

		start(&answers[i].script);
		if (answers[i].timeout_ms > 0)
			message.timeout_ms = answers[i].timeout_ms;
		outcome = send_plain(&message);
		if (outcome != answers[i].outcome || leaving_calls != answers[i].leaving)
			fail_msg("%s: %d, asked %d times", answers[i].what, (int)outcome, leaving_calls);
		stop();
		assert_int_equal(server.connections, 1); /* nothing is repeated by itself */
		teardown(state);
		setup(state);
	}
}

/* Refusing our password says nothing about the mail. */
static void
sign_in_refused_is_for_later(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){.auth = "535 5.7.8 Wrong\r\n"});
	assert_int_equal(send_over(url_of("smtp", "me:pw@", "127.0.0.1"), false, &message), SMTP_LATER);
	stop();
	assert_false(heard("MAIL"));
}

static void
time_is_up(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){.rcpt = hang});
	message.timeout_ms = 300;
	assert_int_equal(send_plain(&message), SMTP_LATER);
	assert_int_equal(leaving_calls, 0);
	stop();
	teardown(state);
	setup(state);
	message = message_to("you@there.example");
	start(&(struct script){.end = hang});
	message.timeout_ms = 2000;
	assert_int_equal(send_plain(&message), SMTP_UNCERTAIN);
	assert_int_equal(leaving_calls, 1);
}

static void
no_server(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	shutdown(server.fd, SHUT_RDWR);
	close(server.fd);
	server.fd = -1;
	assert_int_equal(send_plain(&message), SMTP_LATER);
	assert_int_equal(send_over("smtps://nowhere.invalid", false, &message), SMTP_LATER);
}

/* What the caller takes back has not been sent: no dot ends the message. */
static void
taken_back_before_it_leaves(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){0});
	leaving_answer = false;
	assert_int_equal(send_plain(&message), SMTP_LATER);
	stop();
	assert_int_equal(leaving_calls, 1);
	assert_true(heard("DATA\r\n"));
	assert_false(heard("\r\n.\r\n"));
	assert_false(heard("three"));
}

/* `leaving` is asked while the server still lacks the end, however long the message is. */
static void
a_long_message(void **state)
{
	static char bytes[40001];
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	for (size_t i = 0; i < 40000; i += 2)
		memcpy(bytes + i, i % 80 == 78 ? "\r\n" : "..", 2);
	message.bytes = bytes;
	message.len = 40000;
	start(&(struct script){0});
	assert_int_equal(send_plain(&message), SMTP_SENT);
	stop();
	assert_int_equal(leaving_calls, 1);
	assert_true(heard("\r\n.\r\n"));
	assert_true(server.heard_len > 40000 + 500);
}

static bool
on_stopped(void *)
{
	return true;
}

static void
stopped_before_it_leaves(void **state)
{
	struct smtp_message message = message_to("you@there.example");

	(void)state;
	start(&(struct script){.rcpt = hang});
	message.stopped = on_stopped;
	assert_int_equal(send_plain(&message), SMTP_LATER);
	stop();
	assert_int_equal(leaving_calls, 0);
}

static bool
leaving_stops(void *context)
{
	*(bool *)context = true;
	return true;
}

static bool
is_stopped(void *context)
{
	return *(bool *)context;
}

/* Once it has left, the answer is waited for. */
static void
what_left_is_waited_for(void **state)
{
	struct smtp_message message = message_to("you@there.example");
	bool stopped = false;

	(void)state;
	start(&(struct script){0});
	message.leaving = leaving_stops;
	message.stopped = is_stopped;
	message.context = &stopped;
	assert_int_equal(send_plain(&message), SMTP_SENT);
	assert_true(stopped);
}

static void
addresses_inject_nothing(void **state)
{
	static const char *const recipients[] = {"you@there.example>\r\nRCPT TO:<them@there.example",
	    "you@there.example\n", "you@there.example\r\nDATA", "you@there.example> NOTIFY=NEVER",
	    "<you@there.example>", "you", "", "@", "you@there.example,them@there.example", "caf\xc3\xa9@there.example"};

	(void)state;
	start(&(struct script){0});
	for (size_t i = 0; i < LEN(recipients); i++) {
		struct smtp_message message = message_to(recipients[i]);

		assert_int_equal(send_plain(&message), SMTP_REFUSED);
		message = message_to("you@there.example");
		message.from = recipients[i];
		assert_int_equal(send_plain(&message), SMTP_LATER);
	}
	stop();
	assert_int_equal(server.connections, 0);
}

static void
urls(void **state)
{
	static const struct {
		const char *url;
		bool acceptable;
	} rows[] = {
	    {"smtp://mail.shotai.example", true},
	    {"smtps://mail.shotai.example:465", true},
	    {"smtps://me%40x:p%2Fw@[2001:db8::1]:465", true},
	    {"smtp://127.0.0.1:2525", true},
	    {"http://mail.shotai.example", false},
	    {"imaps://mail.shotai.example", false},
	    {"file:///etc/passwd", false},
	    {"smtps://mail.shotai.example/other", false},
	    {"smtps://mail.shotai.example?x", false},
	    {"smtps://mail.shotai.example/#x", false},
	    {"smtps://", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		if (smtp_url_acceptable(rows[i].url) != rows[i].acceptable)
			fail_msg("%s", rows[i].url);
}

/* Failures are told, but nothing of the mail, its addresses, the sign-in or the server's words. */
static void
logs_are_silent(void **state)
{
	struct smtp_message message = message_to("you@there.example");
	char name[] = "/tmp/test_smtp.XXXXXX", lines[4096] = "";
	int fd = mkstemp(name), kept = dup(STDERR_FILENO);
	ssize_t len;

	(void)state;
	unlink(name);
	dup2(fd, STDERR_FILENO);
	log_open("test_smtp", LOG_DEBUG);
	start(&(struct script){.rcpt = "550 you@there.example is nobody\r\n"});
	assert_int_equal(send_over(url_of("smtp", "me:secretword@", "127.0.0.1"), false, &message), SMTP_BOUNCED);
	stop();
	dup2(kept, STDERR_FILENO);
	close(kept);
	log_open("test_smtp", LOG__COUNT);
	len = pread(fd, lines, sizeof lines - 1, 0);
	close(fd);
	assert_true(len > 0);
	assert_non_null(strstr(lines, "smtp_failed"));
	assert_non_null(strstr(lines, "status=550"));
	assert_non_null(strstr(lines, "phase=recipient"));
	for (size_t i = 0; i < 6; i++) {
		static const char *const words[] = {
		    "there", "shotai.example", "nobody", "secretword", "Subject", "127.0.0.1"};

		if (strstr(lines, words[i]) != NULL)
			fail_msg("logged: %s", words[i]);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(plain_to_loopback),
	    TEST(starttls_comes_before_everything),
	    TEST(tls_from_the_start),
	    TEST(without_tls_nothing_is_said),
	    TEST(answers_decide),
	    TEST(sign_in_refused_is_for_later),
	    TEST(time_is_up),
	    TEST(no_server),
	    TEST(taken_back_before_it_leaves),
	    TEST(a_long_message),
	    TEST(stopped_before_it_leaves),
	    TEST(what_left_is_waited_for),
	    TEST(addresses_inject_nothing),
	    TEST(urls),
	    TEST(logs_are_silent),
	};

	return cmocka_run_group_tests(tests, make_identity, forget_identity);
}
