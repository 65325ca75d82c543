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
	X(SHARING_REFUSED, 403, "sharing_refused", "This picture may not be shared",                                   \
	    "Deze opname mag niet worden gedeeld")                                                                     \
	X(NOT_FOUND, 404, "not_found", "Not found", "Niet gevonden")                                                   \
	X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "This method is not allowed here",                            \
	    "Deze methode kan hier niet")                                                                              \
	X(NOT_CANCELABLE, 409, "not_cancelable", "It is no longer queued", "De opname staat niet meer in de wachtrij") \
	X(UNFINISHED, 409, "unfinished", "It is still being made", "De opname is nog niet klaar")                      \
	X(ALREADY_SUBSCRIBED, 409, "already_subscribed", "There is a subscription already",                            \
	    "Er loopt al een abonnement")                                                                              \
	X(IDEMPOTENCY_IN_PROGRESS, 409, "idempotency_in_progress", "The first request is still running",               \
	    "Het eerste verzoek loopt nog")                                                                            \
	X(TOO_LARGE, 413, "too_large", "Too large", "Te groot")                                                        \
	X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "Send JSON", "Stuur JSON")                            \
	X(UNSUPPORTED_IMAGE, 415, "unsupported_image", "Send a PNG, JPEG or WebP picture",                             \
	    "Stuur een PNG-, JPEG- of WebP-afbeelding")                                                                \
	X(MODEL_UNKNOWN, 422, "model_unknown", "There is no such model", "Dit model bestaat niet")                     \
	X(PRODUCT_UNKNOWN, 422, "product_unknown", "There is no such product", "Dit product bestaat niet")             \
	X(UPLOAD_UNKNOWN, 422, "upload_unknown", "There is no such upload", "Deze upload bestaat niet")                \
	X(UPLOAD_EXPIRED, 422, "upload_expired", "This upload has been deleted", "Deze upload is al gewist")           \
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

