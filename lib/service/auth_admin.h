/*
 * Supabase Auth's administration: the one thing that ShotAI asks of it.
 */
#ifndef SHOTAI_AUTH_ADMIN_H
#define SHOTAI_AUTH_ADMIN_H

#include "base/problem.h"

struct arena;
struct config;
struct http;

/* Deletes a user for good; one whom Auth does not have counts as deleted. PROBLEM_AUTH_UNAVAILABLE (logged): not done.
 */
[[nodiscard]] enum problem auth_admin_delete(
    const struct config *config, struct http *http, struct arena *arena, const char *user_id);

#endif
