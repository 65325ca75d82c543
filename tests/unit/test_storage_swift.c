/* Against OpenStack Swift's S3 API (tests/swift), with boto3 as the other side (tests/s3-client). */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "service/http.h"
#include "service/storage.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define KEY "gen/0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10/0-1.png"
#define UPLOAD "uploads/202611242200/0123456789abcdef0123456789abcdef"
#define START_TRIES 5

static struct {
	char folder[32], endpoint[32], port[8];
	pid_t pid;
	struct config *config;
	struct storage *storage;
	struct http *http;
	struct arena *arena;
} it;

static int
free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* False when it ends instead, since a port is taken. */
static bool
start_swift(void)
{
	int output[2];
	char line[128] = "";
	(void)snprintf(it.port, sizeof it.port, "%d", free_port());
	assert_int_equal(pipe(output), 0);
	it.pid = fork();
	if (it.pid == 0) {
		dup2(output[1], STDOUT_FILENO);
		close(output[0]);
		close(output[1]);
		execl("tests/swift", "tests/swift", it.folder, it.port, "pictures", "uploads", (char *)NULL);
		_exit(127);
	}
	close(output[1]);
	FILE *lines = fdopen(output[0], "r");
	bool ready = fgets(line, sizeof line, lines) != NULL && strcmp(line, "Swift is ready\n") == 0;
	fclose(lines);
	if (!ready)
		assert_int_equal(waitpid(it.pid, NULL, 0), it.pid);
	return ready;
}

static struct storage *
open_with(const char *secret, struct config **ret_config)
{
	char error[256] = "";
	const char *const settings[][2] = {{"STORAGE", "r2"}, {"STORAGE_LINKS", "direct"}, {"R2_ENDPOINT", it.endpoint},
	    {"R2_BUCKET", "pictures"}, {"R2_UPLOAD_BUCKET", "uploads"}, {"R2_ACCESS_KEY_ID", "test:tester"},
	    {"R2_SECRET_ACCESS_KEY", secret}};
	for (size_t i = 0; i < LEN(settings); i++)
		setenv(settings[i][0], settings[i][1], 1);
	*ret_config = config_load(error, sizeof error);
	assert_string_equal(error, "");
	return storage_new(*ret_config);
}

static int
group_setup(void **state)
{
	(void)state;
	log_open("test_storage_swift", LOG__COUNT);
	(void)snprintf(it.folder, sizeof it.folder, "/tmp/shotai-swift-XXXXXX");
	if (mkdtemp(it.folder) == NULL)
		return -1;
	for (int tries = 0; tries < START_TRIES && !start_swift(); tries++)
		it.pid = 0;
	if (it.pid == 0)
		return -1;
	(void)snprintf(it.endpoint, sizeof it.endpoint, "http://127.0.0.1:%s", it.port);
	it.storage = open_with("testing", &it.config);
	it.http = http_new();
	return 0;
}

/* Output and status of a program. */
static char *
run(const char *const *arguments, int *ret_status)
{
	static char output[65536];
	int ends[2];
	size_t len = 0;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char *argv[16] = {NULL};
		for (size_t i = 0; i + 1 < LEN(argv) && arguments[i] != NULL; i++)
			argv[i] = strdup(arguments[i]);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(ends[1]);
	for (ssize_t n; (n = read(ends[0], output + len, sizeof output - 1 - len)) > 0;)
		len += (size_t)n;
	close(ends[0]);
	output[len] = '\0';
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	return output;
}

#define BOTO(...) boto((const char *const[]){"tests/s3-client", it.endpoint, __VA_ARGS__, NULL})
static const char *
boto(const char *const *arguments)
{
	int status = -1;
	const char *output = run(arguments, &status);
	assert_int_equal(status, 0);
	return output;
}

static int
group_teardown(void **state)
{
	int status = 0;
	(void)state;
	http_free(it.http);
	storage_free(it.storage);
	config_free(it.config);
	kill(it.pid, SIGTERM);
	waitpid(it.pid, &status, 0);
	(void)run((const char *const[]){"rm", "-r", it.folder, NULL}, &status);
	return status;
}

static int
setup(void **state)
{
	(void)state;
	it.arena = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(it.arena);
	return 0;
}

static enum problem
put(const char *key, const char *bytes)
{
	return storage_put(it.storage, key, "image/png", bytes, strlen(bytes));
}

static void
what_we_put_boto_gets_until_we_delete_it(void **state)
{
	(void)state;
	assert_int_equal(put(KEY, "a picture"), PROBLEM_NONE);
	assert_int_equal(put(UPLOAD, "an upload"), PROBLEM_NONE);
	assert_string_equal(BOTO("get", "pictures", KEY), "image/png private, max-age=300 a picture");
	assert_string_equal(BOTO("get", "uploads", UPLOAD), "image/png no-store an upload");
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
	assert_int_equal(storage_delete(it.storage, UPLOAD), PROBLEM_NONE);
	assert_string_equal(BOTO("list", "pictures"), "");
	assert_string_equal(BOTO("list", "uploads"), "");
}

