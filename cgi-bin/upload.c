#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/multipart.h"
#include "feature/metrics.h"
#include "feature/upload.h"
#include "service/app.h"
#include "service/image.h"
#include "service/storage.h"

#define BODY_MAX (IMAGE_BYTES_MAX + (16u << 10)) /* with the form around it */
/* Providers take up to 50 MB; a picture that came in smaller may grow when it is written again. */
#define STORED_MAX (48u << 20)
/* What storage_put may need at worst. */
#define PUT_MS 30000
#define CONFIRM_TRIES 3
#define CONFIRM_PAUSE_NS 200000000L
/* Larger blocks go back to the system as soon as they are freed. */
#define KEPT_MAX (1 << 20)

struct studio {
	struct arena *arena;
	struct image_decoder *decoder;
	struct storage *storage;
};

/* A picture as it was sent. */
struct sent {
	const char *bytes;
	size_t len;
	enum image_format declared; /* IMAGE__COUNT: the content decides alone */
};

static int64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Of a Content-Type; false for one that is none of ours. */
static bool
read_type(const char *type, enum image_format *ret_format)
{
	size_t len = strcspn(type, "; \t");
	for (enum image_format format = 0; format < IMAGE__COUNT; format++) {
		const char *known = image_content_type(format);
		if (strlen(known) == len && strncasecmp(type, known, len) == 0) {
			*ret_format = format;
			return true;
		}
	}
	return false;
}

static enum problem
read_form(struct request *request, struct response *response, const char *type, struct sent *ret_sent)
{
	struct multipart_file file;
	struct sent sent = {.declared = IMAGE__COUNT};
	if (multipart_read(request->arena, type, request->body, request->body_len, "file", &file) != PROBLEM_NONE)
		return response_invalid(response, "/file",
		    request->language == LANGUAGE_NL
			? "het formulier moet een bestand bevatten, in het veld file, en niets anders"
			: "the form must hold one file, in the field file, and nothing else");
	if (file.content_type != NULL && strcasecmp(file.content_type, "application/octet-stream") != 0 &&
	    !read_type(file.content_type, &sent.declared))
		return PROBLEM_UNSUPPORTED_IMAGE;
	sent.bytes = file.bytes;
	sent.len = file.len;
	*ret_sent = sent;
	return PROBLEM_NONE;
}

static enum problem
read_sent(struct request *request, struct response *response, struct sent *ret_sent)
{
	const char *type = request_header(request, "CONTENT_TYPE");
	struct sent sent = {.bytes = request->body, .len = request->body_len, .declared = IMAGE__COUNT};
	enum problem problem = PROBLEM_NONE;
	if (type != NULL && request_is(request, "multipart/form-data"))
		problem = read_form(request, response, type, &sent);
	else if (type == NULL || !read_type(type, &sent.declared))
		problem = PROBLEM_UNSUPPORTED_IMAGE;
	if (problem == PROBLEM_NONE && sent.len > IMAGE_BYTES_MAX)
		problem = PROBLEM_TOO_LARGE;
	if (problem == PROBLEM_NONE)
		*ret_sent = sent;
	return problem;
}

static const char *
hash_of(struct arena *arena, const struct sent *sent)
{
	uint8_t digest[DIGEST_SHA256];
	char *hex = arena_alloc(arena, DIGEST_HEX);
	digest_sha256(sent->bytes, sent->len, digest);
	digest_hex(digest, sizeof digest, hex);
	return hex;
}

/* Decodes, cleans and encodes again. What was sent is given up here: storing takes its time. */
static enum problem
clean(struct app *app, struct request *request, const struct sent *sent, struct image *ret_image)
{
	const struct studio *studio = app->context;
	struct image image;
	enum problem problem =
	    image_process(studio->decoder, request->arena, sent->bytes, sent->len, false, &image, NULL);
	request_drop_body(request);
	/* A process without its decoder is of no use: another one takes its place after this answer. */
	if (problem == PROBLEM_INTERNAL && !image_alive(studio->decoder))
		kill(getpid(), SIGTERM);
	if (problem == PROBLEM_INVALID_REQUEST)
		return PROBLEM_UNSUPPORTED_IMAGE;
	if (problem != PROBLEM_NONE)
		return problem;
	if (sent->declared != IMAGE__COUNT && sent->declared != image.format)
		return PROBLEM_UNSUPPORTED_IMAGE;
	if (image.len > STORED_MAX)
		return PROBLEM_TOO_LARGE;
	*ret_image = image;
	return PROBLEM_NONE;
}

/* A database that is away may have noted it all the same, so it is asked again; after that the object is left to it. */
static enum problem
confirm(struct call *call, const char *id, const struct image *image)
{
	const struct timespec pause = {.tv_nsec = CONFIRM_PAUSE_NS};
	enum problem problem = upload_confirm(call, id, image);
	for (int i = 1; i < CONFIRM_TRIES && problem == PROBLEM_DATABASE_UNAVAILABLE; i++) {
		nanosleep(&pause, NULL);
		problem = upload_confirm(call, id, image);
	}
	return problem;
}

