/*
 * One parent that holds the listening socket and a few identical children.
 *
 * Every child is the program's own binary, executed with `--child` and their
 * number as arguments and the listening socket as descriptor 0. Children that
 * die are started again without limit, after 0.1 s growing to 2 s. SIGHUP
 * (reload): new children are executed from the binary on disk, each writes its
 * ready byte, then the old ones get SIGTERM and leave after the request in
 * hand; when a new one dies before it is ready, the old ones stay. SIGTERM or
 * SIGINT: the children leave after the request in hand, then the parent.
 * Children whose parent dies leave too.
 *
 * Termination signals stay blocked from the first instruction of a child but
 * inside prefork_wait, so none can cut a request short or get lost.
 */
#ifndef SHOTAI_PREFORK_H
#define SHOTAI_PREFORK_H

#include <stdbool.h>
#include <stddef.h>

struct prefork {
	const char *socket_path; /* NULL: descriptor 0 is the listening socket */
	int children;
	char **argv; /* of this process; argv[0] names the binary */
};

/* Runs the parent until SIGTERM or SIGINT; the process' exit status. */
int prefork_run(const struct prefork *prefork);

/* Whether this process was started as a child. */
bool prefork_is_child(int argc, char **argv);
/* In a child: how many of them there are to be. */
int prefork_children(int argc, char **argv);
/* In a child, once: it is ready to serve descriptor 0, which becomes non-blocking. False when that fails. */
bool prefork_ready(void);

enum prefork_event {
	PREFORK_CONNECTION, /* accept now; EAGAIN means that a sibling was faster */
	PREFORK_IDLE,       /* nothing came for timeout_ms */
	PREFORK_STOP,       /* SIGTERM came: leave */
};

/* Waits for a connection on descriptor 0. */
enum prefork_event prefork_wait(int timeout_ms);

/* A listening unix socket, mode 0660, backlog 1024; a stale file is replaced. -1 with errno on failure. */
int prefork_listen(const char *path);

/* No core dump of this process, whatever the system's core pattern. */
void prefork_forbid_core(void);

#endif
