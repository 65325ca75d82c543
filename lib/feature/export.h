/*
 * Everything held about a person, or about chosen generations, as one JSON
 * document that is written while it is read: page by page, so that no more than
 * a page is ever in memory. What belongs to it is SQL's list of sections; each
 * is a member with an array.
 *
 * A document that ends early lacks its end, so nobody takes it for a whole one.
 */
#ifndef SHOTAI_EXPORT_H
#define SHOTAI_EXPORT_H

#include <stdbool.h>

#include "base/problem.h"
#include "feature/call.h"

/* What an item tells of a picture besides what it says itself. */
struct export_image {
	const char *key, *thumbnail_key;
	const char *title; /* day and prompt, for a file's name */
};

struct export;

struct export_source {
	struct db *db;
	const struct db_statement *page;
	const char *const *who; /* the page's first two parameters */
	/* Adds members to the item of an image that tell where it is; a problem ends the export. */
	enum problem (*image)(void *context, const struct export_image *image, struct text *json);
	void *context;
};

/* source and what it points to must stay. */
struct export *export_new(struct arena *arena, const struct export_source *source);
/*
 * Writes the next part of the document; *ret_more: it has not ended. Any
 * refusal of the page. Scratch memory is json's arena.
 */
[[nodiscard]] enum problem export_next(
    struct export *export, struct text *json, struct db_refusal *ret_refusal, bool *ret_more);

/*
 * The caller's own export, with links that work for an hour or two: writes its
 * beginning; *ret_more: the rest comes from export_more with *ret_context, which
 * lives as long as the request.
 */
[[nodiscard]] enum problem export_begin(struct call *call, void **ret_context, bool *ret_more);
[[nodiscard]] enum problem export_more(void *context, struct text *json, bool *ret_more);

#endif
