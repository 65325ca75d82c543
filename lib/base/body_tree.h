/*
 * The cJSON trees under base/body. Only body and its parts include this.
 */
#ifndef SHOTAI_BODY_TREE_H
#define SHOTAI_BODY_TREE_H

#include <cjson/cJSON.h>
#include <stddef.h>

struct arena;

static inline void
body_cjson_cleanup(cJSON **value)
{
	cJSON_Delete(*value);
}
#define AUTO_CJSON __attribute__((cleanup(body_cjson_cleanup))) cJSON *

/* NULL when body_scan refuses the bytes. Duplicate members are still in it. */
cJSON *body_tree_document(const char *bytes, size_t len);
/* The pointer of a member that its object has twice, at any depth, or NULL. */
const char *body_tree_duplicate(struct arena *arena, const cJSON *value);
/* pointer, /name with ~ and / escaped as in RFC 6901, and rest; pointer alone when that is too long. */
const char *body_tree_pointer(struct arena *arena, const char *pointer, const char *name, const char *rest);

#endif
