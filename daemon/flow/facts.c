/* Facts as the parameters of SQL's functions, from one table of columns. */
#include "flow/facts.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"

enum {
	ORDER_ID,
	EVENT_KEY,
	SOURCE,
	EVENT_ID,
	EVENT_TYPE,
	STATUS,
	OCCURRED_AT,
	RECEIVED_AT,
	PAYLOAD,
	SAYS,
	FAULTS = SAYS + FACT_COLUMNS,
	ASSUMED,
};

enum kind { KIND_TEXT, KIND_JSON, KIND_NUMERIC, KIND_INTEGER, KIND_TIME, KIND_BYTES, KIND_NAMES };

/* Numbers and names are texts: as scalars in PostgreSQL's text format, which costs it less than a
 * cast, and in arrays as elements that are cast there. */
static const struct {
	const char *scalar;
	const char *array;
	enum array_type type;
} kinds[] = {
	[KIND_TEXT] = { "text", "text[]", ARRAY_TEXT },
	[KIND_JSON] = { "json", "json[]", ARRAY_JSON },
	[KIND_NUMERIC] = { "numeric", "text[]::numeric[]", ARRAY_TEXT },
	[KIND_INTEGER] = { "bigint", "bigint[]", ARRAY_BIGINT },
	[KIND_TIME] = { "timestamptz", "timestamptz[]", ARRAY_TIMESTAMPTZ },
	[KIND_BYTES] = { "bytea", "bytea[]", ARRAY_BYTEA },
	[KIND_NAMES] = { "text[]", "text[]", ARRAY_TEXT },
};

/* Where the polled columns are among all. */
static const size_t polled_frame[] = { ORDER_ID, STATUS, PAYLOAD };

static enum kind kind_of(size_t column)
{
	static const enum kind of_facts[] = {
		[FACT_TEXT] = KIND_TEXT,
		[FACT_JSON] = KIND_JSON,
		[FACT_NUMERIC] = KIND_NUMERIC,
		[FACT_INTEGER] = KIND_INTEGER,
		[FACT_TIME] = KIND_TIME,
	};

	switch (column) {
	case EVENT_KEY:
		return KIND_BYTES;
	case OCCURRED_AT:
	case RECEIVED_AT:
		return KIND_TIME;
	case PAYLOAD:
		return KIND_JSON;
	case FAULTS:
	case ASSUMED:
		return KIND_NAMES;
	default:
		return column < SAYS ? KIND_TEXT
				     : of_facts[fact_column_kind((enum fact_field)(column - SAYS))];
	}
}

static size_t polled_column(size_t index)
{
	enum { COUNT = sizeof(polled_frame) / sizeof(polled_frame[0]) };

	return index < COUNT ? polled_frame[index] : index - COUNT + SAYS;
}

/* The texts of statements. */

static size_t put_argument(char out[FACTS_LIST_MAX], size_t len, size_t number, const char *type)
{
	int put = snprintf(
		out + len, FACTS_LIST_MAX - len, "%s$%zu::%s", len > 0 ? ", " : "", number, type);

	assert(put > 0 && (size_t)put < FACTS_LIST_MAX - len);
	return len + (size_t)put;
}

void facts_list_scalars(size_t first, char out[FACTS_LIST_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		if (i != SOURCE) {
			len = put_argument(out, len, first++, kinds[kind_of(i)].scalar);
		}
	}
}

void facts_list_arrays(size_t first, char out[FACTS_LIST_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		len = put_argument(out, len, first + i, kinds[kind_of(i)].array);
	}
}

void facts_list_polled(size_t first, char out[FACTS_LIST_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < FACTS_POLLED; i++) {
		len = put_argument(out, len, first + i, kinds[kind_of(polled_column(i))].array);
	}
}

/* Columns of a fact: bytes as they are sent, ptr NULL = SQL null. */

static const struct text null = { NULL, 0 };

static struct text integer_bytes(int64_t value, uint64_t *room)
{
	*room = htobe64((uint64_t)value);
	return (struct text){ (const char *)room, sizeof(*room) };
}

static struct text names_bytes(uint64_t fields, char room[FACT_FIELD_NAMES_MAX])
{
	if (fields == 0) {
		return null;
	}
	fact_field_names(fields, room);
	return text_of(room);
}

static struct text says_bytes(const struct details *details, enum fact_field column, uint64_t *room)
{
	enum fact_kind kind = fact_column_kind(column);
	struct fact_integer integer;

