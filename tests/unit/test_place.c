/* Places are counted among processes that inherited one listening socket as descriptor 0. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/place.h"

#define MOST 2

struct holder {
	pid_t pid;
	int place;  /* what it got */
	int orders; /* a byte makes it give the place back */
	int answers;
};

/* A process that takes a place, tells which, and holds it until it is told to give it back. */
static struct holder
hold(void)
{
	struct holder holder;
	int orders[2], answers[2];

	assert_int_equal(pipe(orders), 0);
	assert_int_equal(pipe(answers), 0);
	holder.pid = fork();
	if (holder.pid == 0) {
		char order;
		int place = place_take(MOST);
		if (write(answers[1], &place, sizeof place) != sizeof place || read(orders[0], &order, 1) != 1)
			_exit(1);
		place_give(place);
		if (write(answers[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(orders[0]);
	close(answers[1]);
	holder.orders = orders[1];
	holder.answers = answers[0];
	assert_int_equal(read(holder.answers, &holder.place, sizeof holder.place), sizeof holder.place);
	return holder;
}

static void
end(struct holder *holder)
{
	kill(holder->pid, SIGKILL);
	assert_int_equal(waitpid(holder->pid, NULL, 0), holder->pid);
	close(holder->orders);
	close(holder->answers);
}

static void
no_more_than_so_many(void **state)
{
	(void)state;
	struct holder first = hold(), second = hold(), third = hold();
	char done;

	assert_int_not_equal(first.place, PLACE_NONE);
	assert_int_not_equal(second.place, PLACE_NONE);
	assert_int_not_equal(first.place, second.place);
	assert_int_equal(third.place, PLACE_NONE);
	assert_int_equal(place_take(MOST), PLACE_NONE);
	assert_int_equal(write(first.orders, "", 1), 1);
	assert_int_equal(read(first.answers, &done, 1), 1);
	int place = place_take(MOST);
	assert_int_equal(place, first.place);
	place_give(place);
	end(&first);
	end(&second);
	end(&third);
}

static void
a_killed_process_leaves_its_place(void **state)
{
	(void)state;
	struct holder first = hold(), second = hold();

	assert_int_equal(place_take(MOST), PLACE_NONE);
	end(&second);
	struct holder third = hold();
	assert_int_equal(third.place, second.place);
	end(&first);
	end(&third);
}

static void
cleanup_gives_back(void **state)
{
	(void)state;
	{
		AUTO_PLACE place = place_take(1);
		assert_int_equal(place, 0);
	}
	struct holder next = hold();
	assert_int_equal(next.place, 0);
	end(&next);
}

static int
listen_on_stdin(void **state)
{
	(void)state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* Only the family: the kernel chooses an abstract name. */
	return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) == 0 && listen(fd, 8) == 0 &&
		       dup2(fd, STDIN_FILENO) == STDIN_FILENO && close(fd) == 0
		   ? 0
		   : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_more_than_so_many),
	    cmocka_unit_test(a_killed_process_leaves_its_place),
	    cmocka_unit_test(cleanup_gives_back),
	};

	return cmocka_run_group_tests(tests, listen_on_stdin, NULL);
}
