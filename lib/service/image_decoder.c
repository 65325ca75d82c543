#include "service/image_decoder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "service/image_seccomp.h"
#include "service/image_vips.h"

#define CHILDREN_MAX 64
#define TICK_NS 50000000L

/* Descriptors of a child. */
enum { CHILD_INPUT = 3, CHILD_OUTPUT = 4, CHILD_CLOSED = 5 };

struct decoder_child {
	pid_t pid;
	int64_t deadline_ms;
	const char *killed; /* why this process ended it */
};

struct decoder {
	pid_t pid; /* its own */
	int control;
	const struct image_limits *limits;
	struct decoder_child children[CHILDREN_MAX];
	size_t count;
};

bool
image_sniff(const uint8_t *bytes, size_t len, enum image_format *ret_format)
{
	static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	static const uint8_t jpeg[] = {0xff, 0xd8, 0xff};
	if (len >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
		*ret_format = IMAGE_PNG;
	else if (len >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
		*ret_format = IMAGE_JPEG;
	else if (len >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
		*ret_format = IMAGE_WEBP;
	else
		return false;
	return true;
}

static int64_t
now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
write_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
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
limit(int resource, rlim_t soft, rlim_t hard)
{
	return setrlimit((__rlimit_resource_t)resource, &(struct rlimit){.rlim_cur = soft, .rlim_max = hard}) == 0;
}

/*
 * RLIMIT_NPROC is no use here: it counts a user's threads, and libvips needs
 * one or two of its own. image_seccomp leaves a child threads and no processes.
 */
static bool
child_confine(const struct image_limits *limits)
{
	(void)mallopt(M_ARENA_MAX, 1);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return false;
	if (SHOTAI_SANITIZE == 0 && !limit(RLIMIT_AS, limits->memory, limits->memory))
		return false;
	return limit(RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1) && limit(RLIMIT_NOFILE, 16, 16) &&
	       limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_FSIZE, 0, 0) && limit(RLIMIT_MEMLOCK, 0, 0);
}

/* Keeps the two descriptors and nothing else; libvips' warnings go nowhere. */
static bool
child_descriptors(int input, int output)
{
	int high_input = fcntl(input, F_DUPFD, 64), high_output = fcntl(output, F_DUPFD, 64);
	if (high_input < 0 || high_output < 0 || dup2(high_input, CHILD_INPUT) < 0 ||
	    dup2(high_output, CHILD_OUTPUT) < 0 || close_range(CHILD_CLOSED, ~0U, 0) < 0)
		return false;
	if (SHOTAI_SANITIZE != 0)
		return true;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return null >= 0 && dup2(null, STDERR_FILENO) >= 0 && close(null) == 0;
}

static void
child_reply(const struct image_vips_result *result, enum problem problem)
{
	struct image_reply reply = {.problem = (int32_t)problem};
	if (problem == PROBLEM_NONE) {
		reply.format = (int32_t)result->picture.format;
		reply.picture = (struct image_reply_part){
		    .len = result->picture.len, .width = result->picture.width, .height = result->picture.height};
		reply.thumbnail = (struct image_reply_part){
		    .len = result->thumbnail.len, .width = result->thumbnail.width, .height = result->thumbnail.height};
	}
	if (write_all(CHILD_OUTPUT, &reply, sizeof reply) && problem == PROBLEM_NONE &&
	    write_all(CHILD_OUTPUT, result->picture.bytes, result->picture.len))
		(void)write_all(CHILD_OUTPUT, result->thumbnail.bytes, result->thumbnail.len);
}

_Noreturn static void
child_run(const struct decoder *decoder, const struct image_job *job, int input, int output)
{
	const struct image_limits *limits = decoder->limits;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != decoder->pid)
		_exit(EXIT_FAILURE);
	(void)prctl(PR_SET_NAME, "image-child", 0, 0, 0);
	struct image_vips_result result = {0};
	if (!child_descriptors(input, output) || !child_confine(limits) || image_vips_start() != PROBLEM_NONE) {
		child_reply(&result, PROBLEM_INTERNAL);
		_exit(EXIT_FAILURE);
	}
	/* Where the kernel has no filter the limits stand alone; AddressSanitizer needs more calls than it leaves. */
	if (SHOTAI_SANITIZE == 0)
		(void)image_seccomp();
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	struct stat file;
	void *bytes = MAP_FAILED;
	if (fstat(CHILD_INPUT, &file) == 0 && (uint64_t)file.st_size == job->len)
		bytes = mmap(NULL, job->len, PROT_READ, MAP_PRIVATE, CHILD_INPUT, 0);
	if (bytes == MAP_FAILED) {
		child_reply(&result, PROBLEM_INTERNAL);
		_exit(EXIT_FAILURE);
	}
	enum problem problem =
	    image_vips_process(bytes, job->len, limits->pixels, job->mark_generated, job->thumbnail, &result);
	child_reply(&result, problem);
	_exit(EXIT_SUCCESS);
}

static void
decoder_fork(struct decoder *decoder, const struct image_job *job, int input, int output)
{
	pid_t pid = fork();
	if (pid == 0)
		child_run(decoder, job, input, output);
	if (pid < 0) {
		struct image_reply reply = {.problem = PROBLEM_INTERNAL};
		log_event(LOG_ERROR, "image_fork_failed", "cause", strerror(errno), NULL);
		(void)write_all(output, &reply, sizeof reply);
	} else {
		decoder->children[decoder->count++] = (struct decoder_child){
		    .pid = pid, .deadline_ms = now_ms() + (int64_t)decoder->limits->wall_seconds * 1000};
	}
	(void)close(input);
	(void)close(output);
}

/* False at the end: the program closed its side. */
static bool
decoder_receive(struct decoder *decoder)
{
	struct image_job job;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec piece = {.iov_base = &job, .iov_len = sizeof job};
	struct msghdr message = {
	    .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
	ssize_t n = recvmsg(decoder->control, &message, MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (n != sizeof job || header == NULL || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
		log_event(LOG_ERROR, "image_job_malformed", NULL);
		return false;
	}
	int descriptors[2];
	memcpy(descriptors, CMSG_DATA(header), sizeof descriptors);
	decoder_fork(decoder, &job, descriptors[0], descriptors[1]);
	return true;
}

static void
decoder_reap(struct decoder *decoder)
{
	for (size_t i = 0; i < decoder->count;) {
		struct decoder_child *child = &decoder->children[i];
		int status = 0;
		pid_t pid = waitpid(child->pid, &status, WNOHANG);
		if (pid == 0 || (pid < 0 && errno == EINTR)) {
			i++;
			continue;
		}
		if (WIFSIGNALED(status)) {
			const char *signal_name = sigabbrev_np(WTERMSIG(status));
			log_event(LOG_WARN, "image_child_died", "signal", signal_name, "cause", child->killed, NULL);
		}
		*child = decoder->children[--decoder->count];
	}
}

static uint64_t
resident_bytes(pid_t pid)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	char line[128] = "", *end = line;
	if (fgets(line, sizeof line, file) != NULL) {
		(void)strtoull(line, &end, 10);
		end = *end == ' ' ? end + 1 : line;
	}
	(void)fclose(file);
	return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
decoder_enforce(struct decoder *decoder)
{
	int64_t now = now_ms();
	for (size_t i = 0; i < decoder->count; i++) {
		struct decoder_child *child = &decoder->children[i];
		if (now >= child->deadline_ms)
			child->killed = "timeout";
		else if (SHOTAI_SANITIZE != 0 && resident_bytes(child->pid) > decoder->limits->memory)
			child->killed = "memory";
		if (child->killed != NULL)
			(void)kill(child->pid, SIGKILL);
	}
}

static void
on_child(int number)
{
	(void)number;
}

static void
decoder_signals(sigset_t *ret_waiting)
{
	/* The program decides when to end: it closes the control socket once its last picture is done. */
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		(void)sigaction(ignored[i], &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	(void)sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child}, NULL);
	sigset_t blocked;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
	(void)sigemptyset(ret_waiting);
}

void
image_decoder_run(int control, const struct image_limits *limits)
{
	struct decoder decoder = {.pid = getpid(), .control = control, .limits = limits};
	sigset_t waiting;
	decoder_signals(&waiting);
	size_t most = limits->children < CHILDREN_MAX ? limits->children : CHILDREN_MAX;
	for (;;) {
		decoder_reap(&decoder);
		decoder_enforce(&decoder);
		struct pollfd ready = {.fd = decoder.control, .events = POLLIN};
		struct timespec tick = {.tv_nsec = TICK_NS};
		int n = ppoll(&ready, decoder.count < most ? 1 : 0, decoder.count > 0 ? &tick : NULL, &waiting);
		if (n > 0 && !decoder_receive(&decoder))
			break;
	}
	for (size_t i = 0; i < decoder.count; i++)
		(void)kill(decoder.children[i].pid, SIGKILL);
	_exit(EXIT_SUCCESS);
}
