#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "service/db.h"

struct db_pool {
	struct arena *arena;
	pthread_mutex_t mutex;
	pthread_cond_t given;
	size_t size, free_count;
	struct db **all;
	struct db **free; /* a stack, so that idle connections stay idle and close */
};

struct db_pool *
db_pool_new(const char *url, const char *program, bool prepared, size_t size)
{
	struct arena *arena = arena_new();
	struct db_pool *pool = arena_alloc(arena, sizeof *pool);

	pool->arena = arena;
	pool->size = pool->free_count = size;
	pool->all = arena_array(arena, size, sizeof(struct db *));
	pool->free = arena_array(arena, size, sizeof(struct db *));
	for (size_t i = 0; i < size; i++)
		pool->all[i] = pool->free[i] = db_new(url, program, prepared);
	if (pthread_mutex_init(&pool->mutex, NULL) != 0 || pthread_cond_init(&pool->given, NULL) != 0)
		abort();
	return pool;
}

void
db_pool_free(struct db_pool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->size; i++)
		db_free(pool->all[i]);
	pthread_cond_destroy(&pool->given);
	pthread_mutex_destroy(&pool->mutex);
	arena_free(pool->arena);
}

struct db *
db_pool_take(struct db_pool *pool)
{
	struct db *db;

	pthread_mutex_lock(&pool->mutex);
	while (pool->free_count == 0)
		pthread_cond_wait(&pool->given, &pool->mutex);
	db = pool->free[--pool->free_count];
	pthread_mutex_unlock(&pool->mutex);
	return db;
}

void
db_pool_give(struct db_pool *pool, struct db *db)
{
	pthread_mutex_lock(&pool->mutex);
	for (size_t i = 0; i < pool->free_count; i++)
		db_idle(pool->free[i]);
	pool->free[pool->free_count++] = db;
	pthread_cond_signal(&pool->given);
	pthread_mutex_unlock(&pool->mutex);
}
