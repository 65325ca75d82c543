/* An S3 answer, read as lists and errors are: names that storage_r2 asks for, nothing outside the bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "service/storage_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const outer[] = {"Contents", "Error", "Key"}, *const inner[] = {
									     "Key", "Code", "Size", "ETag"};
	AUTO_ARENA arena = arena_new();
	/* A block of its own, without a NUL after it. */
	char *bytes = arena_alloc(arena, size + 1);
	if (size > 0)
		memcpy(bytes, data, size);
	for (size_t o = 0; o < sizeof outer / sizeof *outer; o++) {
		struct storage_xml xml = {bytes, bytes + size}, content;
		const char *before = xml.at;
		while (storage_xml_next(&xml, outer[o], &content)) {
			require(content.at > before && content.at <= content.end && content.end < xml.at &&
				xml.at <= bytes + size);
			before = xml.at;
			for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
				const char *text = storage_xml_text(arena, content, inner[i]);
				require(text == NULL || strlen(text) <= (size_t)(content.end - content.at));
			}
		}
	}
	return 0;
}
