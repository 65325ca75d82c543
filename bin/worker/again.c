#include "again.h"

#include "crew.h"
#include "feature/job.h"
#include "stop.h"
#include "worker.h"

bool
again_after(struct again *again, enum problem problem)
{
	if (problem != PROBLEM_DATABASE_UNAVAILABLE && problem != PROBLEM_STORAGE_UNAVAILABLE)
		return false;
	int64_t most = again->tries < 4 ? 100 << again->tries : 1000;
	again->tries++;
	return !hand_lost(again->hand) &&
	       !stop_sleep(&again->hand->worker->stop, STOP_HURRY, job_random(most / 2, most)) &&
	       !hand_lost(again->hand);
}
