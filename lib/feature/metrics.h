/*
 * The state of the service in Prometheus' text format: sums about nobody, for
 * a route that only the machine itself can reach.
 */
#ifndef SHOTAI_METRICS_H
#define SHOTAI_METRICS_H

#include "base/problem.h"
#include "service/db.h"

struct text;

#define METRICS_TYPE "text/plain; version=0.0.4"

[[nodiscard]] enum problem metrics_write(struct db *db, struct arena *arena, struct text *text);

#endif
