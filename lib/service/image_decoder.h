/*
 * Inside of service/image: the decoder parent, its children and what travels
 * between them and the caller.
 *
 * The caller sends one struct image_job per picture over a SOCK_SEQPACKET
 * pair, with two descriptors: a sealed memory file holding the picture and one
 * end of a stream. The child answers on that stream with a struct image_reply,
 * the picture's bytes and the thumbnail's; an end without a reply means that
 * it died.
 */
#ifndef SHOTAI_IMAGE_DECODER_H
#define SHOTAI_IMAGE_DECODER_H

#include <stdbool.h>
#include <stdint.h>

#include "service/image.h"

#define IMAGE_OUTPUT_MAX (256u << 20)

struct image_job {
	uint64_t len;
	bool mark_generated, thumbnail;
};

struct image_reply_part {
	uint64_t len;
	int32_t width, height;
};

struct image_reply {
	int32_t problem;
	int32_t format; /* enum image_format, of the picture; a thumbnail is WebP */
	struct image_reply_part picture, thumbnail;
};

/* The decoder parent: serves jobs from control until its other end is closed. */
_Noreturn void image_decoder_run(int control, const struct image_limits *limits);

/* False when bytes do not begin like a PNG, JPEG or WebP file. */
bool image_sniff(const uint8_t *bytes, size_t len, enum image_format *ret_format);

#endif
