/* Passwords as Supabase Auth keeps them: bcrypt, cost 10, 6 to 72 bytes. */
#ifndef SANDBOX_AUTH_PASSWORD_H
#define SANDBOX_AUTH_PASSWORD_H

#include <stdbool.h>

#define PASSWORD_MIN 6
#define PASSWORD_MAX 72

struct arena;

/* The refusal (a key of answer.c) of a password that is too short or too long, else NULL. */
const char *password_refusal(const char *password);
/* In the arena. */
const char *password_hash(struct arena *arena, const char *password);
/* Costs the same when there is no hash (NULL or empty), which nothing fits. */
bool password_fits(const char *password, const char *hash);

#endif
