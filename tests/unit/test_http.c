/* Against a server in a thread of this process, which answers as each test wants. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/log.h"
#include "service/http.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define REQUESTS_MAX 8
#define REQUEST_SIZE (6 << 20)
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* What the server does after sending the bytes of a reply. */
enum ending { END_KEEP, END_CLOSE, END_RESET, END_HANG };

struct reply {
	const char *bytes;
	enum ending ending;
	size_t len; /* 0: strlen */
};

static struct {
	int fd, stop, port;
	pthread_t thread, threads[REQUESTS_MAX]; /* of the listener and of each connection */
	const struct reply *replies;
	size_t reply_count, connections;
	size_t request_count; /* atomic; one request is on its way at a time */
	char *requests[REQUESTS_MAX];
	size_t lens[REQUESTS_MAX];
} server;

static struct http *http;
static struct arena *arena;

/* False when the peer has closed, or the server is to stop. */
static bool
wait_readable(int fd)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = server.stop, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0)
		;
	return fds[1].revents == 0;
}

static bool
is_whole(const char *request, size_t len)
{
	const char *end = memmem(request, len, "\r\n\r\n", 4), *length;

	if (end == NULL)
		return false;
	length = memmem(request, (size_t)(end - request), "Content-Length: ", 16);
	return length == NULL || len >= (size_t)(end + 4 - request) + strtoul(length + 16, NULL, 10);
}

static size_t
requests(void)
{
	return __atomic_load_n(&server.request_count, __ATOMIC_SEQ_CST);
}

/* Reads one request and keeps it; false when the connection ends before. */
static bool
read_request(int fd)
{
	size_t index, len = 0;
	char *request = calloc(1, REQUEST_SIZE + 1);

	while (!is_whole(request, len)) {
		ssize_t size = wait_readable(fd) ? read(fd, request + len, REQUEST_SIZE - len) : 0;

		if (size <= 0) {
			free(request);
			return false;
		}
		len += (size_t)size;
	}
	index = requests();
	server.requests[index] = request;
	server.lens[index] = len;
	__atomic_store_n(&server.request_count, index + 1, __ATOMIC_SEQ_CST);
	return true;
}

static void
send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t size = send(fd, bytes, len, MSG_NOSIGNAL);

		if (size <= 0)
			return;
		bytes += size;
		len -= (size_t)size;
	}
}

static void *
serve_connection(void *context)
{
	const struct linger reset = {.l_onoff = 1};
	int fd = (int)(intptr_t)context;
	char rest[256];

	while (requests() < server.reply_count && read_request(fd)) {
		const struct reply *reply = &server.replies[requests() - 1];

		send_all(fd, reply->bytes, reply->len != 0 ? reply->len : strlen(reply->bytes));
		if (reply->ending == END_KEEP)
			continue;
		if (reply->ending == END_RESET)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		while (reply->ending == END_HANG && wait_readable(fd) && read(fd, rest, sizeof rest) > 0)
			;
		break;
	}
	close(fd);
	return NULL;
}

static void *
serve(void *unused)
{
	while (wait_readable(server.fd)) {
		int fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);

		assert_true(server.connections < REQUESTS_MAX);
		pthread_create(&server.threads[server.connections++], NULL, serve_connection, (void *)(intptr_t)fd);
	}
	return unused;
}

