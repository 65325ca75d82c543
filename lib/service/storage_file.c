#include "service/storage_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"
#include "service/storage.h"

#define TEMPORARY ".tmp-"
#define TEMPORARY_AGE 600
#define LIST_MAX 1000
/* How often a put makes a folder again that deletes keep taking away. */
#define PUT_TRIES 100
/* Of a file that becomes an object, at a time. */
#define COPY_BYTES ((size_t)16 << 20)
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct storage_file {
	struct arena *arena;
	int folder;
};

static void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define AUTO_FD __attribute__((cleanup(fd_close))) int

static void
dir_close(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}
#define AUTO_DIR __attribute__((cleanup(dir_close))) DIR *

static enum problem
unavailable(const char *action, int cause)
{
	log_event(LOG_ERROR, "storage_failed", "action", action, "cause", strerror(cause), NULL);
	return PROBLEM_STORAGE_UNAVAILABLE;
}

struct storage_file *
storage_file_new(const char *folder)
{
	if (mkdir(folder, 0750) < 0 && errno != EEXIST) {
		(void)unavailable("open", errno);
		return NULL;
	}
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		(void)unavailable("open", errno);
		return NULL;
	}
	struct arena *arena = arena_new();
	struct storage_file *file = arena_alloc(arena, sizeof *file);
	*file = (struct storage_file){.arena = arena, .folder = fd};
	return file;
}

void
storage_file_free(struct storage_file *file)
{
	if (file == NULL)
		return;
	(void)close(file->folder);
	arena_free(file->arena);
}

static const char *
base_name(const char *key)
{
	const char *slash = strrchr(key, '/');
	return slash == NULL ? key : slash + 1;
}

/* The folder of a key, made where it is missing; -1 with errno. */
static int
folder_open(const struct storage_file *file, const char *key, bool make)
{
	int folder = fcntl(file->folder, F_DUPFD_CLOEXEC, 0);
	for (const char *part = key, *slash; folder >= 0 && (slash = strchr(part, '/')) != NULL; part = slash + 1) {
		char name[NAME_MAX + 1];
		AUTO_FD parent = folder;
		if ((size_t)(slash - part) > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, part, (size_t)(slash - part));
		name[slash - part] = '\0';
		if (make) {
			int made = mkdirat(parent, name, 0750);
			if ((made < 0 && errno != EEXIST) || (made == 0 && fsync(parent) < 0))
				return -1;
		}
		folder = openat(parent, name, FOLDER_FLAGS);
	}
	return folder;
}

/* What an object is to hold: bytes, or what a file has. */
struct content {
	const uint8_t *bytes;
	size_t len;
	const struct storage_source *source;
};

static bool
copy_file(int fd, const struct storage_source *source)
{
	off_t at = 0;
	while (at < source->len) {
		size_t left = (size_t)(source->len - at);
		if (source->go_on != NULL && !source->go_on(source->context)) {
			errno = ECANCELED;
			return false;
		}
		ssize_t n = sendfile(fd, source->fd, &at, left < COPY_BYTES ? left : COPY_BYTES);
		if (n == 0)
			errno = EIO;
		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
	}
	return true;
}

static bool
write_synced(int fd, const struct content *content)
{
	const uint8_t *bytes = content->bytes;
	size_t len = content->len;
	if (content->source != NULL && !copy_file(fd, content->source))
		return false;
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

/* A file without a name, which goes with its process; -1 with EOPNOTSUPP where the file system has none. */
static int
nameless_open(int folder)
{
	int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
	if (fd < 0 && (errno == EISDIR || errno == EINVAL))
		errno = EOPNOTSUPP;
	return fd;
}

static int
nameless_link(int object, int folder, const char *name)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", object);
	return linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW);
}

/* The same with a name of its own, which stays behind when the process is killed. 0 or an errno. */
static int
put_named(int folder, const char *key, const struct content *content)
{
	uint8_t random[8];
	char temporary[sizeof TEMPORARY + 2 * sizeof random] = TEMPORARY;
	digest_random(random, sizeof random);
	digest_hex(random, sizeof random, temporary + sizeof TEMPORARY - 1);
	AUTO_FD object = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (object < 0)
		return errno;
	int failed = 0;
	if (!write_synced(object, content) || linkat(folder, temporary, folder, base_name(key), 0) < 0)
		failed = errno;
	if (unlinkat(folder, temporary, 0) < 0 && failed == 0)
		failed = errno;
	return failed;
}

/*
 * Gives the key's name to object or, where there is none, to the content. 0 or an
 * errno; ENOENT: a delete took the folder away in between.
 */
