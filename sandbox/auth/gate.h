/*
 * Who is calling: the project's key in `apikey`, as Supabase's gateway checks
 * it, and the person or the operator in `Authorization`.
 */
#ifndef SANDBOX_AUTH_GATE_H
#define SANDBOX_AUTH_GATE_H

#include <stdbool.h>

#include "base/problem.h"

struct app;
struct request;
struct response;

struct caller {
	const char *user_id;
	const char *session_id; /* or NULL */
	const char *user_json;
	const char *password; /* its hash, or NULL */
	bool anonymous;
};

/* Each returns false after it wrote the answer (*ret_problem is what the handler returns). */
bool gate_project(struct app *app, struct request *request, struct response *response, enum problem *ret_problem);
bool gate_person(struct app *app, struct request *request, struct response *response, struct caller *ret_caller,
    enum problem *ret_problem);
bool gate_operator(struct app *app, struct request *request, struct response *response, enum problem *ret_problem);

#endif
