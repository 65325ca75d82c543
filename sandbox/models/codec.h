/* Pictures in and out, by libvips: the stand-in's own, and references that only a developer sends. */
#ifndef SANDBOX_CODEC_H
#define SANDBOX_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scene.h"

enum codec_format { CODEC_PNG, CODEC_JPEG, CODEC_WEBP, CODEC__COUNT };

/* Once, before any thread. */
bool codec_start(void);
/* quality 0..100, for jpeg and webp. Free *ret_bytes with codec_free. */
bool codec_encode(
    const struct canvas *canvas, enum codec_format format, int quality, uint8_t **ret_bytes, size_t *ret_len);
/* A picture cut and scaled to fill width x height; free canvas->pixels with codec_free. */
bool codec_decode(const uint8_t *bytes, size_t len, int width, int height, struct canvas *ret_canvas);
void codec_free(void *bytes);

#endif
