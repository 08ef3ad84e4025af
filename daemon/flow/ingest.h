/* ingest.h - how facts are said to the database, and what it says of them.
 *
 * A few facts become as many calls of torque.take(), more of them the array parameters of
 * torque.take_many() (sql/take.sql); the answer is one word for each, in the same order.
 */
#pragma once

#include "flow/facts.h"

enum {
	INGEST_FEW_MAX = 3, /* measured: a statement for many costs more for so few */
	INGEST_UNUSABLE_COLUMNS = 4,
	INGEST_STATEMENT_MAX = INGEST_FEW_MAX * FACTS_LIST_MAX + 64,
	INGEST_CALLS_MAX = 2,
};

/* Embedded; ingest_init() / ingest_fini(). The fields are the module's own. */
struct ingest {
	size_t count;                           /* usable facts that were added */
	const struct fact *few[INGEST_FEW_MAX]; /* the first of them */
	struct facts_room rooms[INGEST_FEW_MAX];
	struct facts facts; /* all, when there are more than a few */
	struct array unusable[INGEST_UNUSABLE_COLUMNS];
	char take[INGEST_FEW_MAX][INGEST_STATEMENT_MAX];
	char take_many[INGEST_STATEMENT_MAX];
	char take_each[INGEST_STATEMENT_MAX];
};

void ingest_init(struct ingest *ingest);
void ingest_fini(struct ingest *ingest);
void ingest_clear(struct ingest *ingest);

/* Borrowed until ingest is cleared. */
void ingest_add(struct ingest *ingest, const struct fact *fact);

/* The calls of one transaction that takes in what was added, by torque.take_each() when each is
 * set; their parameters are borrowed until ingest is changed, their
 * statements as long as it lives. False: it did not fit into memory. */
bool ingest_calls(struct ingest *ingest, bool each, struct store_call calls[INGEST_CALLS_MAX],
	size_t *ret_count);

/* value of the transaction that committed: exactly count words, for the usable facts that were
 * added. False: it is not that; *ret_outcomes is undefined. */
bool ingest_outcomes(struct text value, size_t count, enum outcome *ret_outcomes);
