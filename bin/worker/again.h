/*
 * Patience: calls of the database and the storage that are repeated while the
 * other side is away, for as long as the attempt is worth it.
 */
#ifndef SHOTAI_WORKER_AGAIN_H
#define SHOTAI_WORKER_AGAIN_H

#include <stdbool.h>

#include "base/problem.h"

struct hand;

struct again {
	struct hand *hand;
	int tries;
};

/*
 * After a call that returned problem: true when it should be made again, once
 * the pause that grows from 0.1 to 1 s is over. False when it succeeded, when it failed for
 * good, when the lease is lost, or when the worker hurries.
 */
bool again_after(struct again *again, enum problem problem);

#endif
