#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* The first line is the Content-Type, the rest the body. What is taken lies in the body and survives being sent
 * plainly. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *line = memchr(text, '\n', size);
	if (line == NULL)
		return 0;
	AUTO_ARENA arena = arena_new();
	const char *type = arena_strndup(arena, text, (size_t)(line - text));
	size_t len = size - (size_t)(line + 1 - text);
	/* A copy of its own, so that reading past its end shows. */
	char *body = arena_alloc(arena, len);
	if (len > 0)
		memcpy(body, line + 1, len);
	struct multipart_file file, again;
	if (multipart_read(arena, type, body, len, "file", &file) != PROBLEM_NONE)
		return 0;
	require(file.bytes >= body && file.bytes <= body + len && file.len <= len - (size_t)(file.bytes - body));
	static const char head[] = "--fuzz-boundary\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
	static const char tail[] = "\r\n--fuzz-boundary--\r\n";
	size_t plain_len = sizeof head - 1 + file.len + sizeof tail - 1;
	char *plain = arena_alloc(arena, plain_len);
	memcpy(plain, head, sizeof head - 1);
	memcpy(plain + sizeof head - 1, file.bytes, file.len);
	memcpy(plain + sizeof head - 1 + file.len, tail, sizeof tail - 1);
	if (memmem(file.bytes, file.len, "--fuzz-boundary", 15) != NULL)
		return 0;
	require(multipart_read(arena, "multipart/form-data; boundary=fuzz-boundary", plain, plain_len, "file",
		    &again) == PROBLEM_NONE);
	require(again.len == file.len && memcmp(again.bytes, file.bytes, file.len) == 0);
	return 0;
}
