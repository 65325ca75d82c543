#include "service/app.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "base/log.h"
#include "service/prefork.h"

#define IDLE_MS 60000
#define HEAD_MAX (64u << 10)
#define CHILDREN_MAX 64
#define PART_MAX (16u << 20)

static enum problem report_health(struct app *app, struct request *request, struct response *response);

static bool
is_health(const struct app *app, const struct request *request)
{
	const char *prefix = "/healthz/";

	return strncmp(request->path, prefix, strlen(prefix)) == 0 &&
	       strcmp(request->path + strlen(prefix), app->program->name) == 0;
}

static enum problem
authenticate(struct app *app, struct request *request, enum auth_kind kind)
{
	if (kind == AUTH_NONE)
		return PROBLEM_NONE;
	const char *token = request_bearer(request);
	enum problem problem = token == NULL
				   ? PROBLEM_UNAUTHENTICATED
				   : auth_verify(app->auth, request->arena, token, strlen(token), &request->user);
	if (kind == AUTH_MAYBE)
		return PROBLEM_NONE;
	if (problem != PROBLEM_NONE)
		return problem;
	if (kind != AUTH_USER && request->user.has_client)
		return PROBLEM_CLIENT_NOT_ALLOWED;
	if (kind == AUTH_SPEND && request->user.anonymous)
		return PROBLEM_ANONYMOUS_NOT_ALLOWED;
	return PROBLEM_NONE;
}

static enum problem
take_body(const struct route *route, struct request *request, bool (*read_body)(void *, char *, size_t), void *context)
{
	const char *header = request_header(request, "CONTENT_LENGTH");
	size_t len = header != NULL ? strtoul(header, NULL, 10) : 0;

	if (route->body == BODY_JSON && !request_is(request, "application/json"))
		return PROBLEM_UNSUPPORTED_MEDIA_TYPE;
	if (len > (route->body == BODY_NONE ? 0 : route->body_max))
		return PROBLEM_TOO_LARGE;
	if (route->body == BODY_RAW)
		request->body_arena = arena_new();
	char *body = arena_alloc(route->body == BODY_RAW ? request->body_arena : request->arena, len + 1);
	if (len > 0 && !read_body(context, body, len))
		return PROBLEM_INVALID_REQUEST;
	request->body = body;
	request->body_len = len;
	return PROBLEM_NONE;
}

static enum problem
run_route(struct app *app, struct request *request, struct response *response,
    bool (*read_body)(void *, char *, size_t), void *context, const char **ret_allow)
{
	enum problem problem = PROBLEM_NONE;

	if (is_health(app, request)) {
		request->route = "/healthz";
		return report_health(app, request, response);
	}
	const struct route *route =
	    route_find(app->program->routes, app->program->route_count, request, &problem, ret_allow);
	if (route == NULL)
		return problem;
	request->route = route->path;
	problem = authenticate(app, request, route->auth);
	if (problem == PROBLEM_NONE)
		problem = take_body(route, request, read_body, context);
	if (problem == PROBLEM_NONE)
		problem = route->run(app, request, response);
	return problem;
}

void
app_handle(struct app *app, struct request *request, struct response *response,
    bool (*read_body)(void *context, char *buffer, size_t len), void *context)
{
	const char *allow = NULL;
	enum problem problem = run_route(app, request, response, read_body, context, &allow);

	request_drop_body(request);
	if (problem == PROBLEM_NONE && response->body.overflow) {
		log_event(LOG_ERROR, "answer_too_large", NULL);
		problem = PROBLEM_INTERNAL;
	}
	if (problem == PROBLEM_NONE)
		return;
	response_problem(response, request, problem);
	if (allow != NULL)
		response_header(response, "Allow", allow);
}

static enum problem
report_health(struct app *app, struct request *request, struct response *response)
{
	static const struct db_statement state = {"select * from shotai.service_state()", .read_only = true};
	AUTO_DB_RESULT result = NULL;

	if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
		return PROBLEM_METHOD_NOT_ALLOWED;
	const struct db_statement *health = app->program->health != NULL ? app->program->health : &state;
	if (app->db != NULL) {
		enum problem problem = db_call(app->db, request->arena, health, NULL, 0, &result, NULL);
		if (problem != PROBLEM_NONE)
			return problem;
	}
	text_json_open(&response->body, NULL, '{');
	text_json_string(&response->body, "status", "ok");
	text_json_string(&response->body, "program", app->program->name);
	text_json_string(&response->body, "version", SHOTAI_VERSION);
	if (app->db != NULL)
		text_json_string(&response->body, "database", "ok");
	text_json_close(&response->body, '}');
	return PROBLEM_NONE;
}

