/*
 * The stand-in as its handlers see it. Handlers are named after Supabase
 * Auth's paths; each returns PROBLEM_NONE with Supabase's own answer, a
 * problem only when the database or this program fails.
 */
#ifndef SANDBOX_AUTH_STAND_IN_H
#define SANDBOX_AUTH_STAND_IN_H

#include <stdbool.h>

#include "base/problem.h"
#include "service/app.h"

struct key;

#define TOKEN_SECONDS 3600
#define REUSE_SECONDS 10 /* a refresh token may come twice within this: two tabs, a lost answer */

struct stand_in {
	struct key *key;
	const char *issuer;
	bool anonymous; /* SANDBOX_ANONYMOUS */
};

static inline const struct stand_in *
stand_in(const struct app *app)
{
	return app->context;
}

typedef enum problem handler(struct app *app, struct request *request, struct response *response);
/* sign_in.c */
handler sign_up, token;
/* user.c */
handler user_get, user_update, sign_out;
/* admin.c */
handler admin_create, admin_get, admin_update, admin_delete;
/* public.c */
handler key_set_get, settings_get, health_get, recover, otp, verify;

#endif
