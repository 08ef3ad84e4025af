/* Facts become calls of SQL's functions, and its words outcomes. */
#include "flow/ingest.h"

#include <stdio.h>

static const char ingest_unusable[] =
	"select torque.ingest_unusable($1::bytea[], $2::text[], $3::timestamptz[], $4::bytea[])";

enum { BODY_KEY, REASON, BODY_RECEIVED_AT, BODY };

static const enum array_type unusable_types[INGEST_UNUSABLE_COLUMNS] = {
	[BODY_KEY] = ARRAY_BYTEA,
	[REASON] = ARRAY_TEXT,
	[BODY_RECEIVED_AT] = ARRAY_TIMESTAMPTZ,
	[BODY] = ARRAY_BYTEA,
};

/* select array[torque.take(…), torque.take(…)]: each is a function call of its own, in this
 * order. */
static void write_take(size_t count, char out[INGEST_STATEMENT_MAX])
{
	char list[FACTS_LIST_MAX];
	size_t len = (size_t)snprintf(out, INGEST_STATEMENT_MAX, "select array[");

	for (size_t i = 0; i < count; i++) {
		facts_list_scalars(i * FACTS_SCALARS + 1, list);
		len += (size_t)snprintf(out + len, INGEST_STATEMENT_MAX - len, "%storque.take(%s)",
			i > 0 ? ", " : "", list);
	}
	snprintf(out + len, INGEST_STATEMENT_MAX - len, "]");
}

static void write_many(const char *head, char out[INGEST_STATEMENT_MAX])
{
	char list[FACTS_LIST_MAX];

	facts_list_arrays(1, list);
	snprintf(out, INGEST_STATEMENT_MAX, "%s%s)", head, list);
}

void ingest_init(struct ingest *ingest)
{
	ingest->count = 0;
	facts_init(&ingest->facts);
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		array_init(&ingest->unusable[i], unusable_types[i]);
	}
	for (size_t i = 0; i < INGEST_FEW_MAX; i++) {
		write_take(i + 1, ingest->take[i]);
	}
	write_many("select torque.take_many(", ingest->take_many);
	write_many("select torque.take_each(", ingest->take_each);
}

void ingest_fini(struct ingest *ingest)
{
	facts_fini(&ingest->facts);
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		array_fini(&ingest->unusable[i]);
	}
}

void ingest_clear(struct ingest *ingest)
{
	ingest->count = 0;
	facts_clear(&ingest->facts);
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		array_clear(&ingest->unusable[i]);
	}
}

static void add_unusable(struct array *columns, const struct fact *fact)
{
	array_add(&columns[BODY_KEY], (struct text){ (const char *)fact->key, sizeof(fact->key) });
	array_add(&columns[REASON], text_of(fact->unusable));
	array_add_time(&columns[BODY_RECEIVED_AT], fact->received_us);
	array_add(&columns[BODY], fact->body);
}

/* The first few are not written into arrays before it is known that they are needed. */
static void write_few(struct ingest *ingest)
{
	facts_clear(&ingest->facts);
	for (size_t i = 0; i < ingest->count && i < INGEST_FEW_MAX; i++) {
		facts_add(&ingest->facts, ingest->few[i], "webhook");
	}
}

void ingest_add(struct ingest *ingest, const struct fact *fact)
{
	if (fact->unusable) {
		add_unusable(ingest->unusable, fact);
		return;
	}
	if (ingest->count < INGEST_FEW_MAX) {
		ingest->few[ingest->count++] = fact;
		return;
	}
	if (ingest->count == INGEST_FEW_MAX) {
		write_few(ingest);
	}
	facts_add(&ingest->facts, fact, "webhook");
	ingest->count++;
}

/* False: no memory. */
static bool unusable_call(struct ingest *ingest, struct store_call *call)
{
	*call = (struct store_call){ .statement = ingest_unusable,
		.param_count = INGEST_UNUSABLE_COLUMNS };
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		struct text bytes;

		if (!array_bytes(&ingest->unusable[i], &bytes)) {
			return false;
		}
		call->params[i] = (struct store_param){ bytes.ptr, bytes.len, .binary = true };
	}
	return true;
}

static void take_call(struct ingest *ingest, struct store_call *call)
{
	call->statement = ingest->take[ingest->count - 1];
	call->param_count = ingest->count * FACTS_SCALARS;
	for (size_t i = 0; i < ingest->count; i++) {
		facts_scalars(ingest->few[i], &ingest->rooms[i], &call->params[i * FACTS_SCALARS]);
	}
}

/* False: no memory. */
static bool many_call(struct ingest *ingest, bool each, struct store_call *call)
{
	if (ingest->count <= INGEST_FEW_MAX) {
		write_few(ingest);
	}
	call->statement = each ? ingest->take_each : ingest->take_many;
	call->param_count = FACTS_COLUMNS;
	return facts_arrays(&ingest->facts, call->params);
}

/* The facts go last: the answer of the last call is the one that comes back. */
bool ingest_calls(struct ingest *ingest, bool each, struct store_call calls[INGEST_CALLS_MAX],
	size_t *ret_count)
{
	const struct array *unusable = &ingest->unusable[BODY_KEY];

	*ret_count = 0;
	if (unusable->count > 0 || unusable->overflowed) {
		if (!unusable_call(ingest, &calls[(*ret_count)++])) {
			return false;
		}
	}
	if (ingest->count == 0) {
		return true;
	}
	if (ingest->count <= INGEST_FEW_MAX && !each) {
		take_call(ingest, &calls[(*ret_count)++]);
		return true;
	}
	return many_call(ingest, each, &calls[(*ret_count)++]);
}

/* "{applied,busy}": the words need no quotes. */
bool ingest_outcomes(struct text value, size_t count, enum outcome *ret_outcomes)
{
	struct text words, word;

	if (count == 0) {
		return true;
	}
	if (value.len < 2 || value.ptr[0] != '{' || value.ptr[value.len - 1] != '}') {
		return false;
	}
	words = (struct text){ value.ptr + 1, value.len - 2 };
	for (size_t i = 0; i < count; i++) {
		if (!text_next(&words, ',', &word) || !fact_outcome_from(word, &ret_outcomes[i])) {
			return false;
		}
	}
	return words.len == 0;
}
