/* Against a server in a thread of this process, which answers as each test wants; every answer ends its connection. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "service/storage.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define REQUESTS_MAX 8
#define REQUEST_SIZE ((size_t)9 << 20)
#define ID "the-access-key-id"
#define SECRET "the-secret-access-key"
#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define REPLY(status, body) HEAD(status) "\r\n" body
#define ERROR(status, code)                                                                                            \
	REPLY(status, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>" code "</Code><Message>m</Message></"       \
		      "Error>")
#define OK REPLY("200 OK", "")
#define LOST ""
#define KEY "gen/0195f0c2/0-1.png"

static struct {
	int fd, port;
	pthread_t thread;
	const char *const *replies;
	size_t reply_count, request_count;
	char *requests[REQUESTS_MAX];
	struct config *config;
	struct storage *storage;
	struct arena *arena;
} it;

static char *
read_request(int fd)
{
	char *request = calloc(1, REQUEST_SIZE);
	size_t len = 0;
	for (;;) {
		const char *end = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
		if (end != NULL &&
		    (length == NULL || len >= (size_t)(end + 4 - request) + strtoul(length + 16, NULL, 10)))
			return request;
		ssize_t n = read(fd, request + len, REQUEST_SIZE - 1 - len);
		if (n <= 0) {
			free(request);
			return NULL;
		}
		len += (size_t)n;
	}
}

static void *
serve(void *unused)
{
	for (size_t i = 0; i < it.reply_count;) {
		int fd = accept4(it.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		char *request = read_request(fd);
		if (request != NULL) {
			const char *reply = it.replies[i++];
			it.requests[it.request_count++] = request;
			for (size_t len = strlen(reply); len > 0;) {
				ssize_t n = send(fd, reply, len, MSG_NOSIGNAL);
				if (n <= 0)
					break;
				reply += n;
				len -= (size_t)n;
			}
		}
		close(fd);
	}
	return unused;
}

static void
start(const char *const *replies, size_t count)
{
	it.replies = replies;
	it.reply_count = count;
	assert_true(count <= REQUESTS_MAX);
	assert_int_equal(pthread_create(&it.thread, NULL, serve, NULL), 0);
}
#define START(...)                                                                                                     \
	static const char *const replies[] = {__VA_ARGS__};                                                            \
	start(replies, LEN(replies))

/* After it, what the server saw may be looked at: as many requests as it had answers for, unless less are expected. */
static void
stop(size_t expected)
{
	shutdown(it.fd, SHUT_RDWR);
	pthread_join(it.thread, NULL);
	it.thread = 0;
	assert_int_equal(it.request_count, expected);
}

