/*
 * Hashes, MACs, encodings and randomness: the only module besides
 * service/auth that touches OpenSSL.
 */
#ifndef SHOTAI_DIGEST_H
#define SHOTAI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256 32
#define DIGEST_HEX (2 * DIGEST_SHA256 + 1)

struct arena;

void digest_sha256(const void *bytes, size_t len, uint8_t ret_digest[static DIGEST_SHA256]);
void digest_md5(const void *bytes, size_t len, uint8_t ret_digest[static 16]);
void digest_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret_mac[static DIGEST_SHA256]);

/*
 * The key for one purpose ("file-link", "email-fold", ...), derived from one
 * secret of SECRET_KEY with HMAC-SHA256, so that no two uses share a key.
 */
void digest_derive_key(const char *secret, const char *purpose, uint8_t ret_key[static DIGEST_SHA256]);

/* Lower-case hex of len bytes into ret_hex, 2 * len + 1 bytes. */
void digest_hex(const uint8_t *bytes, size_t len, char *ret_hex);
/* False unless hex is exactly 2 * len hex digits. */
bool digest_unhex(const char *hex, size_t len, uint8_t *ret_bytes);

/* Standard base64 with padding. */
char *digest_base64(struct arena *arena, const void *bytes, size_t len);
/* base64url without padding. */
char *digest_base64url(struct arena *arena, const void *bytes, size_t len);
/* Strict: false on any foreign character, wrong padding or non-canonical tail. The bytes live in the arena. */
bool digest_base64_decode(struct arena *arena, const char *text, size_t len, uint8_t **ret_bytes, size_t *ret_len);
bool digest_base64url_decode(struct arena *arena, const char *text, size_t len, uint8_t **ret_bytes, size_t *ret_len);

/* Constant-time comparison of len bytes. */
bool digest_equal(const void *a, const void *b, size_t len);
/* len bytes from the system's generator; aborts when there are none. */
void digest_random(void *ret_bytes, size_t len);
/* A version 4 UUID, 36 characters and NUL. */
void digest_uuid(char ret_uuid[static 37]);
/* Overwrites a secret so that the compiler keeps the write. */
void digest_cleanse(void *bytes, size_t len);

#endif
