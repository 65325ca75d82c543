/*
 * Whether bytes are JSON that base/body accepts, before any tree is built:
 * RFC 8259 to the letter, UTF-8 throughout, at most BODY_SCAN_DEPTH arrays and
 * objects inside each other, no \u0000 and no half of a surrogate pair. What
 * cJSON is lenient about (control characters as white space, numbers cut after
 * 63 characters, trailing bytes) never reaches it. Duplicate members do.
 */
#ifndef SHOTAI_BODY_SCAN_H
#define SHOTAI_BODY_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define BODY_SCAN_DEPTH 32

bool body_scan(const char *bytes, size_t len);

#endif
