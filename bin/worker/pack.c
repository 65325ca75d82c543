#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "feature/job.h"
#include "feature/takeout.h"
#include "service/archive.h"
#include "service/db.h"
#include "service/storage.h"
#include "worker.h"

#define POLL_MS 1000
#define RENEW_MS 5000
#define PATIENCE 30 /* tries, a second apart, while the database is away */
#define PIECE ((size_t)1 << 20)
#define PAGE_MAX ((size_t)16 << 20)

static void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define AUTO_FD __attribute__((cleanup(fd_close))) int

/* One attempt at an archive. */
struct pack {
	struct worker *worker;
	struct db *db;
	const struct takeout *takeout;
	struct arena *page; /* of one page of the index */
	struct archive_zip *zip;
	uint8_t *bytes; /* PIECE */
	int64_t renew_at;
	int64_t pictures, missing;
	bool lost; /* it is not ours any more */
};

/* A picture on its way from storage into the ZIP; the first piece is in the buffer already. */
struct picture {
	struct pack *pack;
	const char *key;
	int64_t offset; /* of the next piece */
	size_t at, len; /* in the buffer */
};

static bool
is_ending(const struct pack *pack)
{
	return stop_level(&pack->worker->stop) >= STOP_DRAIN;
}

/* Renews the lease when it is time; false: give up. */
static bool
go_on(void *context)
{
	struct pack *pack = context;
	bool held = true;
	if (job_clock() >= pack->renew_at && takeout_renew(pack->db, pack->takeout, &held) == PROBLEM_NONE)
		pack->renew_at = job_clock() + RENEW_MS;
	pack->lost |= !held;
	return !pack->lost && !is_ending(pack);
}

static enum problem
read_picture(struct picture *picture, int64_t *ret_total)
{
	const struct storage_piece piece = {picture->pack->bytes, PIECE};
	picture->at = 0;
	enum problem problem = storage_read(
	    picture->pack->worker->storage, picture->key, picture->offset, &piece, &picture->len, ret_total);
	if (problem == PROBLEM_NONE)
		picture->offset += (int64_t)picture->len;
	return problem;
}

static enum problem
give_picture(void *context, uint8_t *buffer, size_t size, size_t *ret_len)
{
	struct picture *picture = context;
	int64_t total = 0;
	if (!go_on(picture->pack))
		return PROBLEM_STORAGE_UNAVAILABLE;
	if (picture->at == picture->len) {
		enum problem problem = read_picture(picture, &total);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	size_t len = picture->len - picture->at;
	len = len < size ? len : size;
	memcpy(buffer, picture->pack->bytes + picture->at, len);
	picture->at += len;
	*ret_len = len;
	return PROBLEM_NONE;
}

/* Packs a picture and says in the index where it is, or that it is gone. */
static enum problem
pack_image(void *context, const struct export_image *image, struct text *json)
{
	struct pack *pack = context;
	struct picture picture = {.pack = pack, .key = image->key};
	struct archive_file file = {.name = takeout_file_name(json->arena, image), .modified_at = (int64_t)time(NULL)};
	enum problem problem = read_picture(&picture, &file.size);
	if (problem == PROBLEM_NOT_FOUND) {
		pack->missing++;
		text_json_bool(json, "missing", true);
		return PROBLEM_NONE;
	}
	if (problem == PROBLEM_NONE)
		problem = archive_add(pack->zip, &file, give_picture, &picture);
	if (problem != PROBLEM_NONE)
		return problem == PROBLEM_NOT_FOUND ? PROBLEM_INTERNAL : problem;
	pack->pictures++;
	text_json_string(json, "file", file.name);
	return PROBLEM_NONE;
}

/* True: time has passed, the call may be made again. */
static bool
wait_for_database(struct worker *worker, int *tries)
{
	return (*tries)++ < PATIENCE && !stop_sleep(&worker->stop, STOP_DRAIN, POLL_MS);
}

static enum problem
unwritable(const char *cause)
{
	log_event(LOG_ERROR, "spool_failed", "cause", cause, NULL);
	return PROBLEM_STORAGE_UNAVAILABLE;
}

/* A file without a name in SPOOL_DIRECTORY; -1 (logged). */
static int
spool_open(const struct worker *worker)
{
	const char *folder = config_text(worker->config, CONFIG_SPOOL_DIRECTORY);
	(void)mkdir(folder, 0700);
	int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		(void)unwritable(strerror(errno));
	return fd;
}

static enum problem
spool_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return unwritable(strerror(errno));
		bytes += n;
		len -= (size_t)n;
	}
	return PROBLEM_NONE;
}

