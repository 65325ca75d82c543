#include <string.h>
#include <sys/stat.h>

#include "base/body.h"
#include "base/digest.h"
#include "base/mailbox.h"
#include "doctor.h"
#include "service/creem.h"
#include "service/smtp.h"
#include "service/storage.h"

#define TIMEOUT_MS 10000
#define ANSWER_MAX ((size_t)1 << 20)
#define PROBE "shotaictl doctor"

/* The status of a GET, 0 when no answer came. key: what goes as a bearer's token and apikey, or NULL. */
static int
get(struct doctor *doctor, const char *url, const char *key, struct http_answer *ret_answer)
{
	struct arena *arena = doctor->ctl->arena;
	const struct http_header headers[] = {
	    {"apikey", key}, {"Authorization", arena_printf(arena, "Bearer %s", key != NULL ? key : "")}};
	const struct http_request request = {
	    .method = "GET",
	    .url = url,
	    .headers = headers,
	    .header_count = key != NULL ? sizeof headers / sizeof *headers : 0,
	    .timeout_ms = TIMEOUT_MS,
	    .answer_max = ANSWER_MAX,
	};
	return http_send(doctor->http, arena, &request, ret_answer) == HTTP_ANSWERED ? ret_answer->status : 0;
}

static void
check_keys(struct doctor *doctor, const char *supabase)
{
	struct http_answer answer = {0};
	int status =
	    get(doctor, arena_printf(doctor->ctl->arena, "%s/auth/v1/.well-known/jwks.json", supabase), NULL, &answer);
	if (status != 200) {
		doctor_tell(doctor, DOCTOR_FAIL, "supabase",
		    "its key set answers %d: nobody can be let in; is SUPABASE_URL right?", status);
		return;
	}
	AUTO_BODY_TREE tree = body_tree_parse(answer.body, answer.body_len);
	size_t count = body_count(body_member(body_root(tree), "keys"));
	if (count > 0)
		doctor_tell(doctor, DOCTOR_OK, "supabase", "its key set has %zu keys", count);
	else if (config_text(doctor->ctl->config, CONFIG_SUPABASE_JWT_SECRET) != NULL)
		doctor_tell(doctor, DOCTOR_WARN, "supabase",
		    "its key set is empty: only the legacy secret counts; create a signing key");
	else
		doctor_tell(doctor, DOCTOR_FAIL, "supabase",
		    "its key set is empty: create a signing key, or set SUPABASE_JWT_SECRET");
}

static void
check_supabase(struct doctor *doctor)
{
	const struct config *config = doctor->ctl->config;
	const char *supabase = config_text(config, CONFIG_SUPABASE_URL),
		   *key = config_text(config, CONFIG_SUPABASE_SECRET_KEY);
	struct http_answer answer = {0};
	if (supabase == NULL)
		return;
	check_keys(doctor, supabase);
	if (key == NULL)
		return;
	int status = get(doctor,
	    arena_printf(doctor->ctl->arena, "%s/auth/v1/admin/users/00000000-0000-4000-8000-000000000000", supabase),
	    key, &answer);
	if (status == 200 || status == 404)
		doctor_tell(doctor, DOCTOR_OK, "supabase", "SUPABASE_SECRET_KEY is accepted");
	else
		doctor_tell(doctor, DOCTOR_FAIL, "supabase",
		    "its admin API answers %d to SUPABASE_SECRET_KEY: no account can be erased to the end", status);
}

static void
check_creem(struct doctor *doctor)
{
	const struct config *config = doctor->ctl->config;
	const struct creem creem = {.config = config, .http = doctor->http};
	const char *ignored = NULL;
	if (config_text(config, CONFIG_CREEM_API_KEY) == NULL) {
		doctor_tell(doctor, DOCTOR_WARN, "creem",
		    "CREEM_API_KEY is not set: nothing can be bought, and nobody screens prompts");
		return;
	}
	enum problem problem = creem_get(&creem, doctor->ctl->arena, CREEM_CHECKOUT, "ch_doctor", &ignored);
	if (problem == PROBLEM_NONE || problem == PROBLEM_NOT_FOUND)
		doctor_tell(doctor, DOCTOR_OK, "creem", "its API answers and accepts CREEM_API_KEY");
	else
		doctor_tell(doctor, DOCTOR_FAIL, "creem",
		    "its API is away or refuses CREEM_API_KEY; the line creem_failed says which");
	if (config_text(config, CONFIG_CREEM_WEBHOOK_SECRET) == NULL)
		doctor_tell(
		    doctor, DOCTOR_FAIL, "creem", "CREEM_WEBHOOK_SECRET is not set: what is paid brings no credits");
	if (config_integer(config, CONFIG_MODERATION) == 0)
		doctor_tell(doctor, DOCTOR_WARN, "creem", "MODERATION=off: nobody screens prompts");
}

