#include "service/http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"

#define CONNECT_TIMEOUT_MS 10000
#define HEADERS_MAX 128
#define HEADER_BYTES_MAX ((size_t)64 << 10)

struct http {
	struct arena *arena;
	CURL *easy;
};

static void
curlu_cleanup(CURLU **url)
{
	curl_url_cleanup(*url);
}
#define AUTO_CURLU __attribute__((cleanup(curlu_cleanup))) CURLU *

static void
slist_cleanup(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}
#define AUTO_SLIST __attribute__((cleanup(slist_cleanup))) struct curl_slist *

static void
mime_cleanup(curl_mime **mime)
{
	curl_mime_free(*mime);
}
#define AUTO_MIME __attribute__((cleanup(mime_cleanup))) curl_mime *

static void
string_cleanup(char **string)
{
	curl_free(*string);
}
#define AUTO_STRING __attribute__((cleanup(string_cleanup))) char *

/* One request on its way. */
struct exchange {
	struct http *http;
	struct arena *arena;
	const struct http_request *request;
	bool started; /* the connection, TLS included, stands: bytes of the request may have left */
	bool too_large;
	bool headers_whole; /* their closing empty line came: curl takes a cut header for a whole answer */
	bool body_begun;
	struct http_header *headers;
	size_t header_count, header_bytes;
	struct text body;
};

/* Where a part is being read. */
struct part_reader {
	const struct http_part *part;
	size_t at;
};

static void
start_curl(void)
{
	/* OpenSSL writes without MSG_NOSIGNAL, and with CURLOPT_NOSIGNAL curl leaves SIGPIPE to us. */
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

struct http *
http_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct arena *arena = arena_new();
	struct http *http = arena_alloc(arena, sizeof *http);

	pthread_once(&once, start_curl);
	http->arena = arena;
	http->easy = curl_easy_init();
	if (http->easy == NULL)
		abort();
	return http;
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	curl_easy_cleanup(http->easy);
	arena_free(http->arena);
}

