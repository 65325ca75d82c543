#include "images.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/text.h"
#include "calls.h"
#include "codec.h"
#include "exchange.h"
#include "form.h"
#include "scene.h"

#define PROMPT_MAX 32000
#define PICTURES_MAX 10
#define REFERENCES_MAX 16
#define EDGE_MAX 3840
#define PIXELS_MAX (3840 * 2160)
#define INVALID "invalid_request_error"

struct asked {
	const char *model, *prompt, *size, *quality, *format_name;
	int64_t count, seed, compression;
	int width, height;
	enum codec_format format;
	const struct field *references[REFERENCES_MAX];
	size_t reference_count;
};

void
images_error(
    struct exchange *exchange, int status, const char *type, const char *code, const char *param, const char *message)
{
	struct text *answer = &exchange->answer;
	exchange->status = status;
	text_json_open(answer, NULL, '{');
	text_json_open(answer, "error", '{');
	text_json_string(answer, "message", message);
	text_json_string(answer, "type", type);
	text_json_string(answer, "param", param);
	text_json_string(answer, "code", code);
	text_json_close(answer, '}');
	text_json_close(answer, '}');
}

static bool
invalid(struct exchange *exchange, const char *param, const char *code, const char *message)
{
	images_error(exchange, 400, INVALID, code, param, message);
	return false;
}

static bool
read_form(struct exchange *exchange, bool edit, struct form *ret_form)
{
	const char *type = exchange->content_type;
	bool json = strncasecmp(type, "application/json", 16) == 0;
	bool multipart = edit && strncasecmp(type, "multipart/form-data", 19) == 0;
	if (!json && !multipart) {
		images_error(exchange, 415, INVALID, "unsupported_content_type", NULL, "Unsupported content type.");
		return false;
	}
	if (json ? !form_read_json(exchange->arena, exchange->body, exchange->body_len, ret_form)
		 : !form_read_multipart(exchange->arena, type, exchange->body, exchange->body_len, ret_form))
		return invalid(exchange, NULL, NULL, "We could not parse the body of your request.");
	return true;
}

static bool
known_fields(struct exchange *exchange, const struct form *form, bool edit)
{
	static const char *const known[] = {"model", "prompt", "n", "size", "quality", "output_format",
	    "output_compression", "background", "moderation", "user", "safety_identifier", "seed", "stream",
	    "partial_images"};
	static const char *const known_of_edits[] = {"image", "image[]", "images", "mask", "input_fidelity"};
	for (size_t i = 0; i < form->count; i++) {
		const char *name = form->fields[i].name;
		bool found = false;
		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			found = found || strcmp(known[k], name) == 0;
		for (size_t k = 0; edit && k < sizeof known_of_edits / sizeof *known_of_edits; k++)
			found = found || strcmp(known_of_edits[k], name) == 0;
		if (!found)
			return invalid(exchange, name, "unknown_parameter",
			    arena_printf(exchange->arena, "Unknown parameter: '%s'.", name));
	}
	return true;
}

static const char *
text_of(const struct form *form, const char *name)
{
	const struct field *field = form_find(form, name);
	return field != NULL && field->kind == FIELD_TEXT ? field->value : NULL;
}

/* In JSON a number, in multipart its digits; fallback when it is absent, false when it is something else. */
static bool
integer_of(const struct form *form, const char *name, int64_t least, int64_t most, int64_t fallback, int64_t *ret_value)
{
	const struct field *field = form_find(form, name);
	char *end = NULL;
	*ret_value = fallback;
	if (field == NULL)
		return true;
	errno = 0;
	long long value = strtoll(field->value == NULL ? "" : field->value, &end, 10);
	if (end == field->value || *end != '\0' || errno != 0 || value < least || value > most)
		return false;
	*ret_value = value;
	return true;
}

