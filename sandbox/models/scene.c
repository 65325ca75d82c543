#include "scene.h"

#include <stdlib.h>

#include "layers.h"

static struct colour *
at(struct easel *easel, int x, int y)
{
	return &easel->paint[(size_t)y * (size_t)easel->width + (size_t)x];
}

static struct colour
sky_colour(const struct plan *plan, float height)
{
	float t = clampf(height / plan->skyline, 0, 1);
	struct colour upper = mix(plan->zenith, plan->middle, smooth(0, 0.66f, t));
	return mix(upper, plan->horizon, smooth(0.42f, 1.02f, t));
}

/* Gaussians are products of a row's and a column's part: the glow costs no exponential per pixel. */
static void
paint_sky(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	float dim = 1024 * easel->unit, strength = plan->night ? 0.22f : 0.62f;
	static const float widths[3] = {0.13f, 0.3f, 0.62f}, weights[3] = {0.5f, 0.42f, 0.3f};
	float *across = malloc(3 * (size_t)easel->width * sizeof *across);
	if (across == NULL)
		abort();
	for (int i = 0; i < 3; i++)
		for (int x = 0; x < easel->width; x++) {
			float d = ((float)x - plan->sun_x * (float)easel->width) / (dim * widths[i]);
			across[i * easel->width + x] = expf(-d * d);
		}
	for (int y = 0; y < easel->height; y++) {
		struct colour row = sky_colour(plan, (float)y / (float)easel->height);
		float down[3];
		for (int i = 0; i < 3; i++) {
			float d = ((float)y - plan->sun_y * (float)easel->height) / (dim * widths[i]);
			down[i] = expf(-d * d) * weights[i] * strength;
		}
		for (int x = 0; x < easel->width; x++) {
			const float *columns = across + x;
			float glow = columns[0] * down[0] + columns[easel->width] * down[1] +
				     columns[2 * easel->width] * down[2];
			float core = columns[0] * down[0], halo = glow - core;
			struct colour light =
			    add(scale(plan->sun, core), scale(plan->horizon, halo * (plan->night ? 0.8f : 1)));
			*at(easel, x, y) = add(scale(row, 1 - clampf(glow, 0, 0.8f)), light);
		}
	}
	free(across);
}

static void
paint_stars(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	float cell = 11 * easel->unit;
	int rows = (int)(plan->skyline * (float)easel->height / cell), columns = (int)((float)easel->width / cell);
	for (int row = 0; row < rows; row++)
		for (int column = 0; column < columns; column++) {
			float bright = noise_point(column, row, plan->seed + 1);
			if (bright < 0.72f)
				continue;
			bright = powf((bright - 0.72f) / 0.28f, 5) + 0.05f;
			float fade = 1 - (float)row / (float)rows,
			      radius = (0.55f + 0.9f * bright) * fmaxf(easel->unit, 0.6f);
			float cx = ((float)column + noise_point(column, row, plan->seed + 2)) * cell;
			float cy = ((float)row + noise_point(column, row, plan->seed + 3)) * cell;
			for (int y = (int)cy - 3; y <= (int)cy + 3; y++)
				for (int x = (int)cx - 3; x <= (int)cx + 3; x++) {
					if (x < 0 || y < 0 || x >= easel->width || y >= easel->height)
						continue;
					float dx = (float)x - cx, dy = (float)y - cy;
					float light =
					    bright * fade * 1.3f * expf(-(dx * dx + dy * dy) / (radius * radius));
					*at(easel, x, y) = add(*at(easel, x, y), scale(plan->sun, light));
				}
		}
}

/* Waving curtains of light above the horizon. */
static void
paint_veil(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	struct colour light = mix(plan->horizon, colour_hex(0x6dffb4), 0.5f);
	for (int x = 0; x < easel->width; x++) {
		float across = (float)x / (1024 * easel->unit);
		float foot = plan->skyline * (0.55f + 0.35f * fractal_1d(across * 1.3f, 4, plan->seed + 61));
		float power = 0.4f * powf(fractal_1d(across * 7, 4, plan->seed + 67), 2);
		for (int y = 0; y < easel->height; y++) {
			float up = foot - (float)y / (float)easel->height;
			float veil = up > 0 ? expf(-up * 6) * smooth(0, 0.03f, up) : 0;
			*at(easel, x, y) = add(*at(easel, x, y), scale(light, veil * power));
		}
	}
}

