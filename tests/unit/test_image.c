#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <vips/vips.h>

#include "base/arena.h"
#include "base/log.h"
#include "service/image.h"

#define MARK "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
#define BOMB_SIDE 7000

/* A decoder and the pid of its parent process. */
struct bench {
	struct image_decoder *decoder;
	pid_t pid;
};

static struct bench usual, hasty, doomed, busy, thrifty;

struct bytes {
	uint8_t *data;
	size_t len;
};

static void
bytes_free(struct bytes *bytes)
{
	g_free(bytes->data);
}
#define AUTO_BYTES __attribute__((cleanup(bytes_free))) struct bytes

static void
unref(VipsImage **image)
{
	if (*image != NULL)
		g_object_unref(*image);
}
#define AUTO_IMAGE __attribute__((cleanup(unref))) VipsImage *

/* The only child of pid that is not in known[]; 0 when there is none. */
static pid_t
child_of(pid_t pid, const pid_t *known, size_t count)
{
	char path[64], line[512] = "";
	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	size_t len = fread(line, 1, sizeof line - 1, file);
	line[len] = '\0';
	char *at = line;
	(void)fclose(file);
	for (;;) {
		pid_t child = (pid_t)strtol(at, &at, 10);
		bool seen = child == 0;
		for (size_t i = 0; i < count; i++)
			seen = seen || known[i] == child;
		if (child == 0 || !seen)
			return child;
	}
}

static void
bench_start(struct bench *bench, const struct image_limits *limits)
{
	static pid_t known[8];
	static size_t count;
	bench->decoder = limits == NULL ? image_start() : image_start_limited(limits);
	bench->pid = child_of(getpid(), known, count);
	known[count++] = bench->pid;
	if (bench->decoder == NULL || bench->pid == 0)
		abort();
}

/* Every pixel of its own colour, so that a wrong turn or a lost row shows. */
static VipsImage *
gradient(int width, int height, int bands)
{
	size_t size = (size_t)width * (size_t)height * (size_t)bands;
	uint8_t *pixels = g_malloc(size);
	for (int y = 0; y < height; y++)
		for (int x = 0; x < width; x++) {
			uint8_t *pixel = pixels + ((size_t)y * (size_t)width + (size_t)x) * (size_t)bands;
			uint8_t values[4] = {(uint8_t)(x * 255 / width), (uint8_t)(y * 255 / height), 90,
			    (uint8_t)(y < height / 2 ? 64 : 255)};
			memcpy(pixel, values, (size_t)bands);
		}
	AUTO_IMAGE bare = vips_image_new_from_memory_copy(pixels, size, width, height, bands, VIPS_FORMAT_UCHAR);
	g_free(pixels);
	VipsImage *image = NULL;
	assert_int_equal(vips_copy(bare, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), 0);
	return image;
}

static struct bytes
save(VipsImage *image, const char *suffix)
{
	void *data = NULL;
	size_t len = 0;
	assert_int_equal(vips_image_write_to_buffer(image, suffix, &data, &len, NULL), 0);
	return (struct bytes){data, len};
}

static struct bytes
sample(const char *suffix, int width, int height)
{
	AUTO_IMAGE image = gradient(width, height, 3);
	return save(image, suffix);
}

static VipsImage *
reload(const struct image *image)
{
	VipsImage *loaded = vips_image_new_from_buffer(image->bytes, image->len, "", NULL);
	assert_non_null(loaded);
	AUTO_IMAGE lazy = loaded;
	return vips_image_copy_memory(lazy);
}

static void
pixel_at(VipsImage *image, int x, int y, int expected_bands, double *ret_values)
{
	double *values = NULL;
	int count = 0;
	assert_int_equal(vips_getpoint(image, &values, &count, x, y, NULL), 0);
	assert_int_equal(count, expected_bands);
	memcpy(ret_values, values, (size_t)count * sizeof *values);
	g_free(values);
}

static bool
holds(const void *bytes, size_t len, const char *needle)
{
	return memmem(bytes, len, needle, strlen(needle)) != NULL;
}

