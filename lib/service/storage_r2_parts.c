#include "service/storage_r2_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "service/storage.h"
#include "service/storage_r2_call.h"
#include "service/storage_xml.h"

#define PARTS_MAX 10000
#define UPLOADS_MAX 1000
#define UPLOADS_MAX_TEXT "1000"

/* One object on its way up. */
struct upload {
	struct storage_r2_caller *caller;
	const struct storage_r2_object *object;
	const char *id;
	struct text parts; /* what the server is told at the end */
};

static struct storage_xml
xml_of(const struct http_answer *answer)
{
	return answer->body_len == 0 ? (struct storage_xml){"", ""}
				     : (struct storage_xml){answer->body, answer->body + answer->body_len};
}

static enum problem
begin(struct upload *upload, struct arena *arena)
{
	struct storage_r2_call call = {.action = "begin",
	    .method = "POST",
	    .bucket = upload->object->bucket,
	    .key = upload->object->key,
	    .query = {{"uploads", ""}},
	    .query_count = 1,
	    .headers = {{"Content-Type", upload->object->content_type}, {"Cache-Control", "no-store"}},
	    .header_count = 2};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(upload->caller, arena, &call, &answer);
	if (outcome != HTTP_ANSWERED || answer.status != 200)
		return storage_r2_failed(arena, &call, outcome, &answer);
	upload->id = storage_xml_text(arena, xml_of(&answer), "UploadId");
	return upload->id != NULL ? PROBLEM_NONE : storage_r2_failed(arena, &call, outcome, &answer);
}

enum problem
storage_r2_parts_read(int fd, uint8_t *bytes, size_t len, int64_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, bytes + done, len - done, (off_t)(offset + (int64_t)done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_event(LOG_ERROR, "storage_failed", "action", "read", "cause",
			    n < 0 ? strerror(errno) : "the file is shorter", NULL);
			return PROBLEM_STORAGE_UNAVAILABLE;
		}
		done += (size_t)n;
	}
	return PROBLEM_NONE;
}

static enum problem
put_part(struct upload *upload, int number, const uint8_t *bytes, size_t len)
{
	AUTO_ARENA arena = arena_new();
	struct storage_r2_call put = {.action = "put",
	    .method = "PUT",
	    .bucket = upload->object->bucket,
	    .key = upload->object->key,
	    .query = {{"partNumber", arena_printf(arena, "%d", number)}, {"uploadId", upload->id}},
	    .query_count = 2,
	    .body = bytes,
	    .body_len = len};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(upload->caller, arena, &put, &answer);
	const char *etag = outcome == HTTP_ANSWERED ? http_answer_header(&answer, "etag") : NULL;
	if (outcome != HTTP_ANSWERED || answer.status != 200 || etag == NULL)
		return storage_r2_failed(arena, &put, outcome, &answer);
	text_printf(&upload->parts, "<Part><PartNumber>%d</PartNumber><ETag>", number);
	text_add_html(&upload->parts, etag);
	text_add(&upload->parts, "</ETag></Part>");
	return PROBLEM_NONE;
}

static enum problem
put_parts(struct upload *upload, const struct storage_source *source)
{
	AUTO_ARENA arena = arena_new();
	int64_t len = source->len;
	int64_t part = len / PARTS_MAX + 1 > STORAGE_R2_PART ? len / PARTS_MAX + 1 : STORAGE_R2_PART;
	uint8_t *bytes = arena_alloc(arena, (size_t)part);
	enum problem problem = PROBLEM_NONE;
	int number = 1;
	for (int64_t at = 0; at < len && problem == PROBLEM_NONE; at += part, number++) {
		size_t piece = (size_t)(len - at < part ? len - at : part);
		if (source->go_on != NULL && !source->go_on(source->context))
			return PROBLEM_STORAGE_UNAVAILABLE;
		problem = storage_r2_parts_read(source->fd, bytes, piece, at);
		if (problem == PROBLEM_NONE)
			problem = put_part(upload, number, bytes, piece);
	}
	return problem;
}

