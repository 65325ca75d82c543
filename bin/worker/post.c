#include "post.h"

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "feature/job.h"
#include "feature/mail.h"
#include "service/db.h"
#include "worker.h"

#define POLL_MS 1000
#define FINISH_TRIES 5

static bool
is_stopped(void *context)
{
	struct worker *worker = context;

	return stop_level(&worker->stop) >= STOP_DRAIN;
}

/* What is not reported now ends by itself, as uncertain if it left. */
static void
report(struct worker *worker, struct db *db, const struct mail *mail, enum mail_outcome outcome)
{
	for (int i = 0; i < FINISH_TRIES; i++) {
		if (mail_finish(worker->mail, db, mail, outcome) != PROBLEM_DATABASE_UNAVAILABLE)
			return;
		stop_sleep(&worker->stop, STOP_HURRY, POLL_MS);
	}
}

/* Sends the mail that is due first; true when there was one. */
static bool
post_next(struct worker *worker, struct db *db)
{
	static const char *const outcomes[MAIL_OUTCOME__COUNT] = {
	    [MAIL_SENT] = "sent",
	    [MAIL_RETRY] = "retry",
	    [MAIL_FAILED] = "failed",
	    [MAIL_BOUNCED] = "bounced",
	    [MAIL_UNCERTAIN] = "uncertain",
	    [MAIL_LOST] = "lost",
	};
	AUTO_ARENA arena = arena_new();
	struct mail mail;
	bool found = false;

	if (mail_claim(db, arena, &mail, &found) != PROBLEM_NONE || !found)
		return false;
	enum mail_outcome outcome = mail_send(worker->mail, db, &mail, is_stopped, worker);
	log_event(outcome == MAIL_SENT ? LOG_INFO : LOG_WARN, "mail", "outcome", outcomes[outcome], NULL);
	if (outcome != MAIL_LOST)
		report(worker, db, &mail, outcome);
	return true;
}

void *
post_run(void *context)
{
	struct worker *worker = context;

	if (worker->mail == NULL)
		return NULL;
	struct db *db = db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
	    config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0);
	bool more = false;
	while (!stop_sleep(&worker->stop, STOP_DRAIN, more ? 0 : job_random(POLL_MS / 2, POLL_MS)))
		more = post_next(worker, db);
	db_free(db);
	return NULL;
}
