/* receiver.h - the receiving half of the service: batch and intake, made from the settings. */
#pragma once

#include "flow/batch.h"
#include "settings/secrets.h"

struct receiver; /* heap */

/* listen_fd: from the service manager, or -1. settings and secrets are borrowed until
 * receiver_change() or receiver_free(). NULL with a sentence in problem: the listener cannot be
 * opened. */
struct receiver *receiver_new(struct loop *loop, const struct settings *settings,
	const struct secrets *secrets, int listen_fd, struct problem *problem);
/* What has not been answered ends without an answer. */
void receiver_free(struct receiver *receiver);

/* Reload. False and nothing changed, with a sentence in problem. */
bool receiver_change(struct receiver *receiver, const struct settings *settings,
	const struct secrets *secrets, struct problem *problem);

/* No new connections, an answer for every request, then the last commits; drained runs once. */
void receiver_drain(struct receiver *receiver, loop_fired *drained, void *owner);

/* Borrowed. */
const struct batch *receiver_batch(const struct receiver *receiver);
const char *receiver_address(const struct receiver *receiver);
