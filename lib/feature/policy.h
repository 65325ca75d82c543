/*
 * The privacy policy as a page: its text with the facts as they are, its
 * versions, and how a version read once newer ones came. The newest version is
 * the text in this program; older ones are what was recorded of them.
 */
#ifndef SHOTAI_POLICY_H
#define SHOTAI_POLICY_H

#include "base/problem.h"
#include "feature/call.h"

struct config;
struct db;

/* Writes the page of a version (NULL: the one in force) to call->json. PROBLEM_NOT_FOUND: there is none. */
[[nodiscard]] enum problem policy_write(struct call *call, const char *version);
/* Records the newest version in each language in which it is not yet: for the worker. */
[[nodiscard]] enum problem policy_record(struct db *db, const struct config *config);

#endif