static int
listen_somewhere(int backlog, int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void
start(const struct reply *replies, size_t count)
{
	server.fd = listen_somewhere(16, &server.port);
	server.stop = eventfd(0, EFD_CLOEXEC);
	server.replies = replies;
	server.reply_count = count;
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

/* After it, what the server saw may be looked at. */
static void
stop(void)
{
	assert_int_equal(eventfd_write(server.stop, 1), 0);
	pthread_join(server.thread, NULL);
	for (size_t i = 0; i < server.connections; i++)
		pthread_join(server.threads[i], NULL);
	close(server.fd);
	close(server.stop);
	server.thread = 0;
}

static int
setup(void **state)
{
	(void)state;
	log_open("test_http", LOG__COUNT);
	memset(&server, 0, sizeof server);
	arena = arena_new();
	http = http_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	http_free(http);
	if (server.thread != 0)
		stop();
	for (size_t i = 0; i < server.request_count; i++)
		free(server.requests[i]);
	arena_free(arena);
	return 0;
}

static const char *
local(const char *path)
{
	return arena_printf(arena, "http://127.0.0.1:%d%s", server.port, path);
}

static struct http_request
request_for(const char *method, const char *url)
{
	return (struct http_request){
	    .method = method, .url = url, .connect_timeout_ms = 5000, .timeout_ms = 20000, .answer_max = 1000};
}

static enum http_outcome
send_simple(const char *method, const char *url, struct http_answer *ret_answer)
{
	struct http_request request = request_for(method, url);

	return http_send(http, arena, &request, ret_answer);
}

static bool
saw(size_t index, const char *bytes)
{
	return memmem(server.requests[index], server.lens[index], bytes, strlen(bytes)) != NULL;
}

static void
answers_are_whole(void **state)
{
	static const char reply[] = "HTTP/1.1 103 Early\r\nX-Kind: early\r\n\r\n"
				    "HTTP/1.1 201 Created\r\nX-Kind:  first \r\nX-KIND: last\r\nX-Empty:\r\n"
				    "Content-Length: 5\r\n\r\na\0b\nc";
	static const struct reply replies[] = {{reply, END_CLOSE, sizeof reply - 1}};
	struct http_answer answer;

	(void)state;
	start(replies, 1);
	assert_int_equal(send_simple("GET", local("/x?y=1"), &answer), HTTP_ANSWERED);
	assert_int_equal(answer.status, 201);
	assert_int_equal(answer.body_len, 5);
	assert_memory_equal(answer.body, "a\0b\nc", 6);
	assert_string_equal(http_answer_header(&answer, "x-kind"), "last");
	assert_string_equal(http_answer_header(&answer, "x-empty"), "");
	assert_null(http_answer_header(&answer, "x-absent"));
	assert_int_equal(answer.header_count, 4);
	stop();
	assert_true(saw(0, "GET /x?y=1 HTTP/1.1\r\n"));
}

static void
requests_hold_what_was_asked(void **state)
{
	static const struct reply replies[] = {
	    {OK_EMPTY, END_KEEP, 0}, {OK_EMPTY, END_CLOSE, 0}, {OK_EMPTY, END_CLOSE, 0}, {OK_EMPTY, END_CLOSE, 0}};
	static const struct http_header headers[] = {
	    {"Authorization", "Bearer k"}, {"Content-Type", "application/json"}, {"X-Empty", ""}};
	struct http_request request;
	struct http_answer answer;
	char *large = arena_alloc(arena, 5 << 20);

	(void)state;
	start(replies, LEN(replies));
	request = request_for("POST", local("/a"));
	request.headers = headers;
	request.header_count = LEN(headers);
	request.body = "{\"x\":1}";
	request.body_len = 7;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_ANSWERED);
	assert_int_equal(send_simple("DELETE", local("/b"), &answer), HTTP_ANSWERED);
	assert_int_equal(send_simple("POST", local("/c"), &answer), HTTP_ANSWERED);
	request = request_for("PUT", local("/d"));
	request.body = memset(large, 'z', 5 << 20);
	request.body_len = 5 << 20;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_ANSWERED);
	stop();
	assert_true(saw(0, "POST /a HTTP/1.1\r\n"));
	assert_true(saw(0, "\r\nAuthorization: Bearer k\r\n"));
	assert_true(saw(0, "\r\nContent-Type: application/json\r\n"));
	assert_true(saw(0, "\r\nX-Empty:\r\n"));
	assert_true(saw(0, "\r\nContent-Length: 7\r\n"));
	assert_true(saw(0, "\r\n\r\n{\"x\":1}"));
	assert_true(saw(1, "DELETE /b HTTP/1.1\r\n"));
	assert_true(saw(2, "POST /c HTTP/1.1\r\n"));
	assert_true(saw(2, "\r\nContent-Length: 0\r\n"));
	assert_true(saw(3, "PUT /d HTTP/1.1\r\n"));
	for (size_t i = 0; i < LEN(replies); i++) {
		assert_false(saw(i, "Expect:"));
		assert_false(saw(i, "Accept-Encoding:"));
		assert_false(saw(i, "x-www-form-urlencoded"));
	}
	assert_true(server.lens[3] > 5 << 20);
	assert_int_equal(server.requests[3][server.lens[3] - 1], 'z');
}

