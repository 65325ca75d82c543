#include "layers.h"

#include <stdbool.h>
#include <stdlib.h>

/* One layer; depth runs from 0, the farthest, to 1. */
struct layer {
	float *top;    /* per column, in pixels */
	float *facade; /* city: per column, left edge of its building; else NULL */
	float depth, amplitude;
	uint32_t seed;
	bool lit_windows;
};

static float *
columns(const struct easel *easel)
{
	float *values = calloc((size_t)easel->width, sizeof *values);
	if (values == NULL)
		abort();
	return values;
}

static float
ridge_at(enum land land, float x, float depth, uint32_t seed)
{
	float folded;
	switch (land) {
	case LAND_MOUNTAINS:
		folded = 1 - fabsf(2 * fractal_1d(x * (2.2f + depth), 2, seed) - 1);
		return 0.72f * folded * folded + 0.28f * fractal_1d(x * 9, 5, seed + 31);
	case LAND_DUNES:
		folded = 1 - fabsf(2 * noise_1d(x * (1.3f + depth), seed) - 1);
		return 0.85f * folded + 0.15f * noise_1d(x * 4, seed + 7);
	case LAND_HILLS:
	case LAND_FOREST:
	case LAND_CITY:
	case LAND__COUNT:
		break;
	}
	return 0.86f * fractal_1d(x * (1.5f + depth), 3, seed) + 0.14f * fractal_1d(x * 14, 3, seed + 5);
}

/* Conifers on the ridge: each lifts its columns to a pointed, ragged outline. */
static void
plant_trees(const struct easel *easel, struct layer *layer, float size, float density)
{
	struct chance chance = {.state = layer->seed * 2654435761u + 99};
	float step = size * 0.32f / density;
	float *ground = columns(easel);
	for (int x = 0; x < easel->width; x++)
		ground[x] = layer->top[x];
	for (float at = -size; at < (float)easel->width + size; at += step * chance_between(&chance, 0.3f, 1.7f)) {
		float height = size * chance_between(&chance, 0.5f, 1.15f),
		      half = height * chance_between(&chance, 0.15f, 0.2f);
		int root = (int)clampf(at, 0, (float)easel->width - 1);
		uint32_t ragged = (uint32_t)chance_next(&chance);
		for (int x = (int)(at - half); x <= (int)(at + half); x++) {
			if (x < 0 || x >= easel->width)
				continue;
			float t = fabsf((float)x - at) / half;
			float tier = 0.09f * (1 - t) * noise_1d(t * 9 + ((float)x < at ? 50 : 0), ragged);
			float top = ground[root] - height * (clampf(1 - t, 0, 1) * 0.95f + tier);
			if (top < layer->top[x])
				layer->top[x] = top;
		}
	}
	free(ground);
}

static void
raise_buildings(const struct easel *easel, struct layer *layer, float tallest)
{
	struct chance chance = {.state = layer->seed * 40503u + 7};
	float dim = 1024 * easel->unit;
	layer->facade = columns(easel);
	for (float at = -0.02f * dim; at < (float)easel->width;) {
		float width = dim * chance_between(&chance, 0.022f, 0.065f);
		float pull = 1 - fabsf(at / (float)easel->width - 0.5f);
		float rise = tallest * chance_between(&chance, 0.18f, 1.0f) * (0.35f + 0.65f * pull);
		bool spire = chance_below(&chance, 7) == 0;
		for (int x = (int)fmaxf(at, 0); x < (int)(at + width) && x < easel->width; x++) {
			float middle = fabsf((float)x - at - width / 2);
			layer->top[x] -= rise;
			if (spire && middle < 1.6f * easel->unit)
				layer->top[x] -= rise * 0.22f;
			layer->facade[x] = at;
		}
		at += width + (chance_below(&chance, 4) == 0 ? dim * 0.012f : 0);
	}
}

static void
shape_layer(const struct easel *easel, int index, struct layer *ret_layer)
{
	const struct plan *plan = easel->plan;
	float depth = plan->layers > 1 ? (float)index / (float)(plan->layers - 1) : 1;
	float bottom = plan->water ? plan->waterline - 0.035f : 0.9f;
	float base = mixf(plan->skyline, bottom, powf(depth, 1.15f));
	float rise = plan->land == LAND_MOUNTAINS ? mixf(0.27f, 0.08f, depth)
		     : plan->land == LAND_DUNES   ? mixf(0.07f, 0.13f, depth)
						  : mixf(0.15f, 0.1f, depth);
	struct layer layer = {.top = columns(easel),
	    .depth = depth,
	    .amplitude = rise * (float)easel->height,
	    .seed = plan->seed + (uint32_t)index * 7919u};
	float dim = (float)(easel->width < easel->height ? easel->width : easel->height);
	for (int x = 0; x < easel->width; x++)
		layer.top[x] =
		    base * (float)easel->height + 0.3f * layer.amplitude -
		    layer.amplitude * ridge_at(plan->land, (float)x / dim + 3.7f * (float)index, depth, layer.seed);
	bool nearer = index >= plan->layers / 2;
	if (plan->land == LAND_FOREST && nearer)
		plant_trees(easel, &layer, dim * mixf(0.035f, 0.12f, depth), mixf(1.5f, 1.1f, depth));
	if (plan->land == LAND_CITY && nearer) {
		raise_buildings(easel, &layer, dim * mixf(0.3f, 0.2f, depth));
		layer.lit_windows = true;
	}
	*ret_layer = layer;
}