static int
put_once(const struct storage_file *file, const char *key, int object, const struct content *content)
{
	AUTO_FD folder = folder_open(file, key, true);
	int failed = 0;
	if (folder < 0)
		return errno;
	if (object < 0)
		failed = put_named(folder, key, content);
	else if (nameless_link(object, folder, base_name(key)) < 0)
		failed = errno;
	if (failed == 0 && fsync(folder) < 0)
		failed = errno;
	return failed;
}

static enum problem
put(struct storage_file *file, const char *key, const struct content *content)
{
	AUTO_FD object = nameless_open(file->folder);
	if ((object < 0 && errno != EOPNOTSUPP) || (object >= 0 && !write_synced(object, content)))
		return unavailable("put", errno);
	int failed = ENOENT;
	for (int i = 0; i < PUT_TRIES && failed == ENOENT; i++)
		failed = put_once(file, key, object, content);
	if (failed == EEXIST) {
		log_event(LOG_ERROR, "storage_key_taken", NULL);
		return PROBLEM_INTERNAL;
	}
	return failed == 0 ? PROBLEM_NONE : unavailable("put", failed);
}

enum problem
storage_file_put(struct storage_file *file, const char *key, const void *bytes, size_t len)
{
	return put(file, key, &(struct content){.bytes = bytes, .len = len});
}

enum problem
storage_file_put_file(struct storage_file *file, const char *key, const struct storage_source *source)
{
	return put(file, key, &(struct content){.source = source});
}