static const struct format_case {
	const char *suffix, *content_type, *extension;
	enum image_format format;
} formats[] = {
    {".png", "image/png", "png", IMAGE_PNG},
    {".jpg[Q=95]", "image/jpeg", "jpg", IMAGE_JPEG},
    {".webp[Q=95]", "image/webp", "webp", IMAGE_WEBP},
};
#define FORMATS (sizeof formats / sizeof *formats)

static void
each_format_comes_back_as_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMATS; i++) {
		AUTO_ARENA arena = arena_new();
		AUTO_BYTES input = sample(formats[i].suffix, 800, 600);
		struct image picture, thumbnail;
		assert_int_equal(
		    image_process(usual.decoder, arena, input.data, input.len, false, &picture, &thumbnail),
		    PROBLEM_NONE);
		assert_int_equal(picture.format, formats[i].format);
		assert_string_equal(image_content_type(picture.format), formats[i].content_type);
		assert_string_equal(image_extension(picture.format), formats[i].extension);
		assert_int_equal(picture.width, 800);
		assert_int_equal(picture.height, 600);
		assert_int_equal(thumbnail.format, IMAGE_WEBP);
		assert_int_equal(thumbnail.width, 512);
		assert_int_equal(thumbnail.height, 384);
		AUTO_IMAGE loaded = reload(&picture);
		assert_int_equal(loaded->Xsize, 800);
		double values[3];
		pixel_at(loaded, 400, 300, 3, values);
		assert_true(values[0] > 115 && values[0] < 140 && values[1] > 115 && values[1] < 140);
		AUTO_IMAGE small = reload(&thumbnail);
		assert_int_equal(small->Xsize, 512);
	}
}

static void
a_small_picture_is_not_enlarged_and_needs_no_thumbnail(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_BYTES input = sample(".png", 40, 1);
	struct image picture, thumbnail;
	assert_int_equal(
	    image_process(usual.decoder, arena, input.data, input.len, false, &picture, &thumbnail), PROBLEM_NONE);
	assert_int_equal(thumbnail.width, 40);
	assert_int_equal(thumbnail.height, 1);
	assert_int_equal(
	    image_process(usual.decoder, arena, input.data, input.len, false, &picture, NULL), PROBLEM_NONE);
}

static void
generated_pictures_carry_the_mark(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMATS; i++) {
		for (int marked = 0; marked < 2; marked++) {
			AUTO_ARENA arena = arena_new();
			AUTO_BYTES input = sample(formats[i].suffix, 64, 64);
			struct image both[2];
			assert_int_equal(
			    image_process(usual.decoder, arena, input.data, input.len, marked == 1, &both[0], &both[1]),
			    PROBLEM_NONE);
			for (size_t k = 0; k < 2; k++) {
				AUTO_IMAGE loaded = reload(&both[k]);
				const void *xmp = NULL;
				size_t len = 0;
				bool has = vips_image_get_typeof(loaded, VIPS_META_XMP_NAME) != 0;
				assert_int_equal(has, marked == 1);
				if (has)
					assert_int_equal(
					    vips_image_get_blob(loaded, VIPS_META_XMP_NAME, &xmp, &len), 0);
				assert_int_equal(has && holds(xmp, len, MARK), marked == 1);
				/* Not only in a way that libvips understands: in each format as plain text. */
				assert_int_equal(holds(both[k].bytes, both[k].len, MARK), marked == 1);
			}
		}
	}
}

