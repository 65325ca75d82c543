/*
 * The reference pictures of a job, read right before each call that sends
 * them: their bytes travel inside the request, never as an address, and none is
 * used after its end.
 */
#ifndef SHOTAI_WORKER_REFERENCES_H
#define SHOTAI_WORKER_REFERENCES_H

#include <stddef.h>

struct arena;
struct hand;
struct job;
struct provider_reference;

enum references_outcome {
	REFERENCES_READY,
	REFERENCES_EXPIRED, /* one of them may not be used any more */
	REFERENCES_AWAY,    /* storage does not answer: later */
	REFERENCES_FAILED,  /* on our side, for good */
	REFERENCES_LOST,    /* the attempt is not ours any more */
};

/* Reads those of a job into the arena; none when it names none. */
enum references_outcome references_read(struct hand *hand, const struct job *job, struct arena *arena,
    const struct provider_reference **ret_references, size_t *ret_count);

#endif