static void
check_provider(struct doctor *doctor)
{
	const struct config *config = doctor->ctl->config;
	const char *key = config_text(config, CONFIG_OPENAI_API_KEY);
	struct http_answer answer = {0};
	if (key == NULL)
		return;
	int status = get(doctor,
	    arena_printf(doctor->ctl->arena, "%s/models", config_text(config, CONFIG_OPENAI_BASE_URL)), key, &answer);
	if (status == 0 || status >= 500)
		doctor_tell(doctor, DOCTOR_FAIL, "provider", "OPENAI_BASE_URL answers %d: no picture is made", status);
	else if (status == 401 || status == 403)
		doctor_tell(doctor, DOCTOR_FAIL, "provider", "OPENAI_API_KEY is refused (%d)", status);
	else
		doctor_tell(doctor, DOCTOR_OK, "provider", "OPENAI_BASE_URL answers");
}

static void
check_mail(struct doctor *doctor)
{
	const struct config *config = doctor->ctl->config;
	const char *url = config_text(config, CONFIG_SMTP_URL), *from = config_text(config, CONFIG_MAIL_FROM);
	struct mailbox mailbox;
	if (url == NULL) {
		const char *folder = config_text(config, CONFIG_MAIL_DIRECTORY);
		doctor_tell(doctor, DOCTOR_WARN, "mail",
		    folder != NULL ? "goes into files below MAIL_DIRECTORY: set SMTP_URL to send it"
				   : "is not sent: set SMTP_URL and MAIL_FROM");
		return;
	}
	if (from == NULL || !mailbox_read(doctor->ctl->arena, from, &mailbox)) {
		doctor_tell(doctor, DOCTOR_FAIL, "mail", "MAIL_FROM is not set: the worker does not start");
		return;
	}
	const struct smtp_server server = {.url = url, .hello = mailbox.domain};
	struct smtp *smtp = smtp_new(&server);
	if (smtp_probe(smtp, TIMEOUT_MS))
		doctor_tell(doctor, DOCTOR_OK, "mail", "the server of SMTP_URL lets us in");
	else
		doctor_tell(doctor, DOCTOR_FAIL, "mail",
		    "the server of SMTP_URL does not let us in; the line smtp_failed says why");
	smtp_free(smtp);
}

static void
check_front(struct doctor *doctor)
{
	const char *url = config_text(doctor->ctl->config, CONFIG_PUBLIC_URL);
	struct http_answer answer = {0};
	int status = get(doctor, arena_printf(doctor->ctl->arena, "%s/api/config", url), NULL, &answer);
	if (status != 200)
		doctor_tell(doctor, DOCTOR_FAIL, "front",
		    "PUBLIC_URL/api/config answers %d (0: no answer, or TLS is wrong)", status);
	else if (strncmp(url, "https://", 8) != 0)
		doctor_tell(doctor, DOCTOR_WARN, "front", "answers, without TLS: for this machine only");
	else if (http_answer_header(&answer, "strict-transport-security") == NULL)
		doctor_tell(doctor, DOCTOR_WARN, "front",
		    "answers over TLS, without Strict-Transport-Security: something else stands before nginx");
	else
		doctor_tell(doctor, DOCTOR_OK, "front", "answers over TLS");
}

void
doctor_services(struct doctor *doctor)
{
	check_front(doctor);
	check_supabase(doctor);
	check_creem(doctor);
	check_provider(doctor);
	check_mail(doctor);
}

