#include "provider/provider.h"

#include <string.h>

#include "base/log.h"
#include "provider/openai.h"

static const struct adapter {
	const char *name;
	void (*generate)(const struct config *config, struct http *http, struct arena *arena,
	    const struct provider_request *request, struct provider_answer *ret_answer);
	int (*pictures_per_call)(const char *options);
} adapters[] = {
    {.name = "openai", .generate = openai_generate, .pictures_per_call = openai_pictures_per_call},
};

static const struct adapter *
adapter_find(const char *name)
{
	for (size_t i = 0; i < sizeof adapters / sizeof *adapters; i++)
		if (strcmp(adapters[i].name, name) == 0)
			return &adapters[i];
	return NULL;
}

int
provider_pictures_per_call(const char *adapter, const char *options)
{
	const struct adapter *found = adapter_find(adapter);
	return found == NULL ? 1 : found->pictures_per_call(options);
}

void
provider_generate(const struct config *config, struct http *http, struct arena *arena,
    const struct provider_request *request, struct provider_answer *ret_answer)
{
	const struct adapter *adapter = adapter_find(request->adapter);
	*ret_answer = (struct provider_answer){.outcome = PROVIDER_BAD_INPUT};
	if (adapter == NULL)
		log_event(LOG_ERROR, "provider_adapter_unknown", NULL);
	else
		adapter->generate(config, http, arena, request, ret_answer);
}

const char *
provider_outcome_name(enum provider_outcome outcome)
{
	static const char *const names[PROVIDER__COUNT] = {
	    [PROVIDER_OK] = "ok",
	    [PROVIDER_REFUSED] = "refused",
	    [PROVIDER_BAD_INPUT] = "bad_input",
	    [PROVIDER_BAD_KEY] = "bad_key",
	    [PROVIDER_NO_CREDIT] = "no_credit",
	    [PROVIDER_RATE_LIMITED] = "rate_limited",
	    [PROVIDER_NOT_SENT] = "not_sent",
	    [PROVIDER_UPSTREAM_ERROR] = "upstream_error",
	    [PROVIDER_TIMEOUT] = "timeout",
	    [PROVIDER_UNCERTAIN] = "uncertain",
	    [PROVIDER_INVALID_OUTPUT] = "invalid_output",
	    [PROVIDER_ABORTED] = "aborted",
	};
	return names[outcome];
}
