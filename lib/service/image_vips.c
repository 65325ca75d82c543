#include "service/image_vips.h"

#include <stdlib.h>
#include <string.h>

#include <vips/vips.h>
/* After vips.h, which it needs. */
#include <vips/vector.h>

#include "service/image_decoder.h"

/* Measured: as small as 6 for a third of its time; one fixed filter halves what none gives, trials gain 1 %. */
#define PNG_COMPRESSION 4
#define JPEG_QUALITY 92
#define WEBP_QUALITY 90
#define THUMBNAIL_QUALITY 82

static const char generated_xmp[] =
    "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
    "<rdf:Description rdf:about=\"\" xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" "
    "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>"
    "</rdf:RDF></x:xmpmeta>\n<?xpacket end=\"r\"?>";

static void
image_unref(VipsImage **image)
{
	if (*image != NULL)
		g_object_unref(*image);
}
#define AUTO_VIPS_IMAGE __attribute__((cleanup(image_unref))) VipsImage *

static void
pixels_free(void **pixels)
{
	g_free(*pixels);
}
#define AUTO_PIXELS __attribute__((cleanup(pixels_free))) void *

enum problem
image_vips_start(void)
{
	/* Away from the installed prefix libvips finds no plug-ins, whose loaders are unwanted and cost 17 ms a start.
	 */
	if (setenv("VIPSHOME", "/nonexistent", 1) < 0 || setenv("VIPS_DISC_THRESHOLD", "4g", 1) < 0 ||
	    setenv("VIPS_WARNING", "off", 1) < 0)
		return PROBLEM_INTERNAL;
	if (VIPS_INIT("shotai") != 0)
		return PROBLEM_INTERNAL;
	vips_cache_set_max(0);
	vips_cache_set_max_mem(0);
	vips_concurrency_set(1);
	/* Its code generator wants a writable file that it can execute. */
	vips_vector_set_enabled(FALSE);
	vips_block_untrusted_set(TRUE);
	vips_operation_block_set("VipsForeignLoad", TRUE);
	vips_operation_block_set("VipsForeignLoadPngBuffer", FALSE);
	vips_operation_block_set("VipsForeignLoadJpegBuffer", FALSE);
	vips_operation_block_set("VipsForeignLoadWebpBuffer", FALSE);
	return PROBLEM_NONE;
}

