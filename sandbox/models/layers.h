/*
 * The land: layers of ridges from far to near, each a height per column.
 */
#ifndef SANDBOX_LAYERS_H
#define SANDBOX_LAYERS_H

#include "plan.h"

/* A picture in the making, in linear light. */
struct easel {
	int width, height;
	float unit; /* pixels that one is at 1024 of the shorter side */
	const struct plan *plan;
	struct colour *paint;
};

/* Paints all layers down to the waterline, or to the bottom when there is no water. */
void layers_paint(struct easel *easel);
/* The dark edge in front of everything. */
void layers_paint_foreground(struct easel *easel);

#endif