/* The regular file under the key, open for reading. */
static enum problem
object_open(struct storage_file *file, const char *key, int *ret_object, struct stat *ret_state)
{
	AUTO_FD object = openat(file->folder, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (object < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return PROBLEM_NOT_FOUND;
	if (object < 0 || fstat(object, ret_state) < 0)
		return unavailable("get", errno);
	if (!S_ISREG(ret_state->st_mode))
		return PROBLEM_NOT_FOUND;
	*ret_object = object;
	object = -1;
	return PROBLEM_NONE;
}

static enum problem
read_piece(int object, int64_t offset, const struct storage_piece *piece, size_t *ret_len)
{
	size_t done = 0;
	while (done < piece->size) {
		ssize_t n =
		    pread(object, (uint8_t *)piece->bytes + done, piece->size - done, (off_t)(offset + (int64_t)done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return unavailable("get", errno);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return PROBLEM_NONE;
}

enum problem
storage_file_read(struct storage_file *file, const char *key, int64_t offset, const struct storage_piece *piece,
    size_t *ret_len, int64_t *ret_total)
{
	AUTO_FD object = -1;
	struct stat state;
	enum problem problem = object_open(file, key, &object, &state);
	if (problem == PROBLEM_NONE)
		problem = read_piece(object, offset, piece, ret_len);
	if (problem == PROBLEM_NONE)
		*ret_total = state.st_size;
	return problem;
}

enum problem
storage_file_get(
    struct storage_file *file, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
	AUTO_FD object = -1;
	struct stat state;
	enum problem problem = object_open(file, key, &object, &state);
	if (problem != PROBLEM_NONE)
		return problem;
	if ((uint64_t)state.st_size > max)
		return PROBLEM_TOO_LARGE;
	size_t len = (size_t)state.st_size, done = 0;
	uint8_t *bytes = arena_alloc(arena, len + 1);
	problem = read_piece(object, 0, &(struct storage_piece){bytes, len}, &done);
	if (problem == PROBLEM_NONE && done < len)
		problem = unavailable("get", EIO);
	if (problem == PROBLEM_NONE) {
		*ret_bytes = bytes;
		*ret_len = len;
	}
	return problem;
}

/* Takes away the folders that the deleted key leaves empty; a folder that holds anything refuses. */
static void
prune(const struct storage_file *file, const char *key)
{
	char path[1024];
	size_t len = strlen(key);
	if (len >= sizeof path)
		return;
	memcpy(path, key, len + 1);
	for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
		*slash = '\0';
		if (unlinkat(file->folder, path, AT_REMOVEDIR) < 0)
			return;
	}
}

enum problem
storage_file_delete(struct storage_file *file, const char *key)
{
	AUTO_FD folder = folder_open(file, key, false);
	if (folder < 0)
		return errno == ENOENT || errno == ENOTDIR ? PROBLEM_NONE : unavailable("delete", errno);
	if (unlinkat(folder, base_name(key), 0) < 0 && errno != ENOENT)
		return unavailable("delete", errno);
	if (fsync(folder) < 0)
		return unavailable("delete", errno);
	prune(file, key);
	return PROBLEM_NONE;
}

enum problem
storage_file_delete_many(struct storage_file *file, const char *const *keys, size_t count)
{
	enum problem problem = PROBLEM_NONE;
	for (size_t i = 0; i < count; i++) {
		enum problem one = storage_file_delete(file, keys[i]);
		problem = problem == PROBLEM_NONE ? one : problem;
	}
	return problem;
}

/* One walk over the tree, in order of keys. */
struct walk {
	struct arena *arena;
	const char *prefix, *after;
	struct storage_object *objects;
	size_t count;
};

struct entry {
	const char *path; /* from the root; a folder's ends with a slash, which puts it where its keys belong */
	bool folder;
	int64_t modified_at;
	size_t bytes;
};

struct entries {
	struct entry *items;
	size_t count, cap;
};

static int
entry_compare(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	return strcmp(left->path, right->path);
}

static bool
starts_with(const char *string, const char *start)
{
	return strncmp(string, start, strlen(start)) == 0;
}

/* Whether the entry, or anything below it, can be under the prefix and after the cursor. */
static bool
wanted(const struct walk *walk, const struct entry *entry)
{
	bool under = starts_with(entry->path, walk->prefix);
	if (!entry->folder)
		return under && strcmp(entry->path, walk->after) > 0;
	return (under || starts_with(walk->prefix, entry->path)) &&
	       (strcmp(entry->path, walk->after) > 0 || starts_with(walk->after, entry->path));
}

static void
entries_add(struct walk *walk, struct entries *entries, int folder, const char *path, const char *name)
{
	struct stat state;
	if (fstatat(folder, name, &state, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (*name == '.') {
		if (starts_with(name, TEMPORARY) && state.st_mtime < time(NULL) - TEMPORARY_AGE)
			(void)unlinkat(folder, name, 0);
		return;
	}
	bool is_folder = S_ISDIR(state.st_mode);
	if (!is_folder && !S_ISREG(state.st_mode))
		return;
	struct entry entry = {.path = arena_printf(walk->arena, "%s%s%s", path, name, is_folder ? "/" : ""),
	    .folder = is_folder,
	    .modified_at = state.st_mtime,
	    .bytes = (size_t)state.st_size};
	if (!wanted(walk, &entry))
		return;
	if (entries->count == entries->cap) {
		size_t cap = entries->cap == 0 ? 64 : 2 * entries->cap;
		struct entry *items = arena_array(walk->arena, cap, sizeof *items);
		if (entries->count > 0)
			memcpy(items, entries->items, entries->count * sizeof *items);
		entries->items = items;
		entries->cap = cap;
	}
	entries->items[entries->count++] = entry;
}

/* 0 or an errno. Recursion ends with the keys' length: a folder costs two bytes of its 512. */
static int
walk_folder(struct walk *walk, int parent, const char *name, const char *path)
{
	int fd = openat(parent, name, FOLDER_FLAGS);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	AUTO_DIR dir = fdopendir(fd);
	if (dir == NULL) {
		int failed = errno;
		(void)close(fd);
		return failed;
	}
	struct entries entries = {0};
	errno = 0;
	for (const struct dirent *found; (found = readdir(dir)) != NULL; errno = 0)
		entries_add(walk, &entries, fd, path, found->d_name);
	if (errno != 0)
		return errno;
	if (entries.count > 0)
		qsort(entries.items, entries.count, sizeof *entries.items, entry_compare);
	for (size_t i = 0; i < entries.count && walk->count < LIST_MAX; i++) {
		const struct entry *entry = &entries.items[i];
		if (entry->folder) {
			char *child = arena_strdup(walk->arena, entry->path + strlen(path));
			child[strlen(child) - 1] = '\0';
			int failed = walk_folder(walk, fd, child, entry->path);
			if (failed != 0)
				return failed;
		} else {
			walk->objects[walk->count++] = (struct storage_object){
			    .key = entry->path, .modified_at = entry->modified_at, .bytes = entry->bytes};
		}
	}
	return 0;
}

enum problem
storage_file_list(struct storage_file *file, struct arena *arena, const char *prefix, const char *after,
    struct storage_object **ret_objects, size_t *ret_count)
{
	struct walk walk = {.arena = arena,
	    .prefix = prefix,
	    .after = after,
	    .objects = arena_array(arena, LIST_MAX, sizeof *walk.objects)};
	int failed = walk_folder(&walk, file->folder, ".", "");
	if (failed != 0)
		return unavailable("list", failed);
	*ret_objects = walk.objects;
	*ret_count = walk.count;
	return PROBLEM_NONE;
}