static bool
read_fcgi(void *context, char *buffer, size_t len)
{
	FCGX_Request *fcgi = context;

	return len <= INT_MAX && FCGX_GetStr(buffer, (int)len, fcgi->in) == (int)len;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
log_answer(struct arena *arena, const struct request *request, const struct response *response, int64_t taken_ms)
{
	enum log_level level = response->status >= 500 ? LOG_WARN : LOG_DEBUG;
	const char *code = response->problem != PROBLEM_NONE ? problem_describe(response->problem)->code : NULL;

	/* The route, never the path: that may hold what somebody typed. */
	log_event(level, "answered", "method", request->method, "route", request->route, "status",
	    arena_printf(arena, "%d", response->status), "code", code, "ms", arena_printf(arena, "%" PRId64, taken_ms),
	    NULL);
}

/* What asks at the loopback door is no person's request. */
static void
record_answer(struct app *app, const struct request *request, const struct response *response, int64_t taken_ms)
{
	const char *route = request->route;
	struct timespec now;

	if (app->telemetry == NULL ||
	    (route != NULL && (strcmp(route, "/healthz") == 0 || strcmp(route, "/metrics") == 0)))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	telemetry_add(app->telemetry, &(struct telemetry_record){
					  .at_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 - taken_ms,
					  .duration_ms = taken_ms,
					  .method = request->method,
					  .route = route,
					  .user_id = request->user.user_id,
					  .address = request_header(request, "REMOTE_ADDR"),
					  .status = response->status,
				      });
}

/* The rest of a body that is made while it is sent. */
static void
send_more(struct response *response, FCGX_Request *fcgi)
{
	AUTO_ARENA arena = arena_new();
	bool more = response->more != NULL;

	while (more) {
		struct text part;
		arena_reset(arena);
		text_init(&part, arena, PART_MAX);
		enum problem problem = response->more(response->more_context, &part, &more);
		if (problem == PROBLEM_NONE && part.overflow)
			problem = PROBLEM_INTERNAL;
		if (problem != PROBLEM_NONE) {
			log_event(LOG_WARN, "answer_cut", "problem", problem_describe(problem)->code, NULL);
			(void)shutdown(fcgi->ipcFd, SHUT_RDWR);
			return;
		}
		if (FCGX_PutStr(part.data, (int)part.len, fcgi->out) < 0)
			return;
	}
}

static void
serve(struct app *app, struct arena *arena, FCGX_Request *fcgi)
{
	struct request request;
	struct response response;
	struct text head;
	int64_t started_ms = now_ms();

	response_open(&response, arena);
	text_init(&head, arena, HEAD_MAX);
	enum problem problem = request_open(arena, fcgi->envp, &request);
	log_request(request.id);
	if (problem != PROBLEM_NONE)
		response_problem(&response, &request, problem);
	else
		app_handle(app, &request, &response, read_fcgi, fcgi);
	response_finish(&response, &request, &head);
	FCGX_PutStr(head.data, (int)head.len, fcgi->out);
	FCGX_PutStr(response.body.data, (int)response.body.len, fcgi->out);
	send_more(&response, fcgi);
	int64_t taken_ms = now_ms() - started_ms;
	log_answer(arena, &request, &response, taken_ms);
	record_answer(app, &request, &response, taken_ms);
	log_request(NULL);
}

static bool
wants_person(const struct program *program)
{
	for (size_t i = 0; i < program->route_count; i++)
		if (program->routes[i].auth != AUTH_NONE)
			return true;
	return false;
}

static bool
wants(const struct program *program, enum config_name name)
{
	for (const enum config_name *need = program->needs; *need != CONFIG_NAME__COUNT; need++)
		if (*need == name)
			return true;
	return false;
}

/* Of the database that the program works with; NULL: it has none. */
static const char *
database_url(const struct app *app)
{
	static const enum config_name urls[] = {CONFIG_DATABASE_URL, CONFIG_DATABASE_WEBHOOK_URL};

	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		if (wants(app->program, urls[i]))
			return config_text(app->config, urls[i]);
	return NULL;
}

static void
close_app(struct app *app)
{
	telemetry_free(app->telemetry);
	auth_free(app->auth);
	if (app->program->release != NULL)
		app->program->release(app);
	db_free(app->db);
	config_free(app->config);
}

/* Everything that a child keeps; whatever forks or must precede threads is in prepare, before auth's side thread. */
static bool
open_app(struct app *app)
{
	const struct program *program = app->program;

	if (wants(program, CONFIG_DATABASE_URL))
		app->db = db_new(config_text(app->config, CONFIG_DATABASE_URL), program->name,
		    config_integer(app->config, CONFIG_DATABASE_PREPARED) != 0);
	if (program->prepare != NULL && !program->prepare(app))
		return false;
	if (wants_person(program))
		app->auth = auth_new(app->config);
	if (database_url(app) != NULL)
		app->telemetry = telemetry_new(app->config, database_url(app), program->name);
	return true;
}

static void
accept_loop(struct app *app, struct arena *arena)
{
	FCGX_Request fcgi;

	FCGX_InitRequest(&fcgi, STDIN_FILENO, FCGI_FAIL_ACCEPT_ON_INTR);
	for (enum prefork_event event; (event = prefork_wait(IDLE_MS)) != PREFORK_STOP;) {
		if (event == PREFORK_IDLE) {
			if (app->db != NULL)
				db_idle(app->db);
			continue;
		}
		if (FCGX_Accept_r(&fcgi) != 0)
			continue;
		serve(app, arena, &fcgi);
		FCGX_Finish_r(&fcgi);
		arena_reset(arena);
	}
	FCGX_Free(&fcgi, 1);
}

static int
run_child(const struct program *program, struct config *config, int children)
{
	struct app app = {.program = program, .config = config, .children = children};
	AUTO_ARENA arena = arena_new();
	int status = EXIT_FAILURE;

	if (FCGX_Init() == 0 && open_app(&app) && prefork_ready()) {
		accept_loop(&app, arena);
		status = EXIT_SUCCESS;
	}
	close_app(&app);
	return status;
}

static void
print_help(const struct program *program)
{
	printf("%s: %s\n\n"
	       "usage: %s [--socket PATH] [--processes N]\n"
	       "       %s --routes | --check-config | --version | --help\n\n"
	       "  --socket PATH    listen on a unix socket (else descriptor 0 is the listening socket)\n"
	       "  --processes N    children that serve requests\n"
	       "  --routes         print each route: method, path, who may use it, the largest body in bytes\n"
	       "  --check-config   read the environment and say whether it will do\n\n"
	       "SIGHUP replaces the children by the binary on disk without refusing a request; SIGTERM ends after the\n"
	       "requests in hand. The settings are environment variables; shotaictl config lists them.\n",
	    program->name, program->summary, program->name, program->name);
}

static struct config *
load_config(const struct program *program)
{
	char error[256];
	struct config *config = config_load(error, sizeof error);

	if (config == NULL || !db_config_acceptable(config, error, sizeof error)) {
		fprintf(stderr, "%s: %s\n", program->name, error);
		exit(EXIT_FAILURE);
	}
	config_require(config, program->needs);
	return config;
}

static int
default_children(const struct program *program, const struct config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t wanted = config_integer(config, CONFIG_PROCESSES);

	if (!program->scales)
		return program->children > 0 ? program->children : 2;
	if (wanted == 0)
		wanted = cores > 0 ? 2 * cores : 2;
	return (int)(wanted < CHILDREN_MAX ? wanted : CHILDREN_MAX);
}

struct options {
	const char *socket_path;
	long processes; /* 0: not given */
	bool check_config;
};

/* Reads the command line; prints and exits where it asks for nothing else. */
static struct options
read_options(int argc, char **argv, const struct program *program)
{
	static const struct option known[] = {{"socket", required_argument, NULL, 's'},
	    {"processes", required_argument, NULL, 'n'}, {"routes", no_argument, NULL, 'r'},
	    {"check-config", no_argument, NULL, 'c'}, {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'}, {0}};
	struct options options = {0};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (c) {
		case 's':
			options.socket_path = optarg;
			break;
		case 'n':
			options.processes = strtol(optarg, NULL, 10);
			if (options.processes >= 1 && options.processes <= CHILDREN_MAX)
				break;
			fprintf(stderr, "%s: --processes takes 1 to %d\n", program->name, CHILDREN_MAX);
			exit(2);
		case 'c':
			options.check_config = true;
			break;
		case 'r':
			route_print(program->routes, program->route_count);
			exit(EXIT_SUCCESS);
		case 'v':
			printf("%s %s\n", program->name, SHOTAI_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			print_help(program);
			exit(EXIT_SUCCESS);
		default:
			fprintf(stderr, "%s --help lists the options\n", program->name);
			exit(2);
		}
	}
	return options;
}

static int
run_parent(int argc, char **argv, const struct program *program)
{
	struct options options = read_options(argc, argv, program);
	struct config *config = load_config(program);
	struct prefork prefork = {.socket_path = options.socket_path, .argv = argv};
	char binary[PATH_MAX];

	log_open(program->name, (enum log_level)config_integer(config, CONFIG_LOG_LEVEL));
	prefork.children = options.processes > 0 ? (int)options.processes : default_children(program, config);
	config_free(config);
	if (options.check_config) {
		printf("%s: the configuration will do\n", program->name);
		return EXIT_SUCCESS;
	}
	/* An absolute path, so that a reload finds the binary that is then on disk. */
	if (realpath(argv[0], binary) == NULL) {
		fprintf(stderr, "%s: start it with its path\n", program->name);
		return EXIT_FAILURE;
	}
	argv[0] = binary;
	return prefork_run(&prefork);
}

int
app_main(int argc, char **argv, const struct program *program)
{
	if (!prefork_is_child(argc, argv)) {
		log_open(program->name, LOG_INFO);
		return run_parent(argc, argv, program);
	}
	struct config *config = load_config(program);
	log_open(program->name, (enum log_level)config_integer(config, CONFIG_LOG_LEVEL));
	return run_child(program, config, prefork_children(argc, argv));
}
