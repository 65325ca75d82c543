/* A vendor's answer: two bytes of status, one of how many pictures are wanted, then the body. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/body.h"
#include "provider/openai_answer.h"
#include "service/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
check(const struct openai_answer *answer, int wanted)
{
	static const char hosts[] = "[\"cdn.example\"]";
	AUTO_BODY_TREE tree = body_tree_parse(hosts, sizeof hosts - 1);
	require(answer->outcome >= PROVIDER_OK && answer->outcome < PROVIDER__COUNT);
	require(answer->picture_count <= (size_t)wanted);
	require((answer->outcome == PROVIDER_OK) == (answer->picture_count > 0));
	for (size_t i = 0; i < answer->picture_count; i++) {
		const struct openai_picture *picture = &answer->pictures[i];
		require((picture->url == NULL) == (picture->bytes != NULL));
		if (picture->url == NULL ||
		    !openai_url_allowed(picture->url, "https://api.example/v1", body_root(tree)))
			continue;
		const char *host = picture->url + strlen("https://");
		require(strncasecmp(host, "api.example", 11) == 0 || strncasecmp(host, "cdn.example", 11) == 0);
		require(strchr(":/?#", host[11]) != NULL);
	}
	require(answer->code == NULL || strlen(answer->code) <= 64);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA arena = arena_new();
	if (size < 3)
		return 0;
	int status = 100 + ((int)data[0] << 8 | data[1]) % 500, wanted = 1 + data[2] % 10;
	struct http_header headers[] = {{"retry-after", "7"}, {"x-request-id", "req_1"}};
	struct http_answer answer = {.status = status,
	    .headers = headers,
	    .header_count = data[2] >= 128 ? 2 : 0,
	    .body = arena_strndup(arena, (const char *)data + 3, size - 3),
	    .body_len = size - 3};
	struct openai_answer read;
	openai_answer_read(arena, &answer, wanted, &read);
	check(&read, wanted);
	return 0;
}
