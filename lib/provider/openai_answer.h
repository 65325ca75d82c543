/*
 * Inside of provider/openai: what an answer means, and which addresses a
 * picture may be fetched from. Both read what strangers wrote.
 */
#ifndef SHOTAI_OPENAI_ANSWER_H
#define SHOTAI_OPENAI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provider/provider.h"

struct arena;
struct body_value;
struct http_answer;

/* The largest picture that is taken, before it is decoded. */
#define OPENAI_PICTURE_MAX ((size_t)20 << 20)
#define OPENAI_PICTURES_MAX 10
#define OPENAI_RETRY_AFTER_MAX 300

/* A picture as the answer holds it: bytes, or where they are. */
struct openai_picture {
	uint8_t *bytes;
	size_t len;
	const char *url;
};

struct openai_answer {
	enum provider_outcome outcome;
	int64_t retry_after;
	const char *code;      /* the vendor's error code, fit for a log line, or NULL */
	const char *vendor_id; /* or NULL */
	struct openai_picture pictures[OPENAI_PICTURES_MAX];
	size_t picture_count; /* at most wanted */
};

/* Reads an answer that arrived whole; everything lives in the arena. */
void openai_answer_read(
    struct arena *arena, const struct http_answer *answer, int wanted, struct openai_answer *ret_answer);

/*
 * Whether a picture may be fetched from url, given the API's base URL and the
 * options' image_hosts (an array of strings, or NULL).
 */
bool openai_url_allowed(const char *url, const char *base_url, const struct body_value *image_hosts);
/* Whether the base URL is this machine, and with it the addresses that its answers may name. */
bool openai_url_loopback(const char *url);

#endif
