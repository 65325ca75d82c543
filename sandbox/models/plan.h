/*
 * From words to a plan of the picture: colours, hour, land, details.
 */
#ifndef SANDBOX_PLAN_H
#define SANDBOX_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "paint.h"

enum land { LAND_HILLS, LAND_MOUNTAINS, LAND_DUNES, LAND_FOREST, LAND_CITY, LAND__COUNT };

#define PLAN_LAYERS_MAX 7

struct plan {
	uint32_t seed;
	struct colour zenith, middle, horizon, sun, far, near;
	enum land land;
	bool night, aurora, water, clouds, birds, boat, snow, planet;
	int layers;
	float skyline;      /* where the land begins, as a part of the height */
	float waterline;    /* where the water begins, when there is any */
	float sun_x, sun_y; /* parts of width and height */
	float sun_radius;   /* part of the shorter side */
	float cloud_cover;
};

void plan_make(const char *prompt, int64_t seed, int index, struct plan *ret_plan);

#endif
