/*
 * Finds elements in the XML that S3 answers with. Inside of service/storage.
 *
 * Not an XML parser: an element is what stands between its first start tag and
 * the next end tag of that name, so one that holds another of its own name is
 * not understood; S3 has none. Nothing is read outside the given bytes.
 */
#ifndef SHOTAI_STORAGE_XML_H
#define SHOTAI_STORAGE_XML_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct storage_xml {
	const char *at, *end;
};

/* Whether there is another element of that name: its content, and *xml moved past it. */
bool storage_xml_next(struct storage_xml *xml, const char *name, struct storage_xml *ret_content);
/*
 * The text of the first element of that name, entities replaced; in the arena.
 * NULL when there is none, when it holds markup or an unknown entity, or a NUL.
 */
char *storage_xml_text(struct arena *arena, struct storage_xml xml, const char *name);

#endif
