/*
 * One request and its answer, apart from FastCGI: what models.c gives to the
 * API and gets back from it.
 */
#ifndef SANDBOX_EXCHANGE_H
#define SANDBOX_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct arena;

struct exchange {
	struct arena *arena;
	const char *method, *path, *query; /* path without the query */
	const char *authorization, *content_type;
	const char *header_names; /* with a blank between them */
	const char *body;
	size_t body_len;

	int status;
	const char *retry_after_ms; /* NULL: none */
	struct text answer;         /* JSON */

	/* Waits at most so long; false when the client left or the program ends. */
	bool (*wait)(struct exchange *exchange, double seconds);
	/* At most a few pictures are drawn at a time. */
	void (*draw_enter)(void);
	void (*draw_leave)(void);
};

#endif
