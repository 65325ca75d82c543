#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "forge.h"
#include "service/auth_source.h"

#define MINUTE 60000
#define GIVE_UP_MS 20000

/* A server of key sets on a port of its own, which can be told to misbehave and counts what it was asked. */
enum manner { SERVES, FAILS, TALKS_NONSENSE, NEVER_STOPS_TALKING, SAYS_NOTHING };

static struct {
	struct arena *arena;
	char *set_a, *set_b;
	pthread_t thread;
	int listener, ring[2];
	char *url;
	atomic_int manner, asked;
	_Atomic(const char *) set;
} server;

static void
send_all(int client, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(client, bytes, len, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		bytes += sent;
		len -= (size_t)sent;
	}
}

static void
answer(int client)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
	static const char failure[] = "HTTP/1.1 500 No\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"keys\":[]}";
	char request[4096], blanks[4096];
	memset(blanks, ' ', sizeof(blanks));
	if (recv(client, request, sizeof(request), 0) <= 0)
		return;
	atomic_fetch_add(&server.asked, 1);
	const char *body = atomic_load(&server.set);
	switch ((enum manner)atomic_load(&server.manner)) {
	case SERVES:
		send_all(client, head, strlen(head));
		send_all(client, body, strlen(body));
		break;
	case FAILS:
		send_all(client, failure, strlen(failure));
		break;
	case TALKS_NONSENSE:
		send_all(client, head, strlen(head));
		send_all(client, "<html>", 6);
		break;
	case NEVER_STOPS_TALKING:
		send_all(client, head, strlen(head));
		for (int i = 0; i < 1024; i++)
			send_all(client, blanks, sizeof(blanks));
		send_all(client, body, strlen(body)); /* acceptable, were it not for the size */
		break;
	case SAYS_NOTHING:
		recv(client, request, sizeof(request), 0); /* until the other side gives up */
		break;
	}
}

static void *
serve(void *)
{
	for (;;) {
		struct pollfd fds[] = {
		    {.fd = server.listener, .events = POLLIN}, {.fd = server.ring[0], .events = POLLIN}};
		poll(fds, 2, -1);
		if (fds[1].revents != 0)
			return NULL;
		int client = accept(server.listener, NULL, NULL);
		if (client < 0)
			continue;
		answer(client);
		close(client);
	}
}

static int
start_server(void **)
{
	struct arena *arena = server.arena = arena_new();
	EVP_PKEY *a = forge_ec("P-256"), *b = forge_ec("P-256");
	server.set_a = arena_printf(arena, "{\"keys\":[%s]}", forge_ec_jwk(arena, a, "a", ""));
	server.set_b = arena_printf(arena, "{\"keys\":[%s]}", forge_ec_jwk(arena, b, "b", ""));
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.listener, (struct sockaddr *)&address, len) != 0 || listen(server.listener, 16) != 0 ||
	    getsockname(server.listener, (struct sockaddr *)&address, &len) != 0 || pipe(server.ring) != 0)
		return -1;
	server.url = arena_printf(arena, "http://127.0.0.1:%d/keys", ntohs(address.sin_port));
	return pthread_create(&server.thread, NULL, serve, NULL);
}

static int
stop_server(void **)
{
	if (write(server.ring[1], "x", 1) != 1)
		return -1;
	pthread_join(server.thread, NULL);
	close(server.ring[0]);
	close(server.ring[1]);
	close(server.listener);
	arena_free(server.arena);
	return 0;
}

static struct auth_source *
new_source(enum manner manner, const char *set)
{
	atomic_store(&server.manner, (int)manner);
	atomic_store(&server.set, set);
	atomic_store(&server.asked, 0);
	return auth_source_new(server.url);
}

static enum problem
key(struct auth_source *source, const char *kid)
{
	struct auth_key found;
	return auth_source_key(source, server.arena, kid, &found);
}

static int64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the server was asked that often; false when that does not come. */
static bool
was_asked(int times)
{
	for (int64_t end = now_ms() + GIVE_UP_MS; now_ms() < end;) {
		if (atomic_load(&server.asked) >= times)
			return true;
		poll(NULL, 0, 5);
	}
	return false;
}

static bool
comes(struct auth_source *source, const char *kid, enum problem expected)
{
	for (int64_t end = now_ms() + GIVE_UP_MS; now_ms() < end;) {
		if (key(source, kid) == expected)
			return true;
		poll(NULL, 0, 5);
	}
	return false;
}