/* 0 in the shade to 1 in the light: which way the ground falls, seen from the sun. */
static float
lit_at(const struct easel *easel, const struct layer *layer, int x, float below)
{
	int left = x > 3 ? x - 3 : 0, right = x < easel->width - 4 ? x + 3 : easel->width - 1;
	float slope = (layer->top[right] - layer->top[left]) / (float)(right - left);
	float side = (float)x / (float)easel->width < easel->plan->sun_x ? -1 : 1;
	float u = (float)x / (1024 * easel->unit), v = below / (1024 * easel->unit);
	float fold = fractal_2d(u * 9 + side * v * 7, v * 11 - side * u * 2, 3, layer->seed);
	float rough = easel->plan->land == LAND_MOUNTAINS ? 1.9f : 0.5f;
	return clampf(0.5f - side * slope * 0.45f + (fold - 0.5f) * rough, 0, 1);
}

static struct colour
window_light(const struct easel *easel, const struct layer *layer, int x, int y, struct colour wall)
{
	float cell_x = 7 * easel->unit, cell_y = 9 * easel->unit;
	float u = ((float)x - layer->facade[x]) / cell_x, v = ((float)y - layer->top[x] - 5 * easel->unit) / cell_y;
	if (v < 0 || u - floorf(u) < 0.4f || v - floorf(v) < 0.45f)
		return wall;
	float chance = noise_point((int32_t)u + (int32_t)layer->facade[x] * 31, (int32_t)v, layer->seed);
	float share = easel->plan->night ? 0.42f : 0.16f;
	if (chance > share)
		return wall;
	struct colour warm = mix(colour_hex(0xffd27a), easel->plan->sun, 0.3f + chance);
	return mix(wall, warm, mixf(0.35f, 0.9f, layer->depth));
}

static struct colour
layer_colour(const struct easel *easel, const struct layer *layer, int x, int y)
{
	const struct plan *plan = easel->plan;
	float below = (float)y - layer->top[x], depth = layer->depth;
	struct colour base = mix(mix(plan->far, plan->horizon, 0.35f * (1 - depth)), plan->near, powf(depth, 0.8f));
	if (layer->facade == NULL) {
		float lit = lit_at(easel, layer, x, below), contrast = plan->land == LAND_MOUNTAINS ? 0.75f : 0.35f;
		base = scale(base, 1 + contrast * (lit - 0.5f));
		float line = layer->amplitude * (0.2f + 0.55f * fractal_2d((float)x / (60 * easel->unit),
								    below / (50 * easel->unit), 3, layer->seed + 3));
		if (plan->snow && plan->land == LAND_MOUNTAINS && depth < 0.7f)
			base = mix(base, mix(plan->horizon, plan->sun, lit),
			    0.85f * smooth(line, line * 0.55f, below) * (0.35f + 0.65f * lit));
		else if (plan->snow && plan->land != LAND_FOREST)
			base = mix(base, plan->horizon, 0.45f + 0.2f * lit);
	}
	float away = ((float)x / (float)easel->width - plan->sun_x) * 3.2f;
	float rim = expf(-below / (7 * easel->unit)) * expf(-away * away) * (plan->night ? 0.12f : 0.4f);
	base = add(base, scale(plan->sun, rim * (1 - 0.5f * depth)));
	float mist = smooth(0, 0.17f * (float)easel->height, below) * 0.75f * (1 - depth * 0.85f);
	base = mix(base, plan->horizon, mist * (plan->night ? 0.35f : 0.8f));
	return layer->lit_windows ? window_light(easel, layer, x, y, base) : base;
}

static void
paint_layer(struct easel *easel, const struct layer *layer, int bottom)
{
	for (int y = 0; y < bottom; y++)
		for (int x = 0; x < easel->width; x++) {
			float cover = clampf((float)y - layer->top[x] + 0.5f, 0, 1);
			if (cover <= 0)
				continue;
			struct colour *at = &easel->paint[(size_t)y * (size_t)easel->width + (size_t)x];
			*at = mix(*at, layer_colour(easel, layer, x, y), cover);
		}
}

