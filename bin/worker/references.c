#include "references.h"

#include "again.h"
#include "base/arena.h"
#include "base/log.h"
#include "crew.h"
#include "feature/job.h"
#include "feature/upload.h"
#include "service/db.h"
#include "service/storage.h"
#include "worker.h"

#define GET_TRIES 4

static enum references_outcome
find(struct hand *hand, const struct job *job, struct arena *arena, struct upload_reference **ret_found,
    size_t *ret_count)
{
	struct again again = {.hand = hand};
	bool held = false;
	enum problem problem;
	do {
		struct db *db = db_pool_take(hand->worker->pool);
		problem = upload_references(db, arena, job, &held, ret_found, ret_count);
		db_pool_give(hand->worker->pool, db);
	} while (again_after(&again, problem));
	if (problem == PROBLEM_DATABASE_UNAVAILABLE || (problem == PROBLEM_NONE && !held))
		return REFERENCES_LOST;
	if (problem != PROBLEM_NONE)
		return REFERENCES_FAILED;
	/* The uploads that it named are not even tombstones any more. */
	return *ret_count > 0 ? REFERENCES_READY : REFERENCES_EXPIRED;
}

static enum references_outcome
fetch(struct hand *hand, struct arena *arena, const struct upload_reference *found, struct provider_reference *ret_read)
{
	struct again again = {.hand = hand};
	uint8_t *bytes = NULL;
	size_t len = 0;
	enum problem problem;
	if (found->key == NULL)
		return REFERENCES_EXPIRED;
	do {
		problem = storage_get(hand->worker->storage, arena, found->key, found->bytes, &bytes, &len);
	} while (again.tries < GET_TRIES && again_after(&again, problem));
	if (problem == PROBLEM_NONE && len == found->bytes) {
		*ret_read =
		    (struct provider_reference){.content_type = found->content_type, .bytes = bytes, .len = len};
		return REFERENCES_READY;
	}
	if (problem == PROBLEM_NOT_FOUND)
		return REFERENCES_EXPIRED;
	if (problem == PROBLEM_STORAGE_UNAVAILABLE)
		return hand_lost(hand) ? REFERENCES_LOST : REFERENCES_AWAY;
	log_event(LOG_ERROR, "reference_unusable", NULL);
	return REFERENCES_FAILED;
}

enum references_outcome
references_read(struct hand *hand, const struct job *job, struct arena *arena,
    const struct provider_reference **ret_references, size_t *ret_count)
{
	struct upload_reference *found = NULL;
	size_t count = 0;
	*ret_references = NULL;
	*ret_count = 0;
	if (!job->wants_references)
		return REFERENCES_READY;
	enum references_outcome outcome = find(hand, job, arena, &found, &count);
	struct provider_reference *read = arena_array(arena, count + 1, sizeof *read);
	for (size_t i = 0; outcome == REFERENCES_READY && i < count; i++)
		outcome = fetch(hand, arena, &found[i], &read[i]);
	if (outcome != REFERENCES_READY)
		return outcome;
	*ret_references = read;
	*ret_count = count;
	return REFERENCES_READY;
}