/* The parsed URL, or NULL when it is not https and not http to loopback. curl gets it parsed, so both mean one host. */
static CURLU *
parse_url(const char *address)
{
	AUTO_CURLU url = curl_url();
	AUTO_STRING scheme = NULL;
	AUTO_STRING host = NULL;
	CURLU *parsed = url;

	if (url == NULL || curl_url_set(url, CURLUPART_URL, address, CURLU_DISALLOW_USER) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return NULL;
	if (strcmp(scheme, "https") != 0 && !(strcmp(scheme, "http") == 0 && config_is_loopback(host)))
		return NULL;
	url = NULL;
	return parsed;
}

static int
on_request_start(void *context, char *, char *, int, int)
{
	struct exchange *exchange = context;

	exchange->started = true;
	return CURL_PREREQFUNC_OK;
}

static int
on_progress(void *context, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
	const struct exchange *exchange = context;

	return exchange->request->cancel != NULL && __atomic_load_n(exchange->request->cancel, __ATOMIC_RELAXED);
}

static char *
lower(char *string)
{
	for (char *c = string; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return string;
}

static void
add_header(struct exchange *exchange, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value;

	if (colon == NULL || exchange->header_count == HEADERS_MAX)
		return;
	value = colon + 1;
	while (value < line + len && (*value == ' ' || *value == '\t'))
		value++;
	while (len > 0 && line + len > value && isspace((unsigned char)line[len - 1]))
		len--;
	exchange->headers[exchange->header_count++] = (struct http_header){
	    .name = lower(arena_strndup(exchange->arena, line, (size_t)(colon - line))),
	    .value = arena_strndup(exchange->arena, value, (size_t)(line + len - value)),
	};
}

static size_t
on_header(char *line, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	size_t len = size * count;

	exchange->header_bytes += len;
	if (exchange->header_bytes > HEADER_BYTES_MAX) {
		exchange->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		exchange->header_count = 0; /* what came before belonged to a 1xx */
		exchange->headers_whole = false;
	} else if (!exchange->headers_whole) {
		exchange->headers_whole = line[0] == '\r' || line[0] == '\n';
		add_header(exchange, line, len);
	}
	return len;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	size_t len = size * count;
	curl_off_t announced = 0;

	if (!exchange->body_begun) {
		exchange->body_begun = true;
		curl_easy_getinfo(exchange->http->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
		if (announced > 0)
			text_reserve(&exchange->body, (size_t)announced);
	}
	text_add_bytes(&exchange->body, bytes, len);
	if (exchange->body.overflow) {
		exchange->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

static size_t
on_part_read(char *to, size_t size, size_t count, void *context)
{
	struct part_reader *reader = context;
	size_t len = size * count, left = reader->part->len - reader->at;

	if (len > left)
		len = left;
	if (len > 0)
		memcpy(to, (const char *)reader->part->bytes + reader->at, len);
	reader->at += len;
	return len;
}

static int
on_part_seek(void *context, curl_off_t offset, int origin)
{
	struct part_reader *reader = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > reader->part->len)
		return CURL_SEEKFUNC_FAIL;
	reader->at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static curl_mime *
make_parts(struct exchange *exchange)
{
	const struct http_request *request = exchange->request;
	struct part_reader *readers = arena_array(exchange->arena, request->part_count, sizeof *readers);
	AUTO_MIME mime = curl_mime_init(exchange->http->easy);
	curl_mime *made = mime;

	for (size_t i = 0; i < request->part_count; i++) {
		const struct http_part *part = &request->parts[i];
		curl_mimepart *to = curl_mime_addpart(mime);

		readers[i].part = part;
		if (to == NULL || curl_mime_name(to, part->name) != CURLE_OK ||
		    curl_mime_data_cb(to, (curl_off_t)part->len, on_part_read, on_part_seek, NULL, &readers[i]) !=
			CURLE_OK ||
		    curl_mime_filename(to, part->filename) != CURLE_OK ||
		    curl_mime_type(to, part->content_type) != CURLE_OK)
			return NULL;
	}
	mime = NULL;
	return made;
}

/* A header's name or value that would forge another line is refused. */
static bool
is_line(const char *string)
{
	for (; *string != '\0'; string++)
		if (*string == '\r' || *string == '\n')
			return false;
	return true;
}

static bool
append(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

static bool
make_headers(struct exchange *exchange, struct curl_slist **list)
{
	const struct http_request *request = exchange->request;
	bool typed = false, ok = append(list, "Expect:") && append(list, "User-Agent: shotai/" SHOTAI_VERSION);

	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];
		/* "Name;" is curl's way to say a header without a value. */
		const char *format = *header->value == '\0' ? ";" : ": ";

		if (!is_line(header->name) || !is_line(header->value))
			return false;
		typed = typed || strcasecmp(header->name, "content-type") == 0;
		ok = ok && append(list, arena_printf(exchange->arena, "%s%s%s", header->name, format, header->value));
	}
	if (!typed && request->part_count == 0)
		ok = ok && append(list, "Content-Type:");
	return ok;
}

static void
set_method(CURL *easy, const struct http_request *request, curl_mime *mime)
{
	bool head = strcmp(request->method, "HEAD") == 0, get = strcmp(request->method, "GET") == 0;

	if (mime != NULL) {
		curl_easy_setopt(easy, CURLOPT_MIMEPOST, mime);
	} else if (request->body != NULL || strcmp(request->method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
	} else if (head) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	}
	if (!head)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	/*
	 * On a connection used before, curl sends the request once more by itself
	 * when the other side closed it without an answer: only for what may be
	 * repeated.
	 */
	if (!head && !get)
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

static void
set_policy(CURL *easy, const struct http_request *request)
{
	int64_t connect_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

static bool
is_public_v4(uint32_t address)
{
	static const struct {
		uint32_t network;
		int bits;
	} closed[] = {{0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16},
	    {0xac100000, 12}, {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 3}};

	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		if ((address ^ closed[i].network) >> (32 - closed[i].bits) == 0)
			return false;
	return true;
}

/* IPv6: only global unicast (2000::/3), and not the ways to write an IPv4 address in it (6to4, Teredo). */
static bool
is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof v4);
		return is_public_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		const uint8_t *bytes = v6.sin6_addr.s6_addr;

		memcpy(&v6, address, sizeof v6);
		return bytes[0] >> 5 == 1 && !(bytes[0] == 0x20 && bytes[1] == 0x02) &&
		       !(bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0 && bytes[3] == 0);
	}
	return false;
}

static curl_socket_t
on_public_socket(void *, curlsocktype, struct curl_sockaddr *address)
{
	if (!is_public(&address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void
set_callbacks(CURL *easy, struct exchange *exchange)
{
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request_start);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
	if (exchange->request->public_only) {
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_public_socket);
		/* A connection kept from a call without that rule is not reused. */
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, exchange);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
}

/*
 * on_request_start runs when the connection, TLS included, stands and before
 * the first byte of the request: when it never ran, nothing was sent. Any
 * failure after it may have been seen by the other side.
 */
static enum http_outcome
outcome_of(const struct exchange *exchange, CURLcode code)
{
	if (code == CURLE_OK)
		return exchange->headers_whole ? HTTP_ANSWERED : HTTP_LOST;
	if (exchange->too_large)
		return HTTP_TOO_LARGE;
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return HTTP_ABORTED;
	if (!exchange->started)
		return HTTP_NOT_SENT;
	return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMEOUT : HTTP_LOST;
}

static enum http_outcome
perform(struct exchange *exchange, CURLU *url, struct http_answer *ret_answer)
{
	CURL *easy = exchange->http->easy;
	AUTO_SLIST headers = NULL;
	AUTO_MIME mime = exchange->request->part_count > 0 ? make_parts(exchange) : NULL;
	enum http_outcome outcome;
	CURLcode code;
	long status = 0;

	if (!make_headers(exchange, &headers) || (exchange->request->part_count > 0 && mime == NULL)) {
		log_event(LOG_ERROR, "http_failed", "cause", "the request cannot be built", NULL);
		return HTTP_NOT_SENT;
	}
	curl_easy_setopt(easy, CURLOPT_CURLU, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	set_policy(easy, exchange->request);
	set_method(easy, exchange->request, mime);
	set_callbacks(easy, exchange);
	code = curl_easy_perform(easy);
	outcome = outcome_of(exchange, code);
	if (outcome == HTTP_ANSWERED) {
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		*ret_answer = (struct http_answer){.status = (int)status,
		    .headers = exchange->headers,
		    .header_count = exchange->header_count,
		    .body = exchange->body.data,
		    .body_len = exchange->body.len};
	} else if (outcome != HTTP_ABORTED) {
		log_event(LOG_WARN, "http_failed", "cause", curl_easy_strerror(code), "sent",
		    exchange->started ? "yes" : "no", NULL);
	}
	curl_easy_reset(easy);
	return outcome;
}

enum http_outcome
http_send(struct http *http, struct arena *arena, const struct http_request *request, struct http_answer *ret_answer)
{
	struct exchange exchange = {.http = http, .arena = arena, .request = request};
	AUTO_CURLU url = parse_url(request->url);

	if (url == NULL) {
		log_event(LOG_ERROR, "http_failed", "cause", "neither https nor loopback", NULL);
		return HTTP_NOT_SENT;
	}
	if (request->timeout_ms <= 0)
		return HTTP_NOT_SENT;
	exchange.headers = arena_array(arena, HEADERS_MAX, sizeof *exchange.headers);
	text_init(&exchange.body, arena, request->answer_max);
	return perform(&exchange, url, ret_answer);
}

const char *
http_answer_header(const struct http_answer *answer, const char *name)
{
	for (size_t i = answer->header_count; i-- > 0;)
		if (strcmp(answer->headers[i].name, name) == 0)
			return answer->headers[i].value;
	return NULL;
}

/* A non-negative decimal, rounded up to a whole number after division; -1 when it is none. */
static int64_t
seconds_of(const char *value, double per_second)
{
	double seconds = strtod(value, NULL) / per_second;
	int64_t whole;

	if (!isdigit((unsigned char)*value) || strspn(value, "0123456789.") != strlen(value))
		return -1;
	whole = seconds < 1e15 ? (int64_t)seconds : (int64_t)1e15;
	return whole + ((double)whole < seconds);
}

int64_t
http_retry_after(const struct http_answer *answer, int64_t max)
{
	const char *milliseconds = http_answer_header(answer, "retry-after-ms");
	const char *plain = http_answer_header(answer, "retry-after");
	int64_t seconds = milliseconds == NULL ? -1 : seconds_of(milliseconds, 1000);

	if (seconds < 0 && plain != NULL) {
		seconds = seconds_of(plain, 1);
		if (seconds < 0)
			seconds = curl_getdate(plain, NULL) - time(NULL);
	}
	if (seconds < 0)
		return 0;
	return seconds < max ? seconds : max;
}
