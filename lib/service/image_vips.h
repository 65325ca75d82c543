/*
 * Inside of service/image: what a decoder child does with a stranger's bytes.
 * The only file that touches libvips; it runs in a limited process that
 * handles one picture and ends.
 */
#ifndef SHOTAI_IMAGE_VIPS_H
#define SHOTAI_IMAGE_VIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "service/image.h"

struct image_vips_result {
	struct image picture, thumbnail; /* bytes belong to libvips and go with the process */
};

/* Starts libvips: once per process. */
[[nodiscard]] enum problem image_vips_start(void);

/* As image_process; thumbnail tells whether one is wanted. */
[[nodiscard]] enum problem image_vips_process(const uint8_t *bytes, size_t len, int64_t pixels_max, bool mark_generated,
    bool thumbnail, struct image_vips_result *ret_result);

#endif
