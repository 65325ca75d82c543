/*
 * What the stand-in draws: a landscape whose hour, colours, land and details
 * come from the words of the prompt, and where these say nothing from its
 * hash. The same prompt, seed and index always give the same picture.
 */
#ifndef SANDBOX_SCENE_H
#define SANDBOX_SCENE_H

#include <stdint.h>

struct canvas {
	int width, height;
	uint8_t *pixels; /* 3 bytes each */
};

/* Fills canvas->pixels. reference: another picture of the same size to work from, or NULL. */
void scene_draw(const char *prompt, int64_t seed, int index, const struct canvas *reference, struct canvas *canvas);

#endif