static void
nothing_of_the_originals_metadata_survives(void **state)
{
	(void)state;
	static const char secret[] = "Anna de Vries, 52.3702 N";
	for (size_t i = 0; i < FORMATS; i++) {
		AUTO_ARENA arena = arena_new();
		AUTO_IMAGE image = gradient(64, 48, 3);
		vips_image_set_string(image, "exif-ifd0-Artist", secret);
		vips_image_set_string(image, "exif-ifd3-GPSLatitude", "52/1 22/1 12/1");
		vips_image_set_string(image, "png-comment-0-Author", secret);
		vips_image_set_blob_copy(image, VIPS_META_XMP_NAME, secret, sizeof secret);
		vips_image_set_blob_copy(image, VIPS_META_IPTC_NAME, secret, sizeof secret);
		AUTO_BYTES input = save(image, formats[i].suffix);
		struct image before = {.bytes = input.data, .len = input.len};
		AUTO_IMAGE sent = reload(&before);
		assert_int_not_equal(vips_image_get_typeof(sent, VIPS_META_XMP_NAME), 0);
		struct image both[2];
		assert_int_equal(
		    image_process(usual.decoder, arena, input.data, input.len, true, &both[0], &both[1]), PROBLEM_NONE);
		for (size_t k = 0; k < 2; k++) {
			assert_false(holds(both[k].bytes, both[k].len, "Vries"));
			AUTO_IMAGE loaded = reload(&both[k]);
			assert_int_equal(vips_image_get_typeof(loaded, VIPS_META_EXIF_NAME), 0);
			assert_int_equal(vips_image_get_typeof(loaded, VIPS_META_IPTC_NAME), 0);
			assert_int_equal(vips_image_get_typeof(loaded, VIPS_META_ICC_NAME), 0);
			assert_int_equal(vips_image_get_typeof(loaded, "png-comment-0-Author"), 0);
		}
	}
}

static void
the_orientation_is_applied(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_IMAGE image = gradient(80, 40, 3);
	vips_image_set_int(image, VIPS_META_ORIENTATION, 6);
	AUTO_BYTES input = save(image, ".jpg[Q=95]");
	struct image picture, thumbnail;
	assert_int_equal(
	    image_process(usual.decoder, arena, input.data, input.len, false, &picture, &thumbnail), PROBLEM_NONE);
	assert_int_equal(picture.width, 40);
	assert_int_equal(picture.height, 80);
	assert_int_equal(thumbnail.width, 40);
	AUTO_IMAGE loaded = reload(&picture);
	assert_int_equal(vips_image_get_orientation(loaded), 1);
	double top[3], bottom[3];
	/* A quarter turn clockwise: what grew from left to right grows from top to bottom. */
	pixel_at(loaded, 20, 5, 3, top);
	pixel_at(loaded, 20, 75, 3, bottom);
	assert_true(top[0] < 40 && bottom[0] > 215);
}

static void
alpha_is_kept(void **state)
{
	(void)state;
	static const char *const suffixes[] = {".png", ".webp[lossless]"};
	for (size_t i = 0; i < 2; i++) {
		AUTO_ARENA arena = arena_new();
		AUTO_IMAGE image = gradient(64, 64, 4);
		AUTO_BYTES input = save(image, suffixes[i]);
		struct image both[2];
		assert_int_equal(
		    image_process(usual.decoder, arena, input.data, input.len, true, &both[0], &both[1]), PROBLEM_NONE);
		for (size_t k = 0; k < 2; k++) {
			AUTO_IMAGE loaded = reload(&both[k]);
			double values[4];
			pixel_at(loaded, 32, 8, 4, values);
			assert_true(values[3] > 55 && values[3] < 75);
			pixel_at(loaded, 32, 56, 4, values);
			assert_true(values[3] > 250);
		}
	}
}

static void
sixteen_bits_and_grey_become_eight_bit_srgb(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_IMAGE narrow = gradient(64, 64, 4);
	AUTO_IMAGE wide = NULL;
	AUTO_IMAGE grey = NULL;
	assert_int_equal(vips_colourspace(narrow, &wide, VIPS_INTERPRETATION_RGB16, NULL), 0);
	assert_int_equal(vips_colourspace(narrow, &grey, VIPS_INTERPRETATION_B_W, NULL), 0);
	AUTO_BYTES input = save(wide, ".png[bitdepth=16]");
	struct image picture;
	assert_int_equal(
	    image_process(usual.decoder, arena, input.data, input.len, false, &picture, NULL), PROBLEM_NONE);
	AUTO_IMAGE loaded = reload(&picture);
	assert_int_equal(loaded->BandFmt, VIPS_FORMAT_UCHAR);
	double values[4];
	pixel_at(loaded, 32, 8, 4, values);
	assert_true(values[0] > 120 && values[0] < 135);
	assert_true(values[3] > 60 && values[3] < 68);
	AUTO_BYTES mono = save(grey, ".png");
	assert_int_equal(image_process(usual.decoder, arena, mono.data, mono.len, false, &picture, NULL), PROBLEM_NONE);
}

