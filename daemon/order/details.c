/* Makes columns of the values of an order, field by field, then line by line of its cart. */
#include "order/details.h"

#include <assert.h>

#include "order/signature.h"

static uint64_t bit(enum fact_field field)
{
	return UINT64_C(1) << field;
}

void details_note(struct details *details, enum fact_field field, enum scalar read)
{
	details->faults |= read == SCALAR_FAULT ? bit(field) : 0;
	details->assumed |= read == SCALAR_ASSUMED ? bit(field) : 0;
}

static bool is_known(enum scalar read)
{
	return read == SCALAR_READ || read == SCALAR_ASSUMED;
}

static bool is_plain_word(struct text word)
{
	for (size_t i = 0; i < word.len; i++) {
		char letter = (char)(word.ptr[i] | 0x20);

		if ((letter < 'a' || letter > 'z') && word.ptr[i] != '_' && word.ptr[i] != '-') {
			return false;
		}
	}
	return true;
}

void details_read_status(
	const struct field_values *order, struct json_room *room, struct fact *fact)
{
	struct text word;
	enum scalar read = scalar_word(&order->at[FIELD_STATUS], room, &word);

	details_note(&fact->details, FACT_STATUS, read);
	fact->has_status = read == SCALAR_READ;
	if (!fact->has_status) {
		return;
	}
	bool plain = is_plain_word(word);
	word = text_cut_utf8(word, FACT_WORD_MAX);
	for (size_t i = 0; i < word.len; i++) {
		bool capital = word.ptr[i] >= 'A' && word.ptr[i] <= 'Z';

		fact->status[i] = (char)(plain && capital ? word.ptr[i] | 0x20 : word.ptr[i]);
	}
	fact->status[word.len] = '\0';
}

/* JSON is kept as it was sent, where jsonb would take it too. */
static enum scalar read_object(const struct json *value, size_t max, struct text *ret_json)
{
	if (value->kind == JSON_KIND_ABSENT || value->kind == JSON_KIND_NULL) {
		return SCALAR_ABSENT;
	}
	if (value->kind != JSON_KIND_OBJECT || value->unstorable ||
		(max > 0 && value->raw.len > max)) {
		return SCALAR_FAULT;
	}
	*ret_json = value->raw;
	return SCALAR_READ;
}

/* {"code":…,"amount":5,"type":"fixed"}: a percentage is no amount. */
static enum scalar read_discount(
	struct json_reader *reader, struct json_room *room, struct text *ret_amount)
{
	struct field_values discount = { .order = NULL };
	struct text type;

	if (!field_gather(reader, PLACE_DISCOUNT, &discount) ||
		!field_given(&discount, FIELD_DISCOUNT_AMOUNT) ||
		scalar_word(&discount.at[FIELD_DISCOUNT_TYPE], room, &type) != SCALAR_READ ||
		!text_equal(type, TEXT("fixed"))) {
		return SCALAR_FAULT;
	}
	return scalar_amount(&discount.at[FIELD_DISCOUNT_AMOUNT], room, ret_amount);
}

/* Digits are never worked with here: of several discounts the sum is unknown. */
static enum scalar read_discounts(
	const struct json *value, struct json_room *room, struct text *ret_amount)
{
	struct json_reader reader;

	if (value->kind != JSON_KIND_ARRAY) {
		return scalar_amount(value, room, ret_amount);
	}
	json_begin(&reader, value->raw, NULL);
	json_enter(&reader);
	if (!json_next(&reader, NULL)) {
		*ret_amount = TEXT("0");
		return SCALAR_READ;
	}
	enum scalar read = read_discount(&reader, room, ret_amount);
	return is_known(read) && json_next(&reader, NULL) ? SCALAR_FAULT : read;
}

/* Of the types that are a struct text. */
static enum scalar read_text(const struct field_row *row, const struct json *value,
	struct json_room *room, struct text *ret_text)
{
	switch (row->type) {
	case AS_ID:
		return scalar_id(value, room, row->max, ret_text);
	case AS_TEXT:
		return scalar_text(value, room, row->max, ret_text);
	case AS_AMOUNT:
		return scalar_amount(value, room, ret_text);
	case AS_QUANTITY:
		return scalar_quantity(value, room, ret_text);
	case AS_CURRENCY:
		return scalar_currency(value, room, ret_text);
	case AS_OBJECT:
		return read_object(value, row->max, ret_text);
	case AS_DISCOUNTS:
		return read_discounts(value, room, ret_text);
	case AS_FOUND:
	case AS_ELEMENTS:
	case AS_GROUP:
	case AS_TIME:
	case AS_COUNT:
	case AS_LINES:
		break;
	}
	assert(false); /* none of these is a text */
	return SCALAR_FAULT;
}

/* The lines of a cart. */

struct lines {
	struct json_room *room; /* what it holds from begin on is the canonical text */
	size_t begin;
	struct details *details;
	bool counted; /* every quantity so far is a number of pieces */
	int64_t pieces;
};

static void put(struct lines *lines, struct text bytes)
{
	struct json_room *room = lines->room;

	assert(bytes.len <= room->size - room->used);
	memcpy(room->memory + room->used, bytes.ptr, bytes.len);
	room->used += bytes.len;
}

static void count_pieces(struct lines *lines, enum scalar read, struct text quantity)
{
	int64_t pieces;

	if (is_known(read) && scalar_whole(quantity, &pieces) && pieces >= 0) {
		lines->pieces += pieces;
	} else if (read != SCALAR_ABSENT) {
		lines->counted = false;
	}
}

