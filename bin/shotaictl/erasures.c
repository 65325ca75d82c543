#include "shotaictl.h"

#include <inttypes.h>
#include <stdio.h>

#include "feature/erasure.h"
#include "feature/journal.h"
#include "service/http.h"
#include "service/storage.h"

#define LISTED_MAX 1000
#define LEN(array) (sizeof(array) / sizeof *(array))

static const struct db_statement list = {"select * from shotai.list_erasures($1, $2)", true};

static enum exit_status
list_erasures(struct ctl *ctl, bool pending, struct db_result **ret_rows)
{
	const char *const parameters[] = {pending ? "true" : "false", db_parameter(ctl->arena, LISTED_MAX)};
	return ctl_call(ctl, "erasures", &list, parameters, LEN(parameters), ret_rows);
}

enum exit_status
ctl_erasures(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_column columns[] = {{"requested_at", 24}, {"id", 36}, {"cause", 8}, {"state", 7},
	    {"finished_at", 24}, {"account", 8}, {"steps", 0}, {"why", 0}};
	bool pending = false;
	const struct ctl_argument arguments[] = {{.name = "--pending", .on = &pending}};
	AUTO_DB_RESULT rows = NULL;
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	enum exit_status status = list_erasures(ctl, pending, &rows);
	if (status == EXIT_DONE)
		ctl_print(rows, columns, LEN(columns));
	return status;
}

/* What the worker would do at its start: tells the journal of what was closed again and erases it. */
static enum problem
carry_out(const struct erasure_work *work)
{
	bool more = true;
	enum problem problem = PROBLEM_NONE;
	while (problem == PROBLEM_NONE && more)
		problem = journal_tell(work->db, work->storage, &more);
	for (more = true; problem == PROBLEM_NONE && more;)
		problem = erasure_carry_out(work, &more);
	return problem;
}

static enum exit_status
replay(struct ctl *ctl, const struct erasure_work *work, bool dry_run)
{
	struct journal_counts counts;
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = journal_replay(ctl->db, work->storage, dry_run, &counts);
	if (problem == PROBLEM_NONE && !dry_run)
		problem = carry_out(work);
	if (problem != PROBLEM_NONE) {
		ctl_refuse("erasures replay", problem);
		return EXIT_FAILED;
	}
	enum exit_status status = list_erasures(ctl, true, &rows);
	if (status != EXIT_DONE)
		return status;
	printf("%" PRId64 " objects of the journal, %" PRId64 " accounts erased, %" PRId64
	       " generations deleted, %zu erasures left to the worker%s\n",
	    counts.objects, counts.accounts, counts.generations, db_rows(rows),
	    dry_run ? " (dry run: nothing was changed)" : "");
	return EXIT_DONE;
}

enum exit_status
ctl_erasures_replay(struct ctl *ctl, int argc, char **argv)
{
	bool dry_run = false;
	const struct ctl_argument arguments[] = {{.name = "--dry-run", .on = &dry_run}};
	if (!ctl_read(argc, argv, arguments, LEN(arguments)))
		return ctl_usage(ctl);
	if (config_text(ctl->config, CONFIG_STORAGE) == NULL)
		return ctl_fail("STORAGE is not set");
	if (config_text(ctl->config, CONFIG_SUPABASE_URL) == NULL ||
	    config_text(ctl->config, CONFIG_SUPABASE_SECRET_KEY) == NULL)
		return ctl_fail("SUPABASE_URL and SUPABASE_SECRET_KEY are needed");
	struct storage *storage = storage_new(ctl->config);
	if (storage == NULL)
		return ctl_fail("STORAGE cannot be used");
	const struct erasure_work work = {.db = ctl->db, .storage = storage, .http = http_new(), .config = ctl->config};
	enum exit_status status = replay(ctl, &work, dry_run);
	http_free(work.http);
	storage_free(storage);
	return status;
}
