#include "feature/export.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "feature/picture.h"

#define PAGE "200"
#define PLACE_MAX 600

struct export
{
	const struct export_source *source;
	char place[PLACE_MAX]; /* of the last row read; "": none */
	bool in_section;
};

enum { PAGE_OF_PERSON };

static const struct db_statement statements[] = {
    [PAGE_OF_PERSON] = {"select * from shotai.export_page($1, $2, $3, $4)", false},
};

struct export *
export_new(struct arena *arena, const struct export_source *source)
{
	struct export *export = arena_alloc(arena, sizeof *export);
	export->source = source;
	return export;
}

/* The item with what is known about the place of its picture. */
static enum problem
write_image(struct export *export, struct text *json, const char *item, const struct export_image *image)
{
	size_t len = strlen(item);
	assert(len > 2 && item[len - 1] == '}');
	text_json_raw(json, NULL, arena_strndup(json->arena, item, len - 1));
	enum problem problem = export->source->image(export->source->context, image, json);
	text_json_close(json, '}');
	return problem;
}

static enum problem
write_row(struct export *export, struct text *json, const struct db_result *rows, size_t row)
{
	const char *section = db_text(rows, row, "section"), *item = db_text(rows, row, "item");
	const struct export_image image = {.key = db_text(rows, row, "image_key"),
	    .thumbnail_key = db_text(rows, row, "thumbnail_key"),
	    .title = db_text(rows, row, "title")};
	if (section != NULL && item != NULL && image.key != NULL)
		return write_image(export, json, item, &image);
	if (section != NULL && item != NULL) {
		text_json_raw(json, NULL, item);
		return PROBLEM_NONE;
	}
	if (export->in_section)
		text_json_close(json, ']');
	export->in_section = section != NULL;
	if (section != NULL)
		text_json_open(json, section, '[');
	else
		text_json_close(json, '}');
	return PROBLEM_NONE;
}

static void
write_head(struct text *json)
{
	char made_at[32];
	struct tm utc;
	time_t now = time(NULL);
	(void)strftime(made_at, sizeof made_at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	text_json_open(json, NULL, '{');
	text_json_string(json, "made_at", made_at);
}

enum problem
export_next(struct export *export, struct text *json, struct db_refusal *ret_refusal, bool *ret_more)
{
	const struct export_source *source = export->source;
	bool first = export->place[0] == '\0';
	const char *const parameters[] = {source->who[0], source->who[1], first ? NULL : export->place, PAGE};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(source->db, json->arena, source->page, parameters, 4, &rows, ret_refusal);
	size_t count = problem == PROBLEM_NONE ? db_rows(rows) : 0;
	if (problem == PROBLEM_NONE && first)
		write_head(json);
	else
		json->comma = true;
	for (size_t row = 0; row < count && problem == PROBLEM_NONE; row++)
		problem = write_row(export, json, rows, row);
	if (problem != PROBLEM_NONE)
		return problem;
	assert(count > 0);
	const char *place = db_text(rows, count - 1, "place");
	*ret_more = place != NULL;
	if (place != NULL) {
		assert(strlen(place) < sizeof export->place);
		memcpy(export->place, place, strlen(place) + 1);
	}
	return PROBLEM_NONE;
}

/* An export that a person asked for. */
struct own_export {
	struct export_source source;
	struct export *export;
	const char *who[2];
	const struct config *config;
	const char *secrets;
	int64_t started_at;
	struct picture_signer *signer; /* of the page that is being written */
};

static void
write_link(const struct own_export *own, struct text *json, const char *name, const char *key)
{
	const char *link = picture_link(own->signer, json->arena, key);
	const char *base = link != NULL && *link == '/' ? config_text(own->config, CONFIG_PUBLIC_URL) : "";
	text_json_string(json, name, link == NULL ? NULL : arena_printf(json->arena, "%s%s", base, link));
}

static enum problem
link_image(void *context, const struct export_image *image, struct text *json)
{
	const struct own_export *own = context;
	write_link(own, json, "url", image->key);
	write_link(own, json, "thumbnail_url", image->thumbnail_key);
	return PROBLEM_NONE;
}

static enum problem
next_of_own(struct own_export *own, struct text *json, struct db_refusal *ret_refusal, bool *ret_more)
{
	AUTO_PICTURE_SIGNER signer;
	picture_signer_init(&signer, json->arena, own->secrets, own->started_at);
	signer.direct = own->config;
	own->signer = &signer;
	enum problem problem = export_next(own->export, json, ret_refusal, ret_more);
	own->signer = NULL;
	return problem;
}

enum problem
export_begin(struct call *call, void **ret_context, bool *ret_more)
{
	struct own_export *own = arena_alloc(call->arena, sizeof *own);
	*own = (struct own_export){.who = {call->user->user_id, call->user->session_id},
	    .config = call->config,
	    .secrets = call->secrets,
	    .started_at = time(NULL)};
	own->source = (struct export_source){
	    .db = call->db, .page = &statements[PAGE_OF_PERSON], .who = own->who, .image = link_image, .context = own};
	own->export = export_new(call->arena, &own->source);
	*ret_context = own;
	return next_of_own(own, call->json, call->refusal, ret_more);
}

enum problem
export_more(void *context, struct text *json, bool *ret_more)
{
	return next_of_own(context, json, NULL, ret_more);
}
