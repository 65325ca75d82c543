#include "service/image.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "service/image_decoder.h"

#define PARENT_CONTROL 3
/* What a caller grants beyond a child's wall-clock cap before it gives up on the decoder itself. */
#define GRACE_MS 10000

struct image_decoder {
	struct arena *arena;
	pid_t pid;
	int control;
	struct image_limits limits;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	unsigned busy;
	bool reported; /* the decoder's end was logged */
};

static void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define AUTO_FD __attribute__((cleanup(fd_close))) int

static int64_t
now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

_Noreturn static void
decoder_main(int control, pid_t program, const struct image_limits *limits)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != program)
		_exit(EXIT_FAILURE);
	(void)prctl(PR_SET_NAME, "image-decoder", 0, 0, 0);
	int null = open("/dev/null", O_RDWR);
	int high = fcntl(control, F_DUPFD, 16);
	if (null < 0 || high < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(high, PARENT_CONTROL) < 0 || close_range(PARENT_CONTROL + 1, ~0U, 0) < 0)
		_exit(EXIT_FAILURE);
	image_decoder_run(PARENT_CONTROL, limits);
}

struct image_decoder *
image_start(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return image_start_limited(&(struct image_limits){
	    .memory = (uint64_t)1536 << 20, /* measured: 50 megapixels of progressive JPEG or WebP need 1.2 GB */
	    .cpu_seconds = 25,
	    .wall_seconds = 30,
	    .pixels = IMAGE_PIXELS_MAX,
	    .children = cores < 2    ? 2
			: cores > 16 ? 16
				     : (unsigned)cores,
	});
}

struct image_decoder *
image_start_limited(const struct image_limits *limits)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		log_event(LOG_ERROR, "image_decoder_failed", "cause", strerror(errno), NULL);
		return NULL;
	}
	struct arena *arena = arena_new();
	struct image_decoder *decoder = arena_alloc(arena, sizeof *decoder);
	decoder->arena = arena;
	decoder->limits = *limits;
	pid_t program = getpid();
	decoder->pid = fork();
	if (decoder->pid == 0)
		decoder_main(pair[1], program, limits);
	(void)close(pair[1]);
	if (decoder->pid < 0) {
		log_event(LOG_ERROR, "image_decoder_failed", "cause", strerror(errno), NULL);
		(void)close(pair[0]);
		arena_free(arena);
		return NULL;
	}
	decoder->control = pair[0];
	(void)pthread_mutex_init(&decoder->lock, NULL);
	(void)pthread_cond_init(&decoder->freed, NULL);
	return decoder;
}

