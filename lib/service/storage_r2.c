#include "service/storage_r2.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "service/http.h"
#include "service/sigv4.h"
#include "service/storage.h"
#include "service/storage_r2_call.h"
#include "service/storage_r2_parts.h"
#include "service/storage_xml.h"

#define UPLOADS "uploads/"
#define DELETE_MAX ((size_t)1000)
#define LIST_MAX ((size_t)1000)
#define LIST_MAX_TEXT "1000"

struct storage_r2 {
	struct arena *arena;
	struct storage_r2_caller *caller;
	const char *bucket, *upload_bucket;
	bool overwrites; /* atomic: the server does not know If-None-Match on PUT */
};

static struct sigv4_key
key_of(const struct config *config)
{
	return (struct sigv4_key){.id = config_text(config, CONFIG_R2_ACCESS_KEY_ID),
	    .secret = config_text(config, CONFIG_R2_SECRET_ACCESS_KEY),
	    .region = "auto",
	    .service = "s3"};
}

static bool
is_upload(const char *key)
{
	return strncmp(key, UPLOADS, strlen(UPLOADS)) == 0;
}

static const char *
bucket_of(const struct storage_r2 *r2, const char *key)
{
	return is_upload(key) ? r2->upload_bucket : r2->bucket;
}

struct storage_r2 *
storage_r2_new(const struct config *config)
{
	struct arena *arena = arena_new();
	struct storage_r2 *r2 = arena_alloc(arena, sizeof *r2);
	const struct sigv4_key key = key_of(config);
	*r2 = (struct storage_r2){.arena = arena,
	    .caller = storage_r2_caller_new(config_text(config, CONFIG_R2_ENDPOINT), &key),
	    .bucket = config_text(config, CONFIG_R2_BUCKET),
	    .upload_bucket = config_text(config, CONFIG_R2_UPLOAD_BUCKET)};
	return r2;
}

void
storage_r2_free(struct storage_r2 *r2)
{
	if (r2 == NULL)
		return;
	storage_r2_caller_free(r2->caller);
	arena_free(r2->arena);
}

static const char *
md5_hex(struct arena *arena, const void *bytes, size_t len)
{
	uint8_t digest[16];
	char *hex = arena_alloc(arena, 2 * sizeof digest + 1);
	digest_md5(bytes, len, digest);
	digest_hex(digest, sizeof digest, hex);
	return hex;
}

/* The MD5 in the ETag of an object that was put in one piece; NULL: it is something else. */
static const char *
etag_md5(struct arena *arena, const char *etag)
{
	if (etag == NULL)
		return NULL;
	etag += *etag == '"';
	size_t len = strspn(etag, "0123456789abcdef");
	return len == 32 && (etag[len] == '\0' || etag[len] == '"') ? arena_strndup(arena, etag, len) : NULL;
}

/* The key is taken: by these very bytes, when the answer to an earlier try was lost? */
static enum problem
taken(struct storage_r2 *r2, struct arena *arena, const char *key, const void *bytes, size_t len)
{
	struct storage_r2_call head = {.action = "head", .method = "HEAD", .bucket = bucket_of(r2, key), .key = key};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &head, &answer);
	if (outcome != HTTP_ANSWERED || (answer.status != 200 && answer.status != 404))
		return storage_r2_failed(arena, &head, outcome, &answer);
	const char *md5 = etag_md5(arena, http_answer_header(&answer, "etag"));
	if (answer.status == 200 && md5 != NULL && strcmp(md5, md5_hex(arena, bytes, len)) == 0)
		return PROBLEM_NONE;
	log_event(LOG_ERROR, "storage_key_taken", NULL);
	return PROBLEM_INTERNAL;
}

enum problem
storage_r2_put(struct storage_r2 *r2, const char *key, const char *content_type, const void *bytes, size_t len)
{
	AUTO_ARENA arena = arena_new();
	struct storage_r2_call put = {.action = "put",
	    .method = "PUT",
	    .bucket = bucket_of(r2, key),
	    .key = key,
	    .headers = {{"Content-Type", content_type},
		{"Cache-Control", is_upload(key) ? "no-store" : "private, max-age=300"}, {"If-None-Match", "*"}},
	    .header_count = __atomic_load_n(&r2->overwrites, __ATOMIC_RELAXED) ? 2 : 3,
	    .body = len == 0 ? "" : bytes,
	    .body_len = len};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &put, &answer);
	if (outcome == HTTP_ANSWERED && answer.status == 501 && put.header_count == 3) {
		log_event(LOG_WARN, "storage_overwrites", NULL);
		__atomic_store_n(&r2->overwrites, true, __ATOMIC_RELAXED);
		put.header_count = 2;
		outcome = storage_r2_call(r2->caller, arena, &put, &answer);
	}
	if (outcome == HTTP_ANSWERED && answer.status / 100 == 2)
		return PROBLEM_NONE;
	if (outcome == HTTP_ANSWERED && answer.status == 412)
		return taken(r2, arena, key, bytes, len);
	return storage_r2_failed(arena, &put, outcome, &answer);
}

