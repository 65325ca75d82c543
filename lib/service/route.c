#include "service/route.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "service/request.h"

static const char *const auth_names[AUTH__COUNT] = {
    [AUTH_NONE] = "none", [AUTH_MAYBE] = "maybe", [AUTH_USER] = "user", [AUTH_SELF] = "self", [AUTH_SPEND] = "spend"};

static bool
is_uuid(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	return len == 36;
}

/* Takes one {name} of the pattern off the path; false when it does not fit. */
static bool
match_parameter(const char **pattern, const char **path, struct arena *arena, const char **ret_value)
{
	size_t name_len = strcspn(*pattern, "}");
	bool rest = name_len > 3 && strncmp(*pattern + name_len - 3, "...", 3) == 0;
	bool id = name_len == 3 && strncmp(*pattern, "{id", 3) == 0;
	size_t len = rest ? strlen(*path) : strcspn(*path, "/");

	if (len == 0 || (id && !is_uuid(*path, len)))
		return false;
	char *value = arena_strndup(arena, *path, len);
	for (char *c = value; id && *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	*ret_value = value;
	*pattern += name_len + 1;
	*path += len;
	return true;
}

static bool
match_path(const char *pattern, const char *path, struct request *request)
{
	size_t count = 0;

	while (*pattern != '\0') {
		if (*pattern == '{') {
			assert(count < REQUEST_PARAMETERS);
			if (!match_parameter(&pattern, &path, request->arena, &request->parameters[count++]))
				return false;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

static bool
match_method(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

const struct route *
route_find(const struct route *routes, size_t count, struct request *request, enum problem *ret_problem,
    const char **ret_allow)
{
	const char *allow = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct route *route = &routes[i];
		if (!match_path(route->path, request->path, request))
			continue;
		if (match_method(route, request->method))
			return route;
		const char *methods = strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;
		allow = allow == NULL ? methods : arena_printf(request->arena, "%s, %s", allow, methods);
	}
	*ret_problem = allow != NULL ? PROBLEM_METHOD_NOT_ALLOWED : PROBLEM_NOT_FOUND;
	*ret_allow = allow;
	return NULL;
}

void
route_print(const struct route *routes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct route *route = &routes[i];
		printf("%s %s %s %zu\n", route->method, route->path, auth_names[route->auth],
		    route->body == BODY_NONE ? 0 : route->body_max);
	}
}