static void
paint_sun(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	float radius = plan->sun_radius * 1024 * easel->unit;
	float cx = plan->sun_x * (float)easel->width, cy = plan->sun_y * (float)easel->height;
	for (int y = (int)(cy - radius) - 1; y <= (int)(cy + radius) + 1; y++)
		for (int x = (int)(cx - radius) - 1; x <= (int)(cx + radius) + 1; x++) {
			if (x < 0 || y < 0 || x >= easel->width || y >= easel->height)
				continue;
			float dx = (float)x - cx, dy = (float)y - cy;
			float cover = clampf(radius - sqrtf(dx * dx + dy * dy) + 0.5f, 0, 1);
			float spots =
			    plan->night
				? 0.28f * smooth(0.45f, 0.7f,
					      fractal_2d(dx / radius * 1.7f + 9, dy / radius * 1.7f, 4, plan->seed))
				: 0;
			struct colour disc = scale(plan->sun, (plan->night ? 0.92f : 1.9f) - spots);
			*at(easel, x, y) = mix(*at(easel, x, y), disc, cover);
		}
}

static struct colour
planet_colour(const struct plan *plan, float u, float v, float w)
{
	float bands =
	    fractal_2d(u * 1.2f + 5, v * 5 + 1.4f * fractal_2d(u * 2, v * 2, 3, plan->seed + 8), 4, plan->seed + 9);
	struct colour ground = mix(plan->middle, plan->horizon, smooth(0.3f, 0.7f, bands));
	float light = clampf((plan->sun_x < 0.5f ? -0.62f : 0.62f) * u - 0.35f * v + 0.7f * w, 0, 1);
	return scale(ground, 0.02f + 1.05f * light);
}

static void
paint_planet(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	float radius = 0.15f * 1024 * easel->unit, tilt = 0.35f;
	float cx = (plan->sun_x < 0.5f ? 0.7f : 0.3f) * (float)easel->width,
	      cy = plan->skyline * 0.42f * (float)easel->height;
	int reach = (int)(radius * 2.3f);
	for (int y = (int)cy - reach; y <= (int)cy + reach; y++)
		for (int x = (int)cx - reach; x <= (int)cx + reach; x++) {
			if (x < 0 || y < 0 || x >= easel->width || y >= easel->height)
				continue;
			float u = ((float)x - cx) / radius, v = ((float)y - cy) / radius, r = u * u + v * v;
			float ring_u = u * cosf(tilt) + v * sinf(tilt),
			      ring_v = (v * cosf(tilt) - u * sinf(tilt)) * 4.2f;
			float ring = sqrtf(ring_u * ring_u + ring_v * ring_v);
			float band = smooth(1.35f, 1.42f, ring) * smooth(2.1f, 2.0f, ring) *
				     (0.35f + 0.5f * noise_1d(ring * 16, plan->seed + 4));
			struct colour *pixel = at(easel, x, y);
			struct colour ring_light = mix(plan->horizon, plan->sun, 0.5f);
			if (ring_v < 0)
				*pixel = mix(*pixel, ring_light, band);
			float cover = clampf((1 - sqrtf(r)) * radius + 0.5f, 0, 1);
			if (cover > 0)
				*pixel = mix(*pixel, planet_colour(plan, u, v, sqrtf(clampf(1 - r, 0, 1))), cover);
			if (ring_v >= 0)
				*pixel = mix(*pixel, ring_light, band);
		}
}