static void
a_wide_profile_is_converted(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_IMAGE plain = gradient(64, 64, 3);
	AUTO_IMAGE p3 = NULL;
	assert_int_equal(
	    vips_icc_transform(plain, &p3, "p3", "input_profile", "srgb", "intent", VIPS_INTENT_PERCEPTUAL, NULL), 0);
	double sent[3], came[3], original[3];
	pixel_at(p3, 60, 2, 3, sent);
	pixel_at(plain, 60, 2, 3, original);
	assert_true(original[0] - sent[0] > 10);
	AUTO_BYTES input = save(p3, ".png");
	struct image picture;
	assert_int_equal(
	    image_process(usual.decoder, arena, input.data, input.len, false, &picture, NULL), PROBLEM_NONE);
	AUTO_IMAGE loaded = reload(&picture);
	pixel_at(loaded, 60, 2, 3, came);
	assert_true(came[0] > original[0] - 4 && came[0] < original[0] + 4);
}

static void
of_an_animation_the_first_frame_stays(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_IMAGE strip = gradient(64, 192, 3);
	vips_image_set_int(strip, VIPS_META_PAGE_HEIGHT, 64);
	AUTO_BYTES input = save(strip, ".webp[lossless]");
	assert_true(holds(input.data, input.len, "ANMF"));
	struct image picture;
	assert_int_equal(
	    image_process(usual.decoder, arena, input.data, input.len, false, &picture, NULL), PROBLEM_NONE);
	assert_int_equal(picture.height, 64);
	assert_false(holds(picture.bytes, picture.len, "ANMF"));
}

static void
truncated_pictures_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMATS; i++) {
		AUTO_ARENA arena = arena_new();
		AUTO_BYTES input = sample(formats[i].suffix, 400, 300);
		struct image picture;
		for (size_t part = 1; part < 8; part++)
			assert_int_equal(image_process(usual.decoder, arena, input.data, input.len * part / 8, false,
					     &picture, NULL),
			    PROBLEM_INVALID_REQUEST);
	}
}

static void
what_is_no_picture_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "x", "GIF89a\1\1\1\1", "BM6\1\1\1", "II*\1\1\1\1\1",
	    "<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "%PDF-1.7", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0",
	    "RIFF\x10\x10\x10\x10WEBPVP8 "};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		AUTO_ARENA arena = arena_new();
		struct image picture;
		assert_int_equal(image_process(usual.decoder, arena, texts[i], strlen(texts[i]), false, &picture, NULL),
		    PROBLEM_INVALID_REQUEST);
	}
}

static uint32_t
crc32_of(uint32_t crc, const uint8_t *bytes, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
	}
	return ~crc;
}

static void
put32(GByteArray *to, uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
	g_byte_array_append(to, bytes, 4);
}

static void
put_chunk(GByteArray *to, const char *name, const uint8_t *bytes, size_t len)
{
	put32(to, (uint32_t)len);
	guint start = to->len;
	g_byte_array_append(to, (const uint8_t *)name, 4);
	g_byte_array_append(to, bytes, (guint)len);
	put32(to, crc32_of(0, to->data + start, to->len - start));
}

