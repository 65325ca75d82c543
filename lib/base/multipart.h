/*
 * Reader of multipart/form-data (RFC 7578), for the one form that is taken: a
 * single file in a field of a known name, as browsers, curl and the usual
 * libraries send it. Whatever else the grammar allows (a preamble or epilogue,
 * further parts, folded headers, transfer encodings) is refused. A file name is
 * neither kept nor looked at.
 */
#ifndef SHOTAI_MULTIPART_H
#define SHOTAI_MULTIPART_H

#include <stddef.h>

#include "base/problem.h"

struct arena;

struct multipart_file {
	const char *content_type; /* as the part says it, in the arena; NULL when it does not */
	const char *bytes;        /* inside the body */
	size_t len;
};

/* content_type is the request's, with its boundary. PROBLEM_INVALID_REQUEST: anything but that form. */
[[nodiscard]] enum problem multipart_read(struct arena *arena, const char *content_type, const char *body, size_t len,
    const char *field, struct multipart_file *ret_file);

#endif
