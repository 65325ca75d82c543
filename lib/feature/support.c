#include "feature/support.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "feature/call.h"
#include "feature/refusal.h"

#define TITLE_MAX 60 /* bytes of the message that the subject shows */

enum { SEND };

static const struct db_statement statements[] = {
    [SEND] = {"select * from shotai.send_support($1, $2, $3, $4)", false},
};

enum problem
support_send(struct call *call, const struct support *support)
{
	AUTO_DB_RESULT rows = NULL;
	bool known = call->user->user_id != NULL && *call->user->user_id != '\0';
	const char *const parameters[] = {known ? call->user->user_id : NULL, known ? call->user->session_id : NULL,
	    support->email, support->message};

	return refusal_call(call, &statements[SEND], parameters, 4, &rows);
}

/* The beginning of the first line, cut between two characters. */
static const char *
title_of(struct arena *arena, const char *message)
{
	while (isspace((unsigned char)*message))
		message++;
	size_t len = strcspn(message, "\r\n"), used = 0;

	for (size_t step; used < len && used < TITLE_MAX; used += step) {
		step = text_utf8(message + used, len - used);
		step = step > 0 ? step : 1;
	}
	return arena_printf(arena, "%.*s%s", (int)used, message, used < len ? "\u2026" : "");
}

void
support_write(struct arena *arena, const char *message, const char *user_id, struct support_mail *ret_mail)
{
	ret_mail->subject = arena_printf(arena, "Support: %s", title_of(arena, message));
	ret_mail->text = arena_printf(arena, "%s\n\n-- \n%s%s\n", message,
	    user_id != NULL ? "Signed in as user " : "Not signed in", user_id != NULL ? user_id : "");
}
