/*
 * The request's memory: every string and struct that lives as long as one
 * request or one job comes from here and goes at once.
 *
 * Running out of memory aborts the process (prefork restarts it), so nothing
 * here returns NULL. Sanitizer builds make one malloc per allocation, so that
 * an overrun shows.
 */
#ifndef SHOTAI_ARENA_H
#define SHOTAI_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);
static inline void
arena_cleanup(struct arena **arena)
{
	arena_free(*arena);
}
#define AUTO_ARENA __attribute__((cleanup(arena_cleanup))) struct arena *

/* Forgets everything allocated so far, keeping at most one block for the next request. */
void arena_reset(struct arena *arena);

/* size zeroed bytes, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
/* count zeroed elements of size bytes; aborts when the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* A NUL-terminated copy. NULL gives NULL. */
char *arena_strdup(struct arena *arena, const char *string);
char *arena_strndup(struct arena *arena, const char *bytes, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
