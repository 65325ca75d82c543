/*
 * What the worker asks of a model provider. One adapter per kind of API
 * (openai; queue and gemini follow), all behind provider_generate.
 *
 * struct provider_request holds everything that ever leaves for a provider:
 * it has no field for a person, and must never get one.
 */
#ifndef SHOTAI_PROVIDER_H
#define SHOTAI_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct config;
struct http;

/* A failure in one word, whatever the vendor's way of saying it. */
enum provider_outcome {
	PROVIDER_OK,
	PROVIDER_REFUSED, /* the vendor's content rules */
	PROVIDER_BAD_INPUT,
	PROVIDER_BAD_KEY,        /* alert the operator */
	PROVIDER_NO_CREDIT,      /* alert the operator */
	PROVIDER_RATE_LIMITED,   /* nothing was accepted; retry_after holds */
	PROVIDER_NOT_SENT,       /* nothing can have been accepted */
	PROVIDER_UPSTREAM_ERROR, /* the vendor answered that it failed */
	PROVIDER_TIMEOUT,
	PROVIDER_UNCERTAIN,      /* the answer was lost; the vendor may have made and billed it */
	PROVIDER_INVALID_OUTPUT, /* it answered with something that is no picture */
	PROVIDER_ABORTED,        /* the caller's cancel flag */
	PROVIDER__COUNT
};

struct provider_reference {
	const char *content_type;
	const void *bytes;
	size_t len;
};

struct provider_request {
	const char *adapter; /* "openai" */
	const char *vendor_model;
	const char *options; /* the model row's JSON object of switches, or NULL */
	const char *prompt;
	const char *aspect_ratio; /* "1:1", "3:4", ... */
	int count;                /* pictures wanted from this call */
	int64_t seed;             /* -1: none */
	const struct provider_reference *references;
	size_t reference_count;
	int64_t deadline_ms; /* time left */
	const volatile bool *cancel;
};

struct provider_picture {
	const uint8_t *bytes;
	size_t len;
};

struct provider_answer {
	enum provider_outcome outcome;
	int64_t retry_after;               /* seconds, with PROVIDER_RATE_LIMITED */
	struct provider_picture *pictures; /* at most count, in the arena */
	size_t picture_count;
	const char *vendor_id; /* the vendor's request id, or NULL */
};

/*
 * How many pictures one call of this model can be asked for, at least 1: a
 * larger count is split by the caller, one provider_call row per call.
 */
int provider_pictures_per_call(const char *adapter, const char *options);

/* Calls the adapter once; never retries. An unknown adapter is PROVIDER_BAD_INPUT. */
void provider_generate(const struct config *config, struct http *http, struct arena *arena,
    const struct provider_request *request, struct provider_answer *ret_answer);

const char *provider_outcome_name(enum provider_outcome outcome);

#endif
