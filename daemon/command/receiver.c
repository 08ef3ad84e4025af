#include "command/receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "flow/intake.h"

enum {
	RECEIVE_DRAIN_LOOK_MS = 10,
	RECEIVE_ANSWER_SLACK_MS = 100, /* a 503 sets out so long before it has to be there */
	RECEIVE_OTHER_FDS = 64,        /* descriptors that are no webhook connections */
};

struct receiver {
	struct batch *batch;
	struct intake *intake;
	struct loop_timer *look; /* are the last facts committed? */
	int listen_fd;           /* from the service manager; -1: none */
	loop_fired *drained;     /* NULL: not draining */
	void *drained_owner;
};

/* The settings as each module wants them; strings are borrowed from config, keys and this. */
struct options {
	struct batch_options batch;
	struct intake_options intake;
	char certificate[CONFIG_PATH_MAX];
	char key[CONFIG_PATH_MAX];
};

static void fill_batch(struct options *options, const struct config *config)
{
	options->batch = (struct batch_options){
		.store = {
			.conninfo = config_text(config, CONFIG_DATABASE_CONNINFO),
			.application_name = "orderd receive",
			.allow_unsafe_fsync =
				config_number(config, CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC) != 0,
		},
		.connections = (unsigned)config_number(config, CONFIG_DATABASE_CONNECTIONS),
		.notify = config_number(config, CONFIG_DATABASE_NOTIFY) != 0,
		.keep_ms = config_number(config, CONFIG_WEBHOOK_ANSWER_DEADLINE),
	};
}

static void fill_intake(struct options *options, const struct config *config,
	const struct secrets *secrets, int listen_fd)
{
	bool tls = config_path(config, CONFIG_LISTEN_TLS_CERTIFICATE, options->certificate) &&
		   config_path(config, CONFIG_LISTEN_TLS_KEY, options->key);

	options->intake = (struct intake_options){
		.server = {
			.address = config_text(config, CONFIG_LISTEN_ADDRESS),
			.listen_fd = listen_fd,
			.tls_certificate = tls ? options->certificate : NULL,
			.tls_key = tls ? options->key : NULL,
			.connections_max =
				(size_t)config_number(config, CONFIG_LISTEN_MAX_CONNECTIONS),
			.body_max = (size_t)config_number(config, CONFIG_WEBHOOK_MAX_BODY),
			.answer_ms = config_number(config, CONFIG_WEBHOOK_ANSWER_DEADLINE) -
				     RECEIVE_ANSWER_SLACK_MS,
		},
		.path = config_text(config, CONFIG_LISTEN_PATH),
		.rules = secrets_rules(secrets, config),
		.signature_header = config_text(config, CONFIG_WEBHOOK_HEADER),
		.business = config_text(config, CONFIG_TORQUE_BUSINESS_ID),
	};
}

/* The soft limit is 1024 for the sake of select(2), which is not used here. */
static void raise_descriptor_limit(const struct config *config)
{
	int64_t wanted = config_number(config, CONFIG_LISTEN_MAX_CONNECTIONS) + RECEIVE_OTHER_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		die("getrlimit: %s", strerror(errno));
	}
	if (limit.rlim_cur < (rlim_t)wanted && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = (rlim_t)wanted < limit.rlim_max ? (rlim_t)wanted : limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
			log_event(LOG_WARNING, "descriptors_limited",
				LOG_FIELDS(LOG_STRING("error", strerror(errno))));
		}
	}
	if (limit.rlim_cur < (rlim_t)wanted) {
		log_event(LOG_WARNING, "descriptors_short",
			LOG_FIELDS(LOG_INT("limit", (int64_t)limit.rlim_cur),
				LOG_INT("wanted", wanted)));
	}
}

/* Facts whose senders have gone are still on their way into the database. */
static void look_at_batch(void *owner)
{
	struct receiver *receiver = owner;

	if (batch_waiting(receiver->batch) > 0) {
		loop_timer_start(receiver->look, RECEIVE_DRAIN_LOOK_MS);
	} else {
		receiver->drained(receiver->drained_owner);
	}
}

struct receiver *receiver_new(struct loop *loop, const struct config *config,
	const struct secrets *secrets, int listen_fd, char *problem, size_t problem_size)
{
	struct receiver *receiver = memory_new(sizeof(*receiver));
	struct options options;

	raise_descriptor_limit(config);
	receiver->listen_fd = listen_fd;
	fill_batch(&options, config);
	fill_intake(&options, config, secrets, listen_fd);
	receiver->look = loop_timer_new(loop, look_at_batch, receiver);
	receiver->batch = batch_new(loop, &options.batch);
	receiver->intake =
		intake_new(loop, receiver->batch, &options.intake, problem, problem_size);
	if (!receiver->intake) {
		receiver_free(receiver);
		return NULL;
	}
	return receiver;
}

void receiver_free(struct receiver *receiver)
{
	if (!receiver) {
		return;
	}
	/* The batch ends its facts first: each still holds its exchange. */
	batch_free(receiver->batch);
	intake_free(receiver->intake);
	loop_timer_free(receiver->look);
	free(receiver);
}

bool receiver_change(struct receiver *receiver, const struct config *config,
	const struct secrets *secrets, char *problem, size_t problem_size)
{
	struct options options;

	fill_intake(&options, config, secrets, receiver->listen_fd);
	return intake_change(receiver->intake, &options.intake, problem, problem_size);
}

void receiver_drain(struct receiver *receiver, loop_fired *drained, void *owner)
{
	receiver->drained = drained;
	receiver->drained_owner = owner;
	intake_drain(receiver->intake, look_at_batch, receiver);
}

const struct batch *receiver_batch(const struct receiver *receiver)
{
	return receiver->batch;
}

const char *receiver_address(const struct receiver *receiver)
{
	return intake_address(receiver->intake);
}
