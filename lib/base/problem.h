/*
 * Every way in which a request can be refused or fail, in one list: what the
 * caller of a function switches on, what the client reads and what the OpenAPI
 * file documents are made from it.
 *
 * A problem is returned, never raised. The first to see an error logs it once
 * with its cause; callers only pass the problem on.
 */
#ifndef SHOTAI_PROBLEM_H
#define SHOTAI_PROBLEM_H

#include <stddef.h>

/* name, HTTP status, code, English title, Dutch title */
#define PROBLEM_LIST(X)                                                                                                \
	X(INVALID_REQUEST, 400, "invalid_request", "The request is not valid", "Het verzoek klopt niet")               \
	X(UNAUTHENTICATED, 401, "unauthenticated", "Sign in first", "Log eerst in")                                    \
	X(REAUTHENTICATION_REQUIRED, 401, "reauthentication_required", "Sign in again to do this",                     \
	    "Log opnieuw in om dit te doen")                                                                           \
	X(INSUFFICIENT_CREDITS, 402, "insufficient_credits", "Not enough credits", "Niet genoeg credits")              \
	X(ACCOUNT_SUSPENDED, 403, "account_suspended", "This account is suspended", "Dit account is geblokkeerd")      \
	X(AGE_CONFIRMATION_REQUIRED, 403, "age_confirmation_required", "Confirm your age first",                       \
	    "Bevestig eerst je leeftijd")                                                                              \
	X(ANONYMOUS_NOT_ALLOWED, 403, "anonymous_not_allowed", "This needs an account with an e-mail address",         \
	    "Hiervoor is een account met een e-mailadres nodig")                                                       \
	X(CLIENT_NOT_ALLOWED, 403, "client_not_allowed", "Other applications may not do this",                         \
	    "Andere toepassingen mogen dit niet")                                                                      \
	X(NOT_FOUND, 404, "not_found", "Not found", "Niet gevonden")                                                   \
	X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "This method is not allowed here",                            \
	    "Deze methode kan hier niet")                                                                              \
	X(NOT_CANCELABLE, 409, "not_cancelable", "It is no longer queued", "De opname staat niet meer in de wachtrij") \
	X(ALREADY_SUBSCRIBED, 409, "already_subscribed", "There is a subscription already",                            \
	    "Er loopt al een abonnement")                                                                              \
	X(IDEMPOTENCY_IN_PROGRESS, 409, "idempotency_in_progress", "The first request is still running",               \
	    "Het eerste verzoek loopt nog")                                                                            \
	X(TOO_LARGE, 413, "too_large", "Too large", "Te groot")                                                        \
	X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "Send JSON", "Stuur JSON")                            \
	X(MODEL_UNKNOWN, 422, "model_unknown", "There is no such model", "Dit model bestaat niet")                     \
	X(PRODUCT_UNKNOWN, 422, "product_unknown", "There is no such product", "Dit product bestaat niet")             \
	X(UPLOAD_UNKNOWN, 422, "upload_unknown", "There is no such upload", "Deze upload bestaat niet")                \
	X(IDEMPOTENCY_KEY_REUSED, 422, "idempotency_key_reused", "This key was used for another request",              \
	    "Deze sleutel hoort bij een ander verzoek")                                                                \
	X(RATE_LIMITED, 429, "rate_limited", "Too many requests", "Te veel verzoeken")                                 \
	X(TOO_MANY_IN_FLIGHT, 429, "too_many_in_flight", "Too many pictures are being made",                           \
	    "Er worden al te veel opnamen gemaakt")                                                                    \
	X(INTERNAL, 500, "internal", "Something went wrong here", "Er ging hier iets mis")                             \
	X(UPSTREAM_FAILED, 502, "upstream_failed", "The request was interrupted", "Het verzoek werd onderbroken")      \
	X(DATABASE_UNAVAILABLE, 503, "database_unavailable", "The database is away", "De database is even weg")        \
	X(AUTH_UNAVAILABLE, 503, "auth_unavailable", "Sign-in cannot be checked now",                                  \
	    "Inloggen kan nu niet worden gecontroleerd")                                                               \
	X(STORAGE_UNAVAILABLE, 503, "storage_unavailable", "Picture storage is away", "De beeldopslag is even weg")    \
	X(PAYMENTS_UNAVAILABLE, 503, "payments_unavailable", "Payments cannot be made now",                            \
	    "Betalen kan nu even niet")                                                                                \
	X(MODEL_UNAVAILABLE, 503, "model_unavailable", "This model is switched off now", "Dit model staat nu uit")     \
	X(UPSTREAM_TIMEOUT, 504, "upstream_timeout", "The answer took too long", "Het antwoord duurde te lang")

enum problem {
	PROBLEM_NONE,
#define X(name, status, code, en, nl) PROBLEM_##name,
	PROBLEM_LIST(X)
#undef X
	    PROBLEM__COUNT
};

enum language { LANGUAGE_EN, LANGUAGE_NL, LANGUAGE__COUNT };

struct problem_kind {
	int status;
	const char *code;
	const char *title[LANGUAGE__COUNT];
};

/* The row of a problem; problem must not be PROBLEM_NONE. */
const struct problem_kind *problem_describe(enum problem problem);

/* The problem with this code, as SQL functions return it; an unknown code is PROBLEM_INTERNAL. */
enum problem problem_from_code(const char *code);

#endif
