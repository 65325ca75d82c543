/*
 * Writes a ZIP as a stream, with Zip64 where it needs to: the only module that
 * touches libarchive.
 *
 * Entries go to a descriptor one after the other, in pieces; nothing but a
 * piece is ever held. What comes before them and what becomes of the file is
 * the caller's.
 */
#ifndef SHOTAI_ARCHIVE_H
#define SHOTAI_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct archive_zip;

struct archive_file {
	const char *name;    /* UTF-8, folders by slashes */
	int64_t size;        /* as many bytes as the source gives */
	int64_t modified_at; /* unix seconds */
	bool deflated;       /* else stored: pictures are compressed already */
};

/* Gives 1 to size bytes of the entry, less only where it likes; *ret_len 0 when there are no more. */
typedef enum problem archive_source(void *context, uint8_t *buffer, size_t size, size_t *ret_len);

/* fd stays the caller's and must outlive it: closing what was not finished writes to it, too. */
struct archive_zip *archive_new(int fd);
void archive_close(struct archive_zip *zip);
static inline void
archive_cleanup(struct archive_zip **zip)
{
	archive_close(*zip);
}
#define AUTO_ARCHIVE __attribute__((cleanup(archive_cleanup))) struct archive_zip *

/*
 * Adds one entry. A problem of the source is returned as it is; PROBLEM_INTERNAL:
 * the source gave another number of bytes than announced; else
 * PROBLEM_STORAGE_UNAVAILABLE: fd could not be written to (both logged). After
 * any of them the ZIP is of no use.
 */
[[nodiscard]] enum problem archive_add(
    struct archive_zip *zip, const struct archive_file *file, archive_source *source, void *context);
/* Writes what a ZIP ends with; nothing can be added any more. */
[[nodiscard]] enum problem archive_finish(struct archive_zip *zip);

#endif
