/*
 * SMTP client, with http the only module that touches libcurl.
 *
 * One message to one address per call, over a connection of its own. TLS is
 * mandatory and verified, with smtps:// from the start, with smtp:// by
 * STARTTLS before anything else is said; only smtp:// to loopback is plain.
 * The name we greet with is given, so the host's is not told. Neither
 * addresses nor the message nor what the server says are ever logged.
 *
 * A server counts a message as its own from the dot that ends it. Before the
 * last byte leaves, `leaving` is called, once: until then nothing can have
 * been accepted, from then on an answer that does not come leaves it open
 * whether the message will arrive.
 */
#ifndef SHOTAI_SMTP_H
#define SHOTAI_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtp;

enum smtp_outcome {
	SMTP_SENT,    /* the server took it */
	SMTP_REFUSED, /* 5xx to this recipient or this message: it would refuse it again */
	SMTP_BOUNCED, /* 5xx to this recipient: it takes no mail at all; smtp_status says why */
	SMTP_LATER, /* not accepted, and another time it may be: 4xx, connection, TLS, sign-in, or `leaving` said no */
	SMTP_UNCERTAIN, /* the connection was lost, or the time was up, after the message had left */
	SMTP__COUNT
};

struct smtp_server {
	const char *url;     /* smtps://[user:password@]host[:port] or smtp://...; see config's SMTP_URL */
	const char *hello;   /* the domain in EHLO */
	const char *ca_file; /* NULL: the system's certificates */
};

struct smtp_message {
	const char *from, *to; /* addresses of the envelope */
	const char *bytes;     /* as message_write makes them */
	size_t len;
	int64_t timeout_ms; /* of all of it; must be positive */
	/* Called before the last byte leaves; false: it does not. May be NULL. */
	bool (*leaving)(void *context);
	/* True: give it up. May be NULL; asked at least once a second, until the message leaves. */
	bool (*stopped)(void *context);
	void *context;
};

/* *server and its strings outlive it. From the first call on, SIGPIPE is ignored in this process. */
struct smtp *smtp_new(const struct smtp_server *server);
void smtp_free(struct smtp *smtp);
/* A struct smtp serves one thread at a time. */
enum smtp_outcome smtp_send(struct smtp *smtp, const struct smtp_message *message);

/*
 * Connects, does TLS, signs in and says good-bye, within timeout_ms. False:
 * the cause is logged. For shotaictl.
 */
bool smtp_probe(struct smtp *smtp, int64_t timeout_ms);

/* The status with which the last SMTP_BOUNCED was refused: "5.1.1", or "550" where the server says no more. */
const char *smtp_status(const struct smtp *smtp);

/* Whether url can be used as the server's. */
bool smtp_url_acceptable(const char *url);

#endif
