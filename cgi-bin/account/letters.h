/*
 * What comes to account by mail and form: messages to support, and the links
 * that end announcements.
 */
#ifndef ACCOUNT_LETTERS_H
#define ACCOUNT_LETTERS_H

#include "service/app.h"

/* A code point may take twelve bytes in a form. */
#define LETTER_MAX (56u << 10)

enum problem letter_support(struct app *app, struct request *request, struct response *response);
enum problem letter_ask(struct app *app, struct request *request, struct response *response);
enum problem letter_unsubscribe(struct app *app, struct request *request, struct response *response);

#endif