/* Clouds are soft: their noise is taken on a quarter of the grid. */
static void
paint_clouds(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	int width = easel->width / 4 + 2, height = (int)(plan->skyline * 1.05f * (float)easel->height) / 4 + 2;
	float *density = malloc((size_t)width * (size_t)height * sizeof *density);
	if (density == NULL)
		abort();
	float stretch = 4 / (1024 * easel->unit);
	for (int y = 0; y < height; y++)
		for (int x = 0; x < width; x++) {
			float u = (float)x * stretch, v = (float)y * stretch;
			float warp = fractal_2d(u * 2, v * 4, 3, plan->seed + 20);
			density[y * width + x] =
			    fractal_2d(u * 2.1f + warp * 0.6f, v * 6.2f + warp, 5, plan->seed + 21);
		}
	struct colour light = mix(plan->horizon, plan->sun, 0.65f), shade = mix(plan->middle, plan->zenith, 0.3f);
	float from = 1 - plan->cloud_cover, toward = plan->sun_x < 0.5f ? -1 : 1;
	for (int y = 0; y < (height - 1) * 4 && y < easel->height; y++) {
		float fade = smooth(0, 0.1f, (float)y / (float)easel->height) *
			     smooth(plan->skyline * 1.05f, plan->skyline * 0.8f, (float)y / (float)easel->height);
		for (int x = 0; x < easel->width; x++) {
			const float *d = &density[(y / 4) * width + x / 4];
			float u = (float)(x & 3) / 4, v = (float)(y & 3) / 4;
			float top = mixf(d[0], d[1], u), bottom = mixf(d[width], d[width + 1], u),
			      here = mixf(top, bottom, v);
			float cover = smooth(from, from + 0.3f, here) * fade * (plan->night ? 0.45f : 0.85f);
			if (cover <= 0)
				continue;
			float lit = clampf(0.55f + (bottom - top) * 5 + toward * (d[0] - d[1]) * 5, 0, 1);
			float dx = ((float)x / (float)easel->width - plan->sun_x) * 4,
			      dy = ((float)y / (float)easel->height - plan->sun_y) * 4;
			float near_sun = 1 / (1 + 6 * (dx * dx + dy * dy));
			struct colour cloud =
			    add(mix(shade, light, lit), scale(plan->sun, plan->night ? 0 : 0.5f * near_sun));
			*at(easel, x, y) = mix(*at(easel, x, y), cloud, cover * (1 - 0.5f * near_sun));
		}
	}
	free(density);
}

static void
paint_water(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	int line = (int)(plan->waterline * (float)easel->height);
	float dim = 1024 * easel->unit;
	for (int y = line; y < easel->height; y++) {
		float depth = (float)(y - line) / (float)(easel->height - line),
		      near = (float)(y - line) + 6 * easel->unit;
		float wave = fractal_1d((float)y / (5 * easel->unit) / (0.25f + depth), 3, plan->seed + 30) - 0.5f;
		int source = (int)((float)(2 * line - y) + wave * 22 * easel->unit * (0.2f + depth));
		source = source < 0 ? 0 : source >= line ? line - 1 : source;
		struct colour deep = mix(scale(plan->zenith, 0.45f), plan->near, 0.3f);
		for (int x = 0; x < easel->width; x++) {
			float ripple = noise_2d((float)x / (30 * easel->unit) / (0.3f + depth),
			    (float)y / (3.2f * easel->unit) / (0.3f + depth), plan->seed + 31);
			int shifted = x + (int)((ripple - 0.5f) * 26 * easel->unit * (0.15f + depth));
			shifted = shifted < 0 ? 0 : shifted >= easel->width ? easel->width - 1 : shifted;
			struct colour water = mix(*at(easel, shifted, source), deep, 0.22f + 0.33f * depth);
			float off = ((float)x - plan->sun_x * (float)easel->width) / (dim * (0.05f + 0.16f * depth));
			float spark = smooth(0.6f, 0.8f, ripple) * expf(-off * off) * (plan->night ? 0.5f : 0.85f) *
				      smooth(0, 30 * easel->unit, near);
			*at(easel, x, y) = add(water, scale(plan->sun, spark));
		}
	}
	struct colour shore = mix(plan->horizon, plan->sun, 0.3f);
	for (int y = line - 1; y <= line && y < easel->height; y++)
		for (int x = 0; x < easel->width; x++)
			*at(easel, x, y) = mix(*at(easel, x, y), shore, 0.08f);
}