	if (kind != FACT_INTEGER && kind != FACT_TIME) {
		return fact_column_text(details, column);
	}
	integer = fact_column_integer(details, column);
	if (!integer.known) {
		return null;
	}
	return integer_bytes(
		kind == FACT_TIME ? array_wire_time(integer.value) : integer.value, room);
}

static struct text word_bytes(const char *word, bool known)
{
	return known ? text_of(word) : null;
}

static struct text column_bytes(
	const struct fact *fact, const char *source, size_t column, struct facts_room *room)
{
	switch (column) {
	case ORDER_ID:
		return word_bytes(fact->order_id, fact->order_id[0] != '\0');
	case EVENT_KEY:
		return (struct text){ (const char *)fact->key, sizeof(fact->key) };
	case SOURCE:
		return text_of(source);
	case EVENT_ID:
		return word_bytes(fact->event_id, fact->event_id[0] != '\0');
	case EVENT_TYPE:
		return word_bytes(fact->event_type, fact->has_event_type);
	case STATUS:
		return word_bytes(fact->status, fact->has_status);
	case OCCURRED_AT:
		return fact->has_occurred ? integer_bytes(array_wire_time(fact->occurred_us),
						    &room->integers[column])
					  : null;
	case RECEIVED_AT:
		return integer_bytes(array_wire_time(fact->received_us), &room->integers[column]);
	case PAYLOAD:
		return fact->body;
	case FAULTS:
		return names_bytes(fact->details.faults, room->faults);
	case ASSUMED:
		return names_bytes(fact->details.assumed, room->assumed);
	default:
		return says_bytes(
			&fact->details, (enum fact_field)(column - SAYS), &room->integers[column]);
	}
}

void facts_count_odd(const struct fact *fact)
{
	const struct details *details = &fact->details;

	if ((details->faults | details->assumed) == 0) {
		return;
	}
	for (enum fact_field field = 0; field < FACT_FIELDS; field++) {
		if (details->faults >> field & 1) {
			metrics_add_odd(fact_field_name(field), "fault");
		}
		if (details->assumed >> field & 1) {
			metrics_add_odd(fact_field_name(field), "assumed");
		}
	}
}

void facts_scalars(const struct fact *fact, struct facts_room *room,
	struct store_param ret_params[FACTS_SCALARS])
{
	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		if (i != SOURCE) {
			struct text bytes = column_bytes(fact, "", i, room);
			enum kind kind = kind_of(i);

			*ret_params++ = (struct store_param){ bytes.ptr, bytes.len,
				.binary = kind != KIND_NUMERIC && kind != KIND_NAMES };
		}
	}
}

/* Arrays. */

void facts_init(struct facts *facts)
{
	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		array_init(&facts->columns[i], kinds[kind_of(i)].type);
	}
}

void facts_fini(struct facts *facts)
{
	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		array_fini(&facts->columns[i]);
	}
}

void facts_clear(struct facts *facts)
{
	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		array_clear(&facts->columns[i]);
	}
}

void facts_add(struct facts *facts, const struct fact *fact, const char *source)
{
	struct facts_room room;

	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		struct text bytes = column_bytes(fact, source, i, &room);

		if (bytes.ptr) {
			array_add(&facts->columns[i], bytes);
		} else {
			array_add_null(&facts->columns[i]);
		}
	}
}

struct json_room *facts_room(struct json_room *room, struct text body)
{
	size_t size = json_room_size(body.len);

	if (size > room->size) {
		free(room->memory);
		room->memory = malloc(size);
		room->size = room->memory ? size : 0;
	}
	if (!room->memory) {
		return NULL;
	}
	room->used = 0;
	room->unhashed = false;
	return room;
}

static bool array_param(struct array *array, struct store_param *ret_param)
{
	struct text bytes;

	if (!array->has_value && !array->overflowed) {
		*ret_param = (struct store_param){ .bytes = NULL };
		return true;
	}
	if (!array_bytes(array, &bytes)) {
		return false;
	}
	*ret_param = (struct store_param){ bytes.ptr, bytes.len, .binary = true };
	return true;
}

bool facts_arrays(struct facts *facts, struct store_param ret_params[FACTS_COLUMNS])
{
	for (size_t i = 0; i < FACTS_COLUMNS; i++) {
		if (!array_param(&facts->columns[i], &ret_params[i])) {
			return false;
		}
	}
	return true;
}

bool facts_polled(struct facts *facts, struct store_param ret_params[FACTS_POLLED])
{
	for (size_t i = 0; i < FACTS_POLLED; i++) {
		if (!array_param(&facts->columns[polled_column(i)], &ret_params[i])) {
			return false;
		}
	}
	return true;
}
