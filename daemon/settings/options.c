/* Settings become options: what is configured, in the words of the module that does it. */
#include "settings/options.h"

enum {
	ANSWER_SLACK_MS = 100, /* a 503 sets out so long before it has to be there */
	/* That are no webhook connections. */
	OTHER_DESCRIPTORS = 64 + HEALTH_CONNECTIONS_MAX,
};

struct store_options options_store(const struct settings *settings, const char *application_name)
{
	return (struct store_options){
		.conninfo = settings->database.conninfo,
		.application_name = application_name,
		.allow_unsafe_fsync = settings->database.allow_unsafe_fsync,
	};
}

struct batch_options options_batch(const struct settings *settings)
{
	return (struct batch_options){
		.store = options_store(settings, "orderd receive"),
		.connections = settings->database.connection_count,
		.notify = settings->database.notify,
		.keep_ms = settings->webhook.answer_deadline_ms,
	};
}

struct intake_options options_intake(
	const struct settings *settings, const struct secrets *secrets, int listen_fd)
{
	bool tls = settings->listen.tls_certificate[0] && settings->listen.tls_key[0];

	return (struct intake_options){
		.server = {
			.address = settings->listen.address,
			.listen_fd = listen_fd,
			.tls_certificate = tls ? settings->listen.tls_certificate : NULL,
			.tls_key = tls ? settings->listen.tls_key : NULL,
			.connections_max = settings->listen.connections_max,
			.body_max = settings->webhook.body_max_bytes,
			.answer_ms = settings->webhook.answer_deadline_ms - ANSWER_SLACK_MS,
		},
		.path = settings->listen.path,
		.rules = secrets_rules(secrets),
		.signature_header = settings->webhook.header,
		.business = settings->torque.business_id,
		.trusted_proxies = settings->listen.trusted_proxy,
	};
}

/* A second that has begun counts: never earlier than configured. */
static int64_t seconds(int64_t ms)
{
	return (ms + 999) / 1000;
}

struct reconcile_options options_reconcile(const struct settings *settings)
{
	return (struct reconcile_options){
		.store = options_store(settings, "orderd reconcile"),
		.schedule = {
			.requests_per_minute = settings->torque.requests_per_minute,
			.floor = settings->torque.floor,
			.sweep_every_s = seconds(settings->reconcile.sweep_every_ms),
			.lookback_s = seconds(settings->reconcile.lookback_ms),
			.open_every_s = seconds(settings->reconcile.open_every_ms),
			.history_s = seconds(settings->reconcile.history_ms),
			.notify = settings->database.notify,
		},
		.base_url = settings->torque.base_url,
		.business_id = settings->torque.business_id,
	};
}

struct health_options options_health(const struct settings *settings, bool receives)
{
	return (struct health_options){
		.address = receives ? settings->admin.address : settings->admin.reconcile_address,
	};
}

struct torque *options_torque(struct loop *loop, const struct config *config, struct faults *faults)
{
	const struct settings *settings = config_settings(config);
	struct secret *key = secrets_load_api_key(config, faults);
	struct torque_options options = {
		.base_url = settings->torque.base_url,
		.ca_file = settings->torque.ca_file,
	};
	struct problem problem;
	struct torque *torque;

	if (!key) {
		return NULL;
	}
	options.api_key = key;
	torque = torque_new(loop, &options, &problem);
	if (!torque) {
		secret_free(key);
		config_fault(config, CONFIG_TORQUE_BASE_URL, faults, " = %s: %s", options.base_url,
			problem.text);
	}
	return torque;
}

size_t options_descriptors(const struct settings *settings)
{
	return settings->listen.connections_max + OTHER_DESCRIPTORS;
}

size_t options_connections(const struct settings *settings, size_t descriptors)
{
	size_t rest = descriptors > OTHER_DESCRIPTORS ? descriptors - OTHER_DESCRIPTORS : 1;

	return rest < settings->listen.connections_max ? rest : settings->listen.connections_max;
}
