/* What a ZIP holds is told by python3's zipfile, which also checks every sum. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "service/archive.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define LIST                                                                                                           \
	"/usr/bin/python3 -c \"import sys,zipfile;z=zipfile.ZipFile(sys.argv[1]);assert z.testzip() is None;"          \
	"[print(i.filename,i.file_size,i.compress_type,i.date_time[0],z.read(i)[:5].decode()) for i in z.infolist()]"  \
	"\" %s 2>&1"

static char path[32];
static int fd;

/* So many letters, in small pieces; then, maybe, a problem. */
struct letters {
	size_t left, piece;
	enum problem end;
};

static enum problem
letters_read(void *context, uint8_t *buffer, size_t size, size_t *ret_len)
{
	struct letters *letters = context;
	size_t len = letters->left < letters->piece ? letters->left : letters->piece;
	len = len < size ? len : size;
	memset(buffer, 'a', len);
	letters->left -= len;
	*ret_len = len;
	return len == 0 ? letters->end : PROBLEM_NONE;
}

static enum problem
add(struct archive_zip *zip, const char *name, size_t size, size_t given, bool deflated)
{
	struct letters letters = {.left = given, .piece = 1000};
	const struct archive_file file = {
	    .name = name, .size = (int64_t)size, .modified_at = 1796000000, .deflated = deflated};
	return archive_add(zip, &file, letters_read, &letters);
}

static int
setup(void **state)
{
	(void)state;
	memcpy(path, "/tmp/shotai-zip-XXXXXX", sizeof "/tmp/shotai-zip-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	return fd < 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(fd);
	return unlink(path);
}

/* What python3 says about the file. */
static const char *
listing(void)
{
	static char text[1024];
	char command[640];
	(void)snprintf(command, sizeof command, LIST, path);
	FILE *output = popen(command, "r");
	assert_non_null(output);
	text[fread(text, 1, sizeof text - 1, output)] = '\0';
	(void)pclose(output);
	return text;
}

static void
another_client_reads_it(void **state)
{
	AUTO_ARCHIVE zip = archive_new(fd);
	(void)state;
	assert_int_equal(add(zip, "pictures/2026-11-29 een vos één 狐.png", 200000, 200000, false), PROBLEM_NONE);
	assert_int_equal(add(zip, "empty", 0, 0, false), PROBLEM_NONE);
	assert_int_equal(add(zip, "export.json", 100000, 100000, true), PROBLEM_NONE);
	assert_int_equal(archive_finish(zip), PROBLEM_NONE);
	assert_string_equal(listing(), "pictures/2026-11-29 een vos één 狐.png 200000 0 2026 aaaaa\n"
				       "empty 0 0 2026 \n"
				       "export.json 100000 8 2026 aaaaa\n");
	assert_true(lseek(fd, 0, SEEK_END) < 202000);
}

static void
a_zip_of_nothing_is_one(void **state)
{
	AUTO_ARCHIVE zip = archive_new(fd);
	(void)state;
	assert_int_equal(archive_finish(zip), PROBLEM_NONE);
	assert_string_equal(listing(), "");
}

static void
an_entry_holds_what_was_announced(void **state)
{
	static const size_t given[] = {9999, 10001, 0, 64000};
	(void)state;
	for (size_t i = 0; i < LEN(given); i++) {
		AUTO_ARCHIVE zip = archive_new(fd);
		assert_int_equal(add(zip, "picture", 10000, given[i], false), PROBLEM_INTERNAL);
	}
}

static void
a_problem_of_the_source_is_the_callers(void **state)
{
	AUTO_ARCHIVE zip = archive_new(fd);
	struct letters letters = {.left = 500, .piece = 100, .end = PROBLEM_NOT_FOUND};
	(void)state;
	assert_int_equal(archive_add(zip, &(struct archive_file){.name = "a", .size = 1000}, letters_read, &letters),
	    PROBLEM_NOT_FOUND);
}

static void
a_full_disk_is_told(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	AUTO_ARCHIVE zip = archive_new(full);
	(void)state;
	enum problem problem = add(zip, "picture", 1000000, 1000000, false);
	if (problem == PROBLEM_NONE)
		problem = archive_finish(zip);
	assert_int_equal(problem, PROBLEM_STORAGE_UNAVAILABLE);
	close(full);
}

/* Over 4 GiB and 65535 entries; SHOTAI_LARGE=1, since it takes a while. */
static void
zip64_where_it_is_needed(void **state)
{
	char name[16];
	(void)state;
	if (getenv("SHOTAI_LARGE") == NULL)
		skip();
	AUTO_ARCHIVE zip = archive_new(fd);
	assert_int_equal(add(zip, "large", (size_t)5 << 30, (size_t)5 << 30, false), PROBLEM_NONE);
	for (int i = 0; i < 70000; i++) {
		(void)snprintf(name, sizeof name, "%d", i);
		assert_int_equal(add(zip, name, 1, 1, false), PROBLEM_NONE);
	}
	assert_int_equal(archive_finish(zip), PROBLEM_NONE);
	assert_memory_equal(listing(), "large 5368709120 0", 18);
}

int
main(void)
{
	log_open("test_archive", LOG__COUNT);
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(another_client_reads_it),
	    T(a_zip_of_nothing_is_one),
	    T(an_entry_holds_what_was_announced),
	    T(a_problem_of_the_source_is_the_callers),
	    T(a_full_disk_is_told),
	    T(zip64_where_it_is_needed),
	};
	return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
