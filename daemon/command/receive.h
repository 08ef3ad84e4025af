/* receive.h - the receiving half of the service: batch and intake, made from the settings. */
#pragma once

#include "command/config.h"
#include "command/keys.h"
#include "flow/batch.h"

struct receive; /* heap */

/* listen_fd: from the service manager, or -1. keys are borrowed until receive_change() or
 * receive_free(). NULL with a sentence in problem: the listener cannot be opened. */
struct receive *receive_new(struct loop *loop, const struct config *config, const struct keys *keys,
	int listen_fd, char *problem, size_t problem_size);
/* What has not been answered ends without an answer. */
void receive_free(struct receive *receive);

/* Reload. False and nothing changed, with a sentence in problem. */
bool receive_change(struct receive *receive, const struct config *config, const struct keys *keys,
	char *problem, size_t problem_size);

/* No new connections, an answer for every request, then the last commits; drained runs once. */
void receive_drain(struct receive *receive, loop_fired *drained, void *owner);

/* Borrowed. */
const struct batch *receive_batch(const struct receive *receive);
const char *receive_address(const struct receive *receive);