static bool
read_size(const char *size, int *ret_width, int *ret_height)
{
	char *end = NULL;
	if (strcmp(size, "auto") == 0)
		size = "1024x1024";
	long width = strtol(size, &end, 10);
	if (end == size || *end != 'x' || size[0] == '-' || size[0] == '+' || size[0] == ' ')
		return false;
	const char *second = end + 1;
	long height = strtol(second, &end, 10);
	if (end == second || *end != '\0' || width < 64 || height < 64 || width > EDGE_MAX || height > EDGE_MAX)
		return false;
	if (width % 16 != 0 || height % 16 != 0 || width > 3 * height || height > 3 * width ||
	    width * height > PIXELS_MAX)
		return false;
	*ret_width = (int)width;
	*ret_height = (int)height;
	return true;
}

static bool
one_of(const char *value, const char *const *values, size_t count, int *ret_index)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(value, values[i]) == 0) {
			*ret_index = (int)i;
			return true;
		}
	return false;
}

static bool
read_look(struct exchange *exchange, const struct form *form, struct asked *asked)
{
	static const char *const formats[] = {"png", "jpeg", "webp"};
	static const char *const qualities[] = {"auto", "low", "medium", "high", "xhigh", "max"};
	int index = 0;
	asked->size = text_of(form, "size") == NULL ? "auto" : text_of(form, "size");
	asked->format_name = text_of(form, "output_format") == NULL ? "png" : text_of(form, "output_format");
	asked->quality = text_of(form, "quality") == NULL ? "auto" : text_of(form, "quality");
	if (!read_size(asked->size, &asked->width, &asked->height))
		return invalid(exchange, "size", "invalid_value", "Invalid size.");
	if (!one_of(asked->quality, qualities, sizeof qualities / sizeof *qualities, &index))
		return invalid(exchange, "quality", "invalid_value", "Invalid quality.");
	if (!one_of(asked->format_name, formats, sizeof formats / sizeof *formats, &index))
		return invalid(exchange, "output_format", "invalid_value", "Invalid output_format.");
	asked->format = (enum codec_format)index;
	if (!integer_of(form, "output_compression", 0, 100, 100, &asked->compression))
		return invalid(exchange, "output_compression", "invalid_value", "Invalid output_compression.");
	return true;
}

static bool
read_references(struct exchange *exchange, const struct form *form, struct asked *asked)
{
	for (size_t i = 0; i < form->count; i++) {
		const struct field *field = &form->fields[i];
		if (strcmp(field->name, "mask") == 0 || strncmp(field->name, "image", 5) != 0)
			continue;
		if (field->kind != FIELD_FILE)
			return invalid(exchange, field->name, "invalid_value", "Expected a picture.");
		if (asked->reference_count == REFERENCES_MAX)
			return invalid(exchange, field->name, "array_above_max_length", "Too many pictures.");
		asked->references[asked->reference_count++] = field;
	}
	if (asked->reference_count == 0)
		return invalid(exchange, "image", "missing_required_parameter", "Missing required parameter: 'image'.");
	return true;
}

static bool
read_asked(struct exchange *exchange, const struct form *form, bool edit, struct asked *asked)
{
	asked->model = text_of(form, "model");
	asked->prompt = text_of(form, "prompt");
	if (!known_fields(exchange, form, edit))
		return false;
	if (asked->model == NULL || *asked->model == '\0')
		return invalid(exchange, "model", "missing_required_parameter", "you must provide a model parameter");
	if (asked->prompt == NULL || *asked->prompt == '\0')
		return invalid(
		    exchange, "prompt", "missing_required_parameter", "Missing required parameter: 'prompt'.");
	if (text_code_points(asked->prompt) > PROMPT_MAX)
		return invalid(exchange, "prompt", "string_above_max_length", "The prompt is too long.");
	if (!integer_of(form, "n", 1, PICTURES_MAX, 1, &asked->count))
		return invalid(exchange, "n", "invalid_value", "Invalid n: from 1 to 10.");
	if (!integer_of(form, "seed", INT64_MIN, INT64_MAX, 0, &asked->seed))
		return invalid(exchange, "seed", "invalid_type", "Invalid seed.");
	const struct field *stream = form_find(form, "stream");
	if (stream != NULL && strcmp(stream->value, "true") == 0)
		return invalid(exchange, "stream", "unsupported_value", "The stand-in does not stream.");
	return read_look(exchange, form, asked) && (!edit || read_references(exchange, form, asked));
}