enum problem
storage_r2_get(
    struct storage_r2 *r2, struct arena *arena, const char *key, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
	struct storage_r2_call get = {
	    .action = "get", .method = "GET", .bucket = bucket_of(r2, key), .key = key, .answer_max = max};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &get, &answer);
	if (outcome == HTTP_TOO_LARGE || (outcome == HTTP_ANSWERED && answer.status == 200 && answer.body_len > max))
		return PROBLEM_TOO_LARGE;
	if (outcome == HTTP_ANSWERED && answer.status == 404)
		return PROBLEM_NOT_FOUND;
	if (outcome != HTTP_ANSWERED || answer.status != 200)
		return storage_r2_failed(arena, &get, outcome, &answer);
	*ret_bytes = (uint8_t *)answer.body;
	*ret_len = answer.body_len;
	return PROBLEM_NONE;
}

/* The size of the whole in a Content-Range: bytes 0-9/20; -1: it is none. */
static int64_t
total_of(const struct http_answer *answer)
{
	const char *range = http_answer_header(answer, "content-range");
	const char *slash = range == NULL ? NULL : strchr(range, '/');
	size_t digits = slash == NULL ? 0 : strspn(slash + 1, "0123456789");
	return digits > 0 && digits < 19 && slash[1 + digits] == '\0' ? strtoll(slash + 1, NULL, 10) : -1;
}

enum problem
storage_r2_read(struct storage_r2 *r2, const char *key, int64_t offset, const struct storage_piece *piece,
    size_t *ret_len, int64_t *ret_total)
{
	AUTO_ARENA arena = arena_new();
	const char *range =
	    arena_printf(arena, "bytes=%lld-%lld", (long long)offset, (long long)offset + (long long)piece->size - 1);
	struct storage_r2_call get = {.action = "get",
	    .method = "GET",
	    .bucket = bucket_of(r2, key),
	    .key = key,
	    .headers = {{"Range", range}},
	    .header_count = 1,
	    .answer_max = piece->size};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &get, &answer);
	if (outcome == HTTP_ANSWERED && answer.status == 404)
		return PROBLEM_NOT_FOUND;
	int status = outcome == HTTP_ANSWERED ? answer.status : 0;
	/* A range past the end, of an empty object too. */
	size_t len = status == 416 ? 0 : answer.body_len;
	int64_t total = status == 206 ? total_of(&answer) : offset + (int64_t)len;
	bool good = status == 206 || status == 416 || (status == 200 && offset == 0);
	if (!good || total < 0 || len > piece->size)
		return storage_r2_failed(arena, &get, outcome, &answer);
	if (len > 0)
		memcpy(piece->bytes, answer.body, len);
	*ret_len = len;
	*ret_total = total;
	return PROBLEM_NONE;
}

/* What fits into one request. */
static enum problem
put_small(struct storage_r2 *r2, const struct storage_r2_object *object, const struct storage_source *source)
{
	AUTO_ARENA arena = arena_new();
	size_t len = (size_t)source->len;
	uint8_t *bytes = arena_alloc(arena, len + 1);
	enum problem problem = storage_r2_parts_read(source->fd, bytes, len, 0);
	return problem == PROBLEM_NONE ? storage_r2_put(r2, object->key, object->content_type, bytes, len) : problem;
}

enum problem
storage_r2_put_file(
    struct storage_r2 *r2, const char *key, const char *content_type, const struct storage_source *source)
{
	const struct storage_r2_object object = {
	    .bucket = bucket_of(r2, key), .key = key, .content_type = content_type};
	return source->len <= STORAGE_R2_PART ? put_small(r2, &object, source)
					      : storage_r2_parts_put(r2->caller, &object, source);
}

