/* What a decoder child does with a stranger's bytes, without the child. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <glib.h>

#include "service/image_decoder.h"
#include "service/image_vips.h"

#define PIXELS_MAX 250000

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
	static bool started;
	if (!started)
		require(image_vips_start() == PROBLEM_NONE);
	started = true;
	struct image_vips_result result = {0};
	enum image_format format;
	enum problem problem = image_vips_process(data, size, PIXELS_MAX, size % 2 == 0, true, &result);
	if (problem == PROBLEM_NONE) {
		require(image_sniff(result.picture.bytes, result.picture.len, &format));
		require(format == result.picture.format &&
			(int64_t)result.picture.width * result.picture.height <= PIXELS_MAX);
		require(image_sniff(result.thumbnail.bytes, result.thumbnail.len, &format) && format == IMAGE_WEBP);
		require(result.thumbnail.width <= IMAGE_THUMBNAIL && result.thumbnail.height <= IMAGE_THUMBNAIL);
	}
	g_free(result.picture.bytes);
	g_free(result.thumbnail.bytes);
	return 0;
}
