#include "provider/openai.h"

#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "provider/openai_answer.h"
#include "service/http.h"

#define BODY_MAX ((size_t)64 << 20)
#define CONNECT_MS 10000
#define FETCH_TRIES 3

enum edit_mode { EDIT_MULTIPART, EDIT_JSON_FILE, EDIT_NONE, EDIT__COUNT };

/* One call on its way. */
struct call {
	const struct config *config;
	struct http *http;
	struct arena *arena;
	const struct provider_request *request;
	const struct body_value *options;
	const char *base_url, *prompt, *size;
	enum edit_mode edit_mode;
	int count;
	int64_t deadline_at; /* by the monotonic clock, in milliseconds */
};

/* Multiples of 16 between 1:3 and 3:1, near a megapixel and a half at most. */
static const struct ratio {
	const char *ratio, *size;
} ratios[] = {
    {"1:1", "1024x1024"},
    {"3:2", "1536x1024"},
    {"2:3", "1024x1536"},
    {"4:3", "1344x1008"},
    {"3:4", "1008x1344"},
    {"5:4", "1280x1024"},
    {"4:5", "1024x1280"},
    {"16:9", "1536x864"},
    {"9:16", "864x1536"},
    {"21:9", "1680x720"},
};

static const char *
size_of(const struct body_value *options, const char *ratio)
{
	const char *size = body_string(body_member(body_member(options, "sizes"), ratio));
	for (size_t i = 0; size == NULL && i < sizeof ratios / sizeof *ratios; i++)
		if (strcmp(ratios[i].ratio, ratio) == 0)
			size = ratios[i].size;
	return size;
}

static enum edit_mode
edit_mode_of(const struct body_value *options)
{
	static const char *const names[EDIT__COUNT] = {
	    [EDIT_MULTIPART] = "multipart", [EDIT_JSON_FILE] = "json_file", [EDIT_NONE] = "none"};
	const char *name = body_string(body_member(options, "edit_mode"));
	for (int mode = 0; mode < EDIT__COUNT; mode++)
		if (name == NULL || strcmp(name, names[mode]) == 0)
			return (enum edit_mode)mode;
	return EDIT_NONE;
}

int
openai_pictures_per_call(const char *options)
{
	AUTO_BODY_TREE tree = options == NULL ? NULL : body_tree_parse(options, strlen(options));
	bool one = tree != NULL && body_boolean(body_member(body_root(tree), "one_per_call"), false);
	return one ? 1 : OPENAI_PICTURES_MAX;
}

/*
 * stable-diffusion.cpp takes settings (steps, batch size, other pictures) from
 * a tag inside the prompt. Taken out until none is left, since removing one
 * may join the halves of another.
 */
static const char *
without_tags(struct arena *arena, const char *prompt)
{
	static const char opening[] = "<sd_cpp_extra_args>", closing[] = "</sd_cpp_extra_args>";
	char *clean = arena_strdup(arena, prompt), *tag;
	for (;;) {
		const char *end;
		if ((tag = strcasestr(clean, opening)) != NULL)
			end = strcasestr(tag, closing) != NULL ? strcasestr(tag, closing) + sizeof closing - 1
							       : tag + sizeof opening - 1;
		else if ((tag = strcasestr(clean, closing)) != NULL)
			end = tag + sizeof closing - 1;
		else
			return clean;
		memmove(tag, end, strlen(end) + 1);
	}
}

static int64_t
now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
add_json_switches(struct text *body, const struct call *call)
{
	static const char *const passed[] = {"quality", "output_format"};
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
		const char *value = body_string(body_member(call->options, passed[i]));
		if (value != NULL)
			text_json_string(body, passed[i], value);
	}
	if (body_boolean(body_member(call->options, "send_response_format"), false))
		text_json_string(body, "response_format", "b64_json");
	if (body_boolean(body_member(call->options, "send_seed"), false) && call->request->seed >= 0)
		text_json_int(body, "seed", call->request->seed);
}

static bool
make_json(const struct call *call, struct http_request *ret_request)
{
	struct text body;
	text_init(&body, call->arena, BODY_MAX);
	text_json_open(&body, NULL, '{');
	text_json_string(&body, "model", call->request->vendor_model);
	text_json_string(&body, "prompt", call->prompt);
	text_json_int(&body, "n", call->count);
	text_json_string(&body, "size", call->size);
	add_json_switches(&body, call);
	if (call->request->reference_count > 0) {
		const struct provider_reference *reference = &call->request->references[0];
		text_json_string(&body, "file", digest_base64(call->arena, reference->bytes, reference->len));
	}
	text_json_close(&body, '}');
	ret_request->body = body.data;
	ret_request->body_len = body.len;
	return !body.overflow;
}

