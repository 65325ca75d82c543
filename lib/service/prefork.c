#include "service/prefork.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define CHILDREN_MAX 256
#define READY_FD 3
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000
#define STEADY_MS 10000 /* a child that lived this long resets the back-off */

enum child_state { CHILD_FREE, CHILD_STARTING, CHILD_READY, CHILD_LEAVING };

struct child {
	enum child_state state;
	pid_t pid;
	int ready_fd;
	uint64_t generation;
	int64_t started_ms;
};

/*
 * Invariants: slots hold at most `children` live children of `generation`,
 * and as many of `next_generation` while a reload runs (next_generation !=
 * generation); leaving children belong to neither.
 */
struct parent {
	const struct prefork *prefork;
	struct child slots[CHILDREN_MAX];
	int signal_fd, listen_fd;
	uint64_t generation, next_generation, last_generation;
	bool stopping, reload_wanted;
	int64_t backoff_ms, start_at_ms;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether somebody accepts connections there. */
static bool
is_served(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool served = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;

	if (fd >= 0)
		close(fd);
	return served;
}

int
prefork_listen(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (is_served(&address)) {
		errno = EADDRINUSE;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0660) != 0 ||
	    listen(fd, 1024) != 0) {
		int cause = errno;
		close(fd);
		errno = cause;
		return -1;
	}
	return fd;
}

void
prefork_forbid_core(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#if !SHOTAI_SANITIZE /* the leak check traces its own process */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* In the forked child: becomes the program on disk. Termination signals stay blocked across the exec. */
_Noreturn static void
execute(const struct parent *parent, int ready_fd, pid_t parent_pid)
{
	char count[16];
	char *argv[] = {parent->prefork->argv[0], (char[]){"--child"}, count, NULL};

	snprintf(count, sizeof count, "%d", parent->prefork->children);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent_pid)
		_exit(0);
	if (dup2(parent->listen_fd, STDIN_FILENO) < 0 || dup2(ready_fd, READY_FD) < 0)
		_exit(126);
	if (ready_fd == READY_FD)
		fcntl(READY_FD, F_SETFD, 0);
	execv(argv[0], argv);
	_exit(127);
}

static bool
start_child(struct parent *parent, uint64_t generation)
{
	struct child *child = NULL;
	int ready[2];

	for (size_t i = 0; i < CHILDREN_MAX && child == NULL; i++)
		if (parent->slots[i].state == CHILD_FREE)
			child = &parent->slots[i];
	if (child == NULL || pipe2(ready, O_CLOEXEC) != 0)
		return false;
	pid_t self = getpid(), pid = fork();
	if (pid == 0)
		execute(parent, ready[1], self);
	close(ready[1]);
	if (pid < 0) {
		log_event(LOG_ERROR, "fork_failed", "error", strerror(errno), NULL);
		close(ready[0]);
		return false;
	}
	*child = (struct child){.state = CHILD_STARTING,
	    .pid = pid,
	    .ready_fd = ready[0],
	    .generation = generation,
	    .started_ms = now_ms()};
	return true;
}

static int
count_children(const struct parent *parent, uint64_t generation, bool only_ready)
{
	int count = 0;

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		const struct child *child = &parent->slots[i];
		if (child->state == CHILD_READY || (child->state == CHILD_STARTING && !only_ready))
			count += child->generation == generation;
	}
	return count;
}

/* Asks every child of a generation to leave after the request in hand. */
static void
dismiss(struct parent *parent, uint64_t generation)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		struct child *child = &parent->slots[i];
		if (child->state == CHILD_FREE || child->generation != generation)
			continue;
		child->state = CHILD_LEAVING;
		kill(child->pid, SIGTERM);
	}
}

/* Keeps the serving generation complete, no faster than the back-off allows. */
static void
refill(struct parent *parent)
{
	while (!parent->stopping && now_ms() >= parent->start_at_ms &&
	       count_children(parent, parent->generation, false) < parent->prefork->children)
		if (!start_child(parent, parent->generation)) {
			parent->start_at_ms = now_ms() + BACKOFF_MAX_MS;
			return;
		}
}

static void
begin_reload(struct parent *parent)
{
	parent->reload_wanted = false;
	parent->next_generation = ++parent->last_generation;
	for (int i = 0; i < parent->prefork->children; i++)
		if (!start_child(parent, parent->next_generation))
			break;
}

static void
abandon_reload(struct parent *parent)
{
	log_event(LOG_ERROR, "reload_failed", NULL);
	dismiss(parent, parent->next_generation);
	parent->next_generation = parent->generation;
}

static void
finish_reload(struct parent *parent)
{
	uint64_t old = parent->generation;

	parent->generation = parent->next_generation;
	parent->backoff_ms = 0;
	parent->start_at_ms = 0;
	dismiss(parent, old);
	log_event(LOG_INFO, "reloaded", NULL);
}

static void
drive_reload(struct parent *parent)
{
	if (parent->stopping)
		return;
	if (parent->next_generation != parent->generation) {
		if (count_children(parent, parent->next_generation, false) < parent->prefork->children)
			abandon_reload(parent);
		else if (count_children(parent, parent->next_generation, true) == parent->prefork->children)
			finish_reload(parent);
	}
	if (parent->next_generation == parent->generation && parent->reload_wanted)
		begin_reload(parent);
}

