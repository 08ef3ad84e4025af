/* A process receives, polls or both: it starts, reloads and drains here. */
#include "command/service.h"

#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/sink.h"
#include "command/receiver.h"
#include "flow/health.h"
#include "io/loop.h"
#include "io/notify.h"
#include "settings/options.h"

enum {
	SERVICE_DRAIN_MS = 10000, /* then what is still under way is left to the senders' retries */
};

/* What the process does: one of them or both. */
enum half { HALF_RECEIVE = 1, HALF_RECONCILE = 2 };

struct service {
	const struct command *command;
	unsigned halves;
	const struct config *config; /* in force */
	struct config *reloaded;     /* what config points at after a reload, else NULL */
	struct secrets *secrets;     /* in force; NULL: no receiver, as the next one */
	struct receiver *receiver;
	struct reconcile *reconcile; /* NULL: no poller */
	struct health *health;
	struct loop *loop;
	struct loop_signal *signals[3];
	struct loop_timer *deadline; /* of the drain */
	unsigned draining;           /* halves that are not done yet */
	bool stopping;
};

static void set_up_log(const struct settings *settings)
{
	log_setup(settings->log.level, settings->log.format);
}

/* Reload: parse whole, validate, then swap. */

static void log_faults(const struct faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->list[i];

		if (fault->warning) {
			log_event(LOG_WARNING, "config_warning",
				LOG_FIELDS(LOG_STRING("text", fault->text)));
		} else {
			log_event(LOG_ERROR, "config_fault",
				LOG_FIELDS(LOG_STRING("text", fault->text)));
		}
	}
}

static void warn_of_restarts(const bool changed[CONFIG_KEY_COUNT], struct faults *faults)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		if (changed[key]) {
			fault_warn(faults, "[%s] %s changed; that needs a restart",
				config_rules[key].section, config_rules[key].name);
		}
	}
}

/* What a reload brings, until it is in force. */
struct fresh {
	struct config *config;
	struct secrets *secrets; /* NULL: no receiver, or they are at fault */
	struct torque *torque;   /* NULL: no poller, or at fault */
};

/* The secrets that the halves use, and nothing of the others. False: faults say why. */
static bool load_fresh(const struct service *service, const struct config *config,
	struct fresh *fresh, struct faults *faults)
{
	bool usable = true;

	if (service->halves & HALF_RECEIVE) {
		fresh->secrets = secrets_load(config, faults);
		usable = fresh->secrets != NULL;
	}
	if (service->halves & HALF_RECONCILE) {
		fresh->torque = options_torque(service->loop, config, faults);
		usable = usable && fresh->torque;
	}
	return usable;
}

static void free_fresh(struct fresh *fresh)
{
	secrets_free(fresh->secrets);
	torque_free(fresh->torque);
	config_free(fresh->config);
}

/* False: fresh is not in force, and is to be freed by the caller. */
static bool swap(struct service *service, struct fresh *fresh, struct faults *faults)
{
	bool changed[CONFIG_KEY_COUNT];
	const struct settings *settings = config_settings(fresh->config);
	struct problem problem;

	config_keep(fresh->config, service->config, changed);
	if (service->receiver &&
		!receiver_change(service->receiver, settings, fresh->secrets, &problem)) {
		fault_add(faults, "%s", problem.text);
		return false;
	}
	if (service->reconcile) {
		const struct reconcile_options options = options_reconcile(settings);

		reconcile_change(service->reconcile, &options, fresh->torque);
	}
	warn_of_restarts(changed, faults);
	secrets_free(service->secrets);
	service->secrets = fresh->secrets;
	service->config = fresh->config;
	config_free(service->reloaded);
	service->reloaded = fresh->config;
	set_up_log(settings);
	return true;
}

static bool read_again(struct service *service, struct faults *faults)
{
	int error;
	struct fresh fresh = { .config = verb_read_config(service->command, faults, &error) };

	/* A file that may be missing at the start is not missing now by design. */
	if (config_file(service->config) && !config_file(fresh.config) && error == 0) {
		fault_add(faults, "%s: is gone", config_file(service->config));
	}
	if (load_fresh(service, fresh.config, &fresh, faults) && faults->errors == 0 &&
		swap(service, &fresh, faults)) {
		return true;
	}
	free_fresh(&fresh);
	return false;
}

static void reload_asked(void *owner)
{
	struct service *service = owner;
	struct faults faults = { .count = 0 };

	health_reloading(service->health);
	if (read_again(service, &faults)) {
		metrics_add(METRIC_RELOADS, 1);
		log_event(LOG_INFO, "reloaded", NULL);
	} else {
		metrics_add(METRIC_RELOADS_REFUSED, 1);
		log_event(LOG_ERROR, "reload_refused",
			LOG_FIELDS(LOG_INT("faults", (int64_t)faults.errors)));
	}
	log_faults(&faults);
	fault_fini(&faults);
	health_ready(service->health);
}

/* Stop: no new connections, an answer for every request, a bounded wait for the last commits and
 * for the call to the API that is under way. */

static void half_drained(void *owner)
{
	struct service *service = owner;

	if (--service->draining == 0) {
		loop_stop(service->loop);
	}
}