/* A triangle with soft edges; corners in clockwise order. */
static void
fill_triangle(struct easel *easel, const float corners[6], struct colour colour, float opacity)
{
	float left = fminf(corners[0], fminf(corners[2], corners[4])),
	      right = fmaxf(corners[0], fmaxf(corners[2], corners[4]));
	float top = fminf(corners[1], fminf(corners[3], corners[5])),
	      bottom = fmaxf(corners[1], fmaxf(corners[3], corners[5]));
	for (int y = (int)top - 1; y <= (int)bottom + 1; y++)
		for (int x = (int)left - 1; x <= (int)right + 1; x++) {
			float inside = 1;
			for (int i = 0; i < 6; i += 2) {
				float ax = corners[i], ay = corners[i + 1], bx = corners[(i + 2) % 6],
				      by = corners[(i + 3) % 6];
				float length = sqrtf((bx - ax) * (bx - ax) + (by - ay) * (by - ay));
				float distance = ((bx - ax) * ((float)y - ay) - (by - ay) * ((float)x - ax)) / length;
				inside = fminf(inside, clampf(distance + 0.5f, 0, 1));
			}
			if (inside > 0 && x >= 0 && y >= 0 && x < easel->width && y < easel->height)
				*at(easel, x, y) = mix(*at(easel, x, y), colour, inside * opacity);
		}
}

static void
paint_boat(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	float size = 62 * easel->unit, x = (plan->sun_x < 0.5f ? 0.66f : 0.32f) * (float)easel->width;
	float y = (plan->waterline + 0.3f * (1 - plan->waterline)) * (float)easel->height;
	struct colour sail = mix(plan->sun, plan->horizon, 0.25f), hull = scale(plan->near, 0.7f);
	/* Mirrored first, fainter, then itself. */
	for (int mirrored = 1; mirrored >= 0; mirrored--) {
		float up = mirrored ? -0.8f : 1, opacity = mirrored ? 0.3f : 1;
		float shapes[3][6] = {
		    {x, y - up * size * 0.14f, x, y - up * size * 1.25f, x + size * 0.55f, y - up * size * 0.18f},
		    {x - size * 0.05f, y - up * size * 1.1f, x - size * 0.05f, y - up * size * 0.16f, x - size * 0.4f,
			y - up * size * 0.18f},
		    {x - size * 0.5f, y - up * size * 0.1f, x + size * 0.62f, y - up * size * 0.1f, x + size * 0.1f,
			y + up * size * 0.12f}};
		for (int i = 0; i < 3; i++) {
			float flipped[6] = {
			    shapes[i][0], shapes[i][1], shapes[i][4], shapes[i][5], shapes[i][2], shapes[i][3]};
			struct colour colour = i == 2 ? hull : i == 1 ? scale(sail, 0.82f) : sail;
			fill_triangle(easel, mirrored ? flipped : shapes[i], colour, opacity);
		}
	}
}

/* A bird is two arcs that meet: pixels near the curve are darkened. */
static void
paint_birds(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	struct chance chance = {.state = plan->seed + 77};
	struct colour dark = mix(plan->near, plan->zenith, 0.2f);
	float flock_x = chance_between(&chance, 0.25f, 0.7f),
	      flock_y = plan->skyline * chance_between(&chance, 0.3f, 0.6f);
	for (int i = 0; i < 9; i++) {
		float span = easel->unit * chance_between(&chance, 9, 19),
		      lift = span * chance_between(&chance, 0.35f, 0.6f);
		float cx = (flock_x + chance_between(&chance, -0.14f, 0.14f)) * (float)easel->width;
		float cy = (flock_y + chance_between(&chance, -0.07f, 0.07f)) * (float)easel->height;
		for (int y = (int)(cy - lift) - 2; y <= (int)cy + 4; y++)
			for (int x = (int)(cx - span) - 2; x <= (int)(cx + span) + 2; x++) {
				float t = fabsf((float)x - cx) / span;
				if (t > 1 || x < 0 || y < 0 || x >= easel->width || y >= easel->height)
					continue;
				float curve = cy - lift * sinf(t * 2.2f) * (1 - 0.25f * t);
				float thick = (1.7f - 1.2f * t) * fmaxf(easel->unit, 0.7f);
				float cover = clampf(thick - fabsf((float)y - curve) + 0.3f, 0, 1);
				*at(easel, x, y) = mix(*at(easel, x, y), dark, cover * 0.85f);
			}
	}
}