static int
setup(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	char endpoint[64], error[256] = "";
	(void)state;
	memset(&it, 0, sizeof it);
	it.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(it.fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(it.fd, 16), 0);
	assert_int_equal(getsockname(it.fd, (struct sockaddr *)&address, &len), 0);
	it.port = ntohs(address.sin_port);
	(void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", it.port);
	setenv("STORAGE", "r2", 1);
	setenv("R2_ENDPOINT", endpoint, 1);
	setenv("R2_BUCKET", "pictures", 1);
	setenv("R2_UPLOAD_BUCKET", "uploads", 1);
	setenv("R2_ACCESS_KEY_ID", ID, 1);
	setenv("R2_SECRET_ACCESS_KEY", SECRET, 1);
	it.config = config_load(error, sizeof error);
	assert_string_equal(error, "");
	it.storage = storage_new(it.config);
	assert_non_null(it.storage);
	it.arena = arena_new();
	log_open("test_storage_r2", LOG__COUNT);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (it.thread != 0) {
		shutdown(it.fd, SHUT_RDWR);
		pthread_join(it.thread, NULL);
	}
	close(it.fd);
	for (size_t i = 0; i < it.request_count; i++)
		free(it.requests[i]);
	arena_free(it.arena);
	storage_free(it.storage);
	config_free(it.config);
	return 0;
}

static bool
saw(size_t index, const char *text)
{
	return strstr(it.requests[index], text) != NULL;
}

static const char *
header(size_t index, const char *name)
{
	const char *at = strstr(it.requests[index], arena_printf(it.arena, "\r\n%s: ", name));
	assert_non_null(at);
	at += strlen(name) + 4;
	return arena_strndup(it.arena, at, strcspn(at, "\r"));
}

static enum problem
put(const char *key, const char *bytes)
{
	return storage_put(it.storage, key, "image/png", bytes, strlen(bytes));
}

static void
a_put_says_what_it_is(void **state)
{
	(void)state;
	START(OK, OK);
	assert_int_equal(put(KEY, "picture"), PROBLEM_NONE);
	assert_int_equal(put("uploads/202611242200/ab", "picture"), PROBLEM_NONE);
	stop(2);
	assert_true(saw(0, "PUT /pictures/" KEY " HTTP/1.1\r\n"));
	assert_string_equal(header(0, "Content-Type"), "image/png");
	assert_string_equal(header(0, "Content-Length"), "7");
	assert_string_equal(header(0, "If-None-Match"), "*");
	assert_string_equal(header(0, "Cache-Control"), "private, max-age=300");
	assert_string_equal(
	    header(0, "X-Amz-Content-Sha256"), "2cea274d0bedc39ec4ab6ba9e59ec889e3ed6fb56a1cf088a64d9b383378dc97");
	assert_string_equal(header(0, "Host"), arena_printf(it.arena, "127.0.0.1:%d", it.port));
	const char *authorization = header(0, "Authorization");
	assert_non_null(strstr(authorization, "AWS4-HMAC-SHA256 Credential=" ID "/"));
	assert_non_null(strstr(authorization, "/auto/s3/aws4_request, SignedHeaders=cache-control;content-type;host;"
					      "if-none-match;x-amz-content-sha256;x-amz-date, Signature="));
	assert_false(saw(0, "Expect:"));
	assert_false(saw(0, SECRET));
	assert_non_null(strstr(it.requests[0], "\r\n\r\npicture"));
	assert_true(saw(1, "PUT /uploads/uploads/202611242200/ab HTTP/1.1\r\n"));
	assert_string_equal(header(1, "Cache-Control"), "no-store");
}

static void
what_passes_is_asked_again(void **state)
{
	(void)state;
	START(ERROR("429 Too Many Requests", "TooManyRequests"), ERROR("500 Internal Server Error", "InternalError"),
	    ERROR("503 Service Unavailable", "ServiceUnavailable"), OK, LOST, REPLY("200 OK", "picture"));
	uint8_t *bytes = NULL;
	size_t len = 0;
	assert_int_equal(put(KEY, "picture"), PROBLEM_NONE);
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 7, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 7);
	assert_memory_equal(bytes, "picture", 7);
	stop(6);
	for (size_t i = 0; i < 4; i++)
		assert_true(saw(i, "PUT /pictures/" KEY " "));
}

static void
every_try_is_signed_anew(void **state)
{
	(void)state;
	START(HEAD("503 Service Unavailable") "Retry-After: 1\r\n\r\n", OK);
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
	stop(2);
	assert_string_not_equal(header(0, "X-Amz-Date"), header(1, "X-Amz-Date"));
	assert_string_not_equal(header(0, "Authorization"), header(1, "Authorization"));
}

static void
patience_ends(void **state)
{
	(void)state;
	START(LOST, ERROR("503 Slow Down", "SlowDown"), LOST, ERROR("500 Internal Server Error", "InternalError"), OK);
	assert_int_equal(put(KEY, "picture"), PROBLEM_STORAGE_UNAVAILABLE);
	stop(4);
}