static void drain_cut(void *owner)
{
	struct service *service = owner;
	size_t waiting = service->receiver ? batch_waiting(receiver_batch(service->receiver)) : 0;

	log_event(LOG_WARNING, "drain_cut", LOG_FIELDS(LOG_INT("waiting", (int64_t)waiting)));
	loop_stop(service->loop);
}

static void stop_asked(void *owner)
{
	struct service *service = owner;

	if (service->stopping) {
		drain_cut(service);
		return;
	}
	service->stopping = true;
	log_event(LOG_INFO, "stopping", NULL);
	health_stopping(service->health);
	loop_timer_start(service->deadline, SERVICE_DRAIN_MS);
	service->draining = (service->receiver ? 1U : 0) + (service->reconcile ? 1U : 0);
	if (service->reconcile) {
		reconcile_drain(service->reconcile, half_drained, service);
	}
	if (service->receiver) {
		receiver_drain(service->receiver, half_drained, service);
	}
}

/* Start: what can fail for the configuration's sake fails here, before READY=1. */

static int refuse_to_listen(const struct problem *problem)
{
	log_event(LOG_ERROR, "listen_failed", LOG_FIELDS(LOG_STRING("error", problem->text)));
	return EX_TEMPFAIL;
}

static int open_health(struct service *service)
{
	const struct settings *settings = config_settings(service->config);
	const struct batch *batch = service->receiver ? receiver_batch(service->receiver) : NULL;
	const struct health_options options = options_health(settings, service->receiver != NULL);
	struct problem problem;

	service->health = health_new(service->loop, batch, service->reconcile, &options, &problem);
	return service->health ? EX_OK : refuse_to_listen(&problem);
}

/* Takes torque, which is NULL without a poller. */
static int open_halves(struct service *service, struct torque *torque)
{
	const struct settings *settings = config_settings(service->config);
	struct problem problem;

	if (torque) {
		struct reconcile_options options = options_reconcile(settings);

		service->reconcile = reconcile_new(service->loop, &options, torque);
	}
	if (service->halves & HALF_RECEIVE) {
		int listen_fd = notify_listen_fds() > 0 ? NOTIFY_FIRST_FD : -1;

		service->receiver = receiver_new(
			service->loop, settings, service->secrets, listen_fd, &problem);
		if (!service->receiver) {
			return refuse_to_listen(&problem);
		}
	}
	return open_health(service);
}

static void listen_to_signals(struct service *service)
{
	struct loop *loop = service->loop;

	service->signals[0] = loop_signal_new(loop, SIGHUP, reload_asked, service);
	service->signals[1] = loop_signal_new(loop, SIGTERM, stop_asked, service);
	service->signals[2] = loop_signal_new(loop, SIGINT, stop_asked, service);
	service->deadline = loop_timer_new(loop, drain_cut, service);
}

static void log_start(const struct service *service)
{
	const struct settings *settings = config_settings(service->config);
	const char *admin = health_address(service->health);

	if (service->reconcile) {
		log_event(LOG_INFO, "polling",
			LOG_FIELDS(LOG_STRING("api", settings->torque.base_url),
				LOG_STRING("admin", admin)));
	}
	if (service->receiver) {
		log_event(LOG_INFO, "listening",
			LOG_FIELDS(LOG_STRING("address", receiver_address(service->receiver)),
				LOG_STRING("path", settings->listen.path),
				LOG_STRING("admin", admin)));
	}
}

static void serve(struct service *service)
{
	log_start(service);
	health_ready(service->health);
	loop_run(service->loop);
	log_event(LOG_INFO, "stopped", NULL);
}

static void finish(struct service *service)
{
	for (size_t i = 0; i < sizeof(service->signals) / sizeof(service->signals[0]); i++) {
		loop_signal_free(service->signals[i]);
	}
	loop_timer_free(service->deadline);
	health_free(service->health);
	receiver_free(service->receiver);
	reconcile_free(service->reconcile);
	loop_free(service->loop);
	secrets_free(service->secrets);
	config_free(service->reloaded);
}

static int run(const struct command *command, unsigned halves)
{
	memory_keep_reserve();
	signature_use_reserve();

	struct service service = {
		.command = command,
		.halves = halves,
		.config = command->config,
		.loop = loop_new(),
	};
	struct faults faults = { .count = 0 };
	struct fresh fresh = { .config = NULL };
	int code = EX_CONFIG;

	if (load_fresh(&service, command->config, &fresh, &faults)) {
		code = EX_OK;
	}
	fault_print(&faults, stderr);
	fault_fini(&faults);
	if (code != EX_OK) {
		free_fresh(&fresh);
		loop_free(service.loop);
		return code;
	}
	service.secrets = fresh.secrets;
	sink_never_wait();
	set_up_log(command->settings);
	listen_to_signals(&service);
	code = open_halves(&service, fresh.torque);
	if (code == EX_OK) {
		serve(&service);
	}
	finish(&service);
	memory_free_reserve();
	return code;
}

int service_receive(const struct command *command)
{
	return run(command, HALF_RECEIVE);
}

int service_reconcile(const struct command *command)
{
	return run(command, HALF_RECONCILE);
}

int service_both(const struct command *command)
{
	return run(command, HALF_RECEIVE | HALF_RECONCILE);
}