/* Reads the header only; pixels come while they are asked for. */
static VipsImage *
load(const uint8_t *bytes, size_t len, enum image_format format)
{
	VipsImage *image = NULL;
	/* libvips reads only; its parameter lacks the const. */
	void *buffer = (void *)(uintptr_t)bytes;
	switch (format) {
	case IMAGE_PNG:
		(void)vips_pngload_buffer(
		    buffer, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
		break;
	case IMAGE_JPEG:
		(void)vips_jpegload_buffer(
		    buffer, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
		break;
	case IMAGE_WEBP:
		(void)vips_webpload_buffer(
		    buffer, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
		break;
	case IMAGE__COUNT:
		break;
	}
	return image;
}

/* To 8-bit sRGB, through the embedded profile when there is a usable one. */
static VipsImage *
to_srgb(VipsImage *in)
{
	AUTO_VIPS_IMAGE converted = NULL;
	if (vips_image_get_typeof(in, VIPS_META_ICC_NAME) != 0 &&
	    vips_icc_transform(
		in, &converted, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_PERCEPTUAL, "depth", 8, NULL) != 0)
		vips_error_clear();
	if (converted == NULL && vips_colourspace(in, &converted, VIPS_INTERPRETATION_sRGB, NULL) != 0)
		return NULL;
	VipsImage *out = NULL;
	if (vips_cast_uchar(converted, &out, NULL) != 0)
		return NULL;
	return out;
}

/*
 * A fresh image over bare pixels: nothing of the original's metadata can
 * survive that. The orientation is applied, lazily.
 */
static VipsImage *
from_pixels(const void *pixels, size_t size, const VipsImage *like, int orientation)
{
	AUTO_VIPS_IMAGE bare =
	    vips_image_new_from_memory(pixels, size, like->Xsize, like->Ysize, like->Bands, VIPS_FORMAT_UCHAR);
	if (bare == NULL)
		return NULL;
	AUTO_VIPS_IMAGE named = NULL;
	if (vips_copy(bare, &named, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0)
		return NULL;
	vips_image_set_int(named, VIPS_META_ORIENTATION, orientation);
	VipsImage *upright = NULL;
	if (vips_autorot(named, &upright, NULL) != 0)
		return NULL;
	return upright;
}

static void
put_big32(uint8_t *at, uint32_t value)
{
	for (size_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t
crc32(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

/*
 * libvips writes XMP into a zTXt chunk, where readers that keep to the XMP
 * specification do not look: this adds it as iTXt, right behind the header.
 */
static void
png_mark(void **bytes, size_t *len)
{
	enum { HEAD = 8 + 25, FRAME = 12 };
	static const char type[] = "iTXt", keyword[] = "XML:com.adobe.xmp\0\0\0\0"; /* plain, in no language */
	size_t text = sizeof keyword + sizeof generated_xmp - 1;
	uint8_t *png = g_realloc(*bytes, *len + FRAME + text), *chunk = png + HEAD;
	memmove(chunk + FRAME + text, chunk, *len - HEAD);
	put_big32(chunk, (uint32_t)text);
	memcpy(chunk + 4, type, 4);
	memcpy(chunk + 8, keyword, sizeof keyword);
	memcpy(chunk + 8 + sizeof keyword, generated_xmp, sizeof generated_xmp - 1);
	put_big32(chunk + 8 + text, crc32(chunk + 4, 4 + text));
	*bytes = png;
	*len += FRAME + text;
}

static uint32_t
little32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void
put_little32(uint8_t *at, uint32_t value)
{
	for (size_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static size_t
cut(uint8_t *bytes, size_t len, size_t at, size_t count)
{
	memmove(bytes + at, bytes + at + count, len - at - count);
	return len - count;
}

/* libvips writes an EXIF block of its own wherever it may write XMP: the two functions take it out again. */
static size_t
jpeg_without_exif(uint8_t *bytes, size_t len)
{
	for (size_t at = 2; at + 10 <= len && bytes[at] == 0xff && bytes[at + 1] >= 0xe0 && bytes[at + 1] <= 0xef;) {
		size_t segment = 2 + (size_t)((unsigned)bytes[at + 2] << 8 | bytes[at + 3]);
		if (segment > len - at)
			break;
		if (bytes[at + 1] == 0xe1 && memcmp(bytes + at + 4, "Exif\0", 6) == 0)
			len = cut(bytes, len, at, segment);
		else
			at += segment;
	}
	return len;
}

static size_t
webp_without_exif(uint8_t *bytes, size_t len)
{
	if (len < 30 || memcmp(bytes + 12, "VP8X", 4) != 0)
		return len;
	for (size_t at = 12; at + 8 <= len;) {
		size_t chunk = 8 + (((size_t)little32(bytes + at + 4) + 1) & ~(size_t)1);
		if (chunk > len - at)
			break;
		if (memcmp(bytes + at, "EXIF", 4) == 0)
			len = cut(bytes, len, at, chunk);
		else
			at += chunk;
	}
	bytes[20] &= (uint8_t)~0x08;
	put_little32(bytes + 4, (uint32_t)len - 8);
	return len;
}

static enum problem
encode(VipsImage *image, enum image_format format, int quality, bool mark_generated, struct image *ret_image)
{
	AUTO_VIPS_IMAGE marked = NULL;
	if (vips_copy(image, &marked, NULL) != 0)
		return PROBLEM_INVALID_REQUEST;
	if (mark_generated)
		vips_image_set_blob_copy(marked, VIPS_META_XMP_NAME, generated_xmp, sizeof generated_xmp - 1);
	void *bytes = NULL;
	size_t len = 0;
	int failed = -1, strip = !mark_generated;
	switch (format) {
	case IMAGE_PNG:
		failed = vips_pngsave_buffer(marked, &bytes, &len, "compression", PNG_COMPRESSION, "filter",
		    VIPS_FOREIGN_PNG_FILTER_AVG, "strip", TRUE, NULL);
		if (failed == 0 && mark_generated)
			png_mark(&bytes, &len);
		break;
	case IMAGE_JPEG:
		failed = vips_jpegsave_buffer(
		    marked, &bytes, &len, "Q", quality, "optimize_coding", TRUE, "strip", strip, NULL);
		len = failed == 0 ? jpeg_without_exif(bytes, len) : 0;
		break;
	case IMAGE_WEBP:
		failed = vips_webpsave_buffer(marked, &bytes, &len, "Q", quality, "strip", strip, NULL);
		len = failed == 0 ? webp_without_exif(bytes, len) : 0;
		break;
	case IMAGE__COUNT:
		break;
	}
	if (failed != 0)
		return PROBLEM_INVALID_REQUEST;
	if (len > IMAGE_OUTPUT_MAX)
		return PROBLEM_TOO_LARGE;
	*ret_image =
	    (struct image){.bytes = bytes, .len = len, .width = image->Xsize, .height = image->Ysize, .format = format};
	return PROBLEM_NONE;
}

static enum problem
make_thumbnail(VipsImage *image, bool mark_generated, struct image *ret_thumbnail)
{
	AUTO_VIPS_IMAGE small = NULL;
	if (vips_thumbnail_image(
		image, &small, IMAGE_THUMBNAIL, "height", IMAGE_THUMBNAIL, "size", VIPS_SIZE_DOWN, NULL) != 0)
		return PROBLEM_INVALID_REQUEST;
	return encode(small, IMAGE_WEBP, THUMBNAIL_QUALITY, mark_generated, ret_thumbnail);
}

enum problem
image_vips_process(const uint8_t *bytes, size_t len, int64_t pixels_max, bool mark_generated, bool thumbnail,
    struct image_vips_result *ret_result)
{
	enum image_format format = IMAGE_PNG;
	if (!image_sniff(bytes, len, &format))
		return PROBLEM_INVALID_REQUEST;
	AUTO_VIPS_IMAGE loaded = load(bytes, len, format);
	if (loaded == NULL)
		return PROBLEM_INVALID_REQUEST;
	if ((int64_t)loaded->Xsize * loaded->Ysize > pixels_max)
		return PROBLEM_TOO_LARGE;
	AUTO_VIPS_IMAGE plain = to_srgb(loaded);
	if (plain == NULL || plain->Bands < 3 || plain->Bands > 4)
		return PROBLEM_INVALID_REQUEST;
	size_t size = 0;
	AUTO_PIXELS pixels = vips_image_write_to_memory(plain, &size);
	if (pixels == NULL)
		return PROBLEM_INVALID_REQUEST;
	AUTO_VIPS_IMAGE upright = from_pixels(pixels, size, plain, vips_image_get_orientation(loaded));
	if (upright == NULL)
		return PROBLEM_INVALID_REQUEST;
	struct image_vips_result result = {0};
	int quality = format == IMAGE_JPEG ? JPEG_QUALITY : WEBP_QUALITY;
	enum problem problem = encode(upright, format, quality, mark_generated, &result.picture);
	if (problem == PROBLEM_NONE && thumbnail)
		problem = make_thumbnail(upright, mark_generated, &result.thumbnail);
	if (problem == PROBLEM_NONE)
		*ret_result = result;
	return problem;
}
