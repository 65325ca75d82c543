/*
 * The images part of OpenAI's API as the vendor behaves, and the switches that
 * a prompt may hold:
 *   sandbox:refuse          400 moderation_blocked
 *   sandbox:error           500 server_error
 *   sandbox:overloaded      503 server_is_overloaded
 *   sandbox:overloaded=N    429 rate_limit_exceeded for the first N calls with this prompt
 *   sandbox:timeout         no answer
 *   sandbox:slow=SECONDS    that much later
 *   sandbox:partial=N       N pictures, whatever was asked
 *   sandbox:garbage         bytes that are no picture
 * A `seed` is taken as an extension.
 */
#ifndef SANDBOX_IMAGES_H
#define SANDBOX_IMAGES_H

#include <stdbool.h>

struct exchange;

/* edit: /images/edits. False: nothing is to be answered. */
bool images_run(struct exchange *exchange, bool edit);
void images_error(
    struct exchange *exchange, int status, const char *type, const char *code, const char *param, const char *message);

#endif
