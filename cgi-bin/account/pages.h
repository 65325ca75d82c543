/* The pages about the service: privacy policy, terms, support. */
#ifndef SHOTAI_ACCOUNT_PAGES_H
#define SHOTAI_ACCOUNT_PAGES_H

#include "service/app.h"

/* The language that a reader chose, by its code; anything else, or NULL, leaves what Accept-Language says. */
void pages_speak(struct request *request, const char *code);

enum problem pages_privacy(struct app *app, struct request *request, struct response *response);
enum problem pages_terms(struct app *app, struct request *request, struct response *response);
/* The receipt of an erasure. */
enum problem pages_receipt(struct app *app, struct request *request, struct response *response);
enum problem pages_support(struct app *app, struct request *request, struct response *response);

#endif