static void
what_boto_puts_we_get_and_list(void **state)
{
	static const char *const keys[] = {"gen/1/0-1.png", "odd/!&<>'\"+ %25?#", "odd/\346\227\245\346\234\254"};
	struct storage_object *objects = NULL;
	uint8_t *bytes = NULL;
	size_t len = 0;
	(void)state;
	for (size_t i = 0; i < LEN(keys); i++)
		(void)BOTO("put", "pictures", keys[i], "abc");
	(void)BOTO("put", "uploads", "uploads/1/2", "uploaded");
	assert_int_equal(storage_get(it.storage, it.arena, keys[0], 3, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(storage_get(it.storage, it.arena, keys[0], 2, &bytes, &len), PROBLEM_TOO_LARGE);
	assert_int_equal(storage_get(it.storage, it.arena, "gen/1/0-2.png", 2, &bytes, &len), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_list(it.storage, it.arena, "", NULL, &objects, &len), PROBLEM_NONE);
	assert_int_equal(len, 4);
	for (size_t i = 0; i < LEN(keys); i++) {
		assert_string_equal(objects[i].key, keys[i]);
		assert_int_equal(objects[i].bytes, 3);
		assert_string_equal(objects[i].md5, "900150983cd24fb0d6963f7d28e17f72");
		assert_in_range(objects[i].modified_at, time(NULL) - 300, time(NULL) + 2);
	}
	assert_string_equal(objects[3].key, "uploads/1/2");
	assert_int_equal(storage_list(it.storage, it.arena, "", keys[1], &objects, &len), PROBLEM_NONE);
	assert_int_equal(len, 2);
	assert_string_equal(objects[0].key, keys[2]);
	assert_int_equal(storage_list(it.storage, it.arena, "odd/", NULL, &objects, &len), PROBLEM_NONE);
	assert_int_equal(len, 2);
	assert_int_equal(storage_list(it.storage, it.arena, "uploads/", "uploads/1/2", &objects, &len), PROBLEM_NONE);
	assert_int_equal(len, 0);
	for (size_t i = 1; i < LEN(keys); i++)
		(void)BOTO("delete", "pictures", keys[i]);
	const char *const ours[] = {"gen/1/0-1.png", "uploads/1/2", "gen/never"};
	assert_int_equal(storage_delete_many(it.storage, ours, LEN(ours)), PROBLEM_NONE);
	assert_string_equal(BOTO("list", "pictures"), "");
	assert_string_equal(BOTO("list", "uploads"), "");
}

#define BIG ((size_t)8 << 20)

static void
a_file_goes_up_in_parts_and_comes_back_in_pieces(void **state)
{
	const int64_t size = ((int64_t)16 << 20) + 5;
	char letters[8] = "";
	const struct storage_piece piece = {letters, 6};
	struct storage_unfinished *left = NULL;
	size_t len = 0;
	int64_t total = 0;
	FILE *spool = tmpfile();
	(void)state;
	assert_int_equal(ftruncate(fileno(spool), size), 0);
	assert_int_equal(pwrite(fileno(spool), "abcdefg", 7, size - 7), 7);
	assert_int_equal(storage_put_file(it.storage, "archives/a", "application/zip",
			     &(struct storage_source){.fd = fileno(spool), .len = size}),
	    PROBLEM_NONE);
	assert_int_equal(storage_put_file(it.storage, "archives/b", "application/zip",
			     &(struct storage_source){.fd = fileno(spool), .len = 10}),
	    PROBLEM_NONE);
	assert_int_equal(storage_put_file(it.storage, "archives/c", "application/zip",
			     &(struct storage_source){.fd = fileno(spool), .len = size + 1}),
	    PROBLEM_STORAGE_UNAVAILABLE);
	(void)fclose(spool);
	assert_string_equal(BOTO("list", "pictures"), "archives/a 16777221\narchives/b 10\n");
	assert_int_equal(storage_read(it.storage, "archives/a", size - 6, &piece, &len, &total), PROBLEM_NONE);
	assert_int_equal(len, 6);
	assert_int_equal(total, size);
	assert_string_equal(letters, "bcdefg");
	assert_int_equal(storage_read(it.storage, "archives/a", size, &piece, &len, &total), PROBLEM_NONE);
	assert_int_equal(len, 0);
	assert_int_equal(storage_read(it.storage, "archives/c", 0, &piece, &len, &total), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_list_unfinished(it.storage, it.arena, "archives/", &left, &len), PROBLEM_NONE);
	assert_int_equal(len, 0);
	const char *const ours[] = {"archives/a", "archives/b"};
	assert_int_equal(storage_delete_many(it.storage, ours, LEN(ours)), PROBLEM_NONE);
}

static void
what_was_begun_is_found_and_given_up(void **state)
{
	struct storage_unfinished *left = NULL;
	size_t count = 0;
	(void)state;
	(void)BOTO("begin", "pictures", "archives/a");
	(void)BOTO("begin", "pictures", "gen/a");
	assert_int_equal(storage_list_unfinished(it.storage, it.arena, "archives/", &left, &count), PROBLEM_NONE);
	assert_int_equal(count, 1);
	assert_string_equal(left[0].key, "archives/a");
	assert_int_equal(storage_give_up(it.storage, &left[0]), PROBLEM_NONE);
	assert_int_equal(storage_give_up(it.storage, &left[0]), PROBLEM_NONE);
	assert_int_equal(storage_list_unfinished(it.storage, it.arena, "", &left, &count), PROBLEM_NONE);
	assert_int_equal(count, 1);
	assert_int_equal(storage_give_up(it.storage, &left[0]), PROBLEM_NONE);
}

static void
large_and_empty_objects_come_back(void **state)
{
	uint8_t *bytes = NULL;
	size_t len = 1;
	char *big = arena_alloc(it.arena, BIG);
	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i * 31 >> 3);
	assert_int_equal(storage_put(it.storage, "gen/big", "image/png", big, BIG), PROBLEM_NONE);
	assert_int_equal(storage_put(it.storage, "gen/empty", "image/png", NULL, 0), PROBLEM_NONE);
	assert_int_equal(storage_get(it.storage, it.arena, "gen/big", BIG, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, BIG);
	assert_memory_equal(bytes, big, BIG);
	assert_int_equal(storage_get(it.storage, it.arena, "gen/empty", BIG, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 0);
	assert_int_equal(
	    storage_delete_many(it.storage, (const char *const[]){"gen/big", "gen/empty"}, 2), PROBLEM_NONE);
}

static int
fetch(const char *method, const char *url, struct http_answer *ret_answer)
{
	const struct http_request request = {.method = method, .url = url, .timeout_ms = 30000, .answer_max = 65536};
	assert_int_equal(http_send(it.http, it.arena, &request, ret_answer), HTTP_ANSWERED);
	return ret_answer->status;
}

static void
a_link_opens_one_object_for_a_time(void **state)
{
	struct http_answer answer;
	int64_t now = time(NULL);
	(void)state;
	assert_int_equal(put(KEY, "a picture"), PROBLEM_NONE);
	const char *link = storage_link(it.config, it.arena, KEY, now, now + 60);
	assert_int_equal(fetch("GET", link, &answer), 200);
	assert_string_equal(answer.body, "a picture");
	assert_string_equal(http_answer_header(&answer, "content-type"), "image/png");
	const char *accel = storage_accel(it.storage, it.arena, KEY);
	const char *served = arena_printf(it.arena, "%s/pictures%s", it.endpoint, accel + strlen("/_storage"));
	assert_int_equal(fetch("GET", served, &answer), 200);
	assert_int_equal(fetch("PUT", link, &answer), 403);
	assert_int_equal(fetch("DELETE", link, &answer), 403);
	char *other = arena_strdup(it.arena, link);
	other[strlen(other) - 1] = other[strlen(other) - 1] == '0' ? '1' : '0';
	assert_int_equal(fetch("GET", other, &answer), 403);
	assert_int_equal(fetch("GET", storage_link(it.config, it.arena, KEY, now - 120, now - 60), &answer), 403);
	assert_int_equal(fetch("GET", arena_printf(it.arena, "%s/pictures/%s", it.endpoint, KEY), &answer) / 100, 4);
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
	assert_int_equal(fetch("GET", link, &answer), 404);
}

static void
another_secret_opens_nothing(void **state)
{
	struct storage_object *objects = NULL;
	uint8_t *bytes = NULL;
	size_t len = 0;
	struct config *config = NULL;
	(void)state;
	struct storage *other = open_with("testinG", &config);
	assert_int_equal(put(KEY, "a picture"), PROBLEM_NONE);
	assert_int_equal(storage_put(other, KEY, "image/png", "x", 1), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_get(other, it.arena, KEY, 100, &bytes, &len), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_list(other, it.arena, "", NULL, &objects, &len), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_delete(other, KEY), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_delete_many(other, (const char *const[]){KEY}, 1), PROBLEM_STORAGE_UNAVAILABLE);
	storage_free(other);
	config_free(config);
	assert_string_equal(BOTO("get", "pictures", KEY), "image/png private, max-age=300 a picture");
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(what_we_put_boto_gets_until_we_delete_it),
	    T(what_boto_puts_we_get_and_list),
	    T(a_file_goes_up_in_parts_and_comes_back_in_pieces),
	    T(what_was_begun_is_found_and_given_up),
	    T(large_and_empty_objects_come_back),
	    T(a_link_opens_one_object_for_a_time),
	    T(another_secret_opens_nothing),
	};
	return cmocka_run_group_tests_name("storage_swift", tests, group_setup, group_teardown);
}
