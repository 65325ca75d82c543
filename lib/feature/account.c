#include "feature/account.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "feature/abuse.h"
#include "feature/refusal.h"
#include "feature/secret.h"

enum { STATE, GET, UPDATE, CONFIRM_AGE, ACKNOWLEDGE };

static const struct db_statement statements[] = {
    [STATE] = {"select * from shotai.service_state()", true},
    [GET] = {"select * from shotai.get_account($1, $2)", true},
    [UPDATE] = {"select * from shotai.update_account($1, $2, $3, $4, $5)", true},
    [CONFIRM_AGE] = {"select * from shotai.confirm_age($1, $2, $3, $4, $5, $6, $7, $8)", false},
    [ACKNOWLEDGE] = {"select * from shotai.acknowledge_policy($1, $2, $3)", true},
};

static const char purpose[] = "email-fold";

/* Providers known to deliver all these spellings to one mailbox; elsewhere only case is ignored. */
static const struct mail_provider {
	const char *domain, *same_as; /* same_as: the domain that it is another name of */
	bool dots, plus;
} mail_providers[] = {
    {"gmail.com", NULL, .dots = true, .plus = true},
    {"googlemail.com", "gmail.com", .dots = true, .plus = true},
    {"outlook.com", NULL, .plus = true},
    {"hotmail.com", NULL, .plus = true},
    {"live.com", NULL, .plus = true},
    {"live.nl", NULL, .plus = true},
    {"msn.com", NULL, .plus = true},
    {"icloud.com", NULL, .plus = true},
    {"me.com", "icloud.com", .plus = true},
    {"mac.com", "icloud.com", .plus = true},
    {"fastmail.com", NULL, .plus = true},
    {"fastmail.fm", NULL, .plus = true},
    {"proton.me", NULL, .plus = true},
    {"protonmail.com", "proton.me", .plus = true},
    {"pm.me", "proton.me", .plus = true},
};

