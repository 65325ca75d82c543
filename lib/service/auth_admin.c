#include "service/auth_admin.h"

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/http.h"

enum problem
auth_admin_delete(const struct config *config, struct http *http, struct arena *arena, const char *user_id)
{
	const char *key = config_text(config, CONFIG_SUPABASE_SECRET_KEY);
	const struct http_header headers[] = {
	    {"apikey", key},
	    {"Authorization", arena_printf(arena, "Bearer %s", key)},
	};
	const struct http_request request = {
	    .method = "DELETE",
	    .url = arena_printf(arena, "%s/auth/v1/admin/users/%s", config_text(config, CONFIG_SUPABASE_URL), user_id),
	    .headers = headers,
	    .header_count = sizeof(headers) / sizeof(headers[0]),
	    .connect_timeout_ms = 2000,
	    .timeout_ms = 10000,
	    .answer_max = 64 << 10,
	};
	struct http_answer answer = {0};
	enum http_outcome outcome = http_send(http, arena, &request, &answer);
	if (outcome == HTTP_ANSWERED && (answer.status / 100 == 2 || answer.status == 404))
		return PROBLEM_NONE;
	log_event(LOG_WARN, "auth_deletion_failed", "status",
	    arena_printf(arena, "%d", outcome == HTTP_ANSWERED ? answer.status : 0), NULL);
	return PROBLEM_AUTH_UNAVAILABLE;
}
