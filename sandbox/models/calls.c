#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/text.h"

#define DESCRIPTOR_NAME "SANDBOX_MODELS_CALLS"
#define DESCRIPTOR_LEAST 100
#define ENTRIES 8192
#define NAMES_MAX 2048

struct entry {
	char sha256[DIGEST_HEX];
	uint32_t calls, pictures;
};

/* Entries are used in a ring: the oldest prompt is forgotten first. */
struct shared {
	pthread_mutex_t lock;
	uint64_t used;
	struct entry entries[ENTRIES];
	char path[64], headers[NAMES_MAX], fields[NAMES_MAX];
};

static struct shared *shared;

static bool
attach(int fd)
{
	void *memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return false;
	shared = memory;
	return true;
}

bool
calls_create(void)
{
	char number[16];
	int made = memfd_create("models-calls", MFD_CLOEXEC);
	int fd = made < 0 ? -1 : fcntl(made, F_DUPFD, DESCRIPTOR_LEAST);
	if (made < 0 || fd < 0 || ftruncate(fd, sizeof *shared) < 0 || !attach(fd))
		return false;
	(void)close(made);
	pthread_mutexattr_t attributes;
	(void)pthread_mutexattr_init(&attributes);
	(void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	(void)pthread_mutex_init(&shared->lock, &attributes);
	(void)pthread_mutexattr_destroy(&attributes);
	(void)snprintf(number, sizeof number, "%d", fd);
	return setenv(DESCRIPTOR_NAME, number, 1) == 0;
}

bool
calls_open(void)
{
	const char *number = getenv(DESCRIPTOR_NAME);
	return number != NULL && attach((int)strtol(number, NULL, 10));
}

static void
enter(void)
{
	if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD)
		(void)pthread_mutex_consistent(&shared->lock);
}

static void
leave(void)
{
	(void)pthread_mutex_unlock(&shared->lock);
}

static void
hash(const char *prompt, char ret_sha256[static DIGEST_HEX])
{
	uint8_t digest[DIGEST_SHA256];
	digest_sha256(prompt, strlen(prompt), digest);
	digest_hex(digest, sizeof digest, ret_sha256);
}

static size_t
filled(void)
{
	return shared->used < ENTRIES ? (size_t)shared->used : ENTRIES;
}

static struct entry *
entry_find(const char *sha256)
{
	for (size_t i = 0; i < filled(); i++)
		if (strcmp(shared->entries[i].sha256, sha256) == 0)
			return &shared->entries[i];
	return NULL;
}

uint32_t
calls_count(const char *prompt, uint32_t pictures)
{
	char sha256[DIGEST_HEX];
	hash(prompt, sha256);
	enter();
	struct entry *entry = entry_find(sha256);
	if (entry == NULL) {
		entry = &shared->entries[shared->used++ % ENTRIES];
		*entry = (struct entry){0};
		memcpy(entry->sha256, sha256, sizeof sha256);
	}
	entry->pictures += pictures;
	uint32_t calls = ++entry->calls;
	leave();
	return calls;
}

void
calls_remember(const char *path, const char *headers, const char *fields)
{
	enter();
	(void)snprintf(shared->path, sizeof shared->path, "%s", path);
	(void)snprintf(shared->headers, sizeof shared->headers, "%s", headers);
	(void)snprintf(shared->fields, sizeof shared->fields, "%s", fields);
	leave();
}

void
calls_write_one(struct text *text, const char *prompt)
{
	char sha256[DIGEST_HEX];
	hash(prompt, sha256);
	enter();
	const struct entry *entry = entry_find(sha256);
	struct entry found = entry == NULL ? (struct entry){0} : *entry;
	leave();
	text_json_open(text, NULL, '{');
	text_json_int(text, "calls", found.calls);
	text_json_int(text, "pictures", found.pictures);
	text_json_close(text, '}');
}

/* Names are kept with a blank between them. */
static void
write_names(struct text *text, const char *key, const char *names)
{
	text_json_open(text, key, '[');
	for (const char *at = names; *at != '\0';) {
		char name[128];
		size_t len = strcspn(at, " ");
		(void)snprintf(name, sizeof name, "%.*s", (int)len, at);
		text_json_string(text, NULL, name);
		at += len + (at[len] == ' ');
	}
	text_json_close(text, ']');
}

void
calls_write_all(struct text *text)
{
	text_json_open(text, NULL, '{');
	text_json_open(text, "items", '[');
	enter();
	for (size_t i = 0; i < filled(); i++) {
		const struct entry *entry = &shared->entries[i];
		text_json_open(text, NULL, '{');
		text_json_string(text, "sha256_of_prompt", entry->sha256);
		text_json_int(text, "n", entry->pictures);
		text_json_int(text, "count", entry->calls);
		text_json_close(text, '}');
	}
	text_json_close(text, ']');
	text_json_open(text, "last", '{');
	text_json_string(text, "path", shared->path);
	write_names(text, "headers", shared->headers);
	write_names(text, "fields", shared->fields);
	leave();
	text_json_close(text, '}');
	text_json_close(text, '}');
}