static enum problem
spool_read(void *context, uint8_t *buffer, size_t size, size_t *ret_len)
{
	const int *fd = context;
	ssize_t n;
	do
		n = read(*fd, buffer, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return unwritable(strerror(errno));
	*ret_len = (size_t)n;
	return PROBLEM_NONE;
}

/* All pages of the index into fd, and on the way the pictures into the ZIP. */
static enum problem
write_index(struct pack *pack, int fd)
{
	AUTO_ARENA arena = arena_new();
	const char *const who[] = {pack->takeout->id, pack->takeout->key};
	const struct export_source source = {
	    .db = pack->db, .page = takeout_page(), .who = who, .image = pack_image, .context = pack};
	struct export *export = export_new(arena, &source);
	bool more = true;
	enum problem problem = PROBLEM_NONE;
	for (int tries = 0; problem == PROBLEM_NONE && more;) {
		struct text json;
		if (!go_on(pack))
			return PROBLEM_STORAGE_UNAVAILABLE;
		arena_reset(pack->page);
		text_init(&json, pack->page, PAGE_MAX);
		problem = export_next(export, &json, NULL, &more);
		if (problem == PROBLEM_NONE)
			problem = json.overflow ? PROBLEM_INTERNAL : spool_write(fd, json.data, json.len);
		/* Then nothing of the page is written yet. */
		if (problem == PROBLEM_DATABASE_UNAVAILABLE && wait_for_database(pack->worker, &tries))
			problem = PROBLEM_NONE;
	}
	return problem;
}

static enum problem
add_index(struct pack *pack, int fd)
{
	const struct archive_file file = {.name = pack->takeout->whole ? "export.json" : "generations.json",
	    .size = lseek(fd, 0, SEEK_CUR),
	    .modified_at = (int64_t)time(NULL),
	    .deflated = true};
	if (lseek(fd, 0, SEEK_SET) < 0)
		return unwritable(strerror(errno));
	return archive_add(pack->zip, &file, spool_read, &fd);
}

/* The whole ZIP into fd. */
static enum problem
write_zip(struct pack *pack, int fd)
{
	AUTO_FD index = spool_open(pack->worker);
	AUTO_ARCHIVE zip = archive_new(fd);
	AUTO_ARENA page = arena_new();
	AUTO_ARENA arena = arena_new();
	if (index < 0)
		return PROBLEM_STORAGE_UNAVAILABLE;
	pack->zip = zip;
	pack->page = page;
	pack->bytes = arena_alloc(arena, PIECE);
	enum problem problem = write_index(pack, index);
	if (problem == PROBLEM_NONE)
		problem = add_index(pack, index);
	return problem == PROBLEM_NONE ? archive_finish(zip) : problem;
}

static void
report(const struct pack *pack, int64_t bytes)
{
	AUTO_ARENA arena = arena_new();
	log_event(LOG_INFO, "archive_made", "pictures", db_parameter(arena, pack->pictures), "missing",
	    db_parameter(arena, pack->missing), "bytes", db_parameter(arena, bytes), NULL);
}

/* Puts the ZIP into storage and says so. */
static enum problem
deliver(struct pack *pack, int fd)
{
	const struct storage_source source = {.fd = fd, .len = lseek(fd, 0, SEEK_END), .go_on = go_on, .context = pack};
	struct storage *storage = pack->worker->storage;
	bool held = false;
	enum problem problem = storage_put_file(storage, pack->takeout->key, "application/zip", &source);
	if (problem != PROBLEM_NONE)
		return problem;
	int tries = 0;
	do
		problem = takeout_finish(pack->db, pack->takeout, source.len, &held);
	while (problem == PROBLEM_DATABASE_UNAVAILABLE && wait_for_database(pack->worker, &tries));
	/* Should this fail, the hourly sweep finds it. */
	if (problem == PROBLEM_NONE && !held)
		(void)storage_delete(storage, pack->takeout->key);
	if (problem == PROBLEM_NONE && held)
		report(pack, source.len);
	return problem;
}

/* Makes one archive, or hands it back. */
static void
make(struct worker *worker, struct db *db, const struct takeout *takeout)
{
	AUTO_FD spool = spool_open(worker);
	struct pack pack = {.worker = worker, .db = db, .takeout = takeout, .renew_at = job_clock() + RENEW_MS};
	enum problem problem = spool < 0 ? PROBLEM_STORAGE_UNAVAILABLE : write_zip(&pack, spool);
	if (problem == PROBLEM_NONE)
		problem = deliver(&pack, spool);
	if (problem == PROBLEM_NONE || pack.lost)
		return;
	log_event(LOG_WARN, "archive_postponed", "problem", problem_describe(problem)->code, NULL);
	/* What cannot be reported now is found when the lease has run out. */
	(void)takeout_release(db, takeout, problem == PROBLEM_STORAGE_UNAVAILABLE);
}

void *
pack_run(void *context)
{
	struct worker *worker = context;
	struct db *db = db_new(config_text(worker->config, CONFIG_DATABASE_WORKER_URL), "worker",
	    config_integer(worker->config, CONFIG_DATABASE_PREPARED) != 0);
	bool found = false;
	while (!stop_sleep(&worker->stop, STOP_DRAIN, found ? 0 : job_random(POLL_MS / 2, POLL_MS))) {
		AUTO_ARENA arena = arena_new();
		struct takeout takeout;
		found = false;
		if (takeout_claim(db, arena, &takeout, &found) == PROBLEM_NONE && found)
			make(worker, db, &takeout);
	}
	db_free(db);
	return NULL;
}
