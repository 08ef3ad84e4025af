/* facts.h - facts as the parameters of SQL's functions (sql/take.sql, sql/ingest.sql).
 *
 * Of one fact each column is a scalar; of several it is an array, with one element a fact, and null
 * when no fact has anything in it.
 */
#pragma once

#include "order/fact.h"
#include "order/json.h"
#include "pg/array.h"
#include "pg/store.h"

enum {
	FACTS_FRAME = 9,               /* order_id .. payload, source among them */
	FACTS_SAYS = FACT_COLUMNS + 2, /* faults and assumed are the last */
	FACTS_POLLED = 3 + FACTS_SAYS, /* order_id, claimed_status, payload; says */
	FACTS_COLUMNS = FACTS_FRAME + FACTS_SAYS,
	FACTS_SCALARS = FACTS_COLUMNS - 1, /* a webhook's: no source */
	FACTS_LIST_MAX = 1536,
};

/* Counts what is odd in it: once, when it is read. */
void facts_count_odd(const struct fact *fact);

/* The text "$first::type, …" for the columns in order, as arguments of a function. */
void facts_list_scalars(size_t first, char out[FACTS_LIST_MAX]);
void facts_list_arrays(size_t first, char out[FACTS_LIST_MAX]);
void facts_list_polled(size_t first, char out[FACTS_LIST_MAX]);

/* What a fact's parameters are borrowed from beside the fact. */
struct facts_room {
	uint64_t integers[FACTS_COLUMNS];
	char faults[FACT_FIELD_NAMES_MAX];
	char assumed[FACT_FIELD_NAMES_MAX];
};

/* Of a webhook. Borrowed from fact and room. */
void facts_scalars(const struct fact *fact, struct facts_room *room,
	struct store_param ret_params[FACTS_SCALARS]);

/* Embedded; facts_init() / facts_fini(). The fields are the module's own. */
struct facts {
	struct array columns[FACTS_COLUMNS];
};

void facts_init(struct facts *facts);
void facts_fini(struct facts *facts);
void facts_clear(struct facts *facts);

/* Copies. source: "webhook", "list", "lookup" or "operator". */
void facts_add(struct facts *facts, const struct fact *fact, const char *source);

/* The room, made as large as reading that body takes; what it held is gone. Its memory is
 * malloc()'s. NULL: there is none. */
struct json_room *facts_room(struct json_room *room, struct text body);

/* Borrowed until facts are changed. False: they did not fit into memory. */
bool facts_arrays(struct facts *facts, struct store_param ret_params[FACTS_COLUMNS]);
bool facts_polled(struct facts *facts, struct store_param ret_params[FACTS_POLLED]);
