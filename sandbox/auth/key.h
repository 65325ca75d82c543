/*
 * The stand-in's signing key: P-256, made at the first start, kept as PKCS #8
 * in a file of mode 0600. Two processes may make it at once: the file appears
 * whole and the first one counts.
 */
#ifndef SANDBOX_AUTH_KEY_H
#define SANDBOX_AUTH_KEY_H

struct arena;
struct key;

/* NULL when the file can be neither read nor made (logged). */
struct key *key_open(const char *path);
void key_free(struct key *key);
/* The key set with its public half. */
const char *key_set(const struct key *key);
/* An access token (ES256) with these claims, a JSON object; in the arena. */
char *key_sign(const struct key *key, struct arena *arena, const char *claims);

#endif
