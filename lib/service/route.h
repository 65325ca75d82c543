/*
 * The route table: a path with a method, and the policy under which its
 * handler runs.
 */
#ifndef SHOTAI_ROUTE_H
#define SHOTAI_ROUTE_H

#include <stddef.h>

#include "base/problem.h"

struct app;
struct request;
struct response;

enum auth_kind {
	AUTH_NONE,
	AUTH_MAYBE, /* a person's token, if one comes that will do; else nobody */
	AUTH_USER,  /* a person's token */
	AUTH_SELF,  /* AUTH_USER, and not of another application */
	AUTH_SPEND, /* AUTH_SELF, and not anonymous */
	AUTH__COUNT
};

enum body_policy {
	BODY_NONE, /* a body is refused */
	BODY_JSON, /* application/json or 415 */
	BODY_RAW,
};

struct route {
	const char *method,
	    *path; /* "/api/generate/{id}"; {id} matches a UUID, {key...} the rest, other names one segment */
	enum auth_kind auth;
	enum body_policy body;
	size_t body_max; /* bytes */
	enum problem (*run)(struct app *app, struct request *request, struct response *response);
};

/*
 * The route that serves the request, with request->parameters filled. NULL:
 * *ret_problem says whether the path or only the method is unknown, *ret_allow
 * names the methods that the path knows.
 */
const struct route *route_find(const struct route *routes, size_t count, struct request *request,
    enum problem *ret_problem, const char **ret_allow);

/* Prints each route to standard output: method, path, who may use it, the largest body in bytes. */
void route_print(const struct route *routes, size_t count);

#endif
