/* ingest.h - how facts are said to the database, and what it says of them.
 *
 * Facts become the array parameters of torque.ingest() and its like (sql/ingest.sql), one element
 * each; the answer is one word for each, in the same order.
 */
#pragma once

#include "order/fact.h"
#include "pg/array.h"
#include "pg/store.h"

enum {
	INGEST_COLUMNS = 8,
	INGEST_UNUSABLE_COLUMNS = 4,
	INGEST_CALLS_MAX = 2,
};

/* Embedded; ingest_init() / ingest_fini(). The fields are the module's own. */
struct ingest {
	struct array columns[INGEST_COLUMNS];
	struct array unusable[INGEST_UNUSABLE_COLUMNS];
};

void ingest_init(struct ingest *ingest);
void ingest_fini(struct ingest *ingest);
void ingest_clear(struct ingest *ingest);

/* Copies. */
void ingest_add(struct ingest *ingest, const struct fact *fact);

/* The calls of one transaction that takes in what was added, by torque.ingest_each() when each is
 * set; their parameters are borrowed until ingest is changed. False: it did not fit into memory. */
bool ingest_calls(struct ingest *ingest, bool each, struct store_call calls[INGEST_CALLS_MAX],
	size_t *ret_count);

/* value of the transaction that committed: exactly count words, for the usable facts that were
 * added. False: it is not that; *ret_outcomes is undefined. */
bool ingest_outcomes(struct text value, size_t count, enum outcome *ret_outcomes);