/* Only what no nearer layer hides is worth its colours. */
static void
hide_covered(const struct easel *easel, struct layer *layers, int count, int *ret_bottoms)
{
	for (int i = 0; i < count; i++) {
		float lowest = 0;
		for (int x = 0; i + 1 < count && x < easel->width; x++)
			lowest = fmaxf(lowest, layers[i + 1].top[x]);
		ret_bottoms[i] = i + 1 < count ? (int)lowest + 2 : easel->height;
		if (ret_bottoms[i] > easel->height)
			ret_bottoms[i] = easel->height;
	}
}

static void
layer_free(struct layer *layer)
{
	free(layer->top);
	free(layer->facade);
}

void
layers_paint(struct easel *easel)
{
	struct layer layers[PLAN_LAYERS_MAX];
	int bottoms[PLAN_LAYERS_MAX], count = easel->plan->layers;
	for (int i = 0; i < count; i++)
		shape_layer(easel, i, &layers[i]);
	hide_covered(easel, layers, count, bottoms);
	int water = easel->plan->water ? (int)(easel->plan->waterline * (float)easel->height) : easel->height;
	for (int i = 0; i < count; i++) {
		paint_layer(easel, &layers[i], bottoms[i] < water ? bottoms[i] : water);
		layer_free(&layers[i]);
	}
}

/* A conifer seen from close by: tiers of branches that widen downward, on a short trunk. */
static void
paint_tree(struct easel *easel, float x, float root, float height, uint32_t seed, struct colour colour)
{
	float tiers = 7 + 3 * noise_point(0, 1, seed), lean = (noise_point(0, 2, seed) - 0.5f) * 0.05f;
	for (int y = (int)(root - height); y <= (int)root; y++) {
		float t = clampf(1 - (root - (float)y) / height, 0, 1), tier = t * tiers, within = tier - floorf(tier);
		float side[2];
		for (int i = 0; i < 2; i++) {
			float ragged = 0.75f + 0.5f * noise_1d((float)y / (3.2f * easel->unit) + 100 * (float)i, seed);
			side[i] = height * (0.012f + 0.17f * powf(t, 0.85f) * (0.58f + 0.42f * within) * ragged);
			if (t > 0.93f)
				side[i] = height * 0.022f;
		}
		float middle = x + lean * (1 - t) * height;
		for (int px = (int)(middle - side[0]) - 1; px <= (int)(middle + side[1]) + 1; px++) {
			if (px < 0 || px >= easel->width || y < 0 || y >= easel->height)
				continue;
			float cover =
			    clampf(fminf((float)px - middle + side[0], middle + side[1] - (float)px) + 0.5f, 0, 1);
			struct colour *at = &easel->paint[(size_t)y * (size_t)easel->width + (size_t)px];
			*at = mix(*at, colour, cover);
		}
	}
}

static void
paint_grove(struct easel *easel, const struct layer *ground, bool left, struct colour colour)
{
	struct chance chance = {.state = ground->seed + 5};
	float dim = 1024 * easel->unit, tallest = dim * (easel->plan->land == LAND_FOREST ? 0.46f : 0.26f);
	int count = 4 + chance_below(&chance, 4);
	for (int i = 0; i < count; i++) {
		float t = chance_between(&chance, 0, 1), inward = 0.34f * t * t;
		float x = (left ? inward : 1 - inward) * (float)easel->width;
		float height = tallest * (1 - 0.6f * t) * chance_between(&chance, 0.65f, 1);
		int column = (int)clampf(x, 0, (float)easel->width - 1);
		paint_tree(easel, x, ground->top[column] + 0.02f * dim, height, (uint32_t)chance_next(&chance), colour);
	}
}

void
layers_paint_foreground(struct easel *easel)
{
	const struct plan *plan = easel->plan;
	float dim = 1024 * easel->unit;
	struct layer layer = {.top = columns(easel), .depth = 1, .amplitude = 0.05f * dim, .seed = plan->seed + 4242};
	bool left = plan->sun_x > 0.5f;
	for (int x = 0; x < easel->width; x++) {
		float across = (float)x / (float)easel->width, from_edge = left ? across : 1 - across;
		layer.top[x] = (float)easel->height - dim * (0.035f + 0.09f * expf(-from_edge * 4)) -
			       0.03f * dim * fractal_1d((float)x / (0.3f * dim), 4, layer.seed);
	}
	struct colour dark = scale(plan->near, 0.55f);
	for (int y = 0; y < easel->height; y++)
		for (int x = 0; x < easel->width; x++) {
			float cover = clampf((float)y - layer.top[x] + 0.5f, 0, 1);
			struct colour *at = &easel->paint[(size_t)y * (size_t)easel->width + (size_t)x];
			if (cover > 0)
				*at = mix(*at, dark, cover);
		}
	if (plan->land != LAND_DUNES && plan->land != LAND_CITY)
		paint_grove(easel, &layer, left, dark);
	layer_free(&layer);
}