/* ,"name":value */
static void put_member(struct lines *lines, const struct field_row *row, const struct json *value,
	struct text read_as)
{
	struct text name = text_of(fact_field_name(row->column));
	bool in_quotes =
		value->kind == JSON_KIND_NUMBER && (row->type == AS_ID || row->type == AS_TEXT);
	bool as_sent =
		value->kind != JSON_KIND_STRING || row->type == AS_ID || row->type == AS_TEXT;

	put(lines, lines->room->memory[lines->room->used - 1] == '{' ? TEXT("\"") : TEXT(",\""));
	put(lines, text_without_prefix(name, TEXT("items.")));
	put(lines, in_quotes ? TEXT("\":\"") : TEXT("\":"));
	put(lines, as_sent ? value->raw : read_as);
	put(lines, in_quotes ? TEXT("\"") : TEXT(""));
}

static void put_line(struct lines *lines, const struct field_values *line)
{
	put(lines, TEXT("{"));
	for (enum field field = FIELD_LINE_PRODUCT; field <= FIELD_LINE_METADATA; field++) {
		const struct field_row *row = field_row(field);
		const struct json *value = &line->at[field];
		size_t used = lines->room->used;
		char digits[SCALAR_NUMBER_MAX];
		struct text read_as = TEXT("");
		enum scalar read = read_text(row, value, lines->room, &read_as);

		/* What was decoded would lie where the member is written. */
		lines->room->used = used;
		if (read == SCALAR_ASSUMED) {
			memcpy(digits, read_as.ptr, read_as.len);
			read_as.ptr = digits;
		}
		details_note(lines->details, row->column, read);
		if (field == FIELD_LINE_QUANTITY) {
			count_pieces(lines, read, read_as);
		}
		if (is_known(read)) {
			put_member(lines, row, value, read_as);
		}
	}
	put(lines, TEXT("}"));
}

/* False: it is no array of objects. */
static bool put_lines(struct lines *lines, const struct json *array)
{
	struct field_values line;
	struct json_reader reader;

	json_begin(&reader, array->raw, NULL);
	if (array->kind != JSON_KIND_ARRAY || !json_enter(&reader)) {
		return false;
	}
	put(lines, TEXT("["));
	for (bool first = true; json_next(&reader, NULL); first = false) {
		memset(&line, 0, sizeof(line));
		if (!field_gather(&reader, PLACE_LINE, &line)) {
			return false;
		}
		put(lines, first ? TEXT("") : TEXT(","));
		put_line(lines, &line);
	}
	put(lines, TEXT("]"));
	return true;
}

static int64_t hash_of(struct text items, struct json_room *room)
{
	unsigned char digest[SIGNATURE_DIGEST_BYTES];
	uint64_t hash = 0;

	if (!signature_digest(items, digest)) {
		room->unhashed = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(hash); i++) {
		hash = hash << 8 | digest[i];
	}
	return (int64_t)hash;
}

static void read_lines(const struct json *array, struct json_room *room, struct details *details)
{
	struct lines lines = { room, room->used, details, true, 0 };
	uint64_t faults = details->faults, assumed = details->assumed;

	if (array->kind == JSON_KIND_ABSENT || array->kind == JSON_KIND_NULL) {
		return;
	}
	if (!put_lines(&lines, array)) {
		room->used = lines.begin;
		details->faults = faults;
		details->assumed = assumed;
		details_note(details, FACT_ITEMS, SCALAR_FAULT);
		return;
	}
	details->items = (struct text){ room->memory + lines.begin, room->used - lines.begin };
	details->items_hash = (struct fact_integer){ true, hash_of(details->items, room) };
	if (lines.counted && !details->item_count.known) {
		details->item_count = (struct fact_integer){ true, lines.pieces };
	}
}

/* All columns. */

static void read_integer(const struct field_row *row, const struct json *value,
	struct json_room *room, struct details *details)
{
	struct fact_integer integer = { .known = true };
	enum scalar read = row->type == AS_TIME
				   ? scalar_time(value, room, SCALAR_ASSUMED, &integer.value)
				   : scalar_count(value, room, &integer.value);

	details_note(details, row->column, read);
	if (is_known(read)) {
		fact_set_integer(details, row->column, integer);
	}
}

static void read_column(const struct field_row *row, const struct json *value,
	struct json_room *room, struct details *details)
{
	struct text text;
	enum scalar read;

	if (row->type == AS_TIME || row->type == AS_COUNT) {
		read_integer(row, value, room, details);
		return;
	}
	read = read_text(row, value, room, &text);
	details_note(details, row->column, read);
	if (is_known(read)) {
		fact_set_text(details, row->column, text);
	}
}

static bool is_column(const struct field_row *row)
{
	return row->type != AS_FOUND && row->type != AS_LINES && row->column < FACT_COLUMNS;
}

static void read_form(const struct field_values *order, bool second_form, struct json_room *room,
	struct details *details)
{
	for (enum field field = FIELD_BUSINESS_ID; field < FIELD_COUNT; field++) {
		const struct field_row *row = field_row(field);
		const struct json *value = &order->at[field];

		if (row->second_form != second_form || !field_given(order, field) ||
			(row->inside && value->kind == JSON_KIND_OBJECT)) {
			continue;
		}
		if (row->type == AS_GROUP) {
			details_note(details, row->column, SCALAR_FAULT);
		} else if (is_column(row) &&
			   !(second_form && fact_column_text(details, row->column).ptr)) {
			read_column(row, value, room, details);
		}
	}
}

void details_read(const struct field_values *order, bool second_form, struct json_room *room,
	struct details *details)
{
	read_form(order, false, room, details);
	if (second_form) {
		read_form(order, true, room, details);
	}
	read_lines(&order->at[FIELD_ITEMS], room, details);
}