/* Whether the object is there after all: the answer that said so may have been lost. */
static bool
is_there(const struct upload *upload, struct arena *arena, int64_t len)
{
	struct storage_r2_call head = {
	    .action = "head", .method = "HEAD", .bucket = upload->object->bucket, .key = upload->object->key};
	struct http_answer answer;
	if (storage_r2_call(upload->caller, arena, &head, &answer) != HTTP_ANSWERED || answer.status != 200)
		return false;
	const char *length = http_answer_header(&answer, "content-length");
	return length != NULL && strtoll(length, NULL, 10) == len;
}

static enum problem
end(struct upload *upload, struct arena *arena, int64_t len)
{
	struct storage_r2_call call = {.action = "end",
	    .method = "POST",
	    .bucket = upload->object->bucket,
	    .key = upload->object->key,
	    .query = {{"uploadId", upload->id}},
	    .query_count = 1,
	    .headers = {{"Content-Type", "application/xml"}},
	    .header_count = 1,
	    .body = upload->parts.data,
	    .body_len = upload->parts.len};
	struct http_answer answer;
	struct storage_xml error;
	enum http_outcome outcome = storage_r2_call(upload->caller, arena, &call, &answer);
	if (outcome == HTTP_ANSWERED && answer.status == 200) {
		struct storage_xml xml = xml_of(&answer);
		/* A server may say 200 before it knows. */
		if (!storage_xml_next(&xml, "Error", &error))
			return PROBLEM_NONE;
	}
	return is_there(upload, arena, len) ? PROBLEM_NONE : storage_r2_failed(arena, &call, outcome, &answer);
}

enum problem
storage_r2_parts_put(
    struct storage_r2_caller *caller, const struct storage_r2_object *object, const struct storage_source *source)
{
	AUTO_ARENA arena = arena_new();
	struct upload upload = {.caller = caller, .object = object};
	text_init(&upload.parts, arena, STORAGE_R2_ANSWER);
	text_add(&upload.parts, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	enum problem problem = begin(&upload, arena);
	if (problem != PROBLEM_NONE)
		return problem;
	problem = put_parts(&upload, source);
	text_add(&upload.parts, "</CompleteMultipartUpload>");
	if (problem == PROBLEM_NONE)
		problem = end(&upload, arena, source->len);
	if (problem != PROBLEM_NONE)
		(void)storage_r2_parts_abort(
		    caller, object->bucket, &(struct storage_unfinished){.key = object->key, .id = upload.id});
	return problem;
}

enum problem
storage_r2_parts_list(struct storage_r2_caller *caller, struct arena *arena, const char *bucket, const char *prefix,
    struct storage_unfinished **ret_uploads, size_t *ret_count)
{
	struct storage_r2_call list = {.action = "list",
	    .method = "GET",
	    .bucket = bucket,
	    .query = {{"uploads", ""}, {"max-uploads", UPLOADS_MAX_TEXT}, {"prefix", prefix}},
	    .query_count = 3};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(caller, arena, &list, &answer);
	if (outcome != HTTP_ANSWERED || answer.status != 200)
		return storage_r2_failed(arena, &list, outcome, &answer);
	struct storage_unfinished *uploads = arena_array(arena, UPLOADS_MAX, sizeof *uploads);
	struct storage_xml xml = xml_of(&answer), one;
	size_t count = 0;
	while (count < UPLOADS_MAX && storage_xml_next(&xml, "Upload", &one)) {
		uploads[count] = (struct storage_unfinished){
		    .key = storage_xml_text(arena, one, "Key"), .id = storage_xml_text(arena, one, "UploadId")};
		count += uploads[count].key != NULL && uploads[count].id != NULL;
	}
	*ret_uploads = uploads;
	*ret_count = count;
	return PROBLEM_NONE;
}

enum problem
storage_r2_parts_abort(struct storage_r2_caller *caller, const char *bucket, const struct storage_unfinished *upload)
{
	AUTO_ARENA arena = arena_new();
	struct storage_r2_call abandon = {.action = "abort",
	    .method = "DELETE",
	    .bucket = bucket,
	    .key = upload->key,
	    .query = {{"uploadId", upload->id}},
	    .query_count = 1};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(caller, arena, &abandon, &answer);
	if (outcome == HTTP_ANSWERED && (answer.status / 100 == 2 || answer.status == 404))
		return PROBLEM_NONE;
	return storage_r2_failed(arena, &abandon, outcome, &answer);
}
