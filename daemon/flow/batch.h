/* batch.h - group commit: many facts, one transaction.
 *
 * An idle connection sends at once; while its transaction is in flight the next batch gathers,
 * up to BATCH_FACTS_MAX, for the connection that is idle first. Beside a transaction another one
 * begins only when it would gain nothing by growing, or when the first has been out for long, as
 * on a slow disk: one connection is quickest else.
 *
 * A fact whose transaction was lost or unsure is offered again (ingest is idempotent) until its
 * deadline; one whose data the database refuses is quarantined, and costs the others nothing.
 */
#pragma once

#include <stdbool.h>

#include "order/fact.h"
#include "pg/store.h"

enum {
	BATCH_FACTS_MAX = 256,
	BATCH_QUEUE_FACTS_MAX = 4096,
	BATCH_QUEUE_BYTES_MAX = 16 * 1024 * 1024,
	BATCH_CONNECTIONS_MAX = 16,
};

struct batch; /* heap */

struct batch_options {
	struct store_options store;
	unsigned connections;
	bool notify;     /* NOTIFY torque_orders */
	int64_t keep_ms; /* how long a fact is offered again: the answer deadline */
};

enum batch_end {
	BATCH_COMMITTED, /* durable: the transaction that holds it has committed */
	BATCH_LOST,      /* not surely durable, and not going to be tried again */
};

/* Runs exactly once for each batch_add() that returned true; always from the loop, never from
 * inside batch_add(). outcome means something only with BATCH_COMMITTED. */
typedef void batch_done(void *tag, enum batch_end end, enum outcome outcome);

/* options->store.setup and the number in its application_name are the batch's own. */
struct batch *batch_new(struct loop *loop, const struct batch_options *options);
/* Every fact that has not ended ends BATCH_LOST first. Not from inside done. */
void batch_free(struct batch *batch);

/* Copies *fact and its body. False = full: nothing was kept and done will not run. */
bool batch_add(struct batch *batch, const struct fact *fact, batch_done *done, void *tag);

bool batch_full(const struct batch *batch);
size_t batch_waiting(const struct batch *batch); /* facts not answered yet, in flight included */
bool batch_connected(const struct batch *batch); /* at least one connection is ready or working */
const char *batch_problem(const struct batch *batch); /* "" or why no connection is up */