static void
head_has_no_body(void **state)
{
	static const struct reply replies[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", END_CLOSE, 0}};
	struct http_answer answer;

	(void)state;
	start(replies, 1);
	assert_int_equal(send_simple("HEAD", local("/"), &answer), HTTP_ANSWERED);
	assert_string_equal(http_answer_header(&answer, "content-length"), "5000000");
	assert_int_equal(answer.body_len, 0);
	stop();
	assert_true(saw(0, "HEAD / HTTP/1.1\r\n"));
}

static void
outcomes(void **state)
{
	static const struct {
		struct reply reply;
		enum http_outcome outcome;
	} rows[] = {
	    {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", END_CLOSE, 0}, HTTP_ANSWERED},
	    {{"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", END_CLOSE, 0}, HTTP_ANSWERED},
	    {{"HTTP/1.1 200 OK\r\n\r\nclosed at the end", END_CLOSE, 0}, HTTP_ANSWERED},
	    {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", END_CLOSE, 0},
		HTTP_ANSWERED},
	    {{"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789x", END_CLOSE, 0}, HTTP_TOO_LARGE},
	    {{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", END_HANG, 0}, HTTP_TOO_LARGE},
	    {{"HTTP/1.1 200 OK\r\n\r\n0123456789x", END_HANG, 0}, HTTP_TOO_LARGE},
	    {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n", END_HANG, 0},
		HTTP_TOO_LARGE},
	    {{"", END_CLOSE, 0}, HTTP_LOST},
	    {{"", END_RESET, 0}, HTTP_LOST},
	    {{"HTTP/1.1 200 OK\r\nContent-Le", END_CLOSE, 0}, HTTP_LOST},
	    {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", END_CLOSE, 0}, HTTP_LOST},
	    {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", END_RESET, 0}, HTTP_LOST},
	    {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", END_CLOSE, 0}, HTTP_LOST},
	    {{"this is no HTTP\r\n\r\n", END_CLOSE, 0}, HTTP_LOST},
	    {{"", END_HANG, 0}, HTTP_TIMEOUT},
	    {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", END_HANG, 0}, HTTP_TIMEOUT},
	};
	struct http_answer answer;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct http_request request;

		teardown(state);
		setup(state);
		start(&rows[i].reply, 1);
		request = request_for("POST", local("/"));
		request.answer_max = 17;
		if (rows[i].outcome == HTTP_TOO_LARGE)
			request.answer_max = 10;
		if (rows[i].outcome == HTTP_TIMEOUT)
			request.timeout_ms = 300;
		answer.status = -1;
		assert_int_equal(http_send(http, arena, &request, &answer), rows[i].outcome);
		assert_int_equal(answer.status != -1, rows[i].outcome == HTTP_ANSWERED);
		http_free(http);
		http = NULL;
		stop();
		assert_int_equal(server.request_count, 1);
	}
}

static void
headers_are_capped(void **state)
{
	struct reply reply = {.ending = END_HANG};
	char *bytes = arena_alloc(arena, 200000), *to = bytes;
	struct http_answer answer;

	(void)state;
	to += sprintf(to, "HTTP/1.1 200 OK\r\n");
	while (to < bytes + 100000)
		to += sprintf(to, "X-Flood: %080d\r\n", 0);
	reply.bytes = bytes;
	start(&reply, 1);
	assert_int_equal(send_simple("GET", local("/"), &answer), HTTP_TOO_LARGE);
}

static void
refused_connection_is_not_sent(void **state)
{
	int port, fd = listen_somewhere(1, &port);
	struct http_answer answer;

	(void)state;
	close(fd);
	assert_int_equal(
	    send_simple("POST", arena_printf(arena, "http://127.0.0.1:%d/", port), &answer), HTTP_NOT_SENT);
}

/* A listener whose queue is full lets connect() wait. */
static void
connect_timeout_is_not_sent(void **state)
{
	int port, fd = listen_somewhere(0, &port), fillers[4];
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
	struct http_request request = request_for("POST", arena_printf(arena, "http://127.0.0.1:%d/", port));
	struct http_answer answer;

	(void)state;
	for (size_t i = 0; i < LEN(fillers); i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
	}
	request.connect_timeout_ms = 300;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	request.connect_timeout_ms = 5000;
	request.timeout_ms = 300;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	for (size_t i = 0; i < LEN(fillers); i++)
		close(fillers[i]);
	close(fd);
}

static void
unacceptable_requests_are_not_sent(void **state)
{
	static const struct http_header forged[] = {{"X-A", "1\r\nX-Forged: 1"}},
					forged_name[] = {{"X-A: 1\nX-B", "2"}};
	const char *urls[] = {"http://192.0.2.1/", "http://example.com/", "http://127.0.0.1.example.com/",
	    "http://localhost.example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/",
	    "http://user@127.0.0.1/", "https://user:word@127.0.0.1/", "", "nonsense", "//127.0.0.1/", NULL, NULL, NULL,
	    NULL};
	struct http_request request;
	struct http_answer answer;

	(void)state;
	start(NULL, 0);
	/* These would reach the server here: 0.0.0.0 is this machine too. */
	urls[LEN(urls) - 4] = arena_printf(arena, "http://0.0.0.0:%d/", server.port);
	urls[LEN(urls) - 3] = arena_printf(arena, "http://user:word@127.0.0.1:%d/", server.port);
	urls[LEN(urls) - 2] = arena_printf(arena, "ftp://127.0.0.1:%d/", server.port);
	urls[LEN(urls) - 1] = arena_printf(arena, "gopher://127.0.0.1:%d/x", server.port);
	for (size_t i = 0; i < LEN(urls); i++)
		assert_int_equal(send_simple("GET", urls[i], &answer), HTTP_NOT_SENT);
	request = request_for("POST", local("/"));
	request.header_count = 1;
	request.headers = forged;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	request.headers = forged_name;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	request = request_for("POST", local("/"));
	request.timeout_ms = 0;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	request.timeout_ms = -5;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	stop();
	assert_int_equal(server.connections, 0);
}

static void
redirects_are_answers(void **state)
{
	struct reply replies[] = {{NULL, END_CLOSE, 0}, {OK_EMPTY, END_CLOSE, 0}};
	struct http_answer answer;

	(void)state;
	start(replies, LEN(replies));
	replies[0].bytes =
	    arena_printf(arena, "HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", local("/elsewhere"));
	assert_int_equal(send_simple("POST", local("/"), &answer), HTTP_ANSWERED);
	assert_int_equal(answer.status, 307);
	stop();
	assert_int_equal(server.request_count, 1);
}

static void
environment_sets_no_proxy(void **state)
{
	static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
	static const struct reply replies[] = {{OK_EMPTY, END_CLOSE, 0}};
	struct http_answer answer;
	int port, fd = listen_somewhere(1, &port);

	(void)state;
	close(fd);
	start(replies, 1);
	for (size_t i = 0; i < LEN(names); i++)
		setenv(names[i], arena_printf(arena, "http://127.0.0.1:%d", port), 1);
	assert_int_equal(send_simple("GET", local("/"), &answer), HTTP_ANSWERED);
	for (size_t i = 0; i < LEN(names); i++)
		unsetenv(names[i]);
}

struct canceler {
	pthread_t thread;
	volatile bool cancel;
};

static void *
cancel_when_received(void *context)
{
	struct canceler *canceler = context;

	while (requests() == 0)
		usleep(1000);
	__atomic_store_n(&canceler->cancel, true, __ATOMIC_RELAXED);
	return NULL;
}

static void
cancel_aborts(void **state)
{
	static const struct reply replies[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", END_HANG, 0}};
	struct canceler canceler = {.cancel = false};
	struct http_request request;
	struct http_answer answer;
	time_t begun = time(NULL);

	(void)state;
	start(replies, 1);
	request = request_for("POST", local("/"));
	request.timeout_ms = 60000;
	request.cancel = &canceler.cancel;
	assert_int_equal(pthread_create(&canceler.thread, NULL, cancel_when_received, &canceler), 0);
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_ABORTED);
	pthread_join(canceler.thread, NULL);
	assert_true(time(NULL) - begun < 30);
	/* and at once when it is set before */
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_ABORTED);
	stop();
	assert_int_equal(server.request_count, 1);
}

/*
 * The kept connection is closed instead of answered: what may be repeated is
 * sent again by curl on another one, everything else goes out once.
 */
static void
writes_are_sent_once(void **state)
{
	static const struct reply replies[] = {{OK_EMPTY, END_KEEP, 0}, {"", END_CLOSE, 0}, {OK_EMPTY, END_CLOSE, 0}};
	static const struct {
		const char *method;
		enum http_outcome outcome;
		size_t requests;
	} rows[] = {
	    {"GET", HTTP_ANSWERED, 3},
	    {"POST", HTTP_LOST, 2},
	    {"PUT", HTTP_LOST, 2},
	    {"DELETE", HTTP_LOST, 2},
	    {"PATCH", HTTP_LOST, 2},
	};
	struct http_answer answer;

	for (size_t i = 0; i < LEN(rows); i++) {
		teardown(state);
		setup(state);
		start(replies, LEN(replies));
		assert_int_equal(send_simple("GET", local("/first"), &answer), HTTP_ANSWERED);
		assert_int_equal(send_simple(rows[i].method, local("/second"), &answer), rows[i].outcome);
		http_free(http);
		http = NULL;
		stop();
		assert_int_equal(server.request_count, rows[i].requests);
		assert_int_equal(server.connections, 2);
	}
}

static void
multipart(void **state)
{
	static const struct reply replies[] = {{OK_EMPTY, END_CLOSE, 0}};
	const struct http_part parts[] = {
	    {.name = "prompt", .bytes = "a\r\nb\0c", .len = 6},
	    {.name = "image[]", .filename = "a\"b.png", .content_type = "image/png", .bytes = "\x89PNG", .len = 4},
	    {.name = "empty", .bytes = NULL, .len = 0},
	};
	struct http_request request;
	struct http_answer answer;
	const char *boundary, *body;
	char *expected;
	int len;

	(void)state;
	start(replies, 1);
	request = request_for("POST", local("/"));
	request.parts = parts;
	request.part_count = LEN(parts);
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_ANSWERED);
	stop();
	boundary = strstr(server.requests[0], "Content-Type: multipart/form-data; boundary=");
	assert_non_null(boundary);
	boundary += strlen("Content-Type: multipart/form-data; boundary=");
	boundary = arena_strndup(arena, boundary, strcspn(boundary, "\r"));
	body = strstr(server.requests[0], "\r\n\r\n") + 4;
	expected = arena_alloc(arena, 4096);
	len = sprintf(expected,
	    "--%s\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\nb%cc\r\n"
	    "--%s\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a%%22b.png\"\r\n"
	    "Content-Type: image/png\r\n\r\n\x89PNG\r\n"
	    "--%s\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--%s--\r\n",
	    boundary, 0, boundary, boundary, boundary);
	assert_int_equal(server.requests[0] + server.lens[0] - body, len);
	assert_memory_equal(body, expected, (size_t)len);
	assert_false(saw(0, "Transfer-Encoding"));
}

/* What speaks no TLS, or cannot prove who it is, gets to see nothing of the request. */
static void
plain_server_gets_nothing(void **state)
{
	static const struct reply replies[] = {{OK_EMPTY, END_CLOSE, 0}};
	struct http_request request;
	struct http_answer answer;

	(void)state;
	start(replies, 1);
	request = request_for("POST", arena_printf(arena, "https://127.0.0.1:%d/", server.port));
	request.timeout_ms = 500;
	assert_int_equal(http_send(http, arena, &request, &answer), HTTP_NOT_SENT);
	stop();
	assert_int_equal(server.connections, 1);
	assert_int_equal(server.request_count, 0);
}

static pid_t
spawn(char *const *argv, int output)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no server behind */
		dup2(output, STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_true(child > 0);
	return child;
}

/* openssl's server with a certificate that nobody signed; its port. */
static int
start_tls_server(const char *folder, pid_t *ret_child, FILE **ret_output)
{
	char *key = arena_printf(arena, "%s/key.pem", folder),
	     *certificate = arena_printf(arena, "%s/cert.pem", folder);
	char words[][16] = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
	    "-keyout", "-out", "s_server", "-accept", "127.0.0.1:0", "-key", "-cert", "-www"};
	char *const make[] = {words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8],
	    key, words[9], certificate, NULL};
	char *const run[] = {
	    words[0], words[10], words[11], words[12], words[13], key, words[14], certificate, words[15], NULL};
	char line[256];
	int status, ends[2], port = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*ret_child = spawn(make, ends[1]);
	assert_int_equal(waitpid(*ret_child, &status, 0), *ret_child);
	assert_int_equal(status, 0);
	*ret_child = spawn(run, ends[1]);
	close(ends[1]);
	*ret_output = fdopen(ends[0], "r");
	while (port == 0 && fgets(line, sizeof line, *ret_output) != NULL)
		if (strncmp(line, "ACCEPT 127.0.0.1:", 17) == 0)
			port = (int)strtol(line + 17, NULL, 10);
	unlink(key);
	unlink(certificate);
	return port;
}

static void
unknown_certificate_is_refused(void **state)
{
	char folder[] = "/tmp/test_http.XXXXXX";
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int status, probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct http_answer answer;
	FILE *output;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(folder));
	address.sin_port = htons((uint16_t)start_tls_server(folder, &child, &output));
	rmdir(folder);
	assert_int_equal(
	    send_simple("POST", arena_printf(arena, "https://localhost:%d/", ntohs(address.sin_port)), &answer),
	    HTTP_NOT_SENT);
	/* It is there and takes connections. */
	assert_int_equal(connect(probe, (struct sockaddr *)&address, sizeof address), 0);
	close(probe);
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	fclose(output);
}

static void
retry_after(void **state)
{
	static const struct {
		const char *name, *value;
		int64_t seconds;
	} rows[] = {
	    {"retry-after", "7", 7},
	    {"retry-after", "0", 0},
	    {"retry-after", "100", 60},
	    {"retry-after", "99999999999999999999", 60},
	    {"retry-after", "-5", 0},
	    {"retry-after", "soon", 0},
	    {"retry-after", "", 0},
	    {"retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", 0},
	    {"retry-after", "Fri, 01 Jan 2100 00:00:00 GMT", 60},
	    {"retry-after-ms", "1", 1},
	    {"retry-after-ms", "2000", 2},
	    {"retry-after-ms", "2001", 3},
	    {"retry-after-ms", "1500.5", 2},
	    {"retry-after-ms", "x", 0},
	    {"retry-after-ms", "0x10", 0},
	    {"other", "7", 0},
	};
	const struct http_header both[] = {{"retry-after", "9"}, {"retry-after-ms", "1200"}};
	struct http_answer answer = {.header_count = 1};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct http_header header = {rows[i].name, rows[i].value};

		answer.headers = &header;
		assert_int_equal(http_retry_after(&answer, 60), rows[i].seconds);
	}
	answer.headers = both;
	answer.header_count = 2;
	assert_int_equal(http_retry_after(&answer, 60), 2);
	answer.header_count = 0;
	assert_int_equal(http_retry_after(&answer, 60), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(answers_are_whole),
	    TEST(requests_hold_what_was_asked),
	    TEST(head_has_no_body),
	    TEST(outcomes),
	    TEST(headers_are_capped),
	    TEST(refused_connection_is_not_sent),
	    TEST(connect_timeout_is_not_sent),
	    TEST(unacceptable_requests_are_not_sent),
	    TEST(redirects_are_answers),
	    TEST(environment_sets_no_proxy),
	    TEST(cancel_aborts),
	    TEST(writes_are_sent_once),
	    TEST(multipart),
	    TEST(plain_server_gets_nothing),
	    TEST(unknown_certificate_is_refused),
	    TEST(retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
