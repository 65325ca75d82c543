/*
 * Where the key set comes from: a side thread with an http handle of its own
 * fetches it, everybody else only asks. Part of service/auth; may be used by
 * many threads.
 *
 * The thread starts at the first need, never before (a fork would lose it). It
 * refreshes from minute 8 and retries a failed refresh every 15 s; an unknown
 * kid makes it fetch at once, at most every 30 s. A caller that needs a fetch
 * waits for it: connect 1 s, 3 s in all. A set counts for 1 h after it was
 * fetched, and a good answer replaces it as a whole.
 */
#ifndef SHOTAI_AUTH_SOURCE_H
#define SHOTAI_AUTH_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "service/auth_keys.h"

struct auth_source;

struct auth_source *auth_source_new(const char *url);
void auth_source_free(struct auth_source *source);

/* Installs a key set from its text, as a fetch does; false when it is none. */
bool auth_source_load(struct auth_source *source, const char *json, size_t len);
/*
 * The key with that kid, copied into the arena. PROBLEM_UNAUTHENTICATED: the
 * set has none. PROBLEM_AUTH_UNAVAILABLE: no set counts, or this kid is new
 * and asking failed.
 */
[[nodiscard]] enum problem auth_source_key(
    struct auth_source *source, struct arena *arena, const char *kid, struct auth_key *ret_key);
/* Whether the key with that id is in a set that counts. Never waits. */
bool auth_source_holds(struct auth_source *source, const uint8_t id[static DIGEST_SHA256]);
/* For tests: moves the clock of this source ahead. */
void auth_source_advance(struct auth_source *source, int64_t milliseconds);

#endif
