#include "deliver.h"

#include "again.h"
#include "base/arena.h"
#include "base/log.h"
#include "crew.h"
#include "feature/job.h"
#include "service/db.h"
#include "service/image.h"
#include "service/storage.h"
#include "worker.h"

#define PUT_TRIES_MIN 4

void
deliver_init(struct deliver_objects *objects, struct arena *arena, size_t pictures)
{
	*objects = (struct deliver_objects){.keys = arena_array(arena, 2 * pictures, sizeof(char *))};
}

/* A key may be put once, and a put that failed may have stored it all the same. */
static enum problem
put_again(struct storage *storage, const char *key, const struct image *image, bool first)
{
	enum problem problem = first ? PROBLEM_NONE : storage_delete(storage, key);
	if (problem != PROBLEM_NONE)
		return problem;
	return storage_put(storage, key, image_content_type(image->format), image->bytes, image->len);
}

/* Puts an object, trying again while the deadline lasts, and a few times when it has passed. */
static enum problem
put_object(struct hand *hand, const struct job *job, const char *key, const struct image *image,
    struct deliver_objects *objects)
{
	struct again again = {.hand = hand};
	enum problem problem;
	objects->keys[objects->count++] = key;
	do {
		problem = put_again(hand->worker->storage, key, image, again.tries == 0);
		if (again.tries >= PUT_TRIES_MIN && job_clock() >= job->deadline_at)
			break;
	} while (again_after(&again, problem));
	return problem;
}

static enum deliver_outcome
settle(struct hand *hand, const struct job *job, const struct job_picture *picture)
{
	struct again again = {.hand = hand};
	enum problem problem;
	bool held = false;
	do {
		struct db *db = db_pool_take(hand->worker->pool);
		problem = job_settle(db, job, picture, &held);
		db_pool_give(hand->worker->pool, db);
	} while (again_after(&again, problem));
	if (problem == PROBLEM_NONE)
		return held ? DELIVER_DONE : DELIVER_LOST;
	return problem == PROBLEM_DATABASE_UNAVAILABLE ? DELIVER_LOST : DELIVER_FAILED;
}

enum deliver_outcome
deliver_picture(struct hand *hand, const struct job *job, int index, const struct provider_picture *picture,
    struct deliver_objects *objects)
{
	AUTO_ARENA arena = arena_new();
	struct image image, thumbnail;
	enum problem problem =
	    image_process(hand->worker->decoder, arena, picture->bytes, picture->len, true, &image, &thumbnail);
	if (problem != PROBLEM_NONE) {
		log_event(LOG_WARN, "picture_unusable", "problem", problem_describe(problem)->code, NULL);
		return problem == PROBLEM_INTERNAL ? DELIVER_FAILED : DELIVER_INVALID;
	}
	struct job_picture made = {
	    .index = index,
	    .key = arena_printf(job->arena, "gen/%s/%d-%lld.%s", job->generation_id, index, (long long)job->attempt,
		image_extension(image.format)),
	    .thumbnail_key = arena_printf(
		job->arena, "gen/%s/%d-%lld-thumb.webp", job->generation_id, index, (long long)job->attempt),
	    .content_type = image_content_type(image.format),
	    .width = image.width,
	    .height = image.height,
	    .bytes = image.len,
	};
	if (put_object(hand, job, made.key, &image, objects) != PROBLEM_NONE ||
	    put_object(hand, job, made.thumbnail_key, &thumbnail, objects) != PROBLEM_NONE)
		return hand_lost(hand) ? DELIVER_LOST : DELIVER_FAILED;
	return settle(hand, job, &made);
}

void
deliver_discard(struct hand *hand, const struct deliver_objects *objects)
{
	AUTO_ARENA arena = arena_new();
	const char **unnamed = NULL;
	size_t count = 0;
	if (objects->count == 0)
		return;
	struct db *db = db_pool_take(hand->worker->pool);
	enum problem problem = job_unnamed(db, arena, objects->keys, objects->count, &unnamed, &count);
	db_pool_give(hand->worker->pool, db);
	for (size_t i = 0; problem == PROBLEM_NONE && i < count; i++)
		problem = storage_delete(hand->worker->storage, unnamed[i]);
}
