/* The receiver is a batch and an intake, and its drain is theirs one after the other. */
#include "command/receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "flow/intake.h"
#include "settings/options.h"

enum { RECEIVE_DRAIN_LOOK_MS = 10 };

struct receiver {
	struct batch *batch;
	struct intake *intake;
	struct loop_timer *look; /* are the last facts committed? */
	int listen_fd;           /* from the service manager; -1: none */
	loop_fired *drained;     /* NULL: not draining */
	void *drained_owner;
};

/* The soft limit is 1024 for the sake of select(2), which is not used here. Returns what there is.
 */
static size_t raise_descriptor_limit(rlim_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		die("getrlimit: %s", strerror(errno));
	}
	if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
			log_event(LOG_WARNING, "descriptors_limited",
				LOG_FIELDS(LOG_STRING("error", strerror(errno))));
		}
	}
	return limit.rlim_cur;
}

/* As many as there are descriptors for: beyond, nobody could come in, and the admin listener and
 * the database would have none. */
static void fit_connections(struct server_options *server, const struct settings *settings)
{
	size_t wanted = options_descriptors(settings);
	size_t limit = raise_descriptor_limit(wanted);

	if (limit < wanted) {
		server->connections_max = options_connections(settings, limit);
		log_event(LOG_WARNING, "descriptors_short",
			LOG_FIELDS(LOG_INT("limit", (int64_t)limit),
				LOG_INT("wanted", (int64_t)wanted),
				LOG_INT("connections", (int64_t)server->connections_max)));
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

struct receiver *receiver_new(struct loop *loop, const struct settings *settings,
	const struct secrets *secrets, int listen_fd, struct problem *problem)
{
	struct receiver *receiver = memory_new(sizeof(*receiver));
	struct batch_options batch = options_batch(settings);
	struct intake_options intake = options_intake(settings, secrets, listen_fd);

	fit_connections(&intake.server, settings);
	receiver->listen_fd = listen_fd;
	receiver->look = loop_timer_new(loop, look_at_batch, receiver);
	receiver->batch = batch_new(loop, &batch);
	receiver->intake = intake_new(loop, receiver->batch, &intake, problem);
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

bool receiver_change(struct receiver *receiver, const struct settings *settings,
	const struct secrets *secrets, struct problem *problem)
{
	struct intake_options intake = options_intake(settings, secrets, receiver->listen_fd);

	return intake_change(receiver->intake, &intake, problem);
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