static struct colour
byte_colour(const uint8_t *pixel)
{
	static const float half = 1.0f / (255 * 255);
	/* Squares stand in for the sRGB curve: the picture is graded anyhow. */
	return (struct colour){(float)(pixel[0] * pixel[0]) * half, (float)(pixel[1] * pixel[1]) * half,
	    (float)(pixel[2] * pixel[2]) * half};
}

/* The reference seen in the prompt's light: its tones through the palette, the scene shining through. */
static void
paint_reference(struct easel *easel, const struct canvas *reference)
{
	const struct plan *plan = easel->plan;
	size_t count = (size_t)easel->width * (size_t)easel->height;
	for (size_t i = 0; i < count; i++) {
		struct colour seen = byte_colour(reference->pixels + 3 * i);
		float tone = sqrtf(clampf(0.2126f * seen.r + 0.7152f * seen.g + 0.0722f * seen.b, 0, 1));
		struct colour ramp = tone < 0.5f ? mix(plan->near, mix(plan->far, plan->middle, 0.5f), tone * 2)
						 : mix(mix(plan->far, plan->middle, 0.5f),
						       mix(plan->horizon, plan->sun, 0.5f), tone * 2 - 1);
		struct colour graded = mix(seen, ramp, 0.5f);
		easel->paint[i] = add(scale(graded, 0.9f), scale(easel->paint[i], 0.04f + 0.1f * (1 - tone)));
	}
}

/* Light above 0.8 is bent toward white instead of cut off. */
static float
shoulder(float light)
{
	float over = light - 0.8f;
	return over <= 0 ? light : 0.8f + 0.24f * over / (over + 0.24f);
}

static void
finish(struct easel *easel, struct canvas *canvas)
{
	for (int y = 0; y < easel->height; y++) {
		float v = 2 * (float)y / (float)easel->height - 1;
		uint8_t *out = canvas->pixels + 3 * (size_t)y * (size_t)easel->width;
		for (int x = 0; x < easel->width; x++, out += 3) {
			float u = 2 * (float)x / (float)easel->width - 1, corner = u * u + v * v;
			struct colour colour = scale(*at(easel, x, y), 1 - 0.11f * corner);
			float wave = 0.06711056f * (float)x + 0.00583715f * (float)y,
			      dither = 52.9829189f * (wave - floorf(wave));
			dither -= floorf(dither) + 0.5f;
			out[0] = colour_byte(shoulder(colour.r), dither);
			out[1] = colour_byte(shoulder(colour.g), dither);
			out[2] = colour_byte(shoulder(colour.b), dither);
		}
	}
}

static void
paint_all(struct easel *easel, bool aurora)
{
	const struct plan *plan = easel->plan;
	paint_sky(easel);
	if (plan->night)
		paint_stars(easel);
	if (aurora)
		paint_veil(easel);
	paint_sun(easel);
	if (plan->planet)
		paint_planet(easel);
	if (plan->clouds)
		paint_clouds(easel);
	layers_paint(easel);
	if (plan->birds)
		paint_birds(easel);
	if (plan->water)
		paint_water(easel);
	if (plan->water && plan->boat)
		paint_boat(easel);
	layers_paint_foreground(easel);
}

void
scene_draw(const char *prompt, int64_t seed, int index, const struct canvas *reference, struct canvas *canvas)
{
	struct plan plan;
	plan_make(prompt, seed, index, &plan);
	int shorter = canvas->width < canvas->height ? canvas->width : canvas->height;
	struct easel easel = {
	    .width = canvas->width, .height = canvas->height, .unit = (float)shorter / 1024, .plan = &plan};
	easel.paint = malloc((size_t)easel.width * (size_t)easel.height * sizeof *easel.paint);
	if (easel.paint == NULL)
		abort();
	paint_all(&easel, plan.aurora);
	if (reference != NULL)
		paint_reference(&easel, reference);
	finish(&easel, canvas);
	free(easel.paint);
}
