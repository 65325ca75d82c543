/* The test binary is its own program: prefork executes it with --child. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "service/prefork.h"

#define CHILDREN 2
#define WAIT_TRIES 3000 /* of 10 ms: a bound for broken code, not an expectation */

static char self[4096];

/* Serves one byte per connection: 'p' answers the pid, 's' waits for the file `go` in the working folder first. */
static int
serve(void)
{
	char request, answer[32];

	if (!prefork_ready())
		return EXIT_FAILURE;
	for (enum prefork_event event; (event = prefork_wait(1000)) != PREFORK_STOP;) {
		int fd = event == PREFORK_CONNECTION ? accept(STDIN_FILENO, NULL, NULL) : -1;
		if (fd < 0)
			continue;
		if (read(fd, &request, 1) == 1) {
			while (request == 's' && access("go", F_OK) != 0)
				nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
			int len = snprintf(answer, sizeof answer, "%ld", (long)getpid());
			if (write(fd, answer, (size_t)len) != len)
				return EXIT_FAILURE;
		}
		close(fd);
	}
	return EXIT_SUCCESS;
}

struct fixture {
	char folder[64], binary[128];
	struct sockaddr_un address;
	pid_t parent;
};

static void
copy_file(const char *from, const char *to)
{
	char temporary[256], buffer[65536];
	ssize_t len;

	snprintf(temporary, sizeof temporary, "%s.new", to);
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(in >= 0 && out >= 0);
	while ((len = read(in, buffer, sizeof buffer)) > 0)
		assert_int_equal(write(out, buffer, (size_t)len), len);
	close(in);
	close(out);
	assert_int_equal(rename(temporary, to), 0);
}

static int
connect_to(const struct fixture *fixture)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&fixture->address, sizeof fixture->address) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The answer to what was sent on fd: the pid of the child, 0 when the connection was cut. */
static pid_t
read_pid(int fd)
{
	char answer[32] = "";
	size_t used = 0;
	ssize_t len;

	while (used < sizeof answer - 1 && (len = read(fd, answer + used, sizeof answer - 1 - used)) > 0)
		used += (size_t)len;
	close(fd);
	return (pid_t)strtol(answer, NULL, 10);
}

static int
ask(const struct fixture *fixture, char request)
{
	int fd = connect_to(fixture);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &request, 1), 1);
	return fd;
}

static pid_t
ask_pid(const struct fixture *fixture)
{
	pid_t pid = read_pid(ask(fixture, 'p'));

	assert_true(pid > 0);
	return pid;
}

static void
pause_briefly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static int
set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	strcpy(fixture->folder, "/tmp/prefork.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->binary, sizeof fixture->binary, "%s/program", fixture->folder);
	copy_file(self, fixture->binary);
	fixture->address.sun_family = AF_UNIX;
	snprintf(fixture->address.sun_path, sizeof fixture->address.sun_path, "%s/socket", fixture->folder);
	fixture->parent = fork();
	if (fixture->parent == 0) {
		char *argv[] = {fixture->binary, NULL};
		if (chdir(fixture->folder) != 0)
			_exit(1);
		log_open("program", LOG_ERROR);
		_exit(prefork_run(
		    &(struct prefork){.socket_path = fixture->address.sun_path, .children = CHILDREN, .argv = argv}));
	}
	int fd = -1;
	for (int i = 0; i < WAIT_TRIES && (fd = connect_to(fixture)) < 0; i++)
		pause_briefly();
	assert_true(fd >= 0);
	close(fd);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	int status = 0;

	if (fixture->parent > 0) {
		kill(fixture->parent, SIGTERM);
		waitpid(fixture->parent, &status, 0);
	}
	snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
	free(fixture);
	return system(command);
}

/* A child serves one connection at a time, so as many open connections as children are held by different ones. */
static void
all_pids(const struct fixture *fixture, pid_t ret_pids[static CHILDREN])
{
	int held[CHILDREN];

	for (size_t i = 0; i < CHILDREN - 1; i++) {
		held[i] = connect_to(fixture);
		assert_true(held[i] >= 0);
	}
	ret_pids[CHILDREN - 1] = ask_pid(fixture);
	for (size_t i = 0; i < CHILDREN - 1; i++) {
		assert_int_equal(write(held[i], "p", 1), 1);
		ret_pids[i] = read_pid(held[i]);
		assert_true(ret_pids[i] > 0 && ret_pids[i] != ret_pids[CHILDREN - 1]);
	}
}

static void
test_all_children_serve(void **state)
{
	pid_t pids[CHILDREN];

	all_pids(*state, pids);
}

static void
test_killed_child_is_replaced(void **state)
{
	pid_t before[CHILDREN], after[CHILDREN];

	all_pids(*state, before);
	for (size_t i = 0; i < CHILDREN; i++)
		kill(before[i], SIGKILL);
	all_pids(*state, after);
	for (size_t i = 0; i < CHILDREN; i++)
		for (size_t k = 0; k < CHILDREN; k++)
			assert_int_not_equal(before[i], after[k]);
}

