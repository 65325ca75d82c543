/*
 * One parent that holds the listening socket and a few identical children.
 *
 * Children that die are restarted without limit, after 0.1 s growing to 2 s.
 * SIGHUP (reload): new children are executed from the binary on disk, each
 * writes its ready byte, then the old ones get SIGTERM and leave after the
 * request in hand; the socket never closes. SIGTERM: the children leave after
 * the request in hand, the parent after them. A parent that dies takes its
 * children along (PR_SET_PDEATHSIG). No program leaves a core dump.
 */
#ifndef SHOTAI_PREFORK_H
#define SHOTAI_PREFORK_H

#include <stdbool.h>
#include <stddef.h>

struct prefork {
	const char *socket_path; /* NULL: descriptor 0 is the listening socket */
	int children;
	char **argv; /* of this process, executed again on reload */
	int (*child)(void *context, int listen_fd,
	    void (*ready)(void)); /* serves until prefork_stopping; its result is the exit status */
	void *context;
};

/* Runs the parent until SIGTERM or SIGINT; the process' exit status. */
int prefork_run(const struct prefork *prefork);
/* In a child: SIGTERM came, leave after the request in hand. */
bool prefork_stopping(void);
/* A listening unix socket, mode 0660, backlog 1024; a stale file is replaced. -1 with errno on failure. */
int prefork_listen(const char *path);

#endif
