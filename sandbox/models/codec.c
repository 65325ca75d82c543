#include "codec.h"

#include <stdlib.h>

#include <vips/vips.h>

static void
image_unref(VipsImage **image)
{
	if (*image != NULL)
		g_object_unref(*image);
}
#define AUTO_VIPS_IMAGE __attribute__((cleanup(image_unref))) VipsImage *

bool
codec_start(void)
{
	/* No plug-ins: they cost 17 ms at start. */
	if (setenv("VIPSHOME", "/nonexistent", 1) < 0 || VIPS_INIT("models") != 0)
		return false;
	vips_cache_set_max(0);
	vips_concurrency_set(1);
	vips_block_untrusted_set(TRUE);
	return true;
}

bool
codec_encode(const struct canvas *canvas, enum codec_format format, int quality, uint8_t **ret_bytes, size_t *ret_len)
{
	size_t size = 3 * (size_t)canvas->width * (size_t)canvas->height, len = 0;
	AUTO_VIPS_IMAGE bare =
	    vips_image_new_from_memory(canvas->pixels, size, canvas->width, canvas->height, 3, VIPS_FORMAT_UCHAR);
	AUTO_VIPS_IMAGE image = NULL;
	void *bytes = NULL;
	int failed = -1;
	if (bare == NULL || vips_copy(bare, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0)
		return false;
	switch (format) {
	case CODEC_PNG:
		failed = vips_pngsave_buffer(
		    image, &bytes, &len, "compression", 4, "filter", VIPS_FOREIGN_PNG_FILTER_SUB, NULL);
		break;
	case CODEC_JPEG:
		failed = vips_jpegsave_buffer(image, &bytes, &len, "Q", quality < 1 ? 1 : quality, "strip", TRUE, NULL);
		break;
	case CODEC_WEBP:
		failed = vips_webpsave_buffer(image, &bytes, &len, "Q", quality, "strip", TRUE, NULL);
		break;
	case CODEC__COUNT:
		break;
	}
	if (failed == 0) {
		*ret_bytes = bytes;
		*ret_len = len;
	}
	return failed == 0;
}

bool
codec_decode(const uint8_t *bytes, size_t len, int width, int height, struct canvas *ret_canvas)
{
	AUTO_VIPS_IMAGE fitted = NULL;
	AUTO_VIPS_IMAGE plain = NULL;
	AUTO_VIPS_IMAGE flat = NULL;
	size_t size = 0;
	/* libvips reads only; its parameter lacks the const. */
	if (vips_thumbnail_buffer((void *)(uintptr_t)bytes, len, &fitted, width, "height", height, "crop",
		VIPS_INTERESTING_CENTRE, NULL) != 0 ||
	    vips_colourspace(fitted, &plain, VIPS_INTERPRETATION_sRGB, NULL) != 0 ||
	    (vips_image_hasalpha(plain) ? vips_flatten(plain, &flat, NULL) : vips_copy(plain, &flat, NULL)) != 0 ||
	    flat->Xsize != width || flat->Ysize != height || flat->Bands != 3)
		return false;
	AUTO_VIPS_IMAGE narrow = NULL;
	if (vips_cast_uchar(flat, &narrow, NULL) != 0)
		return false;
	uint8_t *pixels = vips_image_write_to_memory(narrow, &size);
	if (pixels != NULL)
		*ret_canvas = (struct canvas){.width = width, .height = height, .pixels = pixels};
	return pixels != NULL;
}

void
codec_free(void *bytes)
{
	g_free(bytes);
}