enum problem
storage_r2_list_unfinished(struct storage_r2 *r2, struct arena *arena, const char *prefix,
    struct storage_unfinished **ret_objects, size_t *ret_count)
{
	return storage_r2_parts_list(r2->caller, arena, bucket_of(r2, prefix), prefix, ret_objects, ret_count);
}

enum problem
storage_r2_give_up(struct storage_r2 *r2, const struct storage_unfinished *object)
{
	return storage_r2_parts_abort(r2->caller, bucket_of(r2, object->key), object);
}

enum problem
storage_r2_delete(struct storage_r2 *r2, const char *key)
{
	AUTO_ARENA arena = arena_new();
	struct storage_r2_call delete = {
	    .action = "delete", .method = "DELETE", .bucket = bucket_of(r2, key), .key = key};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &delete, &answer);
	if (outcome == HTTP_ANSWERED && (answer.status / 100 == 2 || answer.status == 404))
		return PROBLEM_NONE;
	return storage_r2_failed(arena, &delete, outcome, &answer);
}

/* An answer of 200 may name objects that stayed. */
static enum problem
check_deleted(struct arena *arena, const struct http_answer *answer)
{
	struct storage_xml xml = {answer->body, answer->body + answer->body_len}, error;
	enum problem problem = PROBLEM_NONE;
	while (storage_xml_next(&xml, "Error", &error)) {
		const char *code = storage_r2_code(arena, error);
		if (code != NULL && strcmp(code, "NoSuchKey") == 0)
			continue;
		log_event(LOG_ERROR, "storage_failed", "action", "delete", "status", "200", "code", code, NULL);
		problem = PROBLEM_STORAGE_UNAVAILABLE;
	}
	return problem;
}

static enum problem
delete_batch(struct storage_r2 *r2, const char *bucket, const char *const *keys, size_t count)
{
	AUTO_ARENA arena = arena_new();
	struct text body;
	uint8_t digest[16];
	text_init(&body, arena, STORAGE_R2_ANSWER);
	text_add(&body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < count; i++) {
		text_add(&body, "<Object><Key>");
		text_add_html(&body, keys[i]);
		text_add(&body, "</Key></Object>");
	}
	text_add(&body, "</Delete>");
	digest_md5(body.data, body.len, digest);
	struct storage_r2_call delete = {.action = "delete",
	    .method = "POST",
	    .bucket = bucket,
	    .query = {{"delete", ""}},
	    .query_count = 1,
	    .headers = {{"Content-Type", "application/xml"},
		{"Content-MD5", digest_base64(arena, digest, sizeof digest)}},
	    .header_count = 2,
	    .body = body.data,
	    .body_len = body.len};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &delete, &answer);
	if (outcome != HTTP_ANSWERED || answer.status != 200)
		return storage_r2_failed(arena, &delete, outcome, &answer);
	return check_deleted(arena, &answer);
}

enum problem
storage_r2_delete_many(struct storage_r2 *r2, const char *const *keys, size_t count)
{
	const char *const buckets[] = {r2->bucket, r2->upload_bucket};
	const char *batch[DELETE_MAX];
	enum problem problem = PROBLEM_NONE;
	for (size_t b = 0; b < sizeof buckets / sizeof *buckets; b++) {
		size_t n = 0;
		for (size_t i = 0; i < count; i++) {
			if (bucket_of(r2, keys[i]) == buckets[b])
				batch[n++] = keys[i];
			if (n == 0 || (n < DELETE_MAX && i + 1 < count))
				continue;
			enum problem one = delete_batch(r2, buckets[b], batch, n);
			problem = problem == PROBLEM_NONE ? one : problem;
			n = 0;
		}
	}
	return problem;
}

/* 2026-11-24T22:00:00.000Z; -1: not a time. */
static int64_t
time_of(const char *text)
{
	struct tm utc = {0};
	const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
	return rest != NULL && (*rest == '.' || *rest == 'Z') ? (int64_t)timegm(&utc) : -1;
}

static bool
read_object(struct arena *arena, struct storage_xml content, struct storage_object *ret_object)
{
	const char *key = storage_xml_text(arena, content, "Key"), *size = storage_xml_text(arena, content, "Size");
	int64_t modified_at = time_of(storage_xml_text(arena, content, "LastModified"));
	if (key == NULL || size == NULL || *size == '\0' || strlen(size) > 15 ||
	    strspn(size, "0123456789") != strlen(size) || modified_at < 0)
		return false;
	*ret_object = (struct storage_object){.key = key,
	    .modified_at = modified_at,
	    .bytes = strtoull(size, NULL, 10),
	    .md5 = etag_md5(arena, storage_xml_text(arena, content, "ETag"))};
	return true;
}

