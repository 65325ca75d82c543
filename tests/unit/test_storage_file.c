#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/storage.h"

struct place {
	char root[64], objects[80];
	struct config *config;
	struct storage *storage;
};

static struct storage *
open_storage(struct place *place)
{
	char setting[128], error[256] = "";
	(void)snprintf(setting, sizeof setting, "file:%s", place->objects);
	(void)setenv("STORAGE", setting, 1);
	place->config = config_load(error, sizeof error);
	if (place->config == NULL)
		fail_msg("%s", error);
	return storage_new(place->config);
}

static int
setup(void **state)
{
	struct place *place = test_calloc(1, sizeof *place);
	(void)snprintf(place->root, sizeof place->root, "/tmp/shotai-storage-XXXXXX");
	assert_non_null(mkdtemp(place->root));
	(void)snprintf(place->objects, sizeof place->objects, "%s/objects", place->root);
	place->storage = open_storage(place);
	assert_non_null(place->storage);
	*state = place;
	return 0;
}

static int
remove_entry(const char *path, const struct stat *status, int kind, struct FTW *position)
{
	(void)status;
	(void)kind;
	(void)position;
	return remove(path);
}

static int
teardown(void **state)
{
	struct place *place = *state;
	storage_free(place->storage);
	config_free(place->config);
	(void)nftw(place->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	test_free(place);
	return 0;
}

static enum problem
put(const struct place *place, const char *key, const char *content)
{
	return storage_put(place->storage, key, "image/png", content, strlen(content));
}

static bool
exists(const struct place *place, const char *name)
{
	char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", place->objects, name);
	return access(path, F_OK) == 0;
}

static void
what_was_put_is_got_until_it_is_deleted(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	uint8_t *bytes = NULL;
	size_t len = 0;
	assert_int_equal(put(place, "gen/1/0-1.png", "picture"), PROBLEM_NONE);
	assert_int_equal(storage_get(place->storage, arena, "gen/1/0-1.png", 100, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 7);
	assert_memory_equal(bytes, "picture", 7);
	assert_int_equal(storage_get(place->storage, arena, "gen/1/0-1.png", 6, &bytes, &len), PROBLEM_TOO_LARGE);
	assert_int_equal(storage_get(place->storage, arena, "gen/1", 100, &bytes, &len), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_get(place->storage, arena, "gen/1/0-1.png/x", 100, &bytes, &len), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_delete(place->storage, "gen/1/0-1.png"), PROBLEM_NONE);
	assert_int_equal(storage_get(place->storage, arena, "gen/1/0-1.png", 100, &bytes, &len), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_delete(place->storage, "gen/1/0-1.png"), PROBLEM_NONE);
	assert_int_equal(storage_delete(place->storage, "never/was/here"), PROBLEM_NONE);
}

static void
many_are_deleted(void **state)
{
	const struct place *place = *state;
	static const char *const keys[] = {"gen/1/a", "gen/never", "uploads/1/a", "gen/1/b"};
	assert_int_equal(put(place, "gen/1/a", "x"), PROBLEM_NONE);
	assert_int_equal(put(place, "gen/1/c", "x"), PROBLEM_NONE);
	assert_int_equal(put(place, "uploads/1/a", "x"), PROBLEM_NONE);
	assert_int_equal(storage_delete_many(place->storage, keys, 4), PROBLEM_NONE);
	assert_false(exists(place, "gen/1/a"));
	assert_false(exists(place, "uploads"));
	assert_true(exists(place, "gen/1/c"));
	static const char *const wrong[] = {"gen/1/c", "../x"};
	assert_int_equal(storage_delete_many(place->storage, wrong, 2), PROBLEM_INTERNAL);
	assert_true(exists(place, "gen/1/c"));
	assert_int_equal(storage_delete_many(place->storage, NULL, 0), PROBLEM_NONE);
}

static void
an_empty_object_is_an_object(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	uint8_t *bytes = NULL;
	size_t len = 1;
	assert_int_equal(put(place, "empty", ""), PROBLEM_NONE);
	assert_int_equal(storage_get(place->storage, arena, "empty", 0, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 0);
}

static void
a_key_is_never_overwritten(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	uint8_t *bytes = NULL;
	size_t len = 0;
	assert_int_equal(put(place, "a/b", "first"), PROBLEM_NONE);
	assert_int_equal(put(place, "a/b", "second"), PROBLEM_INTERNAL);
	assert_int_equal(storage_get(place->storage, arena, "a/b", 100, &bytes, &len), PROBLEM_NONE);
	assert_memory_equal(bytes, "first", 5);
	struct storage_object *objects = NULL;
	assert_int_equal(storage_list(place->storage, arena, "", NULL, &objects, &len), PROBLEM_NONE);
	assert_int_equal(len, 1);
}

static void
impossible_keys_are_refused(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	char endless[600];
	memset(endless, 'a', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	const char *const keys[] = {"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "a/.", ".tmp-1",
	    "a/.hidden", "A", "a b", "a\\b", "a\nb", "\xc3\xa9", "a:b", "a?b", "a%2e", "a..b", endless};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		uint8_t *bytes = NULL;
		size_t len = 0;
		assert_int_equal(put(place, keys[i], "x"), PROBLEM_INTERNAL);
		assert_int_equal(storage_delete(place->storage, keys[i]), PROBLEM_INTERNAL);
		assert_int_equal(storage_get(place->storage, arena, keys[i], 10, &bytes, &len), PROBLEM_NOT_FOUND);
		assert_null(storage_accel(place->storage, arena, keys[i]));
	}
	assert_string_equal(storage_accel(place->storage, arena, "gen/x/0-1.png"), "/_storage/gen/x/0-1.png");
}

static void
a_link_in_the_tree_is_not_followed(void **state)
{
	const struct place *place = *state;
	char outside[128], link_path[128];
	(void)snprintf(outside, sizeof outside, "%s/outside", place->root);
	(void)snprintf(link_path, sizeof link_path, "%s/way", place->objects);
	assert_int_equal(mkdir(outside, 0700), 0);
	assert_int_equal(symlink(outside, link_path), 0);
	assert_int_equal(put(place, "way/out", "x"), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(rmdir(outside), 0);
}

static void
the_list_is_in_order_and_pages(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	static const char *const keys[] = {"a-b", "a.c", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b/0", "b/1"};
	for (size_t i = 9; i > 0; i--)
		assert_int_equal(put(place, keys[i - 1], "x"), PROBLEM_NONE);
	struct storage_object *objects = NULL;
	size_t count = 0;
	for (size_t from = 0; from <= 9; from++) {
		const char *after = from == 0 ? NULL : keys[from - 1];
		assert_int_equal(storage_list(place->storage, arena, "", after, &objects, &count), PROBLEM_NONE);
		assert_int_equal(count, 9 - from);
		for (size_t i = 0; i < count; i++)
			assert_string_equal(objects[i].key, keys[from + i]);
	}
	static const struct {
		const char *prefix, *after;
		size_t first, count;
	} cases[] = {{"a/", NULL, 2, 4}, {"a", NULL, 0, 7}, {"a/2", NULL, 3, 2}, {"a/2/", "a/2/x", 4, 1},
	    {"b", "b", 7, 2}, {"b/", "b/1", 9, 0}, {"c", NULL, 9, 0}, {"a/", "a/2", 3, 3}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(storage_list(place->storage, arena, cases[i].prefix, cases[i].after, &objects, &count),
		    PROBLEM_NONE);
		assert_int_equal(count, cases[i].count);
		for (size_t k = 0; k < count; k++)
			assert_string_equal(objects[k].key, keys[cases[i].first + k]);
	}
	assert_int_equal(storage_list(place->storage, arena, "a-b", NULL, &objects, &count), PROBLEM_NONE);
	assert_int_equal(objects[0].bytes, 1);
	assert_true(objects[0].modified_at > 1700000000);
}

static void
a_page_holds_a_thousand(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	char path[256];
	assert_int_equal(put(place, "n/0", "x"), PROBLEM_NONE);
	for (int i = 0; i < 1200; i++) {
		(void)snprintf(path, sizeof path, "%s/n/1%04d", place->objects, i);
		int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
		assert_true(fd >= 0);
		(void)close(fd);
	}
	struct storage_object *objects = NULL;
	size_t count = 0, total = 0;
	const char *after = NULL;
	do {
		assert_int_equal(storage_list(place->storage, arena, "n/", after, &objects, &count), PROBLEM_NONE);
		assert_true(count <= 1000);
		total += count;
		after = count > 0 ? objects[count - 1].key : NULL;
	} while (count > 0);
	assert_int_equal(total, 1201);
}

static void
leftovers_are_hidden_and_swept_after_a_while(void **state)
{
	const struct place *place = *state;
	AUTO_ARENA arena = arena_new();
	char fresh[128], old[128];
	assert_int_equal(put(place, "t/real", "x"), PROBLEM_NONE);
	(void)snprintf(fresh, sizeof fresh, "%s/t/.tmp-0123456789abcdef", place->objects);
	(void)snprintf(old, sizeof old, "%s/t/.tmp-fedcba9876543210", place->objects);
	const char *const paths[] = {fresh, old};
	for (size_t i = 0; i < 2; i++) {
		int fd = open(paths[i], O_CREAT | O_WRONLY | O_EXCL, 0600);
		assert_true(fd >= 0);
		(void)close(fd);
	}
	struct timespec times[2] = {{.tv_sec = time(NULL) - 3700}, {.tv_sec = time(NULL) - 3700}};
	assert_int_equal(utimensat(AT_FDCWD, old, times, 0), 0);
	struct storage_object *objects = NULL;
	size_t count = 0;
	assert_int_equal(storage_list(place->storage, arena, "", NULL, &objects, &count), PROBLEM_NONE);
	assert_int_equal(count, 1);
	assert_int_equal(access(fresh, F_OK), 0);
	assert_int_equal(access(old, F_OK), -1);
}

static void
empty_folders_go_and_full_ones_stay(void **state)
{
	const struct place *place = *state;
	assert_int_equal(put(place, "gen/1/a", "x"), PROBLEM_NONE);
	assert_int_equal(put(place, "gen/1/b", "x"), PROBLEM_NONE);
	assert_int_equal(put(place, "gen/2/a", "x"), PROBLEM_NONE);
	assert_int_equal(storage_delete(place->storage, "gen/1/a"), PROBLEM_NONE);
	assert_true(exists(place, "gen/1/b"));
	assert_int_equal(storage_delete(place->storage, "gen/1/b"), PROBLEM_NONE);
	assert_false(exists(place, "gen/1"));
	assert_true(exists(place, "gen/2"));
	assert_int_equal(storage_delete(place->storage, "gen/2/a"), PROBLEM_NONE);
	assert_false(exists(place, "gen"));
	assert_true(exists(place, ""));
}

struct churn {
	const struct place *place;
	int id;
	enum problem problem;
};

static void *
churn_run(void *argument)
{
	struct churn *churn = argument;
	char key[64];
	for (int i = 0; i < 150 && churn->problem == PROBLEM_NONE; i++) {
		(void)snprintf(key, sizeof key, "deep/er/still/%d-%d", churn->id, i);
		churn->problem = put(churn->place, key, "x");
		if (churn->problem == PROBLEM_NONE)
			churn->problem = storage_delete(churn->place->storage, key);
	}
	return NULL;
}

static void
puts_and_deletes_in_one_folder_do_not_disturb_each_other(void **state)
{
	struct churn churns[6];
	pthread_t threads[6];
	for (int i = 0; i < 6; i++) {
		churns[i] = (struct churn){.place = *state, .id = i};
		assert_int_equal(pthread_create(&threads[i], NULL, churn_run, &churns[i]), 0);
	}
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(churns[i].problem, PROBLEM_NONE);
	assert_false(exists(*state, "deep"));
}

#define BIG ((size_t)4 << 20)

struct reader {
	const struct place *place;
	atomic_bool stop;
	atomic_int whole, torn;
};

static void *
reader_run(void *argument)
{
	struct reader *reader = argument;
	while (!atomic_load(&reader->stop)) {
		AUTO_ARENA arena = arena_new();
		uint8_t *bytes = NULL;
		size_t len = 0;
		if (storage_get(reader->place->storage, arena, "big/object", BIG, &bytes, &len) == PROBLEM_NONE)
			atomic_fetch_add(len == BIG && bytes[BIG - 1] == 'z' ? &reader->whole : &reader->torn, 1);
	}
	return NULL;
}

static void
a_reader_sees_all_or_nothing(void **state)
{
	struct reader reader = {.place = *state};
	char *content = malloc(BIG);
	assert_non_null(content);
	memset(content, 'z', BIG);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, reader_run, &reader), 0);
	for (int i = 0; i < 200 && (i < 5 || atomic_load(&reader.whole) == 0); i++) {
		assert_int_equal(
		    storage_put(reader.place->storage, "big/object", "image/png", content, BIG), PROBLEM_NONE);
		assert_int_equal(storage_delete(reader.place->storage, "big/object"), PROBLEM_NONE);
	}
	atomic_store(&reader.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	free(content);
	assert_true(atomic_load(&reader.whole) > 0);
	assert_int_equal(atomic_load(&reader.torn), 0);
}

static void
a_forbidden_folder_is_reported(void **state)
{
	struct place *place = *state;
	assert_int_equal(chmod(place->root, 0755), 0);
	assert_int_equal(chmod(place->objects, 0555), 0);
	bool root = geteuid() == 0;
	if (root)
		assert_int_equal(seteuid(65534), 0);
	enum problem problem = put(place, "gen/1", "x");
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(place->objects, 0750), 0);
	assert_int_equal(problem, PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(put(place, "gen/1", "x"), PROBLEM_NONE);
}

static bool
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		(void)close(fd);
	return written;
}

/* Mounts of this process' own, also for an ordinary user where the system lets him. */
static bool
own_mounts(void)
{
	char uid[32], gid[32];
	(void)snprintf(uid, sizeof uid, "0 %u 1", geteuid());
	(void)snprintf(gid, sizeof gid, "0 %u 1", getegid());
	if (geteuid() != 0 && (unshare(CLONE_NEWUSER) < 0 || !write_file("/proc/self/setgroups", "deny") ||
				  !write_file("/proc/self/uid_map", uid) || !write_file("/proc/self/gid_map", gid)))
		return false;
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
}

/* 0 when storage behaves as wanted, 77 when the disk cannot be made read-only. */
static int
fill_disk(const struct place *place)
{
	static char content[1 << 20];
	struct storage *storage = place->storage;
	if (storage_put(storage, "gen/1/big", "image/png", content, sizeof content) != PROBLEM_STORAGE_UNAVAILABLE)
		return 1;
	AUTO_ARENA arena = arena_new();
	struct storage_object *objects = NULL;
	size_t count = 1;
	if (storage_list(storage, arena, "", NULL, &objects, &count) != PROBLEM_NONE || count != 0)
		return 2;
	if (storage_put(storage, "gen/1/small", "image/png", content, 1000) != PROBLEM_NONE)
		return 3;
	if (mount("small", place->root, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 77;
	if (storage_put(storage, "gen/2/small", "image/png", content, 1000) != PROBLEM_STORAGE_UNAVAILABLE)
		return 4;
	return storage_delete(storage, "gen/1/small") == PROBLEM_STORAGE_UNAVAILABLE ? 0 : 5;
}

/* In a process of its own. */
static int
on_small_disk(const struct place *place)
{
	struct place small = *place;
	if (!own_mounts() || mount("small", place->root, "tmpfs", 0, "size=256k") < 0)
		return 77;
	small.storage = open_storage(&small);
	int result = small.storage == NULL ? 6 : fill_disk(&small);
	storage_free(small.storage);
	config_free(small.config);
	return result;
}

static void
a_full_or_read_only_disk_is_reported(void **state)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(on_small_disk(*state));
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_file_becomes_an_object_and_is_read_in_pieces(void **state)
{
	struct place *place = *state;
	char letters[16] = "";
	size_t len = 99;
	int64_t total = 0;
	const struct storage_piece piece = {letters, 4};
	FILE *spool = tmpfile();
	assert_non_null(spool);
	assert_true(fputs("0123456789", spool) >= 0 && fflush(spool) == 0);
	assert_int_equal(storage_put_file(place->storage, "archives/a", "application/zip",
			     &(struct storage_source){.fd = fileno(spool), .len = 9}),
	    PROBLEM_NONE);
	assert_int_equal(storage_put_file(place->storage, "archives/a", "application/zip",
			     &(struct storage_source){.fd = fileno(spool), .len = 9}),
	    PROBLEM_INTERNAL);
	assert_int_equal(storage_put_file(place->storage, "archives/b", "application/zip",
			     &(struct storage_source){.fd = fileno(spool), .len = 11}),
	    PROBLEM_STORAGE_UNAVAILABLE);
	(void)fclose(spool);
	assert_false(exists(place, "archives/b"));
	assert_int_equal(storage_read(place->storage, "archives/a", 6, &piece, &len, &total), PROBLEM_NONE);
	assert_int_equal(len, 3);
	assert_int_equal(total, 9);
	assert_string_equal(letters, "678");
	assert_int_equal(storage_read(place->storage, "archives/a", 9, &piece, &len, &total), PROBLEM_NONE);
	assert_int_equal(len, 0);
	assert_int_equal(storage_read(place->storage, "archives/b", 0, &piece, &len, &total), PROBLEM_NOT_FOUND);
}

static void
an_unusable_place_is_no_storage(void **state)
{
	struct place other = *(struct place *)*state;
	(void)snprintf(other.objects, sizeof other.objects, "/dev/null/objects");
	assert_null(open_storage(&other));
	config_free(other.config);
}

int
main(void)
{
	log_open("test_storage_file", LOG__COUNT);
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(what_was_put_is_got_until_it_is_deleted),
	    T(many_are_deleted),
	    T(an_empty_object_is_an_object),
	    T(a_key_is_never_overwritten),
	    T(impossible_keys_are_refused),
	    T(a_link_in_the_tree_is_not_followed),
	    T(the_list_is_in_order_and_pages),
	    T(a_page_holds_a_thousand),
	    T(leftovers_are_hidden_and_swept_after_a_while),
	    T(empty_folders_go_and_full_ones_stay),
	    T(puts_and_deletes_in_one_folder_do_not_disturb_each_other),
	    T(a_reader_sees_all_or_nothing),
	    T(a_forbidden_folder_is_reported),
	    T(a_full_or_read_only_disk_is_reported),
	    T(a_file_becomes_an_object_and_is_read_in_pieces),
	    T(an_unusable_place_is_no_storage),
	};
	return cmocka_run_group_tests_name("storage_file", tests, NULL, NULL);
}
