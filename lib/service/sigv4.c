#include "service/sigv4.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TEXT_MAX ((size_t)1 << 20)
#define DAY 8 /* of a date, its characters */

/* One header or member of the query, in canonical form. */
struct item {
	const char *name, *value;
	size_t order; /* among those of one name; 0: by value */
};

static void
add_encoded(struct text *to, const char *raw, const char *kept)
{
	for (; *raw != '\0'; raw++) {
		unsigned char c = (unsigned char)*raw;
		if ((c < 0x80 && isalnum(c)) || strchr(kept, c) != NULL)
			text_add_bytes(to, &c, 1);
		else
			text_printf(to, "%%%02X", c);
	}
}

static const char *
encoded(struct arena *arena, const char *raw)
{
	struct text text;
	text_init(&text, arena, TEXT_MAX);
	add_encoded(&text, raw, "-._~");
	return text.data;
}

static const char *
lowered(struct arena *arena, const char *name)
{
	char *copy = arena_strdup(arena, name);
	for (char *c = copy; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

/* Without blanks around it, and one blank for each run of them inside. */
static const char *
folded(struct arena *arena, const char *value)
{
	char *copy = arena_strdup(arena, value), *to = copy;
	for (const char *from = copy; *from != '\0'; from++) {
		if (!isspace((unsigned char)*from))
			*to++ = *from;
		else if (to > copy && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > copy && to[-1] == ' ')
		to--;
	*to = '\0';
	return copy;
}

static int
item_compare(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	int names = strcmp(left->name, right->name);
	if (names != 0)
		return names;
	if (left->order != right->order)
		return left->order < right->order ? -1 : 1;
	return strcmp(left->value, right->value);
}

static const char *
canonical_query(struct arena *arena, const struct sigv4_request *request)
{
	struct item *items = arena_array(arena, request->query_count + 1, sizeof *items);
	struct text text;
	for (size_t i = 0; i < request->query_count; i++)
		items[i] = (struct item){
		    .name = encoded(arena, request->query[i].name), .value = encoded(arena, request->query[i].value)};
	qsort(items, request->query_count, sizeof *items, item_compare);
	text_init(&text, arena, TEXT_MAX);
	for (size_t i = 0; i < request->query_count; i++)
		text_printf(&text, "%s%s=%s", i > 0 ? "&" : "", items[i].name, items[i].value);
	return text.data;
}

static const char *
canonical_headers(struct arena *arena, const struct sigv4_request *request, const char **ret_names)
{
	struct item *items = arena_array(arena, request->header_count + 1, sizeof *items);
	struct text lines, names;
	for (size_t i = 0; i < request->header_count; i++)
		items[i] = (struct item){.name = lowered(arena, request->headers[i].name),
		    .value = folded(arena, request->headers[i].value),
		    .order = i};
	qsort(items, request->header_count, sizeof *items, item_compare);
	text_init(&lines, arena, TEXT_MAX);
	text_init(&names, arena, TEXT_MAX);
	for (size_t i = 0; i < request->header_count; i++) {
		bool again = i > 0 && strcmp(items[i].name, items[i - 1].name) == 0;
		if (again)
			text_printf(&lines, ",%s", items[i].value);
		else
			text_printf(&lines, "%s%s:%s", i > 0 ? "\n" : "", items[i].name, items[i].value);
		if (!again)
			text_printf(&names, "%s%s", i > 0 ? ";" : "", items[i].name);
	}
	assert(!lines.overflow && !names.overflow);
	*ret_names = names.data;
	return lines.data;
}

/* The key of one day, region and service. */
static void
derive(struct arena *arena, const struct sigv4_key *key, const char *date, uint8_t ret_derived[static DIGEST_SHA256])
{
	char *secret = arena_printf(arena, "AWS4%s", key->secret);
	digest_hmac(secret, strlen(secret), date, DAY, ret_derived);
	digest_cleanse(secret, strlen(secret));
	digest_hmac(ret_derived, DIGEST_SHA256, key->region, strlen(key->region), ret_derived);
	digest_hmac(ret_derived, DIGEST_SHA256, key->service, strlen(key->service), ret_derived);
	digest_hmac(ret_derived, DIGEST_SHA256, "aws4_request", strlen("aws4_request"), ret_derived);
}

void
sigv4_date(int64_t now, char ret_date[static SIGV4_DATE])
{
	struct tm utc;
	time_t seconds = (time_t)now;
	(void)gmtime_r(&seconds, &utc);
	(void)strftime(ret_date, SIGV4_DATE, "%Y%m%dT%H%M%SZ", &utc);
}

void
sigv4_sign(struct arena *arena, const struct sigv4_key *key, const struct sigv4_request *request, const char *date,
    struct sigv4_signed *ret_signed)
{
	uint8_t derived[DIGEST_SHA256], digest[DIGEST_SHA256];
	char hash[DIGEST_HEX];
	struct text path, canonical;
	const char *names, *query = canonical_query(arena, request);
	const char *headers = canonical_headers(arena, request, &names);
	text_init(&path, arena, TEXT_MAX);
	add_encoded(&path, request->path, "-._~/");
	text_init(&canonical, arena, TEXT_MAX);
	text_printf(&canonical, "%s\n%s\n%s\n%s\n\n%s\n%s", request->method, path.data, query, headers, names,
	    request->payload_hash);
	assert(!canonical.overflow);
	digest_sha256(canonical.data, canonical.len, digest);
	digest_hex(digest, sizeof digest, hash);
	ret_signed->scope = arena_printf(arena, "%.8s/%s/%s/aws4_request", date, key->region, key->service);
	ret_signed->headers = names;
	ret_signed->target = *query == '\0' ? path.data : arena_printf(arena, "%s?%s", path.data, query);
	const char *message = arena_printf(arena, ALGORITHM "\n%s\n%s\n%s", date, ret_signed->scope, hash);
	derive(arena, key, date, derived);
	digest_hmac(derived, sizeof derived, message, strlen(message), digest);
	digest_cleanse(derived, sizeof derived);
	digest_hex(digest, sizeof digest, ret_signed->signature);
}

const char *
sigv4_authorization(struct arena *arena, const struct sigv4_key *key, const struct sigv4_request *request,
    const char *date, const char **ret_target)
{
	struct sigv4_signed made;
	sigv4_sign(arena, key, request, date, &made);
	*ret_target = made.target;
	return arena_printf(arena, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", key->id, made.scope,
	    made.headers, made.signature);
}

const char *
sigv4_presign(struct arena *arena, const struct sigv4_key *key, const struct sigv4_request *request, const char *date,
    int64_t seconds)
{
	struct sigv4_request extended = *request;
	struct sigv4_pair *query = arena_array(arena, request->query_count + 5, sizeof *query);
	struct sigv4_signed made;
	const char *names;
	(void)canonical_headers(arena, request, &names);
	if (request->query_count > 0)
		memcpy(query, request->query, request->query_count * sizeof *query);
	const struct sigv4_pair added[] = {
	    {"X-Amz-Algorithm", ALGORITHM},
	    {"X-Amz-Credential",
		arena_printf(arena, "%s/%.8s/%s/%s/aws4_request", key->id, date, key->region, key->service)},
	    {"X-Amz-Date", date},
	    {"X-Amz-Expires", arena_printf(arena, "%" PRId64, seconds)},
	    {"X-Amz-SignedHeaders", names},
	};
	memcpy(query + request->query_count, added, sizeof added);
	extended.query = query;
	extended.query_count += sizeof added / sizeof *added;
	sigv4_sign(arena, key, &extended, date, &made);
	return arena_printf(arena, "%s&X-Amz-Signature=%s", made.target, made.signature);
}
