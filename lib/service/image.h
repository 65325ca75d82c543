/*
 * Pictures from strangers: decoded, cleaned and encoded again by libvips in a
 * limited child process, the only place that touches vips.
 *
 * image_start forks a single-threaded decoder parent; call it in main before
 * any thread exists. That parent forks one child per picture (RLIMIT_CPU,
 * RLIMIT_AS, no files, only the png, jpeg and webp buffer loaders). A child's
 * death fails that picture only. image_process may be called by many threads;
 * as many pictures as there are cores are decoded at once, the others wait.
 *
 * A decoder parent that died stays dead, since a threaded program must not
 * fork another: image_process answers PROBLEM_INTERNAL and image_alive false.
 * The program then exits and whoever supervises it starts it again.
 *
 * image.c is the caller's side, image_decoder.c the processes and their
 * limits, image_vips.c what a child does with the bytes.
 */
#ifndef SHOTAI_IMAGE_H
#define SHOTAI_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

#define IMAGE_BYTES_MAX (20u << 20)
#define IMAGE_PIXELS_MAX 50000000
#define IMAGE_THUMBNAIL 512

struct arena;
struct image_decoder;

enum image_format { IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP, IMAGE__COUNT };

struct image {
	uint8_t *bytes;
	size_t len;
	int width, height;
	enum image_format format;
};

/* What one child may use. */
struct image_limits {
	uint64_t memory; /* address space; resident memory under AddressSanitizer, whose shadow needs terabytes */
	unsigned cpu_seconds, wall_seconds;
	int64_t pixels;
	unsigned children; /* at a time */
};

/* NULL (logged) when no decoder can be started. */
struct image_decoder *image_start(void);
struct image_decoder *image_start_limited(const struct image_limits *limits);
void image_stop(struct image_decoder *decoder);
/* False once the decoder parent is gone. */
bool image_alive(struct image_decoder *decoder);

/*
 * Decodes bytes, applies the orientation, converts to sRGB, drops all
 * metadata and encodes again in the same format, alpha kept, the first frame
 * of an animation. mark_generated writes the
 * IPTC digitalSourceType trainedAlgorithmicMedia as XMP into the picture and
 * the thumbnail. ret_thumbnail: WebP within 512 x 512, or NULL when not wanted.
 * PROBLEM_TOO_LARGE: over the caps. PROBLEM_INVALID_REQUEST: truncated, not a
 * picture, or another format. PROBLEM_INTERNAL: the decoder could not run.
 */
[[nodiscard]] enum problem image_process(struct image_decoder *decoder, struct arena *arena, const void *bytes,
    size_t len, bool mark_generated, struct image *ret_image, struct image *ret_thumbnail);

/* "image/png", ...; and the file ending without a dot. */
const char *image_content_type(enum image_format format);
const char *image_extension(enum image_format format);

#endif