/* name, English detail, Dutch detail: what it means and what helps. Without a row the title says all there is. */
#define PROBLEM_DETAILS(X)                                                                                             \
	X(INVALID_REQUEST,                                                                                             \
	    "Something in the path, the headers or the body is not as the API describes; errors says what, where it "  \
	    "is present.",                                                                                             \
	    "Iets in het pad, de headers of de inhoud is niet zoals de API het beschrijft; errors zegt wat, als het "  \
	    "erbij staat.")                                                                                            \
	X(UNAUTHENTICATED, "The access token is missing, expired or not valid, or its session has ended.",             \
	    "Het toegangstoken ontbreekt, is verlopen of ongeldig, of zijn sessie is beëindigd.")                      \
	X(REAUTHENTICATION_REQUIRED, "This takes a sign-in of the last ten minutes.",                                  \
	    "Hiervoor moet je in de laatste tien minuten hebben ingelogd.")                                            \
	X(INSUFFICIENT_CREDITS, "The price is higher than the balance; nothing was charged.",                          \
	    "De prijs is hoger dan het saldo; er is niets afgeschreven.")                                              \
	X(ACCOUNT_SUSPENDED, "If this must be a mistake, write to support.",                                           \
	    "Moet dit een vergissing zijn, schrijf dan de helpdesk.")                                                  \
	X(AGE_CONFIRMATION_REQUIRED, "Pictures are made only for who confirmed to be at least 13.",                    \
	    "Opnamen worden alleen gemaakt voor wie heeft bevestigd minstens 13 te zijn.")                             \
	X(ANONYMOUS_NOT_ALLOWED, "An anonymous user cannot spend; add an e-mail address to this account.",             \
	    "Een anonieme gebruiker kan niets uitgeven; voeg een e-mailadres aan dit account toe.")                    \
	X(CLIENT_NOT_ALLOWED, "The token was given to another application; sign in here instead.",                     \
	    "Het token is aan een andere toepassing gegeven; log hier zelf in.")                                       \
	X(SHARING_REFUSED, "It was taken off the air and cannot be shared again; support can tell you why.",           \
	    "Hij is offline gehaald en kan niet opnieuw worden gedeeld; de helpdesk kan zeggen waarom.")               \
	X(NOT_FOUND, "There is nothing at this address, or it is not yours.",                                          \
	    "Op dit adres is niets, of het is niet van jou.")                                                          \
	X(METHOD_NOT_ALLOWED, "The header Allow lists the methods of this address.",                                   \
	    "De header Allow noemt de methoden van dit adres.")                                                        \
	X(NOT_CANCELABLE, "Only what still waits in the queue can be cancelled.",                                      \
	    "Alleen wat nog in de wachtrij staat kan worden geannuleerd.")                                             \
	X(UNFINISHED, "Wait until it is ready, or cancel it while it is queued; then it can be deleted.",              \
	    "Wacht tot hij klaar is, of annuleer hem in de wachtrij; daarna kan hij weg.")                             \
	X(ALREADY_SUBSCRIBED, "Change or end the subscription there is in the payment portal.",                        \
	    "Wijzig of beëindig het lopende abonnement in het betaalportaal.")                                         \
	X(IDEMPOTENCY_IN_PROGRESS, "A request with this Idempotency-Key is being handled; repeat it in a moment.",     \
	    "Een verzoek met deze Idempotency-Key wordt behandeld; herhaal het zo meteen.")                            \
	X(TOO_LARGE, "The body is larger than this address takes.", "De inhoud is groter dan dit adres aanneemt.")     \
	X(UNSUPPORTED_MEDIA_TYPE, "The body must be JSON, sent with Content-Type: application/json.",                  \
	    "De inhoud moet JSON zijn, verstuurd met Content-Type: application/json.")                                 \
	X(UNSUPPORTED_IMAGE, "The file is no PNG, JPEG or WebP, is damaged or is not what it says it is.",             \
	    "Het bestand is geen PNG, JPEG of WebP, is beschadigd of is niet wat het zegt te zijn.")                   \
	X(MODEL_UNKNOWN, "GET /api/models lists the models there are.",                                                \
	    "GET /api/models noemt de modellen die er zijn.")                                                          \
	X(PRODUCT_UNKNOWN, "GET /api/billing/products lists what can be bought.",                                      \
	    "GET /api/billing/products noemt wat er te koop is.")                                                      \
	X(UPLOAD_UNKNOWN, "It does not exist, was deleted, or is not yours.",                                          \
	    "Hij bestaat niet, is verwijderd, of is niet van jou.")                                                    \
	X(UPLOAD_EXPIRED, "An upload is kept for half an hour at most; send the picture again.",                       \
	    "Een upload blijft hooguit een half uur bewaard; stuur de afbeelding opnieuw.")                            \
	X(IDEMPOTENCY_KEY_REUSED,                                                                                      \
	    "Another body was sent with this Idempotency-Key in the last 24 hours; take a new key.",                   \
	    "Met deze Idempotency-Key is in de laatste 24 uur iets anders verstuurd; neem een nieuwe sleutel.")        \
	X(RATE_LIMITED, "Wait as long as Retry-After says.", "Wacht zo lang als Retry-After zegt.")                    \
	X(TOO_MANY_IN_FLIGHT, "Wait until some of the pictures that you ordered are ready.",                           \
	    "Wacht tot een deel van je bestelde opnamen klaar is.")                                                    \
	X(INTERNAL, "The fault is ours; support can find it by its request_id.",                                       \
	    "De fout ligt bij ons; met de request_id vindt de helpdesk hem terug.")                                    \
	X(UPSTREAM_FAILED, "It may have been carried out nevertheless: look before you repeat it.",                    \
	    "Misschien is het toch uitgevoerd: kijk voordat je het herhaalt.")                                         \
	X(DATABASE_UNAVAILABLE, "Try again in a moment.", "Probeer het zo meteen opnieuw.")                            \
	X(AUTH_UNAVAILABLE, "Try again in a moment.", "Probeer het zo meteen opnieuw.")                                \
	X(STORAGE_UNAVAILABLE, "Try again in a moment.", "Probeer het zo meteen opnieuw.")                             \
	X(PAYMENTS_UNAVAILABLE, "Nothing was bought; try again in a moment.",                                          \
	    "Er is niets gekocht; probeer het zo meteen opnieuw.")                                                     \
	X(MODEL_UNAVAILABLE, "Choose another model, or try again later.",                                              \
	    "Kies een ander model, of probeer het later opnieuw.")                                                     \
	X(UPSTREAM_TIMEOUT, "It may still be carried out: look before you repeat it.",                                 \
	    "Misschien wordt het nog uitgevoerd: kijk voordat je het herhaalt.")

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

/* What it means and what helps, a sentence for people. */
const char *problem_detail(enum problem problem, enum language language);

/* The problem with this code, as SQL functions return it; an unknown code is PROBLEM_INTERNAL. */
enum problem problem_from_code(const char *code);

#endif
