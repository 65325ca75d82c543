#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "service/db.h"

static void
options_cleanup(PQconninfoOption **options)
{
	PQconninfoFree(*options);
}
#define AUTO_OPTIONS __attribute__((cleanup(options_cleanup))) PQconninfoOption *

/* The value in the connection string, else the one that libpq takes from the environment. */
static const char *
option_value(const PQconninfoOption *url, const PQconninfoOption *defaults, const char *keyword)
{
	const PQconninfoOption *sources[] = {url, defaults};

	for (size_t i = 0; i < 2; i++)
		for (const PQconninfoOption *option = sources[i]; option != NULL && option->keyword != NULL; option++)
			if (strcmp(option->keyword, keyword) == 0 && option->val != NULL && *option->val != '\0')
				return option->val;
	return "";
}

static bool
is_local(const char *host)
{
	return *host == '\0' || *host == '/' || *host == '@' || config_is_loopback(host);
}

static bool
are_local(const char *hosts)
{
	for (;; hosts++) {
		char host[256];
		size_t len = strcspn(hosts, ",");

		if (len >= sizeof host)
			return false;
		memcpy(host, hosts, len);
		host[len] = '\0';
		if (!is_local(host))
			return false;
		hosts += len;
		if (*hosts == '\0')
			return true;
	}
}

bool
db_url_acceptable(const char *url, const char **ret_reason)
{
	AUTO_OPTIONS options = PQconninfoParse(url, NULL);
	AUTO_OPTIONS defaults = PQconndefaults();

	if (options == NULL) {
		*ret_reason = "a PostgreSQL connection string";
		return false;
	}
	if (*option_value(options, defaults, "service") != '\0') {
		*ret_reason = "without a service";
		return false;
	}
	if (are_local(option_value(options, defaults, "host")) &&
	    are_local(option_value(options, defaults, "hostaddr")))
		return true;
	*ret_reason = "local, or have sslmode=verify-full with sslrootcert";
	return strcmp(option_value(options, defaults, "sslmode"), "verify-full") == 0 &&
	       *option_value(options, defaults, "sslrootcert") != '\0';
}

bool
db_config_acceptable(const struct config *config, char *ret_error, size_t error_size)
{
	for (enum config_name name = 0; name < CONFIG_NAME__COUNT; name++) {
		const char *reason, *url = config_text(config, name);

		if (config_kind(name) == CONFIG_KIND_DATABASE && url != NULL && !db_url_acceptable(url, &reason)) {
			snprintf(ret_error, error_size, "%s must be %s", config_name(name), reason);
			return false;
		}
	}
	return true;
}
