#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)64 << 10)

struct block {
	struct block *next;
	size_t size, used;
	alignas(max_align_t) char bytes[];
};

struct arena {
	struct block *blocks; /* the newest first; only that one is filled further */
};

static void *
allocate(size_t size)
{
	void *bytes = malloc(size);

	if (bytes == NULL)
		abort();
	return bytes;
}

static struct block *
block_push(struct arena *arena, size_t size)
{
	struct block *block;

	if (size > SIZE_MAX - sizeof *block)
		abort();
	block = allocate(sizeof *block + size);
	block->next = arena->blocks;
	block->size = size;
	block->used = 0;
	arena->blocks = block;
	return block;
}

struct arena *
arena_new(void)
{
	struct arena *arena = allocate(sizeof *arena);

	arena->blocks = NULL;
	return arena;
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	for (struct block *block = arena->blocks, *next; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(arena);
}

void
arena_reset(struct arena *arena)
{
	struct block *kept = NULL;

	for (struct block *block = arena->blocks, *next; block != NULL; block = next) {
		next = block->next;
		if (kept == NULL && block->size == BLOCK_SIZE) {
			kept = block;
			kept->used = 0;
			kept->next = NULL;
		} else {
			free(block);
		}
	}
	arena->blocks = kept;
}

#if SHOTAI_SANITIZE

void *
arena_alloc(struct arena *arena, size_t size)
{
	return memset(block_push(arena, size)->bytes, 0, size);
}

#else

void *
arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct block *block = arena->blocks;
	size_t start;

	if (block == NULL || size > block->size || block->used > block->size - size) {
		if (size > BLOCK_SIZE / 4) {
			/* A block of its own, below the one being filled. */
			block = block_push(arena, size);
			block->used = size;
			if (block->next != NULL) {
				arena->blocks = block->next;
				block->next = arena->blocks->next;
				arena->blocks->next = block;
			}
			return memset(block->bytes, 0, size);
		}
		block = block_push(arena, BLOCK_SIZE);
	}
	start = block->used;
	block->used = (start + size + align - 1) / align * align;
	return memset(block->bytes + start, 0, size);
}

#endif

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		abort();
	return arena_alloc(arena, total);
}

char *
arena_strdup(struct arena *arena, const char *string)
{
	return string == NULL ? NULL : arena_strndup(arena, string, strlen(string));
}

char *
arena_strndup(struct arena *arena, const char *bytes, size_t len)
{
	char *copy;

	if (bytes == NULL)
		return NULL;
	if (len == SIZE_MAX)
		abort();
	copy = arena_alloc(arena, len + 1);
	memcpy(copy, bytes, len);
	return copy;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments, again;
	char *string;
	int len;

	va_start(arguments, format);
	va_copy(again, arguments);
	len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (len < 0)
		abort();
	string = arena_alloc(arena, (size_t)len + 1);
	vsnprintf(string, (size_t)len + 1, format, again);
	va_end(again);
	return string;
}