/* Whether the prompt holds the switch; *ret_value is its number, -1 when there is none. */
static bool
has_switch(const char *prompt, const char *name, double *ret_value)
{
	const char *found = strstr(prompt, name);
	*ret_value = -1;
	if (found == NULL)
		return false;
	found += strlen(name);
	if (*found == '=')
		*ret_value = strtod(found + 1, NULL);
	return true;
}

/* The vendor's mood: false when it was answered, or when nothing shall be (status 0). */
static bool
obey_switches(struct exchange *exchange, const char *prompt, uint32_t calls)
{
	double value;
	if (has_switch(prompt, "sandbox:slow", &value) && !exchange->wait(exchange, value)) {
		exchange->status = 0;
		return false;
	}
	if (has_switch(prompt, "sandbox:timeout", &value)) {
		while (exchange->wait(exchange, 3600))
			continue;
		exchange->status = 0;
		return false;
	}
	if (has_switch(prompt, "sandbox:refuse", &value)) {
		images_error(exchange, 400, "image_generation_user_error", "moderation_blocked", NULL,
		    "Your request was rejected by the safety system.");
		return false;
	}
	if (has_switch(prompt, "sandbox:error", &value)) {
		images_error(exchange, 500, "server_error", "server_error", NULL,
		    "The server had an error while processing your request.");
		return false;
	}
	if (has_switch(prompt, "sandbox:overloaded", &value) && (value < 0 || calls <= (uint32_t)value)) {
		bool busy = value < 0;
		exchange->retry_after_ms = "500";
		images_error(exchange, busy ? 503 : 429, busy ? "server_error" : "requests",
		    busy ? "server_is_overloaded" : "rate_limit_exceeded", NULL, "Try again later.");
		return false;
	}
	return true;
}

/* Several references become vertical parts of one, with soft seams. */
static bool
read_reference(const struct asked *asked, struct canvas *ret_canvas)
{
	struct canvas whole = {0};
	for (size_t i = 0; i < asked->reference_count; i++) {
		const struct field *field = asked->references[i];
		struct canvas part;
		if (!codec_decode((const uint8_t *)field->value, field->len, asked->width, asked->height, &part)) {
			codec_free(whole.pixels);
			return false;
		}
		if (i == 0) {
			whole = part;
			continue;
		}
		float seam = (float)asked->width * (float)i / (float)asked->reference_count;
		float soft = (float)asked->width / 12;
		for (int y = 0; y < asked->height; y++)
			for (int x = 0; x < asked->width; x++) {
				size_t at = 3 * ((size_t)y * (size_t)asked->width + (size_t)x);
				float share = ((float)x - seam) / soft + 0.5f;
				int weight = share <= 0 ? 0 : share >= 1 ? 256 : (int)(share * 256);
				for (size_t c = at; c < at + 3; c++)
					whole.pixels[c] =
					    (uint8_t)((whole.pixels[c] * (256 - weight) + part.pixels[c] * weight) >>
						      8);
			}
		codec_free(part.pixels);
	}
	*ret_canvas = whole;
	return true;
}

static bool
make_picture(const struct asked *asked, const struct canvas *reference, int index, uint8_t **ret_bytes, size_t *ret_len)
{
	struct canvas canvas = {.width = asked->width, .height = asked->height};
	canvas.pixels = malloc(3 * (size_t)canvas.width * (size_t)canvas.height);
	if (canvas.pixels == NULL)
		abort();
	scene_draw(asked->prompt, asked->seed, index, reference, &canvas);
	bool made = codec_encode(&canvas, asked->format, (int)asked->compression, ret_bytes, ret_len);
	free(canvas.pixels);
	return made;
}

