/* Whatever a sender with the secret writes as a body. json_fuzz says what of it is JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "order/details.h"
#include "order/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define YEAR_2000_US INT64_C(946684800000000)
#define YEAR_2101_US INT64_C(4133980800000000)

static void must(bool holds, const char *promise)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", promise);
		abort();
	}
}

static bool is_integer(enum fact_field column)
{
	return fact_column_kind(column) == FACT_INTEGER || fact_column_kind(column) == FACT_TIME;
}

static bool same_column(const struct details *a, const struct details *b, enum fact_field column)
{
	if (is_integer(column)) {
		struct fact_integer one = fact_column_integer(a, column);
		struct fact_integer two = fact_column_integer(b, column);

		return one.known == two.known && one.value == two.value;
	}
	struct text one = fact_column_text(a, column), two = fact_column_text(b, column);
	return !one.ptr == !two.ptr && text_equal(one, two);
}

static bool same_fact(const struct fact *a, const struct fact *b)
{
	for (enum fact_field column = 0; column < FACT_COLUMNS; column++) {
		if (!same_column(&a->details, &b->details, column)) {
			return false;
		}
	}
	return a->details.faults == b->details.faults && a->details.assumed == b->details.assumed &&
	       strcmp(a->order_id, b->order_id) == 0 && strcmp(a->event_id, b->event_id) == 0 &&
	       strcmp(a->event_type, b->event_type) == 0 && strcmp(a->status, b->status) == 0 &&
	       a->has_status == b->has_status && a->has_event_type == b->has_event_type &&
	       a->has_occurred == b->has_occurred && a->occurred_us == b->occurred_us &&
	       text_equal(a->body, b->body) && memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       a->unusable == b->unusable;
}

static bool is_reason(const struct fact *fact, const char *reason)
{
	return fact->unusable && strcmp(fact->unusable, reason) == 0;
}

static bool is_listed(const char *unusable)
{
	for (size_t i = 0; event_reason(i); i++) {
		if (event_reason(i) == unusable) {
			return true;
		}
	}
	return false;
}

static bool is_utf8(struct text word)
{
	while (word.len > 0) {
		bool valid;

		if (text_next_code_point(&word, &valid) == 0 || !valid) {
			return false;
		}
	}
	return true;
}

static bool is_word(const char *word)
{
	return strlen(word) <= FACT_WORD_MAX && is_utf8(text_of(word));
}

/* room NULL: names are not compared. */
static bool is_json(struct text text, struct json_room *room, enum json_kind kind)
{
	struct json_reader reader;
	struct json value;

	json_begin(&reader, text, room);
	return json_read(&reader, &value) && json_end(&reader) &&
	       (kind == JSON_KIND_ABSENT || (value.kind == kind && !value.unstorable));
}

static bool is_amount(struct text number)
{
	struct json_magnitude size = json_measure(number);

	return is_json(number, NULL, JSON_KIND_NUMBER) && number.len <= SCALAR_NUMBER_MAX &&
	       size.significant <= SCALAR_DIGITS_MAX && size.whole <= SCALAR_WHOLE_MAX &&
	       size.scale <= SCALAR_SCALE_MAX;
}

static bool is_capitals(struct text currency)
{
	for (size_t i = 0; i < currency.len; i++) {
		if (currency.ptr[i] < 'A' || currency.ptr[i] > 'Z') {
			return false;
		}
	}
	return currency.len >= 3 && currency.len <= 5;
}

static bool is_year(int64_t us)
{
	return us >= YEAR_2000_US && us < YEAR_2101_US;
}