/* zeros bytes of nought as one fixed-Huffman block: 13 bits for every 258 of them. */
static GByteArray *
deflated_zeros(uint64_t zeros)
{
	GByteArray *out = g_byte_array_new();
	uint64_t hold = 0x78 | 0x01 << 8, bits = 16;
#define PUT(value, count) (hold |= (uint64_t)(value) << bits, bits += (count))
	PUT(3, 3);    /* last block, fixed codes */
	PUT(0x0c, 8); /* literal 0: 00110000, most significant bit first */
	for (uint64_t left = (zeros - 1) / 258; left > 0; left--) {
		PUT(0xa3, 8); /* length 258: 11000101 */
		PUT(0, 5);    /* distance 1 */
		for (; bits >= 8; bits -= 8, hold >>= 8)
			g_byte_array_append(out, (uint8_t[]){(uint8_t)hold}, 1);
	}
	for (uint64_t left = (zeros - 1) % 258; left > 0; left--) {
		PUT(0x0c, 8);
		for (; bits >= 8; bits -= 8, hold >>= 8)
			g_byte_array_append(out, (uint8_t[]){(uint8_t)hold}, 1);
	}
	PUT(0, 7);
	for (; bits >= 8; bits -= 8, hold >>= 8)
		g_byte_array_append(out, (uint8_t[]){(uint8_t)hold}, 1);
	if (bits > 0)
		g_byte_array_append(out, (uint8_t[]){(uint8_t)hold}, 1);
#undef PUT
	put32(out, (uint32_t)(zeros % 65521) << 16 | 1);
	return out;
}

static struct bytes
black_png(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour, bool interlaced, uint64_t zeros)
{
	GByteArray *png = g_byte_array_new(), *header = g_byte_array_new(), *pixels = deflated_zeros(zeros);
	g_byte_array_append(png, (const uint8_t *)"\x89PNG\r\n\x1a\n", 8);
	put32(header, width);
	put32(header, height);
	g_byte_array_append(header, (uint8_t[]){depth, colour, 0, 0, interlaced}, 5);
	put_chunk(png, "IHDR", header->data, header->len);
	put_chunk(png, "IDAT", pixels->data, pixels->len);
	put_chunk(png, "IEND", NULL, 0);
	g_byte_array_unref(header);
	g_byte_array_unref(pixels);
	size_t len = png->len;
	return (struct bytes){g_byte_array_free(png, FALSE), len};
}

static void
header_dimensions_and_bytes_are_capped(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct image picture;
	AUTO_BYTES wide = black_png(30000, 30000, 8, 2, false, 1000);
	assert_int_equal(
	    image_process(usual.decoder, arena, wide.data, wide.len, false, &picture, NULL), PROBLEM_TOO_LARGE);
	AUTO_BYTES fat = {g_malloc0(IMAGE_BYTES_MAX + 1), IMAGE_BYTES_MAX + 1};
	memcpy(fat.data, "\x89PNG\r\n\x1a\n", 8);
	assert_int_equal(
	    image_process(usual.decoder, arena, fat.data, fat.len, false, &picture, NULL), PROBLEM_TOO_LARGE);
}

/* 16 bits, four channels, interlaced: libvips must hold it whole, 392 MB before the first pixel is out. */
static struct bytes
bomb(void)
{
	uint64_t zeros = (uint64_t)BOMB_SIDE * BOMB_SIDE * 8;
	for (int pass = 0; pass < 7; pass++) {
		static const uint32_t first[] = {0, 0, 4, 0, 2, 0, 1}, step[] = {8, 8, 8, 4, 4, 2, 2};
		zeros += (BOMB_SIDE - first[pass] + step[pass] - 1) / step[pass];
	}
	return black_png(BOMB_SIDE, BOMB_SIDE, 16, 6, true, zeros);
}

static void *
process_bomb(void *argument)
{
	AUTO_ARENA arena = arena_new();
	AUTO_BYTES input = bomb();
	struct image picture;
	enum problem *problem = argument;
	*problem = image_process(thrifty.decoder, arena, input.data, input.len, false, &picture, NULL);
	return NULL;
}