static void
add_field(struct http_part *parts, size_t *count, const char *name, const char *value)
{
	if (value != NULL)
		parts[(*count)++] = (struct http_part){.name = name, .bytes = value, .len = strlen(value)};
}

static void
make_parts(const struct call *call, struct http_request *ret_request)
{
	const struct provider_request *request = call->request;
	size_t count = 0;
	struct http_part *parts = arena_array(call->arena, request->reference_count + 8, sizeof *parts);
	add_field(parts, &count, "model", request->vendor_model);
	add_field(parts, &count, "prompt", call->prompt);
	add_field(parts, &count, "n", arena_printf(call->arena, "%d", call->count));
	add_field(parts, &count, "size", call->size);
	add_field(parts, &count, "quality", body_string(body_member(call->options, "quality")));
	add_field(parts, &count, "output_format", body_string(body_member(call->options, "output_format")));
	if (body_boolean(body_member(call->options, "send_response_format"), false))
		add_field(parts, &count, "response_format", "b64_json");
	if (body_boolean(body_member(call->options, "send_seed"), false) && request->seed >= 0)
		add_field(parts, &count, "seed", arena_printf(call->arena, "%lld", (long long)request->seed));
	for (size_t i = 0; i < request->reference_count; i++) {
		const struct provider_reference *reference = &request->references[i];
		const char *slash = strchr(reference->content_type, '/');
		parts[count++] = (struct http_part){.name = "image[]",
		    .filename = arena_printf(call->arena, "image-%zu.%s", i, slash == NULL ? "png" : slash + 1),
		    .content_type = reference->content_type,
		    .bytes = reference->bytes,
		    .len = reference->len};
	}
	ret_request->parts = parts;
	ret_request->part_count = count;
}

/* Everything that is sent comes from here and from struct provider_request, which holds nothing of a person. */
static bool
make_request(const struct call *call, struct http_request *ret_request)
{
	const char *key = config_text(call->config, CONFIG_OPENAI_API_KEY);
	bool multipart = call->request->reference_count > 0 && call->edit_mode == EDIT_MULTIPART;
	struct http_header *headers = arena_array(call->arena, 3, sizeof *headers);
	struct http_request request = {.method = "POST",
	    .url = arena_printf(call->arena, "%s/images/%s", call->base_url, multipart ? "edits" : "generations"),
	    .headers = headers,
	    .connect_timeout_ms = CONNECT_MS,
	    .timeout_ms = call->request->deadline_ms,
	    .answer_max = (size_t)call->count * (OPENAI_PICTURE_MAX / 3 * 4 + 4096) + ((size_t)1 << 20),
	    .cancel = call->request->cancel};
	headers[request.header_count++] = (struct http_header){"Accept", "application/json"};
	if (key != NULL && *key != '\0')
		headers[request.header_count++] =
		    (struct http_header){"Authorization", arena_printf(call->arena, "Bearer %s", key)};
	if (multipart)
		make_parts(call, &request);
	else
		headers[request.header_count++] = (struct http_header){"Content-Type", "application/json"};
	if (!multipart && !make_json(call, &request))
		return false;
	*ret_request = request;
	return true;
}

static enum provider_outcome
outcome_of_transport(enum http_outcome outcome)
{
	switch (outcome) {
	case HTTP_NOT_SENT:
		return PROVIDER_NOT_SENT;
	case HTTP_TIMEOUT:
		return PROVIDER_TIMEOUT;
	case HTTP_ABORTED:
		return PROVIDER_ABORTED;
	case HTTP_TOO_LARGE:
		return PROVIDER_INVALID_OUTPUT;
	case HTTP_ANSWERED:
	case HTTP_LOST:
	case HTTP__COUNT:
		break;
	}
	return PROVIDER_UNCERTAIN;
}

/* A GET may be repeated; the picture is made and paid for, so it is worth it. */
static enum provider_outcome
fetch(const struct call *call, const char *url, struct provider_picture *ret_picture)
{
	if (!openai_url_allowed(url, call->base_url, body_member(call->options, "image_hosts"))) {
		log_event(LOG_WARN, "provider_url_refused", "adapter", "openai", NULL);
		return PROVIDER_INVALID_OUTPUT;
	}
	struct http_request request = {.method = "GET",
	    .url = url,
	    .connect_timeout_ms = CONNECT_MS,
	    .answer_max = OPENAI_PICTURE_MAX,
	    .public_only = !openai_url_loopback(call->base_url),
	    .cancel = call->request->cancel};
	for (int i = 0; i < FETCH_TRIES && now_ms() < call->deadline_at; i++) {
		struct http_answer answer;
		request.timeout_ms = call->deadline_at - now_ms();
		enum http_outcome sent = http_send(call->http, call->arena, &request, &answer);
		if (sent == HTTP_ANSWERED && answer.status == 200 && answer.body_len > 0) {
			*ret_picture = (struct provider_picture){(const uint8_t *)answer.body, answer.body_len};
			return PROVIDER_OK;
		}
		if (sent == HTTP_ABORTED || sent == HTTP_TOO_LARGE)
			return outcome_of_transport(sent);
		if (sent == HTTP_TIMEOUT || (sent == HTTP_ANSWERED && answer.status < 500))
			break;
	}
	return PROVIDER_UPSTREAM_ERROR;
}