static void
refusals_are_final(void **state)
{
	(void)state;
	START(ERROR("400 Bad Request", "ExpiredRequest"), ERROR("403 Forbidden", "SignatureDoesNotMatch"),
	    ERROR("403 Forbidden", "RequestTimeTooSkewed"), ERROR("401 Unauthorized", "Unauthorized"),
	    ERROR("404 Not Found", "NoSuchBucket"), REPLY("301 Moved", "<a>elsewhere</a>"));
	uint8_t *bytes = NULL;
	size_t len = 0;
	struct storage_object *objects = NULL;
	assert_int_equal(put(KEY, "picture"), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 7, &bytes, &len), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_delete_many(it.storage, (const char *const[]){KEY}, 1), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_list(it.storage, it.arena, "gen/", NULL, &objects, &len), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(put(KEY, "picture"), PROBLEM_STORAGE_UNAVAILABLE);
	stop(6);
}

static const char *
head_reply(const char *md5)
{
	return arena_printf(it.arena, HEAD("200 OK") "Content-Length: 7\r\nETag: \"%s\"\r\n\r\n", md5);
}

static const char *
md5_of(const char *bytes)
{
	uint8_t digest[16];
	char hex[33];
	digest_md5(bytes, strlen(bytes), digest);
	digest_hex(digest, sizeof digest, hex);
	return arena_strdup(it.arena, hex);
}

static void
a_lost_answer_was_a_success(void **state)
{
	(void)state;
	const char *const replies[] = {
	    LOST, ERROR("412 Precondition Failed", "PreconditionFailed"), head_reply(md5_of("picture"))};
	start(replies, LEN(replies));
	assert_int_equal(put(KEY, "picture"), PROBLEM_NONE);
	stop(3);
	assert_true(saw(2, "HEAD /pictures/" KEY " "));
}

static void
a_taken_key_stays(void **state)
{
	(void)state;
	const char *const replies[] = {ERROR("412 Precondition Failed", "PreconditionFailed"),
	    head_reply(md5_of("another")), ERROR("412 Precondition Failed", "PreconditionFailed"),
	    HEAD("404 Not Found") "\r\n", ERROR("412 Precondition Failed", "PreconditionFailed"),
	    HEAD("403 Forbidden") "\r\n"};
	start(replies, LEN(replies));
	assert_int_equal(put(KEY, "picture"), PROBLEM_INTERNAL);
	assert_int_equal(put(KEY, "picture"), PROBLEM_INTERNAL);
	assert_int_equal(put(KEY, "picture"), PROBLEM_STORAGE_UNAVAILABLE);
	stop(6);
}

static void
a_server_without_conditions_is_used_without(void **state)
{
	(void)state;
	START(
	    ERROR("501 Not Implemented", "NotImplemented"), OK, OK, ERROR("501 Not Implemented", "NotImplemented"), OK);
	assert_int_equal(put(KEY, "picture"), PROBLEM_NONE);
	assert_int_equal(put(KEY, "picture"), PROBLEM_NONE);
	assert_int_equal(put(KEY, "picture"), PROBLEM_STORAGE_UNAVAILABLE);
	stop(4);
	assert_true(saw(0, "If-None-Match"));
	for (size_t i = 1; i < 4; i++)
		assert_false(saw(i, "If-None-Match"));
}

static void
a_get_is_whole_or_none(void **state)
{
	(void)state;
	START(HEAD("200 OK") "Content-Length: 7\r\n\r\npic", HEAD("200 OK") "Content-Length: 7\r\n\r\npicture",
	    ERROR("404 Not Found", "NoSuchKey"), HEAD("200 OK") "Content-Length: 7\r\n\r\npicture",
	    HEAD("200 OK") "Content-Length: 100000000\r\n\r\npicture", HEAD("200 OK") "Content-Length: 0\r\n\r\n");
	uint8_t *bytes = NULL;
	size_t len = 0;
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 7, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 7);
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 0, &bytes, &len), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 6, &bytes, &len), PROBLEM_TOO_LARGE);
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 6, &bytes, &len), PROBLEM_TOO_LARGE);
	assert_int_equal(storage_get(it.storage, it.arena, KEY, 0, &bytes, &len), PROBLEM_NONE);
	assert_int_equal(len, 0);
	stop(6);
}

