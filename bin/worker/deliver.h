/*
 * From the bytes that a provider sent to a picture that counts: decoded and
 * cleaned, stored with its thumbnail under keys that nobody used before, then
 * settled. A picture in hand is never given up for a database or a storage
 * that is away: both are tried again while the attempt is held.
 */
#ifndef SHOTAI_WORKER_DELIVER_H
#define SHOTAI_WORKER_DELIVER_H

#include <stddef.h>

struct arena;
struct hand;
struct job;
struct provider_picture;

enum deliver_outcome {
	DELIVER_DONE,
	DELIVER_INVALID, /* no picture, or not one that we take */
	DELIVER_FAILED,  /* on our side, for good */
	DELIVER_LOST,    /* the attempt is not ours any more */
};

/* The objects that this attempt stored, whether settled or not. */
struct deliver_objects {
	const char **keys;
	size_t count;
};

/* Room for the objects of `pictures` pictures. */
void deliver_init(struct deliver_objects *objects, struct arena *arena, size_t pictures);
/* Delivers one picture. objects grows by what was stored. */
enum deliver_outcome deliver_picture(struct hand *hand, const struct job *job, int index,
    const struct provider_picture *picture, struct deliver_objects *objects);
/* Deletes those of the objects that no row names; what cannot be decided now is left to the hourly sweep. */
void deliver_discard(struct hand *hand, const struct deliver_objects *objects);

#endif
