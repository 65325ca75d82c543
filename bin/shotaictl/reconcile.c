#include "shotaictl.h"

#include <inttypes.h>
#include <stdio.h>

#include "feature/reconcile.h"
#include "service/creem.h"
#include "service/http.h"

static void
print_finding(void *context, const struct reconcile_finding *finding)
{
	(void)context;
	printf("%-10s %-28s %-10s %s\n", reconcile_outcome_name(finding->outcome), finding->id,
	    finding->reason != NULL ? finding->reason : "-", finding->subject != NULL ? finding->subject : "-");
}

enum exit_status
ctl_reconcile(struct ctl *ctl, int argc, char **argv)
{
	bool dry_run = false;
	const struct ctl_argument arguments[] = {{.name = "--dry-run", .on = &dry_run}};
	if (!ctl_read(argc, argv, arguments, 1))
		return ctl_usage(ctl);
	if (config_text(ctl->config, CONFIG_CREEM_API_KEY) == NULL)
		return ctl_fail("CREEM_API_KEY is not set");
	const struct creem creem = {.config = ctl->config, .http = http_new()};
	const struct reconcile reconcile = {
	    .db = ctl->db,
	    .creem = &creem,
	    .who = dry_run ? NULL : ctl_operator(ctl->arena),
	    .report = print_finding,
	};
	struct reconcile_counts counts;
	enum problem problem = reconcile_run(&reconcile, &counts);
	http_free(creem.http);
	for (int i = 0; i < RECONCILE__COUNT; i++)
		printf("%s%s %" PRId64, i > 0 ? ", " : "", reconcile_outcome_name((enum reconcile_outcome)i),
		    counts.of[i]);
	printf("%s\n", dry_run ? " (dry run: nothing was changed)" : "");
	if (problem != PROBLEM_NONE) {
		ctl_refuse("reconcile", problem);
		return EXIT_FAILED;
	}
	return counts.of[RECONCILE_AMBIGUOUS] + counts.of[RECONCILE_PARKED] > 0 ? EXIT_FOUND : EXIT_DONE;
}
