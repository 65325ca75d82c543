/*
 * What the stand-in answers: sessions, users and refusals in Supabase Auth's
 * two shapes, chosen by the request's X-Supabase-Api-Version.
 */
#ifndef SANDBOX_AUTH_ANSWER_H
#define SANDBOX_AUTH_ANSWER_H

#include <stdbool.h>

#include "base/problem.h"

struct db_result;
struct request;
struct response;
struct key;

/* key names a row of the table in answer.c; an unknown one aborts. */
[[nodiscard]] enum problem answer_refusal(struct request *request, struct response *response, const char *key);
/* The refusal that the result's first row holds in `error`; false: none. */
bool answer_refused(
    struct request *request, struct response *response, const struct db_result *result, enum problem *ret_problem);
/* A session (claims, expires_at, refresh_token, user_json). */
[[nodiscard]] enum problem answer_session(
    struct request *request, struct response *response, const struct db_result *result, const struct key *key);
/* A finished JSON text. */
[[nodiscard]] enum problem answer_json(struct response *response, const char *json);
[[nodiscard]] enum problem answer_nothing(struct response *response);

#endif