/* ASCII only: the addresses Supabase stores are folded there, and other letters differ in a mailbox's name. */
static char *
lower_case(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	for (char *c = copy; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

static const struct mail_provider *
provider_of(const char *domain)
{
	for (size_t i = 0; i < sizeof mail_providers / sizeof mail_providers[0]; i++)
		if (strcmp(mail_providers[i].domain, domain) == 0)
			return &mail_providers[i];
	return NULL;
}

const char *
account_fold_email(struct arena *arena, const char *email)
{
	char *folded = lower_case(arena, email);
	char *at = strrchr(folded, '@');
	const struct mail_provider *provider = at != NULL ? provider_of(at + 1) : NULL;
	if (provider == NULL)
		return folded;
	char *end = folded;
	for (const char *c = folded; c < at && !(provider->plus && *c == '+'); c++)
		if (!(provider->dots && *c == '.'))
			*end++ = *c;
	*end = '\0';
	return arena_printf(arena, "%s@%s", folded, provider->same_as != NULL ? provider->same_as : provider->domain);
}

/* The hashes of a folded address under the current and the previous secret; NULL where there is none. */
static void
hash_email(struct call *call, const char *folded, const char *ret_hashes[static SECRET_KEYS])
{
	AUTO_SECRET_KEYS keys;
	secret_derive(call->arena, call->secrets, purpose, &keys);
	for (size_t i = 0; i < SECRET_KEYS; i++) {
		ret_hashes[i] = NULL;
		if (i >= keys.count || folded[0] == '\0')
			continue;
		uint8_t mac[DIGEST_SHA256];
		char *hex = arena_alloc(call->arena, DIGEST_HEX);
		digest_hmac(keys.key[i], DIGEST_SHA256, folded, strlen(folded), mac);
		digest_hex(mac, sizeof mac, hex);
		ret_hashes[i] = hex;
	}
}

static void
write_lots(struct text *json, const struct db_result *rows)
{
	text_json_open(json, "credit_lots", '[');
	for (size_t row = 0; row < db_rows(rows); row++) {
		if (db_text(rows, row, "lot_source") == NULL)
			continue;
		text_json_open(json, NULL, '{');
		text_json_string(json, "source", db_text(rows, row, "lot_source"));
		text_json_int(json, "remaining", db_integer(rows, row, "lot_remaining"));
		text_json_string(json, "expires_at", db_text(rows, row, "lot_expires_at"));
		text_json_close(json, '}');
	}
	text_json_close(json, ']');
}

static void
write_subscription(struct text *json, const struct db_result *rows)
{
	if (db_text(rows, 0, "sub_id") == NULL) {
		text_json_raw(json, "subscription", NULL);
		return;
	}
	text_json_open(json, "subscription", '{');
	text_json_string(json, "id", db_text(rows, 0, "sub_id"));
	text_json_string(json, "product_id", db_text(rows, 0, "sub_product_id"));
	text_json_string(json, "status", db_text(rows, 0, "sub_status"));
	text_json_string(json, "current_period_start", db_text(rows, 0, "sub_current_period_start"));
	text_json_string(json, "current_period_end", db_text(rows, 0, "sub_current_period_end"));
	text_json_bool(json, "cancel_at_period_end", db_boolean(rows, 0, "sub_cancel_at_period_end"));
	text_json_bool(json, "lapsed", db_boolean(rows, 0, "sub_lapsed"));
	text_json_string(json, "updated_at", db_text(rows, 0, "sub_updated_at"));
	text_json_close(json, '}');
}

/* Why the account is kept from something, and whom to ask. */
static void
write_restriction(struct call *call, const struct db_result *rows)
{
	struct text *json = call->json;
	if (db_text(rows, 0, "restriction_action") == NULL) {
		text_json_raw(json, "restriction", NULL);
		return;
	}
	text_json_open(json, "restriction", '{');
	text_json_string(json, "action", db_text(rows, 0, "restriction_action"));
	text_json_string(json, "reason", db_text(rows, 0, "restriction_reason"));
	text_json_string(json, "since", db_text(rows, 0, "restriction_since"));
	text_json_string(json, "contact", config_text(call->config, CONFIG_SUPPORT_EMAIL));
	text_json_close(json, '}');
}

static void
write_account(struct call *call, const struct db_result *rows)
{
	struct text *json = call->json;
	text_json_open(json, NULL, '{');
	text_json_string(json, "user_id", db_text(rows, 0, "user_id"));
	text_json_string(json, "email", db_text(rows, 0, "email"));
	text_json_int(json, "balance", db_integer(rows, 0, "balance"));
	write_lots(json, rows);
	write_subscription(json, rows);
	text_json_string(json, "locale", db_text(rows, 0, "locale"));
	text_json_open(json, "notifications", '{');
	text_json_bool(json, "receipts", db_boolean(rows, 0, "receipts"));
	text_json_bool(json, "announcements", db_boolean(rows, 0, "announcements"));
	text_json_close(json, '}');
	text_json_bool(json, "age_confirmed", db_boolean(rows, 0, "age_confirmed"));
	text_json_open(json, "policy", '{');
	text_json_string(json, "version", db_text(rows, 0, "policy_version"));
	text_json_string(json, "acknowledged", db_text(rows, 0, "policy_acknowledged"));
	text_json_bool(json, "notice", db_boolean(rows, 0, "policy_notice"));
	text_json_close(json, '}');
	text_json_raw(json, "limits", db_text(rows, 0, "limits"));
	text_json_string(json, "status", db_text(rows, 0, "status"));
	write_restriction(call, rows);
	text_json_string(json, "welcome_refused", db_text(rows, 0, "welcome_refused"));
	text_json_close(json, '}');
}

static enum problem
call_account(struct call *call, const struct db_statement *statement, const char *const *parameters, size_t count,
    struct db_result **ret_rows)
{
	enum problem problem = refusal_call(call, statement, parameters, count, ret_rows);
	if (problem == PROBLEM_NONE && db_rows(*ret_rows) == 0) {
		log_event(LOG_ERROR, "no_rows", "statement", statement->sql, NULL);
		return PROBLEM_INTERNAL;
	}
	return problem;
}

enum problem
account_site(struct call *call, const struct account_site *site)
{
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_account(call, &statements[STATE], NULL, 0, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	text_json_open(call->json, NULL, '{');
	text_json_string(call->json, "supabase_url", site->supabase_url);
	text_json_string(call->json, "supabase_anon_key", site->supabase_anon_key);
	text_json_string(call->json, "policy_version", db_text(rows, 0, "policy_version"));
	text_json_string(call->json, "support_email", site->support_email);
	text_json_close(call->json, '}');
	return PROBLEM_NONE;
}

enum problem
account_get(struct call *call)
{
	const char *const parameters[] = {call->user->user_id, call->user->session_id};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_account(call, &statements[GET], parameters, 2, &rows);
	if (problem == PROBLEM_NONE)
		write_account(call, rows);
	return problem;
}

enum problem
account_update(struct call *call, const struct account_change *change)
{
	const char *const parameters[] = {
	    call->user->user_id, call->user->session_id, change->locale, change->receipts, change->announcements};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_account(call, &statements[UPDATE], parameters, 5, &rows);
	if (problem == PROBLEM_NONE)
		write_account(call, rows);
	return problem;
}

enum problem
account_acknowledge(struct call *call, const char *version)
{
	const char *const parameters[] = {call->user->user_id, call->user->session_id, version};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_account(call, &statements[ACKNOWLEDGE], parameters, 3, &rows);
	if (problem == PROBLEM_NONE)
		write_account(call, rows);
	return problem;
}

enum problem
account_confirm_age(struct call *call, bool at_least_13, const char **ret_erasure_id)
{
	const char *hashes[SECRET_KEYS];
	const char *folded = account_fold_email(call->arena, call->user->email);
	hash_email(call, folded, hashes);
	const char *const parameters[] = {call->user->user_id, call->user->session_id, at_least_13 ? "true" : "false",
	    call->user->email, hashes[0], hashes[1], abuse_stem_mark(call, folded), abuse_domain_mark(call, folded)};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = call_account(call, &statements[CONFIRM_AGE], parameters, 8, &rows);
	if (problem != PROBLEM_NONE)
		return problem;
	*ret_erasure_id = arena_strdup(call->arena, db_text(rows, 0, "erasure_id"));
	if (*ret_erasure_id == NULL)
		write_account(call, rows);
	return PROBLEM_NONE;
}
