#include "paint.h"

#include <pthread.h>

uint64_t
chance_next(struct chance *chance)
{
	uint64_t z = chance->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

float
chance_between(struct chance *chance, float least, float most)
{
	return least + (most - least) * (float)(chance_next(chance) >> 40) / (float)(1 << 24);
}

int
chance_below(struct chance *chance, int count)
{
	return (int)(chance_next(chance) % (uint64_t)count);
}

static float
linear_of(uint32_t byte)
{
	float v = (float)byte / 255;
	return v <= 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

struct colour
colour_hex(uint32_t rgb)
{
	return (struct colour){linear_of(rgb >> 16 & 255), linear_of(rgb >> 8 & 255), linear_of(rgb & 255)};
}

struct colour
colour_turn(struct colour c, float degrees, float saturation)
{
	float grey = 0.2126f * c.r + 0.7152f * c.g + 0.0722f * c.b;
	float angle = degrees * 3.14159265f / 180, cosine = cosf(angle), sine = sinf(angle) * 0.57735f;
	float third = (1 - cosine) / 3;
	struct colour turned = {c.r * (cosine + third) + c.g * (third - sine) + c.b * (third + sine),
	    c.r * (third + sine) + c.g * (cosine + third) + c.b * (third - sine),
	    c.r * (third - sine) + c.g * (third + sine) + c.b * (cosine + third)};
	turned = mix((struct colour){grey, grey, grey}, turned, saturation);
	return (struct colour){clampf(turned.r, 0, 1), clampf(turned.g, 0, 1), clampf(turned.b, 0, 1)};
}

#define CURVE 4096
static float curve[CURVE + 2];

static void
curve_fill(void)
{
	for (int i = 0; i < CURVE + 2; i++) {
		float v = (float)i / CURVE;
		curve[i] = 255 * (v <= 0.0031308f ? v * 12.92f : 1.055f * powf(v, 1 / 2.4f) - 0.055f);
	}
}

uint8_t
colour_byte(float linear, float dither)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, curve_fill);
	float at = clampf(linear, 0, 1) * CURVE;
	int index = (int)at;
	float value = mixf(curve[index], curve[index + 1], at - (float)index) + dither + 0.5f;
	return (uint8_t)clampf(value, 0, 255);
}

static uint32_t
scramble(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352du;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return x ^ x >> 16;
}

float
noise_point(int32_t x, int32_t y, uint32_t seed)
{
	uint32_t mixed = scramble((uint32_t)x * 0x9e3779b1u ^ scramble((uint32_t)y * 0x85ebca77u ^ seed));
	return (float)(mixed >> 8) / (float)(1 << 24);
}

float
noise_1d(float x, uint32_t seed)
{
	float cell = floorf(x), t = x - cell;
	int32_t i = (int32_t)cell;
	t = t * t * t * (t * (t * 6 - 15) + 10);
	return mixf(noise_point(i, 0, seed), noise_point(i + 1, 0, seed), t);
}

float
noise_2d(float x, float y, uint32_t seed)
{
	float cell_x = floorf(x), cell_y = floorf(y), u = x - cell_x, v = y - cell_y;
	int32_t i = (int32_t)cell_x, k = (int32_t)cell_y;
	u = u * u * (3 - 2 * u);
	v = v * v * (3 - 2 * v);
	return mixf(mixf(noise_point(i, k, seed), noise_point(i + 1, k, seed), u),
	    mixf(noise_point(i, k + 1, seed), noise_point(i + 1, k + 1, seed), u), v);
}

float
fractal_1d(float x, int octaves, uint32_t seed)
{
	float sum = 0, weight = 0.5f, total = 0;
	for (int i = 0; i < octaves; i++, weight *= 0.5f, x = x * 2.03f + 17) {
		sum += weight * noise_1d(x, seed + (uint32_t)i);
		total += weight;
	}
	return sum / total;
}

float
fractal_2d(float x, float y, int octaves, uint32_t seed)
{
	float sum = 0, weight = 0.5f, total = 0;
	for (int i = 0; i < octaves; i++, weight *= 0.5f, x = x * 2.03f + 17, y = y * 2.03f + 9) {
		sum += weight * noise_2d(x, y, seed + (uint32_t)i);
		total += weight;
	}
	return sum / total;
}
