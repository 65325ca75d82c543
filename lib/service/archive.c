#include "service/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"

#define PIECE ((size_t)64 << 10)

struct archive_zip {
	struct arena *arena;
	struct archive *writer;
	locale_t utf8; /* in whose terms libarchive takes names */
	uint8_t *piece;
};

static void
entry_cleanup(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}
#define AUTO_ENTRY __attribute__((cleanup(entry_cleanup))) struct archive_entry *

static enum problem
unwritable(const struct archive_zip *zip)
{
	int cause = archive_errno(zip->writer);
	log_event(LOG_ERROR, "archive_failed", "cause", cause > 0 ? strerror(cause) : "libarchive", NULL);
	return PROBLEM_STORAGE_UNAVAILABLE;
}

struct archive_zip *
archive_new(int fd)
{
	struct arena *arena = arena_new();
	struct archive_zip *zip = arena_alloc(arena, sizeof *zip);
	*zip = (struct archive_zip){.arena = arena,
	    .writer = archive_write_new(),
	    .utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0),
	    .piece = arena_alloc(arena, PIECE)};
	if (zip->writer == NULL || zip->utf8 == (locale_t)0 ||
	    archive_write_set_format_zip(zip->writer) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(zip->writer, 1) != ARCHIVE_OK ||
	    archive_write_open_fd(zip->writer, fd) != ARCHIVE_OK)
		abort();
	return zip;
}

void
archive_close(struct archive_zip *zip)
{
	if (zip == NULL)
		return;
	(void)archive_write_free(zip->writer);
	freelocale(zip->utf8);
	arena_free(zip->arena);
}

static enum problem
copy(struct archive_zip *zip, int64_t size, archive_source *source, void *context)
{
	int64_t done = 0;
	for (size_t len; done <= size; done += (int64_t)len) {
		enum problem problem = source(context, zip->piece, PIECE, &len);
		if (problem != PROBLEM_NONE)
			return problem;
		if (len == 0)
			break;
		if (done + (int64_t)len <= size && archive_write_data(zip->writer, zip->piece, len) != (la_ssize_t)len)
			return unwritable(zip);
	}
	if (done == size)
		return PROBLEM_NONE;
	log_event(LOG_ERROR, "archive_failed", "cause", "an entry of another size", NULL);
	return PROBLEM_INTERNAL;
}

enum problem
archive_add(struct archive_zip *zip, const struct archive_file *file, archive_source *source, void *context)
{
	AUTO_ENTRY entry = archive_entry_new();
	if (entry == NULL)
		abort();
	archive_entry_set_pathname(entry, file->name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, file->size);
	archive_entry_set_mtime(entry, file->modified_at, 0);
	int set = file->deflated ? archive_write_zip_set_compression_deflate(zip->writer)
				 : archive_write_zip_set_compression_store(zip->writer);
	locale_t before = uselocale(zip->utf8);
	int written = set == ARCHIVE_OK ? archive_write_header(zip->writer, entry) : set;
	(void)uselocale(before);
	if (written != ARCHIVE_OK)
		return unwritable(zip);
	enum problem problem = copy(zip, file->size, source, context);
	if (problem == PROBLEM_NONE && archive_write_finish_entry(zip->writer) != ARCHIVE_OK)
		problem = unwritable(zip);
	return problem;
}

enum problem
archive_finish(struct archive_zip *zip)
{
	return archive_write_close(zip->writer) == ARCHIVE_OK ? PROBLEM_NONE : unwritable(zip);
}
