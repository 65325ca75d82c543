/*
 * The painter's tools: colours in linear light, value noise, a small random
 * generator. Nothing here knows what is painted.
 */
#ifndef SANDBOX_PAINT_H
#define SANDBOX_PAINT_H

#include <math.h>
#include <stdint.h>

struct colour {
	float r, g, b; /* linear light */
};

/* A reproducible stream of numbers. */
struct chance {
	uint64_t state;
};

uint64_t chance_next(struct chance *chance);
/* Uniform in [least, most). */
float chance_between(struct chance *chance, float least, float most);
int chance_below(struct chance *chance, int count);

struct colour colour_hex(uint32_t rgb);
/* Turns the hue by degrees and scales saturation, roughly keeping the lightness. */
struct colour colour_turn(struct colour colour, float degrees, float saturation);
/* One sRGB byte from linear light; dither in [-0.5, 0.5) of a step. */
uint8_t colour_byte(float linear, float dither);

/* Smooth noise in [0, 1]; octaves add detail. */
float noise_1d(float x, uint32_t seed);
float noise_2d(float x, float y, uint32_t seed);
float fractal_1d(float x, int octaves, uint32_t seed);
float fractal_2d(float x, float y, int octaves, uint32_t seed);
/* White noise in [0, 1) of a lattice point. */
float noise_point(int32_t x, int32_t y, uint32_t seed);

static inline float
clampf(float value, float least, float most)
{
	return value < least ? least : value > most ? most : value;
}

static inline float
smooth(float from, float to, float value)
{
	float t = clampf((value - from) / (to - from), 0, 1);
	return t * t * (3 - 2 * t);
}

static inline float
mixf(float a, float b, float t)
{
	return a + (b - a) * t;
}

static inline struct colour
mix(struct colour a, struct colour b, float t)
{
	return (struct colour){mixf(a.r, b.r, t), mixf(a.g, b.g, t), mixf(a.b, b.b, t)};
}

static inline struct colour
scale(struct colour a, float by)
{
	return (struct colour){a.r * by, a.g * by, a.b * by};
}

static inline struct colour
add(struct colour a, struct colour b)
{
	return (struct colour){a.r + b.r, a.g + b.g, a.b + b.b};
}

#endif