/* False when the list is none, or ends before the objects do without naming one. */
static bool
read_list(struct arena *arena, const struct http_answer *answer, struct storage_object *objects, size_t *ret_count)
{
	struct storage_xml xml = {answer->body, answer->body + answer->body_len}, content;
	const char *more = storage_xml_text(arena, xml, "IsTruncated");
	size_t count = 0;
	while (count < LIST_MAX && storage_xml_next(&xml, "Contents", &content))
		if (!read_object(arena, content, &objects[count++]))
			return false;
	*ret_count = count;
	return more != NULL && (count > 0 || strcmp(more, "false") == 0);
}

static enum problem
list_bucket(struct storage_r2 *r2, struct arena *arena, const char *bucket, const char *prefix, const char *after,
    struct storage_object **ret_objects, size_t *ret_count)
{
	struct storage_r2_call list = {.action = "list",
	    .method = "GET",
	    .bucket = bucket,
	    .query = {{"list-type", "2"}, {"max-keys", LIST_MAX_TEXT}, {"prefix", prefix}, {"start-after", after}},
	    .query_count = *after == '\0' ? 3 : 4};
	struct http_answer answer;
	enum http_outcome outcome = storage_r2_call(r2->caller, arena, &list, &answer);
	struct storage_object *objects = arena_array(arena, LIST_MAX, sizeof *objects);
	if (outcome != HTTP_ANSWERED || answer.status != 200)
		return storage_r2_failed(arena, &list, outcome, &answer);
	if (!read_list(arena, &answer, objects, ret_count)) {
		log_event(LOG_ERROR, "storage_failed", "action", "list", "cause", "no list of objects", NULL);
		return PROBLEM_STORAGE_UNAVAILABLE;
	}
	*ret_objects = objects;
	return PROBLEM_NONE;
}

/* The first of two ordered lists together, as many as one call gives. */
static size_t
merge(struct storage_object *into, const struct storage_object *a, size_t a_count, const struct storage_object *b,
    size_t b_count)
{
	size_t n = 0;
	for (size_t i = 0, k = 0; n < LIST_MAX && (i < a_count || k < b_count);) {
		bool from_a = k == b_count || (i < a_count && strcmp(a[i].key, b[k].key) < 0);
		into[n++] = from_a ? a[i++] : b[k++];
	}
	return n;
}

enum problem
storage_r2_list(struct storage_r2 *r2, struct arena *arena, const char *prefix, const char *after,
    struct storage_object **ret_objects, size_t *ret_count)
{
	struct storage_object *pictures = NULL, *uploads = NULL;
	size_t picture_count = 0, upload_count = 0;
	enum problem problem = PROBLEM_NONE;
	bool both = !is_upload(prefix) && strncmp(UPLOADS, prefix, strlen(prefix)) == 0;
	if (!is_upload(prefix))
		problem = list_bucket(r2, arena, r2->bucket, prefix, after, &pictures, &picture_count);
	if (problem == PROBLEM_NONE && (both || is_upload(prefix)))
		problem =
		    list_bucket(r2, arena, r2->upload_bucket, both ? UPLOADS : prefix, after, &uploads, &upload_count);
	if (problem != PROBLEM_NONE)
		return problem;
	struct storage_object *objects = arena_array(arena, LIST_MAX, sizeof *objects);
	*ret_count = merge(objects, pictures, picture_count, uploads, upload_count);
	*ret_objects = objects;
	return PROBLEM_NONE;
}

const char *
storage_r2_presign(const struct config *config, struct arena *arena, const char *key, int64_t from, int64_t seconds)
{
	char date[SIGV4_DATE];
	const struct sigv4_key signer = key_of(config);
	const struct sigv4_pair host = {"host", storage_r2_host(config_text(config, CONFIG_R2_ENDPOINT))};
	enum config_name bucket = is_upload(key) ? CONFIG_R2_UPLOAD_BUCKET : CONFIG_R2_BUCKET;
	const struct sigv4_request request = {.method = "GET",
	    .path = arena_printf(arena, "/%s/%s", config_text(config, bucket), key),
	    .headers = &host,
	    .header_count = 1,
	    .payload_hash = SIGV4_UNSIGNED};
	sigv4_date(from, date);
	return sigv4_presign(arena, &signer, &request, date, seconds);
}
