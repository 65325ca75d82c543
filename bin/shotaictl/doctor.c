#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>

#define HOSTS_MAX 1000

/* What web programs and workers do not start without, and what shotaictl needs. */
static const enum config_name required[] = {CONFIG_SECRET_KEY, CONFIG_DATABASE_URL, CONFIG_DATABASE_WEBHOOK_URL,
    CONFIG_DATABASE_WORKER_URL, CONFIG_DATABASE_OPERATOR_URL, CONFIG_SUPABASE_URL, CONFIG_SUPABASE_ANON_KEY,
    CONFIG_SUPABASE_SECRET_KEY, CONFIG_STORAGE, CONFIG_OPENAI_API_KEY};

void
doctor_tell(struct doctor *doctor, enum doctor_level level, const char *check, const char *format, ...)
{
	static const char *const words[DOCTOR__COUNT] = {"OK", "WARN", "FAIL"};
	va_list arguments;

	doctor->failed |= level == DOCTOR_FAIL;
	printf("%-4s  %-14s ", words[level], check);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static void
check_settings(struct doctor *doctor)
{
	const struct config *config = doctor->ctl->config;
	bool complete = true;

	for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
		if (config_text(config, required[i]) != NULL)
			continue;
		complete = false;
		doctor_tell(doctor, DOCTOR_FAIL, "settings", "%s is not set", config_name(required[i]));
	}
	if (complete)
		doctor_tell(doctor, DOCTOR_OK, "settings", "all that is needed is there and well-formed");
	doctor_tell(doctor, DOCTOR_OK, "telemetry", "TELEMETRY=%s, kept for %s days",
	    config_text(config, CONFIG_TELEMETRY), config_text(config, CONFIG_TELEMETRY_DAYS));
}

enum exit_status
ctl_doctor(struct ctl *ctl, int argc, char **argv)
{
	const char *hosts = "1";
	const struct ctl_argument arguments[] = {{.name = "--hosts", .value = &hosts, .optional = true}};
	struct doctor doctor = {.ctl = ctl};

	if (!ctl_read(argc, argv, arguments, 1) || !ctl_integer(hosts, 1, HOSTS_MAX, &doctor.hosts))
		return ctl_usage(ctl);
	doctor.http = http_new();
	check_settings(&doctor);
	doctor_database(&doctor);
	doctor_storage(&doctor);
	doctor_services(&doctor);
	doctor_host(&doctor);
	http_free(doctor.http);
	return doctor.failed ? EXIT_FOUND : EXIT_DONE;
}