static void
a_decompression_bomb_fails_alone(void **state)
{
	(void)state;
	AUTO_BYTES good = sample(".png", 640, 480);
	pthread_t thread;
	enum problem problem = PROBLEM_NONE;
	assert_int_equal(pthread_create(&thread, NULL, process_bomb, &problem), 0);
	for (int i = 0; i < 20; i++) {
		AUTO_ARENA arena = arena_new();
		struct image picture;
		assert_int_equal(
		    image_process(thrifty.decoder, arena, good.data, good.len, false, &picture, NULL), PROBLEM_NONE);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(problem, PROBLEM_INVALID_REQUEST);
	assert_true(image_alive(thrifty.decoder));
}

struct call {
	struct image_decoder *decoder;
	const struct bytes *input;
	enum problem problem;
};

static void *
process_call(void *argument)
{
	struct call *call = argument;
	AUTO_ARENA arena = arena_new();
	struct image picture, thumbnail;
	call->problem =
	    image_process(call->decoder, arena, call->input->data, call->input->len, true, &picture, &thumbnail);
	return NULL;
}

static pid_t
wait_for_child(pid_t parent)
{
	pid_t child = 0;
	while ((child = child_of(parent, NULL, 0)) == 0)
		(void)usleep(200);
	return child;
}

/* Starts a long picture and sends its child a signal in the middle. */
static enum problem
process_and_signal(const struct bench *bench, int signal_number)
{
	AUTO_BYTES input = sample(".png", 4000, 4000);
	struct call call = {.decoder = bench->decoder, .input = &input};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, process_call, &call), 0);
	assert_int_equal(kill(wait_for_child(bench->pid), signal_number), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return call.problem;
}

static void
a_child_that_dies_or_hangs_fails_one_picture(void **state)
{
	(void)state;
	AUTO_BYTES good = sample(".png", 64, 64);
	struct call next = {.decoder = hasty.decoder, .input = &good};
	assert_int_equal(process_and_signal(&hasty, SIGKILL), PROBLEM_INVALID_REQUEST);
	(void)process_call(&next);
	assert_int_equal(next.problem, PROBLEM_NONE);
	assert_int_equal(process_and_signal(&hasty, SIGSTOP), PROBLEM_INVALID_REQUEST);
	(void)process_call(&next);
	assert_int_equal(next.problem, PROBLEM_NONE);
}

static bool
status_says(pid_t pid, const char *line)
{
	char path[64], text[4096];
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	(void)fclose(file);
	return strstr(text, line) != NULL;
}

static void
a_child_may_ask_little_of_the_kernel(void **state)
{
	(void)state;
	if (SHOTAI_SANITIZE != 0 || !status_says(getpid(), "Seccomp:"))
		skip();
	AUTO_BYTES input = sample(".png", 4000, 4000);
	struct call call = {.decoder = hasty.decoder, .input = &input, .problem = PROBLEM__COUNT};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, process_call, &call), 0);
	pid_t child = wait_for_child(hasty.pid);
	while (!status_says(child, "Seccomp:\t2") && kill(child, 0) == 0)
		(void)usleep(200);
	bool filtered = status_says(child, "Seccomp:\t2") && status_says(child, "NoNewPrivs:\t1");
	(void)kill(child, SIGKILL);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(filtered);
}

static void
a_child_has_little_processor_time(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	AUTO_BYTES input = sample(".webp[Q=10,effort=0]", 7000, 7000);
	struct image picture;
	struct timespec before, after;
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(
	    image_process(busy.decoder, arena, input.data, input.len, false, &picture, NULL), PROBLEM_INVALID_REQUEST);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 20);
}

static void
many_threads_share_one_decoder(void **state)
{
	(void)state;
	struct bytes inputs[3] = {sample(".png", 300, 200), sample(".jpg", 300, 200), sample(".webp", 300, 200)};
	struct call calls[24];
	pthread_t threads[24];
	for (size_t i = 0; i < 24; i++) {
		calls[i] =
		    (struct call){.decoder = usual.decoder, .input = &inputs[i % 3], .problem = PROBLEM_INTERNAL};
		assert_int_equal(pthread_create(&threads[i], NULL, process_call, &calls[i]), 0);
	}
	for (size_t i = 0; i < 24; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(calls[i].problem, PROBLEM_NONE);
	}
	for (size_t i = 0; i < 3; i++)
		bytes_free(&inputs[i]);
}