static void check_column(const struct details *details, enum fact_field column)
{
	bool known = is_integer(column) ? fact_column_integer(details, column).known
					: fact_column_text(details, column).ptr != NULL;

	must(known || (details->assumed >> column & 1) == 0, "what is assumed is known");
	if (!known) {
		return;
	}
	switch (fact_column_kind(column)) {
	case FACT_TEXT:
		must(fact_column_text(details, column).len <= FIELD_REASON_MAX &&
				is_utf8(fact_column_text(details, column)),
			"a text is UTF-8 without NUL, and bounded");
		break;
	case FACT_NUMERIC:
		must(is_amount(fact_column_text(details, column)),
			"an amount is a number within its bounds");
		break;
	case FACT_JSON:
		must(is_json(fact_column_text(details, column), NULL,
			     column == FACT_ITEMS ? JSON_KIND_ARRAY : JSON_KIND_OBJECT),
			"JSON is JSON, and jsonb takes it");
		break;
	case FACT_TIME:
		must(is_year(fact_column_integer(details, column).value),
			"times are in years 2000 to 2100");
		break;
	case FACT_INTEGER:
		break;
	}
}

static void check_fact(const struct fact *fact)
{
	static const struct fact blank;
	struct fact said = *fact;

	if (fact->unusable) {
		must(is_listed(fact->unusable), "every reason is in the list");
		memset(said.key, 0, sizeof(said.key));
		said.body = blank.body;
		said.unusable = NULL;
		must(same_fact(&said, &blank), "an unusable fact says nothing of an order");
		return;
	}
	must(fact_order_id_valid(text_of(fact->order_id)), "a usable fact has a valid order id");
	must(is_word(fact->event_id) && is_word(fact->event_type) && is_word(fact->status),
		"words are UTF-8");
	must(fact->has_event_type || fact->has_status, "it has an event or a status");
	must(fact->has_status || fact->status[0] == '\0', "a status that is absent is empty");
	must(fact->has_event_type || fact->event_type[0] == '\0', "an event that is absent too");
	must(fact->has_occurred ? is_year(fact->occurred_us) : fact->occurred_us == 0,
		"times are in years 2000 to 2100");
	for (enum fact_field column = 0; column < FACT_COLUMNS; column++) {
		check_column(&fact->details, column);
	}
	must(!fact->details.currency.ptr || is_capitals(fact->details.currency),
		"a currency is three to five capitals");
	must(fact->details.items_hash.known == (fact->details.items.ptr != NULL),
		"lines go with their hash");
}

static void check_copy(const struct fact *fact)
{
	size_t size = fact_borrowed_bytes(fact);
	char *memory = malloc(size > 0 ? size : 1);
	struct fact copy;

	must(memory != NULL, "there is memory for a test");
	fact_copy(fact, memory, &copy);
	must(same_fact(fact, &copy), "a copy is the same fact");
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_room room = { malloc(json_room_size(size)), json_room_size(size), 0, false };
	struct json_room other = { malloc(json_room_size(size)), json_room_size(size), 0, false };
	char *bytes = malloc(size + 1);
	struct text body = { bytes, size };
	struct fact fact;
	struct fact again;

	must(bytes && room.memory && other.memory, "there is memory for a test");
	memcpy(bytes, data, size);
	memset(&fact, 0xa5, sizeof(fact));
	memset(&again, 0x5a, sizeof(again));
	event_parse(body, 1, TEXT(""), &room, &fact);
	event_parse(body, 1, TEXT(""), &other, &again);
	must(memcmp(bytes, data, size) == 0, "the body stays as it was");
	must(fact.body.ptr == bytes && fact.body.len == size && fact.received_us == 1,
		"body and receipt are set");
	must(same_fact(&fact, &again), "the same body gives the same fact");
	check_fact(&fact);
	check_copy(&fact);

	event_parse(body, 1, TEXT("business_1"), &other, &again);
	must(again.unusable ? !fact.unusable || again.unusable == fact.unusable ||
				      is_reason(&again, "wrong_business")
			    : same_fact(&fact, &again),
		"the business only refuses");
	other.used = 0;
	must(is_json(body, &other, JSON_KIND_ABSENT) !=
			(is_reason(&fact, "bad_json") || is_reason(&fact, "too_deep")),
		"what is JSON is not called bad");
	free(bytes);
	free(room.memory);
	free(other.memory);
	return 0;
}
