/*
 * Sends webhooks: one thread per process with a connection of its own, which
 * shares the work with the other processes' threads through the database.
 */
#ifndef SANDBOX_CREEM_SENDER_H
#define SANDBOX_CREEM_SENDER_H

struct sender;

struct sender_options {
	const char *database_url;
	const char *url;    /* where webhooks go */
	const char *secret; /* that signs them */
	int speed;          /* the pauses between attempts are divided by it */
};

/* Starts the thread; options must outlive it. NULL when it cannot be started. */
struct sender *sender_start(const struct sender_options *options);
/* Ends the thread after the attempt in hand. */
void sender_stop(struct sender *sender);
/* Something may be due now: it need not wait for the next look. */
void sender_wake(struct sender *sender);

#endif
