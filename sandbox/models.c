/*
 * A local stand-in for OpenAI's images API: it draws a landscape from the
 * words of a prompt. Never for production: it refuses to start when PUBLIC_URL
 * is not loopback.
 *
 * One acceptor and a thread per request, since many of them do nothing but
 * wait (sandbox:slow). GET /sandbox/openai/v1/calls tells tests what was asked.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/log.h"
#include "models/calls.h"
#include "models/codec.h"
#include "models/exchange.h"
#include "models/images.h"
#include "service/prefork.h"

#define ROOT "/sandbox/openai/v1"
#define BODY_MAX ((size_t)64 << 20)
#define ANSWER_MAX ((size_t)512 << 20)
#define THREADS_MAX 2048
#define THREAD_STACK ((size_t)512 << 10)
/* What a slow answer may still wait for once the program is told to stop. */
#define STOP_GRACE 2.0

struct visit;

static struct {
	const char *key;
	int stop_fd; /* readable for ever once the program stops */
	sem_t drawing;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int threads;
	struct visit *finished; /* threads to be joined */
} self = {.stop_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* A request in a thread; exchange comes first, so that its functions find the rest. */
struct visit {
	struct exchange exchange;
	FCGX_Request fcgi;
	pthread_t thread;
	struct visit *next;
};

static double
now(void)
{
	struct timespec time;
	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool
wait_seconds(struct exchange *exchange, double seconds)
{
	const struct visit *visit = (const struct visit *)exchange;
	double until = now() + seconds;
	for (double left; (left = until - now()) > 0;) {
		struct pollfd seen[2] = {
		    {.fd = visit->fcgi.ipcFd, .events = POLLRDHUP}, {.fd = self.stop_fd, .events = POLLIN}};
		if (poll(seen, 2, left > 3600 ? 3600000 : (int)(left * 1000) + 1) <= 0)
			continue;
		if (seen[0].revents != 0)
			return false;
		if (left > STOP_GRACE)
			return seconds < 600;
		(void)poll(seen, 1, (int)(left * 1000) + 1);
	}
	return true;
}

static void
draw_enter(void)
{
	while (sem_wait(&self.drawing) < 0 && errno == EINTR)
		continue;
}

static void
draw_leave(void)
{
	(void)sem_post(&self.drawing);
}

static void
answer_models(struct exchange *exchange)
{
	static const char *const ids[] = {"gpt-image-1-mini", "gpt-image-1.5", "gpt-image-2"};
	struct text *answer = &exchange->answer;
	text_json_open(answer, NULL, '{');
	text_json_string(answer, "object", "list");
	text_json_open(answer, "data", '[');
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		text_json_open(answer, NULL, '{');
		text_json_string(answer, "id", ids[i]);
		text_json_string(answer, "object", "model");
		text_json_int(answer, "created", 1764000000);
		text_json_string(answer, "owned_by", "sandbox");
		text_json_close(answer, '}');
	}
	text_json_close(answer, ']');
	text_json_close(answer, '}');
}

static void
answer_health(struct exchange *exchange)
{
	text_json_open(&exchange->answer, NULL, '{');
	text_json_string(&exchange->answer, "status", "ok");
	text_json_string(&exchange->answer, "program", "models");
	text_json_string(&exchange->answer, "version", SHOTAI_VERSION);
	text_json_close(&exchange->answer, '}');
}

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void
answer_calls(struct exchange *exchange)
{
	const char *value = strncmp(exchange->query, "prompt=", 7) == 0 ? exchange->query + 7 : NULL;
	if (value == NULL) {
		calls_write_all(&exchange->answer);
		return;
	}
	char *prompt = arena_alloc(exchange->arena, strlen(value) + 1), *out = prompt;
	for (; *value != '\0' && *value != '&'; value++) {
		bool escaped = *value == '%' && hex(value[1]) >= 0 && hex(value[2]) >= 0;
		*out++ = escaped ? (char)(hex(value[1]) * 16 + hex(value[2])) : *value == '+' ? ' ' : *value;
		value += escaped ? 2 : 0;
	}
	calls_write_one(&exchange->answer, prompt);
}

static bool
authorized(struct exchange *exchange)
{
	const char *given = exchange->authorization;
	bool bearer = given != NULL && strncasecmp(given, "Bearer ", 7) == 0;
	if (bearer && strcmp(given + 7, self.key) == 0)
		return true;
	images_error(exchange, 401, "invalid_request_error", "invalid_api_key", NULL,
	    bearer ? "Incorrect API key provided." : "You didn't provide an API key.");
	return false;
}

enum action { ACT_GENERATE, ACT_EDIT, ACT_MODELS, ACT_CALLS, ACT_HEALTH };

static const struct route {
	const char *method, *path;
	bool needs_key;
	enum action action;
} routes[] = {
    {"POST", ROOT "/images/generations", true, ACT_GENERATE},
    {"POST", ROOT "/images/edits", true, ACT_EDIT},
    {"GET", ROOT "/models", true, ACT_MODELS},
    {"GET", ROOT "/calls", false, ACT_CALLS},
    {"GET", ROOT "/sandbox/calls", false, ACT_CALLS},
    {"GET", "/healthz/models", false, ACT_HEALTH},
};
#define ROUTES (sizeof routes / sizeof *routes)

/* False: nothing is to be answered. */
static bool
run_route(struct exchange *exchange)
{
	const struct route *route = NULL;
	bool known = false;
	for (size_t i = 0; i < ROUTES && route == NULL; i++) {
		bool here = strcmp(routes[i].path, exchange->path) == 0;
		known = known || here;
		if (here && strcmp(routes[i].method, exchange->method) == 0)
			route = &routes[i];
	}
	if (route == NULL) {
		images_error(exchange, known ? 405 : 404, "invalid_request_error",
		    known ? "method_not_supported" : "unknown_url", NULL,
		    known ? "Not allowed to use this method here." : "Unknown request URL.");
		return true;
	}
	if (route->needs_key && !authorized(exchange))
		return true;
	switch (route->action) {
	case ACT_GENERATE:
	case ACT_EDIT:
		return images_run(exchange, route->action == ACT_EDIT);
	case ACT_MODELS:
		answer_models(exchange);
		break;
	case ACT_CALLS:
		answer_calls(exchange);
		break;
	case ACT_HEALTH:
		answer_health(exchange);
		break;
	}
	return true;
}

/* HTTP_FOO_BAR=... becomes foo-bar. */
static const char *
names_of_headers(struct arena *arena, char *const *environment)
{
	struct text names;
	text_init(&names, arena, 4096);
	for (; *environment != NULL; environment++) {
		bool header = strncmp(*environment, "HTTP_", 5) == 0;
		const char *start = *environment + (header ? 5 : 0);
		if (!header && strncmp(start, "CONTENT_", 8) != 0)
			continue;
		text_add(&names, names.len == 0 ? "" : " ");
		for (const char *c = start; *c != '=' && *c != '\0'; c++)
			text_printf(&names, "%c", *c == '_' ? '-' : *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	}
	return names.data;
}

static const char *
parameter(const struct visit *visit, const char *name)
{
	const char *value = FCGX_GetParam(name, visit->fcgi.envp);
	return arena_strdup(visit->exchange.arena, value == NULL ? "" : value);
}

/* False when the body is too long or does not come. */
static bool
read_exchange(struct visit *visit)
{
	struct exchange *exchange = &visit->exchange;
	char *target = arena_strdup(exchange->arena, parameter(visit, "REQUEST_URI"));
	char *question = strchr(target, '?');
	if (question != NULL)
		*question = '\0';
	exchange->method = parameter(visit, "REQUEST_METHOD");
	exchange->path = target;
	exchange->query = question == NULL ? "" : question + 1;
	exchange->content_type = parameter(visit, "CONTENT_TYPE");
	exchange->authorization = parameter(visit, "HTTP_AUTHORIZATION");
	exchange->header_names = names_of_headers(exchange->arena, visit->fcgi.envp);
	size_t len = strtoul(parameter(visit, "CONTENT_LENGTH"), NULL, 10);
	if (len > BODY_MAX)
		return false;
	char *body = arena_alloc(exchange->arena, len + 1);
	exchange->body = body;
	exchange->body_len = len;
	return FCGX_GetStr(body, (int)len, visit->fcgi.in) == (int)len;
}

static void
write_answer(struct visit *visit, double started)
{
	const struct exchange *exchange = &visit->exchange;
	FCGX_Stream *out = visit->fcgi.out;
	uint8_t random[12];
	char id[2 * sizeof random + 1];
	digest_random(random, sizeof random);
	digest_hex(random, sizeof random, id);
	FCGX_FPrintF(out,
	    "Status: %d\r\nContent-Type: application/json\r\nx-request-id: req_%s\r\nopenai-processing-ms: %d\r\n",
	    exchange->status, id, (int)((now() - started) * 1000));
	if (exchange->retry_after_ms != NULL)
		FCGX_FPrintF(out, "retry-after-ms: %s\r\nRetry-After: 1\r\n", exchange->retry_after_ms);
	FCGX_PutS("\r\n", out);
	for (size_t at = 0; at < exchange->answer.len;) {
		size_t piece = exchange->answer.len - at > INT_MAX ? INT_MAX : exchange->answer.len - at;
		if (FCGX_PutStr(exchange->answer.data + at, (int)piece, out) < 0)
			break;
		at += piece;
	}
}

static void
visit_serve(struct visit *visit)
{
	AUTO_ARENA arena = arena_new();
	double started = now();
	visit->exchange = (struct exchange){
	    .arena = arena, .status = 200, .wait = wait_seconds, .draw_enter = draw_enter, .draw_leave = draw_leave};
	text_init(&visit->exchange.answer, arena, ANSWER_MAX);
	bool answer = true;
	if (read_exchange(visit))
		answer = run_route(&visit->exchange);
	else
		images_error(&visit->exchange, 413, "invalid_request_error", NULL, NULL, "The request is too large.");
	if (answer)
		write_answer(visit, started);
	FCGX_Finish_r(&visit->fcgi);
	FCGX_Free(&visit->fcgi, 1);
}

/* Joins what has finished, and waits until no more than most are running. */
static void
threads_wait(int most)
{
	struct visit *finished = NULL;
	(void)pthread_mutex_lock(&self.lock);
	do {
		while (self.threads > most && self.finished == NULL)
			(void)pthread_cond_wait(&self.changed, &self.lock);
		for (struct visit *next; self.finished != NULL; self.finished = next) {
			next = self.finished->next;
			self.finished->next = finished;
			finished = self.finished;
			self.threads--;
		}
	} while (self.threads > most);
	(void)pthread_mutex_unlock(&self.lock);
	for (struct visit *next; finished != NULL; finished = next) {
		next = finished->next;
		(void)pthread_join(finished->thread, NULL);
		free(finished);
	}
}

static void *
visit_run(void *argument)
{
	struct visit *visit = argument;
	visit_serve(visit);
	(void)pthread_mutex_lock(&self.lock);
	visit->next = self.finished;
	self.finished = visit;
	(void)pthread_cond_signal(&self.changed);
	(void)pthread_mutex_unlock(&self.lock);
	return NULL;
}

static void
accept_one(const pthread_attr_t *attributes)
{
	struct visit *visit = calloc(1, sizeof *visit);
	if (visit == NULL)
		abort();
	FCGX_InitRequest(&visit->fcgi, STDIN_FILENO, FCGI_FAIL_ACCEPT_ON_INTR);
	if (FCGX_Accept_r(&visit->fcgi) != 0) {
		FCGX_Free(&visit->fcgi, 1);
		free(visit);
		return;
	}
	if (pthread_create(&visit->thread, attributes, visit_run, visit) != 0) {
		log_event(LOG_ERROR, "thread_failed", NULL);
		visit_serve(visit);
		free(visit);
		return;
	}
	(void)pthread_mutex_lock(&self.lock);
	self.threads++;
	(void)pthread_mutex_unlock(&self.lock);
}

static int
run_child(void)
{
	pthread_attr_t attributes;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	self.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (!codec_start() || !calls_open() || FCGX_Init() != 0 || self.stop_fd < 0 ||
	    sem_init(&self.drawing, 0, cores > 1 ? (unsigned)cores : 2) < 0 || !prefork_ready())
		return EXIT_FAILURE;
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
	for (enum prefork_event event; (event = prefork_wait(60000)) != PREFORK_STOP;) {
		if (event == PREFORK_CONNECTION) {
			threads_wait(THREADS_MAX - 1);
			accept_one(&attributes);
		}
	}
	(void)eventfd_write(self.stop_fd, 1);
	threads_wait(0);
	(void)pthread_attr_destroy(&attributes);
	return EXIT_SUCCESS;
}

static bool
is_loopback(const char *url)
{
	const char *host = strstr(url, "://");
	if (host == NULL)
		return false;
	host += 3;
	size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return (len == 9 && strncasecmp(host, "localhost", len) == 0) ||
	       (len == 5 && strncmp(host, "[::1]", len) == 0) ||
	       (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len);
}

/* The settings, or the end of the program with one line. */
static struct config *
load_config(void)
{
	static const enum config_name needs[] = {CONFIG_OPENAI_API_KEY, CONFIG_NAME__COUNT};
	char error[256];
	struct config *config = config_load(error, sizeof error);
	if (config == NULL) {
		fprintf(stderr, "models: %s\n", error);
		exit(EXIT_FAILURE);
	}
	config_require(config, needs);
	if (!is_loopback(config_text(config, CONFIG_PUBLIC_URL))) {
		fprintf(stderr, "models: PUBLIC_URL is not loopback, and a stand-in serves nobody else\n");
		exit(EXIT_FAILURE);
	}
	return config;
}

static const char usage[] =
    "models: a local stand-in for OpenAI's images API, never for production\n\n"
    "usage: models [--socket PATH] [--processes N]\n"
    "       models --routes | --check-config | --version | --help\n\n"
    "  --socket PATH    listen on a unix socket (else descriptor 0 is the listening socket)\n"
    "  --processes N    processes that serve requests, each with a thread per request (1)\n"
    "  --routes         print each route: method, path, who may use it, the largest body in bytes\n"
    "  --check-config   read the environment and say whether it will do\n";

static void
print_routes(void)
{
	for (size_t i = 0; i < ROUTES; i++)
		printf("%s %s %s %zu\n", routes[i].method, routes[i].path, routes[i].needs_key ? "key" : "none",
		    strcmp(routes[i].method, "POST") == 0 ? BODY_MAX : 0);
}

static void
read_options(int argc, char **argv, struct prefork *prefork, bool *ret_check)
{
	static const struct option known[] = {{"socket", required_argument, NULL, 's'},
	    {"processes", required_argument, NULL, 'n'}, {"routes", no_argument, NULL, 'r'},
	    {"check-config", no_argument, NULL, 'c'}, {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'}, {0}};
	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (c) {
		case 's':
			prefork->socket_path = optarg;
			break;
		case 'n':
			prefork->children = (int)strtol(optarg, NULL, 10);
			if (prefork->children >= 1 && prefork->children <= 64)
				break;
			fprintf(stderr, "models: --processes takes 1 to 64\n");
			exit(2);
		case 'c':
			*ret_check = true;
			break;
		case 'r':
			print_routes();
			exit(EXIT_SUCCESS);
		case 'v':
			printf("models %s\n", SHOTAI_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			fprintf(stderr, "models --help lists the options\n");
			exit(2);
		}
	}
}

static int
run_parent(int argc, char **argv)
{
	struct prefork prefork = {.children = 1, .argv = argv};
	char binary[PATH_MAX];
	bool check = false;
	read_options(argc, argv, &prefork, &check);
	config_free(load_config());
	if (check) {
		printf("models: the configuration will do\n");
		return EXIT_SUCCESS;
	}
	/* An absolute path, so that a reload finds the binary that is then on disk. */
	if (realpath(argv[0], binary) == NULL || !calls_create()) {
		fprintf(stderr, "models: cannot start\n");
		return EXIT_FAILURE;
	}
	argv[0] = binary;
	return prefork_run(&prefork);
}

int
main(int argc, char **argv)
{
	log_open("models", LOG_INFO);
	if (!prefork_is_child(argc, argv))
		return run_parent(argc, argv);
	struct config *config = load_config();
	self.key = config_text(config, CONFIG_OPENAI_API_KEY);
	log_open("models", (enum log_level)config_integer(config, CONFIG_LOG_LEVEL));
	int status = run_child();
	config_free(config);
	return status;
}
