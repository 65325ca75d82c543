/*
 * The queue of objects whose row is gone: pictures of deleted generations and
 * erased accounts. One stays in it until its storage has confirmed that it is
 * gone, whatever dies or is away meanwhile.
 */
#ifndef SHOTAI_DISPOSAL_H
#define SHOTAI_DISPOSAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"

struct db;
struct storage;

/*
 * One round: claims up to a thousand keys, deletes the objects, forgets the
 * keys. *ret_count says how many, *ret_more that another round has something
 * to do now. PROBLEM_STORAGE_UNAVAILABLE leaves all of them to a later round.
 */
[[nodiscard]] enum problem disposal_round(struct db *db, struct storage *storage, size_t *ret_count, bool *ret_more);

#endif