#define BEGUN REPLY("200 OK", "<InitiateMultipartUploadResult><UploadId>u+1</UploadId></InitiateMultipartUploadResult>")
#define PART HEAD("200 OK") "ETag: \"ab\"\r\n\r\n"

/* Of two parts, the second of one byte. */
static enum problem
put_large(void)
{
	const int64_t len = ((int64_t)8 << 20) + 1;
	FILE *spool = tmpfile();
	assert_int_equal(ftruncate(fileno(spool), len), 0);
	enum problem problem = storage_put_file(
	    it.storage, "archives/a", "application/zip", &(struct storage_source){.fd = fileno(spool), .len = len});
	(void)fclose(spool);
	return problem;
}

static void
a_file_goes_up_in_parts(void **state)
{
	(void)state;
	START(BEGUN, PART, PART, REPLY("200 OK", "<CompleteMultipartUploadResult/>"));
	assert_int_equal(put_large(), PROBLEM_NONE);
	stop(4);
	assert_true(saw(0, "POST /pictures/archives/a?uploads= HTTP/1.1\r\n"));
	assert_string_equal(header(0, "Content-Type"), "application/zip");
	assert_true(saw(1, "PUT /pictures/archives/a?partNumber=1&uploadId=u%2B1 HTTP/1.1\r\n"));
	assert_string_equal(header(1, "Content-Length"), "8388608");
	assert_string_equal(header(2, "Content-Length"), "1");
	assert_true(saw(3, "POST /pictures/archives/a?uploadId=u%2B1 HTTP/1.1\r\n"));
	assert_true(
	    saw(3, "<Part><PartNumber>1</PartNumber><ETag>&quot;ab&quot;</ETag></Part>"
		   "<Part><PartNumber>2</PartNumber><ETag>&quot;ab&quot;</ETag></Part></CompleteMultipartUpload>"));
}

