/* Facts become calls of SQL's functions, and its words outcomes. */
#include "flow/ingest.h"

static const char ingest_all[] =
	"select torque.ingest($1::text[], $2::bytea[], $3::text[], $4::text[],"
	" $5::text[], $6::timestamptz[], $7::timestamptz[], $8::json[])";
static const char ingest_each[] =
	"select torque.ingest_each($1::text[], $2::bytea[], $3::text[], $4::text[],"
	" $5::text[], $6::timestamptz[], $7::timestamptz[], $8::json[])";
static const char ingest_unusable[] =
	"select torque.ingest_unusable($1::bytea[], $2::text[], $3::timestamptz[], $4::bytea[])";

enum {
	ORDER_ID,
	EVENT_KEY,
	EVENT_ID,
	EVENT_TYPE,
	STATUS,
	OCCURRED_AT,
	RECEIVED_AT,
	PAYLOAD,
};
enum { BODY_KEY, REASON, BODY_RECEIVED_AT, BODY };

static const enum array_type column_types[INGEST_COLUMNS] = {
	[ORDER_ID] = ARRAY_TEXT,
	[EVENT_KEY] = ARRAY_BYTEA,
	[EVENT_ID] = ARRAY_TEXT,
	[EVENT_TYPE] = ARRAY_TEXT,
	[STATUS] = ARRAY_TEXT,
	[OCCURRED_AT] = ARRAY_TIMESTAMPTZ,
	[RECEIVED_AT] = ARRAY_TIMESTAMPTZ,
	[PAYLOAD] = ARRAY_JSON,
};
static const enum array_type unusable_types[INGEST_UNUSABLE_COLUMNS] = {
	[BODY_KEY] = ARRAY_BYTEA,
	[REASON] = ARRAY_TEXT,
	[BODY_RECEIVED_AT] = ARRAY_TIMESTAMPTZ,
	[BODY] = ARRAY_BYTEA,
};

void ingest_init(struct ingest *ingest)
{
	for (size_t i = 0; i < INGEST_COLUMNS; i++) {
		array_init(&ingest->columns[i], column_types[i]);
	}
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		array_init(&ingest->unusable[i], unusable_types[i]);
	}
}

void ingest_fini(struct ingest *ingest)
{
	for (size_t i = 0; i < INGEST_COLUMNS; i++) {
		array_fini(&ingest->columns[i]);
	}
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		array_fini(&ingest->unusable[i]);
	}
}

void ingest_clear(struct ingest *ingest)
{
	for (size_t i = 0; i < INGEST_COLUMNS; i++) {
		array_clear(&ingest->columns[i]);
	}
	for (size_t i = 0; i < INGEST_UNUSABLE_COLUMNS; i++) {
		array_clear(&ingest->unusable[i]);
	}
}

static void add_optional(struct array *array, const char *word)
{
	if (word) {
		array_add(array, text_of(word));
	} else {
		array_add_null(array);
	}
}

static void add_fact(struct array *columns, const struct fact *fact)
{
	array_add(&columns[ORDER_ID], text_of(fact->order_id));
	array_add(&columns[EVENT_KEY], (struct text){ (const char *)fact->key, sizeof(fact->key) });
	add_optional(&columns[EVENT_ID], fact->event_id[0] != '\0' ? fact->event_id : NULL);
	array_add(&columns[EVENT_TYPE], text_of(fact->event_type));
	add_optional(&columns[STATUS], fact->has_status ? fact->status : NULL);
	if (fact->has_occurred) {
		array_add_time(&columns[OCCURRED_AT], fact->occurred_us);
	} else {
		array_add_null(&columns[OCCURRED_AT]);
	}
	array_add_time(&columns[RECEIVED_AT], fact->received_us);
	array_add(&columns[PAYLOAD], fact->body);
}

static void add_unusable(struct array *columns, const struct fact *fact)
{
	array_add(&columns[BODY_KEY], (struct text){ (const char *)fact->key, sizeof(fact->key) });
	array_add(&columns[REASON], text_of(fact->unusable));
	array_add_time(&columns[BODY_RECEIVED_AT], fact->received_us);
	array_add(&columns[BODY], fact->body);
}

void ingest_add(struct ingest *ingest, const struct fact *fact)
{
	if (fact->unusable) {
		add_unusable(ingest->unusable, fact);
	} else {
		add_fact(ingest->columns, fact);
	}
}

/* False: no memory. Nothing is called for columns without facts. */
static bool add_call(struct store_call *calls, size_t *count, const char *statement,
	struct array *columns, size_t columns_count)
{
	struct store_call *call = &calls[*count];

	if (columns[0].count == 0 && !columns[0].overflowed) {
		return true;
	}
	*call = (struct store_call){ .statement = statement, .param_count = columns_count };
	for (size_t i = 0; i < columns_count; i++) {
		struct text bytes;

		if (!array_bytes(&columns[i], &bytes)) {
			return false;
		}
		call->params[i] = (struct store_param){ bytes.ptr, bytes.len, .binary = true };
	}
	(*count)++;
	return true;
}

/* The facts go last: the answer of the last call is the one that comes back. */
bool ingest_calls(struct ingest *ingest, bool each, struct store_call calls[INGEST_CALLS_MAX],
	size_t *ret_count)
{
	*ret_count = 0;
	return add_call(calls, ret_count, ingest_unusable, ingest->unusable,
		       INGEST_UNUSABLE_COLUMNS) &&
	       add_call(calls, ret_count, each ? ingest_each : ingest_all, ingest->columns,
		       INGEST_COLUMNS);
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