void
image_stop(struct image_decoder *decoder)
{
	if (decoder == NULL)
		return;
	(void)close(decoder->control);
	while (waitpid(decoder->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	(void)pthread_cond_destroy(&decoder->freed);
	(void)pthread_mutex_destroy(&decoder->lock);
	arena_free(decoder->arena);
}

bool
image_alive(struct image_decoder *decoder)
{
	struct pollfd state = {.fd = decoder->control, .events = POLLIN};
	siginfo_t end = {0};
	/* A child that the decoder just forked may hold its end of the socket a moment longer than it lives. */
	bool ended = waitid(P_PID, (id_t)decoder->pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid != 0;
	return !ended && poll(&state, 1, 0) == 0;
}

/* PROBLEM_INTERNAL, logged once for the whole program. */
static enum problem
decoder_gone(struct image_decoder *decoder)
{
	(void)pthread_mutex_lock(&decoder->lock);
	bool first = !decoder->reported;
	decoder->reported = true;
	(void)pthread_mutex_unlock(&decoder->lock);
	if (first)
		log_event(LOG_ERROR, "image_decoder_gone", NULL);
	return PROBLEM_INTERNAL;
}

/* A sealed memory file, so that nobody can change or shorten what a child has mapped. */
static int
picture_file(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("shotai-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	for (size_t done = 0; fd >= 0 && done < len;) {
		ssize_t n = write(fd, bytes + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static bool
send_job(int control, const struct image_job *job, int input, int output)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} rights = {0};
	struct image_job copy = *job;
	struct iovec piece = {.iov_base = &copy, .iov_len = sizeof copy};
	struct msghdr message = {
	    .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights.space};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(header), (int[]){input, output}, 2 * sizeof(int));
	ssize_t n;
	do
		n = sendmsg(control, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof copy;
}

/* False when the child's side ended, or the deadline passed, before len bytes came. */
static bool
read_all(int fd, void *bytes, size_t len, int64_t deadline_ms)
{
	uint8_t *at = bytes;
	while (len > 0) {
		int64_t left = deadline_ms - now_ms();
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int polled = left > 0 ? poll(&ready, 1, (int)left) : 0;
		if (polled < 0 && errno == EINTR)
			continue;
		if (polled <= 0)
			return false;
		ssize_t n = recv(fd, at, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
read_part(int fd, struct arena *arena, const struct image_reply_part *part, enum image_format format,
    int64_t deadline_ms, struct image *ret_image)
{
	struct image image = {.len = part->len, .width = part->width, .height = part->height, .format = format};
	image.bytes = arena_alloc(arena, image.len);
	enum image_format seen = IMAGE__COUNT;
	if (!read_all(fd, image.bytes, image.len, deadline_ms) || !image_sniff(image.bytes, image.len, &seen) ||
	    seen != format)
		return false;
	*ret_image = image;
	return true;
}

static bool
part_sane(const struct image_reply_part *part, int64_t pixels)
{
	return part->len > 0 && part->len <= IMAGE_OUTPUT_MAX && part->width > 0 && part->height > 0 &&
	       (int64_t)part->width * part->height <= pixels;
}

/* A child may have been taken over by what it decoded: its reply is checked like any stranger's. */
static enum problem
read_reply(
    struct image_decoder *decoder, struct arena *arena, int fd, struct image *ret_image, struct image *ret_thumbnail)
{
	int64_t deadline_ms = now_ms() + (int64_t)decoder->limits.wall_seconds * 1000 + GRACE_MS;
	struct image_reply reply;
	if (!read_all(fd, &reply, sizeof reply, deadline_ms))
		return image_alive(decoder) ? PROBLEM_INVALID_REQUEST : decoder_gone(decoder);
	if (reply.problem == PROBLEM_TOO_LARGE || reply.problem == PROBLEM_INTERNAL)
		return (enum problem)reply.problem;
	if (reply.problem != PROBLEM_NONE || reply.format < 0 || reply.format >= IMAGE__COUNT ||
	    !part_sane(&reply.picture, decoder->limits.pixels))
		return PROBLEM_INVALID_REQUEST;
	struct image picture = {0}, thumbnail = {0};
	if (!read_part(fd, arena, &reply.picture, (enum image_format)reply.format, deadline_ms, &picture))
		return PROBLEM_INVALID_REQUEST;
	if (ret_thumbnail != NULL && (!part_sane(&reply.thumbnail, (int64_t)IMAGE_THUMBNAIL * IMAGE_THUMBNAIL) ||
					 !read_part(fd, arena, &reply.thumbnail, IMAGE_WEBP, deadline_ms, &thumbnail)))
		return PROBLEM_INVALID_REQUEST;
	*ret_image = picture;
	if (ret_thumbnail != NULL)
		*ret_thumbnail = thumbnail;
	return PROBLEM_NONE;
}

static enum problem
process_in_turn(struct image_decoder *decoder, struct arena *arena, const void *bytes, const struct image_job *job,
    struct image *ret_image, struct image *ret_thumbnail)
{
	AUTO_FD input = picture_file(bytes, job->len);
	int pair[2];
	if (input < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		log_event(LOG_ERROR, "image_job_failed", "cause", strerror(errno), NULL);
		return PROBLEM_INTERNAL;
	}
	AUTO_FD mine = pair[0];
	bool sent = send_job(decoder->control, job, input, pair[1]);
	(void)close(pair[1]);
	if (!sent)
		return decoder_gone(decoder);
	return read_reply(decoder, arena, mine, ret_image, ret_thumbnail);
}

enum problem
image_process(struct image_decoder *decoder, struct arena *arena, const void *bytes, size_t len, bool mark_generated,
    struct image *ret_image, struct image *ret_thumbnail)
{
	enum image_format format = IMAGE__COUNT;
	if (len > IMAGE_BYTES_MAX)
		return PROBLEM_TOO_LARGE;
	if (!image_sniff(bytes, len, &format))
		return PROBLEM_INVALID_REQUEST;
	(void)pthread_mutex_lock(&decoder->lock);
	while (decoder->busy >= decoder->limits.children)
		(void)pthread_cond_wait(&decoder->freed, &decoder->lock);
	decoder->busy++;
	(void)pthread_mutex_unlock(&decoder->lock);
	struct image_job job = {.len = len, .mark_generated = mark_generated, .thumbnail = ret_thumbnail != NULL};
	enum problem problem = process_in_turn(decoder, arena, bytes, &job, ret_image, ret_thumbnail);
	(void)pthread_mutex_lock(&decoder->lock);
	decoder->busy--;
	(void)pthread_cond_signal(&decoder->freed);
	(void)pthread_mutex_unlock(&decoder->lock);
	return problem;
}

const char *
image_content_type(enum image_format format)
{
	static const char *const types[IMAGE__COUNT] = {
	    [IMAGE_PNG] = "image/png", [IMAGE_JPEG] = "image/jpeg", [IMAGE_WEBP] = "image/webp"};
	return types[format];
}

const char *
image_extension(enum image_format format)
{
	static const char *const extensions[IMAGE__COUNT] = {
	    [IMAGE_PNG] = "png", [IMAGE_JPEG] = "jpg", [IMAGE_WEBP] = "webp"};
	return extensions[format];
}