static void
parts_that_fail_are_given_up(void **state)
{
	(void)state;
	START(
	    BEGUN, PART, ERROR("403 Forbidden", "AccessDenied"), REPLY("204 No Content", ""), REPLY("200 OK", "<x/>"));
	assert_int_equal(put_large(), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(put_large(), PROBLEM_STORAGE_UNAVAILABLE);
	stop(5);
	assert_true(saw(3, "DELETE /pictures/archives/a?uploadId=u%2B1 HTTP/1.1\r\n"));
}

static void
an_end_that_is_no_end_is_given_up(void **state)
{
	(void)state;
	START(BEGUN, PART, PART, REPLY("200 OK", "<Error><Code>InternalError</Code></Error>"),
	    HEAD("404 Not Found") "\r\n", REPLY("204 No Content", ""));
	assert_int_equal(put_large(), PROBLEM_STORAGE_UNAVAILABLE);
	stop(6);
	assert_true(saw(5, "DELETE "));
}

static void
an_end_whose_answer_was_lost_is_one(void **state)
{
	(void)state;
	START(BEGUN, PART, PART, LOST, ERROR("404 Not Found", "NoSuchUpload"),
	    HEAD("200 OK") "Content-Length: 8388609\r\n\r\n");
	assert_int_equal(put_large(), PROBLEM_NONE);
	stop(6);
}

static void
a_piece_is_what_was_asked_for(void **state)
{
	char bytes[4] = "";
	const struct storage_piece piece = {bytes, 4};
	size_t len = 0;
	int64_t total = 0;
	(void)state;
	START(HEAD("206 Partial Content") "Content-Range: bytes 4-6/7\r\nContent-Length: 3\r\n\r\nure",
	    ERROR("404 Not Found", "NoSuchKey"), HEAD("200 OK") "Content-Length: 7\r\n\r\npicture",
	    HEAD("206 Partial Content") "Content-Length: 3\r\n\r\nure",
	    ERROR("416 Range Not Satisfiable", "InvalidRange"));
	assert_int_equal(storage_read(it.storage, KEY, 4, &piece, &len, &total), PROBLEM_NONE);
	assert_int_equal(len, 3);
	assert_int_equal(total, 7);
	assert_memory_equal(bytes, "ure", 3);
	assert_int_equal(storage_read(it.storage, KEY, 0, &piece, &len, &total), PROBLEM_NOT_FOUND);
	assert_int_equal(storage_read(it.storage, KEY, 0, &piece, &len, &total), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_read(it.storage, KEY, 4, &piece, &len, &total), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_read(it.storage, KEY, 7, &piece, &len, &total), PROBLEM_NONE);
	assert_int_equal(len, 0);
	stop(5);
	assert_string_equal(header(0, "Range"), "bytes=4-7");
}

static void
an_absent_object_is_deleted(void **state)
{
	(void)state;
	START(REPLY("204 No Content", ""), ERROR("404 Not Found", "NoSuchKey"));
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
	assert_int_equal(storage_delete(it.storage, KEY), PROBLEM_NONE);
	stop(2);
}

#define DELETED(inside) REPLY("200 OK", "<DeleteResult xmlns=\"x\">" inside "</DeleteResult>")

static void
many_are_deleted_by_the_thousand(void **state)
{
	(void)state;
	START(DELETED(""), DELETED(""), DELETED(""));
	const char **keys = arena_array(it.arena, 1502, sizeof *keys);
	for (size_t i = 0; i < 1502; i++)
		keys[i] = arena_printf(it.arena, i % 751 == 750 ? "uploads/%zu" : "gen/%zu", i);
	assert_int_equal(storage_delete_many(it.storage, keys, 1502), PROBLEM_NONE);
	assert_int_equal(storage_delete_many(it.storage, keys, 0), PROBLEM_NONE);
	stop(3);
	size_t counts[3] = {0};
	for (size_t i = 0; i < 3; i++)
		for (const char *at = it.requests[i]; (at = strstr(at, "<Object><Key>")) != NULL; at++)
			counts[i]++;
	assert_int_equal(counts[0], 1000);
	assert_int_equal(counts[1], 500);
	assert_int_equal(counts[2], 2);
	assert_true(saw(0, "POST /pictures?delete= HTTP/1.1\r\n"));
	assert_true(saw(2, "POST /uploads?delete= HTTP/1.1\r\n"));
	assert_true(saw(2, "<Quiet>true</Quiet><Object><Key>uploads/750</Key></Object><Object><Key>uploads/1501</Key></"
			   "Object></Delete>"));
	const char *body = strstr(it.requests[2], "\r\n\r\n") + 4;
	uint8_t digest[16];
	digest_md5(body, strlen(body), digest);
	assert_string_equal(header(2, "Content-MD5"), digest_base64(it.arena, digest, sizeof digest));
}

static void
an_object_that_stays_is_told(void **state)
{
	(void)state;
	START(DELETED("<Error><Key>gen/1</Key><Code>InternalError</Code></Error>"),
	    DELETED("<Error><Key>gen/1</Key><Code>NoSuchKey</Code></Error>"),
	    DELETED("<Error><Key>gen/1</Key><Code>NoSuchKey</Code></Error><Error><Code>AccessDenied</Code></Error>"));
	static const char *const keys[] = {"gen/1", "gen/2"};
	assert_int_equal(storage_delete_many(it.storage, keys, 2), PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(storage_delete_many(it.storage, keys, 2), PROBLEM_NONE);
	assert_int_equal(storage_delete_many(it.storage, keys, 2), PROBLEM_STORAGE_UNAVAILABLE);
	stop(3);
}

#define OBJECT(key, size, etag)                                                                                        \
	"<Contents><Key>" key "</Key><LastModified>2026-11-24T22:00:00.123Z</LastModified><ETag>" etag                 \
	"</ETag><Size>" size "</Size><StorageClass>STANDARD</StorageClass></Contents>"
#define LIST(more, objects)                                                                                            \
	REPLY("200 OK",                                                                                                \
	    "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"            \
	    "<Name>b</Name><IsTruncated>" more "</IsTruncated>" objects "</ListBucketResult>")

static void
a_list_is_read(void **state)
{
	(void)state;
	START(LIST("true", OBJECT("gen/a&amp;b&#39;&#x3c;&quot;", "12", "&quot;0123456789abcdef0123456789abcdef&quot;")
			       OBJECT("gen/b", "0", "\"0123456789abcdef0123456789abcdef-2\"")),
	    LIST("false", ""));
	struct storage_object *objects = NULL;
	size_t count = 9;
	assert_int_equal(storage_list(it.storage, it.arena, "gen/", "gen/a", &objects, &count), PROBLEM_NONE);
	assert_int_equal(count, 2);
	assert_string_equal(objects[0].key, "gen/a&b'<\"");
	assert_int_equal(objects[0].bytes, 12);
	assert_int_equal(objects[0].modified_at, 1795557600);
	assert_string_equal(objects[0].md5, "0123456789abcdef0123456789abcdef");
	assert_string_equal(objects[1].key, "gen/b");
	assert_null(objects[1].md5);
	assert_int_equal(storage_list(it.storage, it.arena, "uploads/", NULL, &objects, &count), PROBLEM_NONE);
	assert_int_equal(count, 0);
	stop(2);
	assert_true(saw(0, "GET /pictures?list-type=2&max-keys=1000&prefix=gen%2F&start-after=gen%2Fa HTTP/1.1\r\n"));
	assert_true(saw(1, "GET /uploads?list-type=2&max-keys=1000&prefix=uploads%2F HTTP/1.1\r\n"));
}

static void
both_buckets_are_one_list(void **state)
{
	(void)state;
	START(LIST("false", OBJECT("gen/a", "1", "") OBJECT("uq/a", "1", "")),
	    LIST("false", OBJECT("uploads/a", "1", "")));
	struct storage_object *objects = NULL;
	size_t count = 0;
	assert_int_equal(storage_list(it.storage, it.arena, "", NULL, &objects, &count), PROBLEM_NONE);
	assert_int_equal(count, 3);
	assert_string_equal(objects[0].key, "gen/a");
	assert_string_equal(objects[1].key, "uploads/a");
	assert_string_equal(objects[2].key, "uq/a");
	stop(2);
	assert_true(saw(0, "GET /pictures?list-type=2&max-keys=1000&prefix= "));
	assert_true(saw(1, "GET /uploads?list-type=2&max-keys=1000&prefix=uploads%2F "));
}

/* What a sweep must not take for an empty place. */
static void
no_list_is_an_error(void **state)
{
	(void)state;
	START(REPLY("200 OK", ""), REPLY("200 OK", "<html>Hello</html>"), LIST("true", ""),
	    LIST("false", OBJECT("a", "-1", "")), LIST("false", OBJECT("a", "12345678901234567890", "")),
	    LIST("false", "<Contents><Key>a</Key><Size>1</Size></Contents>"), LIST("false", OBJECT("&huh;", "1", "")),
	    LIST("false", OBJECT("<b>a</b>", "1", "")));
	struct storage_object *objects = NULL;
	size_t count = 0;
	for (size_t i = 0; i < LEN(replies); i++)
		assert_int_equal(
		    storage_list(it.storage, it.arena, "gen/", NULL, &objects, &count), PROBLEM_STORAGE_UNAVAILABLE);
	stop(LEN(replies));
}

static void
nginx_is_told_key_and_signature(void **state)
{
	(void)state;
	const char *picture = storage_accel(it.storage, it.arena, KEY),
		   *thumbnail = storage_accel_thumbnail(it.storage, it.arena, KEY);
	static const char query[] = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" ID "%2F";
	assert_ptr_equal(strstr(picture, arena_printf(it.arena, "/_storage/" KEY "%s", query)), picture);
	assert_ptr_equal(strstr(thumbnail, arena_printf(it.arena, "/_thumbnail/" KEY "%s", query)), thumbnail);
	assert_non_null(strstr(picture, "&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="));
	assert_null(strstr(picture, "127.0.0.1"));
	assert_null(storage_accel(it.storage, it.arena, "uploads/202611242200/ab"));
	assert_null(storage_accel(it.storage, it.arena, "../x"));
	assert_int_equal(storage_delete_many(it.storage, (const char *const[]){KEY, "a b"}, 2), PROBLEM_INTERNAL);
}

static void
failures_tell_no_secret(void **state)
{
	(void)state;
	char path[] = "/tmp/shotai-log-XXXXXX";
	int log = mkstemp(path), stderr_kept = dup(STDERR_FILENO);
	assert_true(log >= 0 && stderr_kept >= 0);
	log_open("test_storage_r2", LOG_DEBUG);
	START(ERROR("403 Forbidden", "SignatureDoesNotMatch"), LOST, LOST, LOST, LOST,
	    DELETED("<Error><Key>gen/1</Key><Code>AccessDenied</Code></Error>"), REPLY("200 OK", "no list"));
	struct storage_object *objects = NULL;
	size_t count = 0;
	dup2(log, STDERR_FILENO);
	enum problem problems[] = {put(KEY, "picture"), storage_delete(it.storage, KEY),
	    storage_delete_many(it.storage, (const char *const[]){KEY}, 1),
	    storage_list(it.storage, it.arena, "gen/", NULL, &objects, &count)};
	dup2(stderr_kept, STDERR_FILENO);
	stop(7);
	close(stderr_kept);
	for (size_t i = 0; i < LEN(problems); i++)
		assert_int_equal(problems[i], PROBLEM_STORAGE_UNAVAILABLE);
	char written[8192] = "";
	assert_true(pread(log, written, sizeof written - 1, 0) > 0);
	close(log);
	assert_int_equal(unlink(path), 0);
	static const char *const secrets[] = {ID, SECRET, "AWS4", "http://", "Signature=", "X-Amz", KEY, "pictures"};
	for (size_t i = 0; i < LEN(secrets); i++)
		assert_null(strstr(written, secrets[i]));
	assert_non_null(strstr(written, "storage_failed action=put status=403 code=SignatureDoesNotMatch"));
	assert_non_null(strstr(written, "storage_failed action=delete status=lost"));
	assert_non_null(strstr(written, "storage_failed action=delete status=200 code=AccessDenied"));
}

static void *
put_some(void *unused)
{
	char key[64];
	for (int i = 0; i < 2; i++) {
		(void)snprintf(key, sizeof key, "gen/%lx/%d", (unsigned long)pthread_self(), i);
		if (put(key, "x") != PROBLEM_NONE)
			return NULL;
	}
	return unused;
}

static void
threads_share_it(void **state)
{
	pthread_t threads[4];
	START(OK, OK, OK, OK, OK, OK, OK, OK);
	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_some, &it), 0);
	for (size_t i = 0; i < 4; i++) {
		void *done = NULL;
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_non_null(done);
	}
	stop(8);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_put_says_what_it_is),
	    T(what_passes_is_asked_again),
	    T(every_try_is_signed_anew),
	    T(patience_ends),
	    T(refusals_are_final),
	    T(a_lost_answer_was_a_success),
	    T(a_taken_key_stays),
	    T(a_server_without_conditions_is_used_without),
	    T(a_get_is_whole_or_none),
	    T(a_file_goes_up_in_parts),
	    T(parts_that_fail_are_given_up),
	    T(an_end_that_is_no_end_is_given_up),
	    T(an_end_whose_answer_was_lost_is_one),
	    T(a_piece_is_what_was_asked_for),
	    T(an_absent_object_is_deleted),
	    T(many_are_deleted_by_the_thousand),
	    T(an_object_that_stays_is_told),
	    T(a_list_is_read),
	    T(both_buckets_are_one_list),
	    T(no_list_is_an_error),
	    T(nginx_is_told_key_and_signature),
	    T(failures_tell_no_secret),
	    T(threads_share_it),
	};
	return cmocka_run_group_tests_name("storage_r2", tests, NULL, NULL);
}