/* Nothing must stay of an upload that came to nothing; what cannot be done now the worker does. */
static void
undo(const struct studio *studio, struct call *call, const struct upload_ticket *ticket, bool may_be_stored)
{
	bool gone = !may_be_stored || storage_delete(studio->storage, ticket->key) == PROBLEM_NONE;
	if (upload_abandon(call, ticket->id, gone) != PROBLEM_NONE)
		log_event(LOG_WARN, "upload_left_to_worker", NULL);
}

static enum problem
store(struct app *app, struct call *call, const struct upload_ticket *ticket, const struct image *image,
    int64_t admitted_ms)
{
	const struct studio *studio = app->context;
	enum problem problem = PROBLEM_STORAGE_UNAVAILABLE;
	bool in_time = now_ms() - admitted_ms < UPLOAD_PUT_MS - PUT_MS;
	if (in_time)
		problem = storage_put(
		    studio->storage, ticket->key, image_content_type(image->format), image->bytes, image->len);
	if (problem == PROBLEM_NONE) {
		problem = confirm(call, ticket->id, image);
		if (problem == PROBLEM_NONE || problem == PROBLEM_DATABASE_UNAVAILABLE)
			return problem;
	}
	undo(studio, call, ticket, in_time);
	return problem;
}

static enum problem
receive(struct app *app, struct request *request, struct response *response)
{
	struct call call = call_of(app, request, response);
	const char *key = NULL;
	struct sent sent;
	struct upload_ticket ticket;
	struct image image;
	enum problem problem = request_idempotency_key(request, response, &key);
	if (problem == PROBLEM_NONE)
		problem = read_sent(request, response, &sent);
	if (problem != PROBLEM_NONE)
		return problem;
	int64_t admitted_ms = now_ms();
	problem = upload_admit(&call, config_integer(app->config, CONFIG_UPLOAD_TTL_SECONDS), key,
	    key != NULL ? hash_of(request->arena, &sent) : NULL, &ticket);
	if (problem != PROBLEM_NONE)
		return problem;
	response->status = 201;
	if (ticket.replayed) {
		response_header(response, "Idempotency-Replayed", "true");
		return PROBLEM_NONE;
	}
	problem = clean(app, request, &sent, &image);
	if (problem == PROBLEM_NONE)
		return store(app, &call, &ticket, &image, admitted_ms);
	undo(app->context, &call, &ticket, false);
	return problem;
}

/* Out of use first, then gone. A storage that is away is caught up with by the worker. */
static enum problem
discard(struct app *app, struct request *request, struct response *response)
{
	const struct studio *studio = app->context;
	struct call call = call_of(app, request, response);
	const char *key;
	enum problem problem = upload_remove(&call, request->parameters[0], &key);
	if (problem == PROBLEM_NONE)
		problem = storage_delete(studio->storage, key);
	if (problem != PROBLEM_NONE)
		return problem;
	if (upload_finish_removal(&call, request->parameters[0]) != PROBLEM_NONE)
		log_event(LOG_WARN, "upload_left_to_worker", NULL);
	response->status = 204;
	return PROBLEM_NONE;
}

/* Here, since how punctual deletion is matters most of all that it tells. */
static enum problem
measure(struct app *app, struct request *request, struct response *response)
{
	response->content_type = METRICS_TYPE;
	return metrics_write(app->db, request->arena, &response->body);
}

static const struct route routes[] = {
    {.method = "POST",
	.path = "/api/uploads",
	.auth = AUTH_SPEND,
	.body = BODY_RAW,
	.body_max = BODY_MAX,
	.run = receive},
    {.method = "DELETE", .path = "/api/uploads/{id}", .auth = AUTH_SPEND, .run = discard},
    {.method = "GET", .path = "/metrics", .auth = AUTH_NONE, .run = measure},
};

static const enum config_name needs[] = {
    CONFIG_DATABASE_URL, CONFIG_SUPABASE_URL, CONFIG_SECRET_KEY, CONFIG_STORAGE, CONFIG_NAME__COUNT};

static bool
prepare(struct app *app)
{
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_MAX);
	struct arena *arena = arena_new();
	struct studio *studio = arena_alloc(arena, sizeof *studio);
	studio->arena = arena;
	studio->decoder = image_start();
	studio->storage = studio->decoder != NULL ? storage_new(app->config) : NULL;
	app->context = studio;
	return studio->storage != NULL;
}

static void
release(struct app *app)
{
	struct studio *studio = app->context;
	if (studio == NULL)
		return;
	storage_free(studio->storage);
	image_stop(studio->decoder);
	arena_free(studio->arena);
}

static const struct program program = {
    .name = "upload",
    .summary = "takes reference pictures, which are deleted half an hour later",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .needs = needs,
    .prepare = prepare,
    .release = release,
};

int
main(int argc, char **argv)
{
	return app_main(argc, argv, &program);
}