/* An object of no row and no age: the worker sweeps away what a crash leaves. */
static bool
probe(struct doctor *doctor, struct storage *storage, const char *key)
{
	struct arena *arena = doctor->ctl->arena;
	uint8_t *bytes = NULL;
	size_t len = 0;
	const char *failed = NULL;
	if (storage_put(storage, key, "text/plain", PROBE, strlen(PROBE)) != PROBLEM_NONE)
		failed = "written";
	else if (storage_get(storage, arena, key, ANSWER_MAX, &bytes, &len) != PROBLEM_NONE || len != strlen(PROBE) ||
		 memcmp(bytes, PROBE, len) != 0)
		failed = "read";
	if (storage_delete(storage, key) != PROBLEM_NONE ||
	    storage_get(storage, arena, key, ANSWER_MAX, &bytes, &len) != PROBLEM_NOT_FOUND)
		failed = failed != NULL ? failed : "deleted";
	const char *what = strncmp(key, "uploads/", 8) == 0 ? "uploads" : "pictures";
	if (failed != NULL)
		doctor_tell(doctor, DOCTOR_FAIL, "storage",
		    "an object of %s could not be %s; the line storage_failed says why", what, failed);
	return failed == NULL;
}

/* Whether somebody without a key reads a bucket. */
static void
check_bucket(struct doctor *doctor, struct storage *storage, enum config_name bucket, const char *key)
{
	struct arena *arena = doctor->ctl->arena;
	const struct config *config = doctor->ctl->config;
	struct http_answer answer = {0};
	if (storage_put(storage, key, "text/plain", PROBE, strlen(PROBE)) != PROBLEM_NONE)
		return;
	int status = get(doctor,
	    arena_printf(arena, "%s/%s/%s", config_text(config, CONFIG_R2_ENDPOINT), config_text(config, bucket), key),
	    NULL, &answer);
	if (status / 100 == 2)
		doctor_tell(
		    doctor, DOCTOR_FAIL, "storage", "%s is public: take its public access away", config_name(bucket));
	if (storage_delete(storage, key) != PROBLEM_NONE)
		doctor_tell(doctor, DOCTOR_WARN, "storage", "%s was not deleted; the worker will", key);
}

/* Other users of this machine reach a folder when every one on its way lets them through. */
static void
check_folder(struct doctor *doctor, const char *folder)
{
	char *path = arena_strdup(doctor->ctl->arena, folder);
	struct stat is;
	bool open = true;
	for (char *slash; open && *path != '\0'; *slash = '\0') {
		if (stat(path, &is) != 0) {
			doctor_tell(doctor, DOCTOR_FAIL, "storage", "%s is not there", path);
			return;
		}
		open = (is.st_mode & S_IXOTH) != 0;
		slash = strrchr(path, '/');
	}
	if (open)
		doctor_tell(
		    doctor, DOCTOR_FAIL, "storage", "%s is open to every user of this machine: chmod 0700 it", folder);
}

void
doctor_storage(struct doctor *doctor)
{
	struct arena *arena = doctor->ctl->arena;
	const char *place = config_text(doctor->ctl->config, CONFIG_STORAGE);
	uint8_t random[16];
	char name[2 * sizeof random + 1];
	if (place == NULL)
		return;
	struct storage *storage = storage_new(doctor->ctl->config);
	if (storage == NULL) {
		doctor_tell(doctor, DOCTOR_FAIL, "storage", "STORAGE cannot be used");
		return;
	}
	digest_random(random, sizeof random);
	digest_hex(random, sizeof random, name);
	const char *picture = arena_printf(arena, "gen/doctor/%s", name),
		   *upload = arena_printf(arena, "uploads/00000000/%s", name);
	bool well = probe(doctor, storage, picture);
	well = probe(doctor, storage, upload) && well;
	if (strcmp(place, "r2") == 0) {
		check_bucket(doctor, storage, CONFIG_R2_BUCKET, arena_printf(arena, "%s-2", picture));
		check_bucket(doctor, storage, CONFIG_R2_UPLOAD_BUCKET, arena_printf(arena, "%s-2", upload));
	} else {
		check_folder(doctor, place + strlen("file:"));
	}
	if (well)
		doctor_tell(doctor, DOCTOR_OK, "storage", "objects are written, read and deleted");
	storage_free(storage);
}