static void
the_decoder_inherits_no_descriptors(void **state)
{
	(void)state;
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)usual.pid);
	DIR *folder = opendir(path);
	assert_non_null(folder);
	int highest = 0;
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		highest = fd > highest ? fd : highest;
	}
	(void)closedir(folder);
	assert_int_equal(highest, 3);
}

static void
a_dead_decoder_is_noticed(void **state)
{
	(void)state;
	assert_true(image_alive(doomed.decoder));
	AUTO_BYTES input = sample(".png", 4000, 4000);
	struct call call = {.decoder = doomed.decoder, .input = &input};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, process_call, &call), 0);
	pid_t child = wait_for_child(doomed.pid);
	assert_int_equal(kill(doomed.pid, SIGKILL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(call.problem, PROBLEM_INTERNAL);
	assert_false(image_alive(doomed.decoder));
	(void)process_call(&call);
	assert_int_equal(call.problem, PROBLEM_INTERNAL);
	while (kill(child, 0) == 0)
		(void)usleep(1000);
}

int
main(int argc, char **argv)
{
	(void)argc;
	log_open("test_image", LOG_ERROR);
	struct image_limits few = {.memory = (uint64_t)1 << 30,
	    .cpu_seconds = 60,
	    .wall_seconds = 1,
	    .pixels = IMAGE_PIXELS_MAX,
	    .children = 1};
	bench_start(&usual, NULL);
	struct image_limits thrift = few;
	thrift.memory = (uint64_t)448 << 20;
	thrift.wall_seconds = 60;
	thrift.children = 2;
	bench_start(&thrifty, &thrift);
	few.wall_seconds = 3;
	bench_start(&hasty, &few);
	few.wall_seconds = 60;
	bench_start(&doomed, &few);
	few.cpu_seconds = 1;
	bench_start(&busy, &few);
	/* An orphan of the dead decoder is ours to end: its wait must not hang on init's pace. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	if (VIPS_INIT(argv[0]) != 0)
		return EXIT_FAILURE;
	vips_cache_set_max(0);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_decoder_inherits_no_descriptors),
	    cmocka_unit_test(each_format_comes_back_as_itself),
	    cmocka_unit_test(a_small_picture_is_not_enlarged_and_needs_no_thumbnail),
	    cmocka_unit_test(generated_pictures_carry_the_mark),
	    cmocka_unit_test(nothing_of_the_originals_metadata_survives),
	    cmocka_unit_test(the_orientation_is_applied),
	    cmocka_unit_test(alpha_is_kept),
	    cmocka_unit_test(sixteen_bits_and_grey_become_eight_bit_srgb),
	    cmocka_unit_test(a_wide_profile_is_converted),
	    cmocka_unit_test(of_an_animation_the_first_frame_stays),
	    cmocka_unit_test(truncated_pictures_are_refused),
	    cmocka_unit_test(what_is_no_picture_is_refused),
	    cmocka_unit_test(header_dimensions_and_bytes_are_capped),
	    cmocka_unit_test(many_threads_share_one_decoder),
	    cmocka_unit_test(a_decompression_bomb_fails_alone),
	    cmocka_unit_test(a_child_that_dies_or_hangs_fails_one_picture),
	    cmocka_unit_test(a_child_may_ask_little_of_the_kernel),
	    cmocka_unit_test(a_child_has_little_processor_time),
	    cmocka_unit_test(a_dead_decoder_is_noticed),
	};
	int failed = cmocka_run_group_tests_name("image", tests, NULL, NULL);
	image_stop(usual.decoder);
	image_stop(thrifty.decoder);
	image_stop(hasty.decoder);
	image_stop(doomed.decoder);
	image_stop(busy.decoder);
	vips_shutdown();
	return failed;
}