/* Asks until a child that is none of these answers; every question must be answered. */
static pid_t
ask_until_new(const struct fixture *fixture, const pid_t *old, size_t count)
{
	for (int i = 0; i < WAIT_TRIES; i++) {
		pid_t pid = ask_pid(fixture);
		bool known = false;
		for (size_t k = 0; k < count; k++)
			known |= old[k] == pid;
		if (!known)
			return pid;
		pause_briefly();
	}
	return 0;
}

static void
test_reload_loses_nothing(void **state)
{
	struct fixture *fixture = *state;
	pid_t old[CHILDREN];

	for (int round = 0; round < 5; round++) {
		all_pids(fixture, old);
		kill(fixture->parent, SIGHUP);
		assert_true(ask_until_new(fixture, old, CHILDREN) > 0);
	}
}

static void
test_signals_in_a_row(void **state)
{
	struct fixture *fixture = *state;
	pid_t old[CHILDREN];

	all_pids(fixture, old);
	for (int i = 0; i < 20; i++) {
		kill(fixture->parent, SIGHUP);
		assert_true(ask_pid(fixture) > 0);
	}
	assert_true(ask_until_new(fixture, old, CHILDREN) > 0);
}

static void
test_request_in_hand_survives_reload(void **state)
{
	struct fixture *fixture = *state;
	char go[128];
	pid_t old[CHILDREN];

	all_pids(fixture, old);
	int slow = ask(fixture, 's');
	kill(fixture->parent, SIGHUP);
	assert_true(ask_until_new(fixture, old, CHILDREN) > 0);
	snprintf(go, sizeof go, "%s/go", fixture->folder);
	close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_true(read_pid(slow) > 0);
}

static void
test_request_in_hand_survives_stop(void **state)
{
	struct fixture *fixture = *state;
	char go[128];
	int status;

	int slow = ask(fixture, 's');
	kill(fixture->parent, SIGTERM);
	snprintf(go, sizeof go, "%s/go", fixture->folder);
	close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_true(read_pid(slow) > 0);
	assert_int_equal(waitpid(fixture->parent, &status, 0), fixture->parent);
	fixture->parent = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(access(fixture->address.sun_path, F_OK), -1);
}

static void
test_broken_binary_keeps_the_old_children(void **state)
{
	struct fixture *fixture = *state;
	pid_t old[CHILDREN];

	all_pids(fixture, old);
	copy_file("/bin/false", fixture->binary);
	for (int i = 0; i < 200; i++) {
		kill(fixture->parent, SIGHUP);
		pid_t pid = ask_pid(fixture);
		assert_true(pid == old[0] || pid == old[1]);
	}
	copy_file(self, fixture->binary);
	kill(fixture->parent, SIGHUP);
	assert_true(ask_until_new(fixture, old, CHILDREN) > 0);
}

static void
test_children_leave_with_a_killed_parent(void **state)
{
	struct fixture *fixture = *state;
	pid_t pids[CHILDREN];

	all_pids(fixture, pids);
	kill(fixture->parent, SIGKILL);
	waitpid(fixture->parent, NULL, 0);
	fixture->parent = 0;
	for (size_t i = 0; i < CHILDREN; i++)
		for (int tries = 0; kill(pids[i], 0) == 0; tries++) {
			assert_true(tries < WAIT_TRIES);
			pause_briefly();
		}
}

static void
test_socket_in_use_is_refused_and_stale_one_replaced(void **state)
{
	struct fixture *fixture = *state;

	errno = 0;
	assert_int_equal(prefork_listen(fixture->address.sun_path), -1);
	assert_int_equal(errno, EADDRINUSE);
	kill(fixture->parent, SIGKILL);
	waitpid(fixture->parent, NULL, 0);
	fixture->parent = 0;
	int fd = -1;
	for (int i = 0; i < WAIT_TRIES && fd < 0; i++, pause_briefly())
		fd = prefork_listen(fixture->address.sun_path);
	assert_true(fd >= 0);
	struct stat status;
	assert_int_equal(stat(fixture->address.sun_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	close(fd);
}

static void
test_long_path_is_refused(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(prefork_listen(path), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

int
main(int argc, char **argv)
{
	if (prefork_is_child(argc, argv))
		return serve();
	if (realpath(argv[0], self) == NULL)
		return EXIT_FAILURE;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_all_children_serve, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_killed_child_is_replaced, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_reload_loses_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_signals_in_a_row, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_request_in_hand_survives_reload, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_request_in_hand_survives_stop, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_broken_binary_keeps_the_old_children, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_children_leave_with_a_killed_parent, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_socket_in_use_is_refused_and_stale_one_replaced, set_up, tear_down),
	    cmocka_unit_test(test_long_path_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
