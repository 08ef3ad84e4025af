#include "settings/options.h"

enum { POLL_PROBLEM_MAX = 512 };

/* Durations of less than a second more count as one more: never earlier than configured. */
static int64_t seconds(const struct config *config, enum config_key key)
{
	return (config_number(config, key) + 999) / 1000;
}

struct reconcile_options options_reconcile(const struct config *config)
{
	return (struct reconcile_options){
		.store = {
			.conninfo = config_text(config, CONFIG_DATABASE_CONNINFO),
			.application_name = "orderd reconcile",
			.allow_unsafe_fsync =
				config_number(config, CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC) != 0,
		},
		.schedule = {
			.requests_per_minute =
				config_number(config, CONFIG_TORQUE_REQUESTS_PER_MINUTE),
			.floor = config_number(config, CONFIG_TORQUE_FLOOR),
			.sweep_every_s = seconds(config, CONFIG_RECONCILE_SWEEP_EVERY),
			.lookback_s = seconds(config, CONFIG_RECONCILE_LOOKBACK),
			.open_every_s = seconds(config, CONFIG_RECONCILE_OPEN_EVERY),
			.history_s = seconds(config, CONFIG_RECONCILE_HISTORY),
			.notify = config_number(config, CONFIG_DATABASE_NOTIFY) != 0,
		},
	};
}

struct torque *options_torque(struct loop *loop, const struct config *config,
	const struct secret *key, struct faults *faults)
{
	char ca_file[CONFIG_PATH_MAX] = "", problem[POLL_PROBLEM_MAX];
	bool given = config_path(config, CONFIG_TORQUE_CA_FILE, ca_file);
	const struct torque_options options = {
		.base_url = config_text(config, CONFIG_TORQUE_BASE_URL),
		.ca_file = given ? ca_file : "",
		.api_key = secret_text(key),
	};
	struct torque *torque = torque_new(loop, &options, problem, sizeof(problem));

	if (!torque) {
		fault_add(faults, "[torque] base_url = %s: %s", options.base_url, problem);
	}
	return torque;
}