static void
take_pictures(const struct call *call, const struct openai_answer *answer, struct provider_answer *ret_answer)
{
	struct provider_picture *pictures = arena_array(call->arena, answer->picture_count + 1, sizeof *pictures);
	enum provider_outcome missed = PROVIDER_INVALID_OUTPUT;
	size_t count = 0;
	for (size_t i = 0; i < answer->picture_count && missed != PROVIDER_ABORTED; i++) {
		const struct openai_picture *picture = &answer->pictures[i];
		enum provider_outcome outcome = PROVIDER_OK;
		if (picture->url == NULL)
			pictures[count] = (struct provider_picture){picture->bytes, picture->len};
		else
			outcome = fetch(call, picture->url, &pictures[count]);
		if (outcome == PROVIDER_OK)
			count++;
		else
			missed = outcome;
	}
	ret_answer->outcome = count > 0 && missed != PROVIDER_ABORTED ? PROVIDER_OK : missed;
	ret_answer->pictures = pictures;
	ret_answer->picture_count = ret_answer->outcome == PROVIDER_OK ? count : 0;
}

static void
log_failure(const struct call *call, enum provider_outcome outcome, int status, const char *code)
{
	bool alert = outcome == PROVIDER_BAD_KEY || outcome == PROVIDER_NO_CREDIT;
	if (outcome != PROVIDER_OK && outcome != PROVIDER_ABORTED)
		log_event(alert ? LOG_ERROR : LOG_WARN, "provider_call_failed", "adapter", "openai", "outcome",
		    provider_outcome_name(outcome), "status", arena_printf(call->arena, "%d", status), "code", code,
		    NULL);
}

static void
run(const struct call *call, struct provider_answer *ret_answer)
{
	struct http_request request;
	if (!make_request(call, &request)) {
		log_failure(call, PROVIDER_BAD_INPUT, 0, "request_too_large");
		ret_answer->outcome = PROVIDER_BAD_INPUT;
		return;
	}
	struct http_answer answer = {0};
	enum http_outcome sent = http_send(call->http, call->arena, &request, &answer);
	if (sent != HTTP_ANSWERED) {
		ret_answer->outcome = outcome_of_transport(sent);
		log_failure(call, ret_answer->outcome, 0, NULL);
		return;
	}
	struct openai_answer read;
	openai_answer_read(call->arena, &answer, call->count, &read);
	ret_answer->outcome = read.outcome;
	ret_answer->retry_after = read.retry_after;
	ret_answer->vendor_id = read.vendor_id;
	if (read.outcome == PROVIDER_OK)
		take_pictures(call, &read, ret_answer);
	log_failure(call, ret_answer->outcome, answer.status, read.code);
}

static bool
references_fit(const struct call *call)
{
	size_t count = call->request->reference_count;
	return count == 0 || call->edit_mode == EDIT_MULTIPART || (call->edit_mode == EDIT_JSON_FILE && count == 1);
}

void
openai_generate(const struct config *config, struct http *http, struct arena *arena,
    const struct provider_request *request, struct provider_answer *ret_answer)
{
	AUTO_BODY_TREE tree =
	    request->options == NULL ? NULL : body_tree_parse(request->options, strlen(request->options));
	const struct body_value *options = tree == NULL ? NULL : body_root(tree);
	int most = openai_pictures_per_call(request->options);
	struct call call = {.config = config,
	    .http = http,
	    .arena = arena,
	    .request = request,
	    .options = options,
	    .base_url = config_text(config, CONFIG_OPENAI_BASE_URL),
	    .prompt = without_tags(arena, request->prompt),
	    .size = size_of(options, request->aspect_ratio),
	    .edit_mode = edit_mode_of(options),
	    .count = request->count < most ? request->count : most,
	    .deadline_at = now_ms() + request->deadline_ms};
	*ret_answer = (struct provider_answer){.outcome = PROVIDER_BAD_INPUT};
	if (request->options != NULL && !body_is_object(options))
		log_failure(&call, PROVIDER_BAD_INPUT, 0, "options_unusable");
	else if (call.size == NULL || call.count < 1 || !references_fit(&call))
		log_failure(&call, PROVIDER_BAD_INPUT, 0, "model_cannot_do_this");
	else if (request->deadline_ms <= 0)
		ret_answer->outcome = PROVIDER_NOT_SENT;
	else
		run(&call, ret_answer);
}