static void
the_first_need_fetches_and_no_other(void **)
{
	struct auth_source *source = new_source(SERVES, server.set_a);
	struct auth_key found;
	assert_int_equal(atomic_load(&server.asked), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(auth_source_key(source, server.arena, "a", &found), PROBLEM_NONE);
	assert_string_equal(found.kid, "a");
	assert_int_equal(found.algorithm, AUTH_ES256);
	assert_true(auth_source_holds(source, found.id));
	found.id[0] ^= 1;
	assert_false(auth_source_holds(source, found.id));
	assert_int_equal(atomic_load(&server.asked), 1);
	auth_source_free(source);
}

static void
unknown_kids_ask_once_in_thirty_seconds(void **)
{
	struct auth_source *source = new_source(SERVES, server.set_a);
	for (int i = 0; i < 50; i++)
		assert_int_equal(key(source, arena_printf(server.arena, "x%d", i)), PROBLEM_UNAUTHENTICATED);
	assert_int_equal(atomic_load(&server.asked), 1);
	auth_source_advance(source, 29000);
	assert_int_equal(key(source, "x"), PROBLEM_UNAUTHENTICATED);
	assert_int_equal(atomic_load(&server.asked), 1);
	auth_source_advance(source, 2000);
	for (int i = 0; i < 50; i++)
		assert_int_equal(key(source, "x"), PROBLEM_UNAUTHENTICATED);
	assert_int_equal(atomic_load(&server.asked), 2);
	auth_source_free(source);
}

static void
a_rotated_key_is_found_and_the_old_one_is_gone(void **)
{
	struct auth_source *source = new_source(SERVES, server.set_a);
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	atomic_store(&server.set, server.set_b);
	auth_source_advance(source, 31000);
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	assert_int_equal(key(source, "b"), PROBLEM_NONE);
	assert_int_equal(key(source, "a"), PROBLEM_UNAUTHENTICATED);
	assert_int_equal(atomic_load(&server.asked), 2);
	auth_source_free(source);
}

static void
minute_eight_refreshes_unasked(void **)
{
	struct auth_source *source = new_source(SERVES, server.set_a);
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	atomic_store(&server.set, server.set_b);
	auth_source_advance(source, 7 * MINUTE);
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	assert_int_equal(atomic_load(&server.asked), 1);
	auth_source_advance(source, MINUTE);
	assert_true(was_asked(2));
	assert_true(comes(source, "b", PROBLEM_NONE));
	auth_source_free(source);
}

static void
an_outage_is_bridged_for_an_hour(void **)
{
	struct auth_source *source = new_source(SERVES, server.set_a);
	struct auth_key found;
	assert_int_equal(auth_source_key(source, server.arena, "a", &found), PROBLEM_NONE);
	for (int manner = FAILS; manner <= NEVER_STOPS_TALKING; manner++) {
		int before = atomic_load(&server.asked);
		atomic_store(&server.manner, manner);
		auth_source_advance(source, 9 * MINUTE);
		/* New or forged: that cannot be told without asking. */
		assert_int_equal(key(source, "b"), PROBLEM_AUTH_UNAVAILABLE);
		assert_in_range(atomic_load(&server.asked), before + 1, before + 2);
		assert_int_equal(key(source, "a"), PROBLEM_NONE);
	}
	auth_source_advance(source, 32 * MINUTE);
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	assert_true(auth_source_holds(source, found.id));
	auth_source_advance(source, 2 * MINUTE);
	assert_false(auth_source_holds(source, found.id));
	assert_int_equal(key(source, "a"), PROBLEM_AUTH_UNAVAILABLE);
	atomic_store(&server.manner, SERVES);
	auth_source_advance(source, 2000);
	assert_true(comes(source, "a", PROBLEM_NONE));
	auth_source_free(source);
}

static void
no_answer_costs_three_seconds_at_most(void **)
{
	struct auth_source *source = new_source(SAYS_NOTHING, server.set_a);
	int64_t began = now_ms();
	assert_int_equal(key(source, "a"), PROBLEM_AUTH_UNAVAILABLE);
	assert_in_range(now_ms() - began, 2500, 4500);
	/* The next one does not wait again at once. */
	began = now_ms();
	assert_int_equal(key(source, "a"), PROBLEM_AUTH_UNAVAILABLE);
	assert_in_range(now_ms() - began, 0, 900);
	auth_source_free(source);
}

static void
nobody_listening_is_an_outage(void **)
{
	struct auth_source *source = auth_source_new("http://127.0.0.1:1/keys");
	assert_int_equal(key(source, "a"), PROBLEM_AUTH_UNAVAILABLE);
	assert_true(auth_source_load(source, server.set_a, strlen(server.set_a)));
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	assert_false(auth_source_load(source, "[]", 2));
	assert_int_equal(key(source, "a"), PROBLEM_NONE);
	auth_source_free(source);
}

struct caller {
	pthread_t thread;
	struct auth_source *source;
	atomic_int *refused;
};

static void *
call(void *context)
{
	struct caller *caller = context;
	AUTO_ARENA arena = arena_new();
	struct auth_key found;
	for (int i = 0; i < 200; i++) {
		if (auth_source_key(caller->source, arena, "a", &found) != PROBLEM_NONE)
			atomic_fetch_add(caller->refused, 1);
		arena_reset(arena);
	}
	return NULL;
}

static void
many_threads_may_ask(void **)
{
	struct auth_source *source = new_source(SERVES, server.set_a);
	struct caller callers[8];
	atomic_int refused = 0;
	for (size_t i = 0; i < 8; i++) {
		callers[i] = (struct caller){.source = source, .refused = &refused};
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
	for (int i = 0; i < 20; i++)
		assert_true(auth_source_load(source, server.set_a, strlen(server.set_a)));
	for (size_t i = 0; i < 8; i++)
		pthread_join(callers[i].thread, NULL);
	assert_int_equal(atomic_load(&refused), 0);
	auth_source_free(source);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_need_fetches_and_no_other),
	    cmocka_unit_test(unknown_kids_ask_once_in_thirty_seconds),
	    cmocka_unit_test(a_rotated_key_is_found_and_the_old_one_is_gone),
	    cmocka_unit_test(minute_eight_refreshes_unasked),
	    cmocka_unit_test(an_outage_is_bridged_for_an_hour),
	    cmocka_unit_test(no_answer_costs_three_seconds_at_most),
	    cmocka_unit_test(nobody_listening_is_an_outage),
	    cmocka_unit_test(many_threads_may_ask),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
