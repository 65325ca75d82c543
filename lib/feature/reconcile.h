/*
 * Repair of what Creem's webhooks did not tell: asks Creem's API for what the
 * database names, and hands each object to it, which applies them by the rules
 * of events. Creem stops delivering after about an hour.
 */
#ifndef SHOTAI_RECONCILE_H
#define SHOTAI_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"

struct creem;
struct db;

/* What became of an object. */
enum reconcile_outcome {
	RECONCILE_APPLIED,   /* it changed something: that was missing */
	RECONCILE_DUPLICATE, /* nothing was missing */
	RECONCILE_PARKED,    /* whose it is, or what was bought, is not known */
	RECONCILE_AMBIGUOUS, /* an operator must look */
	RECONCILE_IGNORED,   /* not paid, of another mode */
	RECONCILE_GONE,      /* Creem does not have what we know of */
	RECONCILE__COUNT
};

struct reconcile_finding {
	enum reconcile_outcome outcome;
	const char *id;      /* Creem's */
	const char *reason;  /* NULL: none */
	const char *subject; /* what it is here, NULL: nothing */
};

struct reconcile {
	struct db *db;
	const struct creem *creem;
	const char *who; /* is written down as having applied what is applied; NULL: nothing is, it only looks */
	void (*report)(void *context, const struct reconcile_finding *finding); /* of each object but duplicates */
	bool (*go_on)(
	    void *context); /* asked before each object; false stops as if Creem were away. NULL: to the end */
	void *context;
};

struct reconcile_counts {
	int64_t of[RECONCILE__COUNT];
};

/*
 * Asks for everything once. On a problem (PROBLEM_PAYMENTS_UNAVAILABLE: Creem
 * is away) it stops; what was applied stays, and *ret_counts tells how far it
 * came.
 */
[[nodiscard]] enum problem reconcile_run(const struct reconcile *reconcile, struct reconcile_counts *ret_counts);
/* "applied" and so on. */
const char *reconcile_outcome_name(enum reconcile_outcome outcome);

#endif
