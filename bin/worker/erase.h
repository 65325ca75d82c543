/* Carries out the erasure of accounts, keeps the journal of what is gone, and looks for accounts without a user. */
#ifndef SHOTAI_WORKER_ERASE_H
#define SHOTAI_WORKER_ERASE_H

#include <stdbool.h>

struct worker;

/* Whether a worker may do anything: the database knows all that the journal tells. False is logged, now and then. */
bool erase_may_start(struct worker *worker);
/* A thread's function; context is the struct worker. Ends when the worker drains. */
void *erase_run(void *context);

#endif
