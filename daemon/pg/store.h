/* store.h - one connection to PostgreSQL: non-blocking, pipelined, with a deadline for everything.
 *
 * Connects by itself, and again when the connection is lost: one host and address of conninfo after
 * the other (resolve.h), back-off with jitter between two rounds, and a host that says nothing for
 * ATTEMPTS_CONNECT_MS is left for the next one. What makes a server unfit, and what
 * each session sets, is in session.h; that can mend itself, so that it is asked again, and can come
 * later, so that it is looked at again. No pooler may stand before it but one that pools sessions.
 *
 * That it is connected, has lost its connection or finds none is logged here, by its name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "io/loop.h"
#include "pg/call.h"

enum {
	STORE_RUN_MS = 2000,   /* a transaction longer than this costs the connection */
	STORE_LOOK_MS = 10000, /* a server that is in use is looked at again so often */
};

struct store; /* heap */

/* Exactly once for each store_run() that returned true, from the loop, never from inside it. */
typedef void store_done(void *tag, const struct store_result *result);

struct store_options {
	const char *conninfo;
	/* "orderd receive 1/2": its name in the log, and in the server unless conninfo has one */
	const char *application_name;
	bool quiet;              /* nothing is logged: its owner tells a person */
	bool allow_unsafe_fsync; /* else a server with fsync=off is refused */
	const char *setup;       /* a select of more set_config() for each session; NULL = none */
};

struct store_events {
	/* Checked, prepared, idle: store_run() may be called. Also after each look. */
	void (*connected)(void *owner);
	void (*disconnected)(
		void *owner); /* after the running transaction's done, if there was one */
	/* store_problem() has another reason than before; only while there is no connection. May
	 * be NULL. */
	void (*connect_failed)(void *owner);
};

/* Never fails for the database's sake: it starts to connect and keeps trying. Strings are copied.
 * events is static; none of them runs from inside a function of this header. */
struct store *store_new(struct loop *loop, const struct store_options *options,
	const struct store_events *events, void *owner);
/* Also from inside a callback. The done of a running transaction runs no more. */
void store_free(struct store *store);

bool store_ready(const struct store *store); /* connected and idle */
/* Why it is not connected; "" when it is. For /readyz and people. */
const char *store_problem(const struct store *store);

/* Run the calls, at most STORE_CALLS_MAX, as one transaction (one pipeline sync group). Parameters
 * are copied. False when not store_ready(). May be called from inside done. */
bool store_run(struct store *store, const struct store_call *calls, size_t count, store_done *done,
	void *tag);
