/* A file of an announcement: whatever is let through can be written, and loads nothing. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "feature/announcement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct announcement_site site = {
	    "https://shotai.example", "help@shotai.example", "https://shotai.example/unsubscribe/abc"};
	AUTO_ARENA arena = arena_new();
	struct announcement announcement;
	struct announcement_mail mail;
	const char *error = NULL;
	if (!announcement_read(arena, (const char *)data, size, &announcement, &error)) {
		assert(error != NULL);
		return 0;
	}
	for (enum language language = 0; language < LANGUAGE__COUNT; language++) {
		if (!announcement_write(arena, &announcement.part[language], &site, language, &mail))
			continue; /* too long with what stands around it */
		assert(strstr(mail.html, "<img") == NULL && strstr(mail.html, "<script") == NULL &&
		       strstr(mail.html, "javascript:\"") == NULL);
	}
	return 0;
}
