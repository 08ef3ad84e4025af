/* health.h - what a machine may ask: /livez, /readyz, /metrics on the admin address; STATUS= and
 * WATCHDOG= for the service manager.
 *
 * WATCHDOG=1 is sent from the loop, so that a loop that no longer turns is restarted. A database
 * that is away is no reason for a restart: it shows in /readyz and in STATUS=.
 *
 * Ready means ready to receive, where there is a receiver: what polling cannot do is no reason to
 * send deliveries elsewhere. A poller of its own is ready when its database connection is up and it
 * sees the newest orders.
 */
#pragma once

#include "base/problem.h"
#include "flow/batch.h"
#include "flow/reconcile.h"
#include "io/loop.h"

enum { HEALTH_CONNECTIONS_MAX = 64 };

struct health; /* heap */

struct health_options {
	const char *address; /* of the admin listener; "" or NULL = none */
};

/* batch, reconcile: borrowed; NULL = there is no such half, but not both. NULL with a sentence in
 * problem. */
struct health *health_new(struct loop *loop, const struct batch *batch,
	const struct reconcile *reconcile, const struct health_options *options,
	struct problem *problem);
void health_free(struct health *health);

/* Where the admin listener is, or "". */
const char *health_address(const struct health *health);

/* READY=1 the first time, and after a reload. */
void health_ready(struct health *health);
void health_reloading(struct health *health);
/* /readyz says 503 from here on; STOPPING=1. */
void health_stopping(struct health *health);