static void
forget_child(struct parent *parent, struct child *child, int status)
{
	int64_t lived = now_ms() - child->started_ms;
	char text[16];

	if (child->ready_fd >= 0)
		close(child->ready_fd);
	if (child->state != CHILD_LEAVING) {
		snprintf(text, sizeof text, "%d", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		log_event(LOG_WARN, "child_ended", WIFSIGNALED(status) ? "signal" : "status", text, NULL);
	}
	if (child->state != CHILD_LEAVING && child->generation == parent->generation) {
		parent->backoff_ms =
		    lived > STEADY_MS || parent->backoff_ms == 0 ? BACKOFF_MIN_MS : parent->backoff_ms * 2;
		if (parent->backoff_ms > BACKOFF_MAX_MS)
			parent->backoff_ms = BACKOFF_MAX_MS;
		parent->start_at_ms = now_ms() + parent->backoff_ms;
	}
	child->state = CHILD_FREE;
}

static void
reap(struct parent *parent)
{
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		for (size_t i = 0; i < CHILDREN_MAX; i++)
			if (parent->slots[i].state != CHILD_FREE && parent->slots[i].pid == pid)
				forget_child(parent, &parent->slots[i], status);
}

static void
read_signals(struct parent *parent)
{
	struct signalfd_siginfo info;

	while (read(parent->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP)
			parent->reload_wanted = true;
		if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT)
			continue;
		parent->stopping = true;
		dismiss(parent, parent->generation);
		dismiss(parent, parent->next_generation);
	}
	reap(parent);
}

/* A byte makes a child ready; end of file without one means that it is about to be reaped. */
static void
read_ready(struct child *child)
{
	char byte;

	if (read(child->ready_fd, &byte, 1) == 1 && child->state == CHILD_STARTING)
		child->state = CHILD_READY;
	close(child->ready_fd);
	child->ready_fd = -1;
}

static int
poll_timeout(const struct parent *parent)
{
	int64_t left = parent->start_at_ms - now_ms();

	if (parent->stopping || count_children(parent, parent->generation, false) >= parent->prefork->children)
		return -1;
	return left > 0 ? (int)left : 0;
}

static void
wait_for_news(struct parent *parent)
{
	struct pollfd fds[CHILDREN_MAX + 1] = {{.fd = parent->signal_fd, .events = POLLIN}};
	struct child *owners[CHILDREN_MAX + 1] = {NULL};
	nfds_t count = 1;

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		struct child *child = &parent->slots[i];
		if (child->state == CHILD_FREE || child->ready_fd < 0)
			continue;
		owners[count] = child;
		fds[count++] = (struct pollfd){.fd = child->ready_fd, .events = POLLIN};
	}
	if (poll(fds, count, poll_timeout(parent)) <= 0)
		return;
	for (nfds_t i = 1; i < count; i++)
		if (fds[i].revents != 0)
			read_ready(owners[i]);
	if (fds[0].revents != 0)
		read_signals(parent);
}

static bool
any_child(const struct parent *parent)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (parent->slots[i].state != CHILD_FREE)
			return true;
	return false;
}

int
prefork_run(const struct prefork *prefork)
{
	static struct parent parent;
	sigset_t signals;
	char children[16];

	assert(prefork->children > 0 && prefork->children <= CHILDREN_MAX / 3);
	prefork_forbid_core();
	parent = (struct parent){.prefork = prefork};
	parent.listen_fd = prefork->socket_path != NULL ? prefork_listen(prefork->socket_path) : STDIN_FILENO;
	if (parent.listen_fd < 0) {
		log_event(LOG_ERROR, "listen_failed", "socket", prefork->socket_path, "error", strerror(errno), NULL);
		return EXIT_FAILURE;
	}
	sigemptyset(&signals);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&signals, (int[]){SIGTERM, SIGINT, SIGHUP, SIGCHLD}[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	parent.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (parent.signal_fd < 0) {
		log_event(LOG_ERROR, "signalfd_failed", "error", strerror(errno), NULL);
		return EXIT_FAILURE;
	}
	snprintf(children, sizeof children, "%d", prefork->children);
	log_event(LOG_INFO, "listening", "version", SHOTAI_VERSION, "children", children, NULL);
	while (!parent.stopping || any_child(&parent)) {
		refill(&parent);
		drive_reload(&parent);
		wait_for_news(&parent);
	}
	if (prefork->socket_path != NULL)
		unlink(prefork->socket_path);
	return EXIT_SUCCESS;
}

bool
prefork_is_child(int argc, char **argv)
{
	return (argc == 2 || argc == 3) && strcmp(argv[1], "--child") == 0;
}

int
prefork_children(int argc, char **argv)
{
	return argc == 3 ? (int)strtol(argv[2], NULL, 10) : 1;
}

static volatile sig_atomic_t stop_requested;
static int wait_epoll = -1;

static void
on_stop(int signal)
{
	(void)signal;
	stop_requested = 1;
}

bool
prefork_ready(void)
{
	struct sigaction action = {.sa_handler = on_stop};
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	sigset_t blocked;

	prefork_forbid_core();
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGHUP, SIG_IGN); /* the parent's business, also when the whole group is signalled */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	wait_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) != 0 || wait_epoll < 0 ||
	    epoll_ctl(wait_epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) {
		log_event(LOG_ERROR, "child_not_ready", "error", strerror(errno), NULL);
		return false;
	}
	if (write(READY_FD, "", 1) != 1)
		log_event(LOG_WARN, "ready_unread", "error", strerror(errno), NULL);
	close(READY_FD);
	return true;
}

enum prefork_event
prefork_wait(int timeout_ms)
{
	struct epoll_event event;
	sigset_t open;

	sigprocmask(SIG_BLOCK, NULL, &open);
	sigdelset(&open, SIGTERM);
	int count = stop_requested ? 0 : epoll_pwait(wait_epoll, &event, 1, timeout_ms, &open);
	if (stop_requested)
		return PREFORK_STOP;
	return count > 0 ? PREFORK_CONNECTION : PREFORK_IDLE;
}
