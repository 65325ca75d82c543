/* A form's body from a stranger: whatever it is, its text is UTF-8 without control characters but line ends. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "service/request.h"
#include "service/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text, size_t most)
{
	size_t len = strlen(text);
	assert(len <= most);
	for (size_t i = 0, step; i < len; i += step) {
		step = text_utf8(text + i, len - i);
		assert(step > 0);
		assert(step > 1 || text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 0x7f));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA arena = arena_new();
	struct request request = {.arena = arena};
	struct response response;
	const char *value = NULL;
	request.body = arena_strndup(arena, (const char *)data, size);
	request.body_len = strlen(request.body);
	response_open(&response, arena);
	if (request_form(&request, &response, "reason", &value) == PROBLEM_NONE && value != NULL)
		check_text(value, request.body_len);
	return 0;
}