static void
add_picture(struct exchange *exchange, const uint8_t *bytes, size_t len)
{
	struct text *answer = &exchange->answer;
	text_json_open(answer, NULL, '{');
	text_json_raw(
	    answer, "b64_json", arena_printf(exchange->arena, "\"%s\"", digest_base64(exchange->arena, bytes, len)));
	text_json_close(answer, '}');
}

static bool
draw_pictures(struct exchange *exchange, const struct asked *asked, int64_t count, bool garbage)
{
	static const uint8_t nonsense[] = "this is no picture";
	struct canvas reference = {0};
	if (asked->reference_count > 0 && !read_reference(asked, &reference))
		return false;
	for (int64_t i = 0; i < count; i++) {
		uint8_t *bytes = NULL;
		size_t len = 0;
		if (garbage) {
			add_picture(exchange, nonsense, sizeof nonsense - 1);
		} else if (make_picture(asked, reference.pixels == NULL ? NULL : &reference, (int)i, &bytes, &len)) {
			add_picture(exchange, bytes, len);
			codec_free(bytes);
		}
	}
	codec_free(reference.pixels);
	return true;
}

static void
add_usage(struct text *answer, const struct asked *asked, int64_t count)
{
	int64_t input = (int64_t)text_code_points(asked->prompt) / 4 + 1,
		output = count * asked->width * asked->height / 3855;
	int64_t seen = 388 * (int64_t)asked->reference_count;
	text_json_open(answer, "usage", '{');
	text_json_int(answer, "input_tokens", input + seen);
	text_json_open(answer, "input_tokens_details", '{');
	text_json_int(answer, "image_tokens", seen);
	text_json_int(answer, "text_tokens", input);
	text_json_close(answer, '}');
	text_json_int(answer, "output_tokens", output);
	text_json_int(answer, "total_tokens", input + seen + output);
	text_json_close(answer, '}');
}

static void
answer_pictures(struct exchange *exchange, const struct asked *asked)
{
	struct text *answer = &exchange->answer;
	double partial = -1, ignored;
	int64_t count = asked->count;
	if (has_switch(asked->prompt, "sandbox:partial", &partial) && partial >= 0 && partial < (double)count)
		count = (int64_t)partial;
	text_json_open(answer, NULL, '{');
	text_json_int(answer, "created", (int64_t)time(NULL));
	text_json_string(answer, "background", "opaque");
	text_json_open(answer, "data", '[');
	exchange->draw_enter();
	bool drawn = draw_pictures(exchange, asked, count, has_switch(asked->prompt, "sandbox:garbage", &ignored));
	exchange->draw_leave();
	text_json_close(answer, ']');
	text_json_string(answer, "output_format", asked->format_name);
	text_json_string(answer, "quality", strcmp(asked->quality, "auto") == 0 ? "low" : asked->quality);
	text_json_string(answer, "size", arena_printf(exchange->arena, "%dx%d", asked->width, asked->height));
	add_usage(answer, asked, count);
	text_json_close(answer, '}');
	exchange->status = 200;
	if (!drawn) {
		text_init(answer, exchange->arena, answer->max);
		images_error(exchange, 400, INVALID, "invalid_image_file", "image", "Invalid image file or mode.");
	}
}

static void
remember(struct exchange *exchange, const struct form *form)
{
	struct text names;
	text_init(&names, exchange->arena, 4096);
	for (size_t i = 0; i < form->count; i++)
		text_printf(&names, "%s%s", i == 0 ? "" : " ", form->fields[i].name);
	calls_remember(exchange->path, exchange->header_names, names.data);
}

bool
images_run(struct exchange *exchange, bool edit)
{
	struct form *form = arena_alloc(exchange->arena, sizeof *form);
	struct asked asked = {0};
	if (!read_form(exchange, edit, form))
		return true;
	remember(exchange, form);
	if (!read_asked(exchange, form, edit, &asked))
		return true;
	uint32_t calls = calls_count(asked.prompt, (uint32_t)asked.count);
	if (obey_switches(exchange, asked.prompt, calls))
		answer_pictures(exchange, &asked);
	return exchange->status != 0;
}
