#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "crew.h"
#include "erase.h"
#include "feature/job.h"
#include "feature/mail.h"
#include "lease.h"
#include "pack.h"
#include "post.h"
#include "reaper.h"
#include "repair.h"
#include "service/db.h"
#include "service/image.h"
#include "service/prefork.h"
#include "service/storage.h"
#include "upkeep.h"
#include "worker.h"

#define CONNECTIONS 6
#define WATCH_MS 250
/* What a drain may take beyond the provider's deadline, to settle what came. */
#define SETTLE_MS 15000

static const char help[] =
    "worker - claims queued generations, calls the model providers, stores and settles the pictures\n"
    "\n"
    "  worker [--check-config | --version | --help]\n"
    "\n"
    "Runs in the foreground, configured by the environment (shotaictl config lists the settings).\n"
    "Any number of workers may share one database. None claims anything (journal_ahead in the log) while the\n"
    "journal in storage tells of erasures that the database does not know: shotaictl erasures replay.\n"
    "\n"
    "SIGTERM, SIGINT  claim nothing more, let running calls end (for PROVIDER_TIMEOUT_SECONDS and a\n"
    "                 little), hand back the rest, exit 0; a second one gives running calls up\n"
    "SIGHUP           the same, so that a supervisor that restarts whatever exits starts the binary\n"
    "                 that is on disk now: a rolling restart, one worker after the other\n"
    "\n"
    "Exit status: 0 after a signal, 1 when it cannot run (a setting, storage, threads) or when its\n"
    "picture decoder died and it must be started again, 2 for a wrong option.\n";

static const enum config_name needs[] = {
    CONFIG_DATABASE_WORKER_URL,
    CONFIG_SUPABASE_URL,
    CONFIG_SUPABASE_SECRET_KEY,
    CONFIG_SECRET_KEY,
    CONFIG_STORAGE,
    CONFIG_NAME__COUNT,
};

static struct config *
load_config(void)
{
	char error[256];
	struct config *config = config_load(error, sizeof(error));
	if (config == NULL || !db_config_acceptable(config, error, sizeof(error)) ||
	    !mail_config_acceptable(config, error, sizeof(error))) {
		fprintf(stderr, "worker: %s\n", error);
		config_free(config);
		return NULL;
	}
	config_require(config, needs);
	return config;
}

/* True when the program is to go on; otherwise *ret_status is its exit status. */
static bool
read_options(int argc, char **argv, bool *ret_check, int *ret_status)
{
	static const struct option options[] = {
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'v'},
	    {"check-config", no_argument, NULL, 'c'},
	    {0},
	};
	*ret_status = 0;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option == 'h') {
			fputs(help, stdout);
			return false;
		}
		if (option == 'v') {
			puts("worker " SHOTAI_VERSION);
			return false;
		}
		if (option != 'c') {
			*ret_status = 2;
			return false;
		}
		*ret_check = true;
	}
	if (optind < argc) {
		fprintf(stderr, "worker: unexpected argument, see --help\n");
		*ret_status = 2;
		return false;
	}
	return true;
}

/* Watches signals, the decoder and the time until no job runs any more; the exit status. */
static int
watch(struct worker *worker, const sigset_t *signals)
{
	const struct timespec pause = {.tv_nsec = WATCH_MS * 1000000L};
	int64_t hurry_at = INT64_MAX;
	int status = 0;
	while (!crew_done(worker->crew)) {
		int signal = sigtimedwait(signals, NULL, &pause);
		bool dead = status == 0 && !image_alive(worker->decoder);
		if (dead) {
			log_event(LOG_ERROR, "decoder_died", NULL);
			status = 1;
		}
		if ((signal > 0 || dead) && stop_level(&worker->stop) == STOP_NOT) {
			log_event(LOG_INFO, "draining", "signal", signal > 0 ? sigabbrev_np(signal) : NULL, NULL);
			stop_raise(&worker->stop, STOP_DRAIN);
			hurry_at = job_clock() + worker->timeout_seconds * 1000 + SETTLE_MS;
		} else if ((signal > 0 && signal != SIGHUP) || job_clock() >= hurry_at) {
			log_event(LOG_WARN, "hurrying", NULL);
			stop_raise(&worker->stop, STOP_HURRY);
			crew_cancel(worker->crew);
			hurry_at = INT64_MAX;
		}
	}
	return status;
}

/* Nothing is claimed while the database brings back what the journal says is gone; false: a signal came first. */
static bool
await_replay(struct worker *worker, const sigset_t *signals)
{
	const struct timespec pause = {.tv_sec = 1};
	while (!erase_may_start(worker))
		if (sigtimedwait(signals, NULL, &pause) > 0)
			return false;
	return true;
}

static int
run_threads(struct worker *worker, const sigset_t *signals)
{
	static void *(*const loops[])(void *) = {
	    lease_claim, lease_renew, upkeep_run, reaper_run, repair_run, post_run, erase_run, pack_run};
	pthread_t threads[sizeof(loops) / sizeof(loops[0])];
	size_t started = 0;
	while (started < sizeof(loops) / sizeof(loops[0]) &&
	       pthread_create(&threads[started], NULL, loops[started], worker) == 0)
		started++;
	int status = 1;
	if (started == sizeof(loops) / sizeof(loops[0])) {
		log_event(LOG_INFO, "ready", "worker", worker->name, NULL);
		status = watch(worker, signals);
	} else {
		log_event(LOG_ERROR, "threads_unavailable", NULL);
	}
	stop_raise(&worker->stop, STOP_END);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return status;
}

/* Makes what the threads share, runs them, and takes it down in reverse order. */
static int
run_worker(struct worker *worker)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	int status = 1;
	stop_init(&worker->stop);
	worker->storage = storage_new(worker->config);
	worker->mail = mail_route_new(worker->config);
	worker->pool = db_pool_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
	    config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0, CONNECTIONS);
	bool started = worker->storage != NULL && await_replay(worker, &signals);
	if (worker->storage != NULL && !started)
		status = 0;
	if (started)
		worker->crew = crew_new(worker, (size_t)config_integer(worker->config, CONFIG_WORKER_CONCURRENCY));
	if (worker->crew != NULL)
		status = run_threads(worker, &signals);
	crew_free(worker->crew);
	db_pool_free(worker->pool);
	mail_route_free(worker->mail);
	storage_free(worker->storage);
	return status;
}

int
main(int argc, char **argv)
{
	bool check = false;
	int status;
	if (!read_options(argc, argv, &check, &status))
		return status;
	struct config *config = load_config();
	if (config == NULL)
		return EXIT_FAILURE;
	if (check) {
		config_free(config);
		puts("worker: the configuration will do");
		return EXIT_SUCCESS;
	}
	log_open("worker", (enum log_level)config_integer(config, CONFIG_LOG_LEVEL));
	signal(SIGPIPE, SIG_IGN);
	prefork_forbid_core();
	char host[64] = "worker", name[96];
	gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "%s-%d", host, (int)getpid());
	struct worker worker = {
	    .name = name,
	    .config = config,
	    .timeout_seconds = config_integer(config, CONFIG_PROVIDER_TIMEOUT_SECONDS),
	    .decoder = image_start(),
	};
	status = worker.decoder != NULL ? run_worker(&worker) : 1;
	image_stop(worker.decoder);
	config_free(config);
	return status;
}
