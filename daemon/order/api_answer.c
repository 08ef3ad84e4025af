/* Reads answers of the API: what they are, then pages row by row, orders, errors, and header
 * fields.
 */
#include "order/api_answer.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/stamp.h"
#include "order/details.h"
#include "order/signature.h"

enum { API_DATE_MAX = 64, COUNT_DIGITS_MAX = 15, LIMITS_MAX = 8 };

static const int64_t second_us = 1000000;

bool api_answer_is_json(struct text content_type)
{
	static const struct text suffix = TEXT_INIT("+json");
	struct text rest = content_type;
	struct text type = { "", 0 };

	text_next(&rest, ';', &type);
	type = text_trim(type);
	return text_equal_nocase(type, TEXT("application/json")) ||
	       (type.len > suffix.len && memchr(type.ptr, '/', type.len) &&
		       text_equal_nocase(
			       (struct text){ type.ptr + type.len - suffix.len, suffix.len },
			       suffix));
}

struct text api_answer_body(struct text body)
{
	return text_without_prefix(body, TEXT("\xEF\xBB\xBF"));
}

static bool read_answer(struct text body, struct json_room *room, struct field_values *values)
{
	memset(values, 0, sizeof(*values));
	return field_read(api_answer_body(body), room, PLACE_ANSWER, values) == JSON_FINE;
}

static bool is_success(const struct field_values *values)
{
	return values->at[FIELD_SUCCESS].kind == JSON_KIND_TRUE;
}

static bool next_row(struct json_reader *rows, struct text *ret_row)
{
	return json_next(rows, NULL) && json_skip(rows, ret_row);
}

static bool begin_rows(const struct field_values *values, struct json_reader *ret_rows)
{
	const struct json *rows = &values->at[FIELD_ROWS];

	if (rows->kind != JSON_KIND_ARRAY) {
		return false;
	}
	json_begin(ret_rows, rows->raw, NULL);
	return json_enter(ret_rows);
}

static struct fact_integer read_count(const struct json *value)
{
	struct fact_integer count = { .known = false };

	count.known = value->kind == JSON_KIND_NUMBER && value->raw.ptr[0] != '-' &&
		      json_measure(value->raw).whole <= COUNT_DIGITS_MAX &&
		      scalar_whole(value->raw, &count.value);
	return count;
}

bool api_answer_is_list(struct text body, struct json_room *room)
{
	struct field_values values;
	struct json_reader rows;
	struct text row;

	if (!read_answer(body, room, &values) || !is_success(&values) ||
		!read_count(&values.at[FIELD_PAGE_TOTAL]).known || !begin_rows(&values, &rows)) {
		return false;
	}
	while (next_row(&rows, &row)) {
		memset(&values, 0, sizeof(values));
		if (field_read(row, room, PLACE_ORDER, &values) != JSON_FINE || !values.is_object) {
			return false;
		}
	}
	return true;
}

bool api_answer_is_link(struct text body, struct json_room *room)
{
	struct field_values values;

	return read_answer(body, room, &values) && is_success(&values) &&
	       values.at[FIELD_CHECKOUT_URL].kind == JSON_KIND_STRING;
}

/* Pages and orders as facts. */

bool api_answer_read_page(
	struct text body, struct json_room *room, struct api_answer_page *ret_page)
{
	struct field_values values;
	const struct json *at = values.at;

	if (!read_answer(body, room, &values) || !begin_rows(&values, &ret_page->rows)) {
		return false;
	}
	ret_page->success = is_success(&values);
	ret_page->total = read_count(&at[FIELD_PAGE_TOTAL]);
	ret_page->limit = read_count(&at[FIELD_PAGE_LIMIT]);
	ret_page->offset = read_count(&at[FIELD_PAGE_OFFSET]);
	ret_page->has_more = at[FIELD_HAS_MORE].kind == JSON_KIND_TRUE;
	ret_page->has_more_known = ret_page->has_more || at[FIELD_HAS_MORE].kind == JSON_KIND_FALSE;
	ret_page->row = 0;
	return true;
}

/* SHA-256 of "source:payload". There is room for both: a payload is a part of a body that is
 * longer than it by more than a source. */
static void read_key(
	struct text source, struct text payload, struct json_room *room, struct fact *fact)
{
	struct text whole = { room->memory, source.len + 1 + payload.len };

	assert(whole.len <= room->size);
	memcpy(room->memory, source.ptr, source.len);
	room->memory[source.len] = ':';
	memcpy(room->memory + source.len + 1, payload.ptr, payload.len);
	room->unhashed = room->unhashed || !signature_digest(whole, fact->key);
}

/* NULL, or why the order is of no use. */
static const char *read_order(const struct field_values *order, struct text source,
	struct json_room *room, struct fact *fact)
{
	struct text id;
	enum scalar read = scalar_id(&order->at[FIELD_ID], room, SIZE_MAX, &id);

	if (read == SCALAR_ABSENT) {
		return "no_order_id";
	}
	if (read != SCALAR_READ || !fact_order_id_valid(id)) {
		return "bad_order_id";
	}
	memcpy(fact->order_id, id.ptr, id.len);
	details_read_status(order, room, fact);
	read_key(source, fact->body, room, fact);
	/* Only what is read from here on is borrowed from the room: each string once. */
	room->used = 0;
	details_read(order, false, room, &fact->details);
	return NULL;
}

void api_answer_read_row(
	struct text row, struct text source, struct json_room *room, struct fact *ret_fact)
{
	struct field_values order = { .order = NULL };

	*ret_fact = (struct fact){ .body = row };
	switch (field_read(row, room, PLACE_ORDER, &order)) {
	case JSON_TOO_DEEP:
		ret_fact->unusable = "too_deep";
		break;
	case JSON_BAD:
		ret_fact->unusable = "bad_json";
		break;
	case JSON_FINE:
		ret_fact->unusable =
			order.is_object ? read_order(&order, source, room, ret_fact) : "no_object";
		break;
	}
}

bool api_answer_next_row(
	struct api_answer_page *page, struct json_room *room, struct fact *ret_fact)
{
	struct text row;

	if (!next_row(&page->rows, &row)) {
		return false;
	}
	page->row++;
	api_answer_read_row(row, TEXT("list"), room, ret_fact);
	return true;
}

bool api_answer_read_order(struct text body, struct text order_id, struct text source,
	struct json_room *room, struct fact *ret_fact)
{
	struct field_values values;

	if (!read_answer(body, room, &values) || !is_success(&values) ||
		values.at[FIELD_ANSWER_ORDER].kind != JSON_KIND_OBJECT) {
		return false;
	}
	*ret_fact = (struct fact){ .body = values.at[FIELD_ANSWER_ORDER].raw };
	return !read_order(&values, source, room, ret_fact) &&
	       text_equal(text_of(ret_fact->order_id), order_id);
}

/* Errors. */

static void copy_word(
	const struct json *value, struct json_room *room, char out[API_ANSWER_WORD_MAX + 1])
{
	struct text word = { "", 0 };

	room->used = 0;
	json_text(value, room, &word);
	word = text_cut_utf8(word, API_ANSWER_WORD_MAX);
	memcpy(out, word.ptr, word.len);
	out[word.len] = '\0';
}

static bool is_own(const struct json *at, bool nested)
{
	return nested ? at[FIELD_ERROR_CODE].kind == JSON_KIND_STRING &&
				at[FIELD_ERROR_MESSAGE].kind == JSON_KIND_STRING &&
				at[FIELD_ERROR_DETAILS].kind == JSON_KIND_OBJECT
		      : at[FIELD_SUCCESS].kind == JSON_KIND_FALSE;
}

bool api_answer_read_error(
	struct text body, struct json_room *room, struct api_answer_error *ret_error)
{
	struct field_values values;
	struct json *at = values.at;
	struct json_reader reader;

	if (!read_answer(body, room, &values)) {
		return false;
	}
	bool nested = at[FIELD_ERROR].kind == JSON_KIND_OBJECT;
	if (!nested && at[FIELD_ERROR].kind != JSON_KIND_STRING) {
		return false;
	}
	ret_error->own = is_own(at, nested);
	const struct json *details = &at[nested ? FIELD_ERROR_DETAILS : FIELD_ANSWER_DETAILS];
	if (details->kind == JSON_KIND_OBJECT) {
		json_begin(&reader, details->raw, NULL);
		field_gather(&reader, PLACE_ERROR_DETAILS, &values);
	}
	copy_word(&at[nested ? FIELD_ERROR_MESSAGE : FIELD_ERROR], room, ret_error->error);
	copy_word(&at[nested ? FIELD_ERROR_CODE : FIELD_CODE], room, ret_error->code);
	copy_word(&at[FIELD_ERROR_FIELD], room, ret_error->field);
	copy_word(&at[FIELD_ERROR_SENTENCE], room, ret_error->message);
	copy_word(&at[FIELD_REQUEST_ID], room, ret_error->request_id);
	return true;
}

/* Header fields. */

/* The day's name is not compared with the date: RFC 9110 asks for leniency here. */
bool api_answer_http_date(struct text value, int64_t *ret_us)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT",
		"%a %b %e %H:%M:%S %Y",
	};
	char copy[API_DATE_MAX];

	if (value.len == 0 || value.len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, value.ptr, value.len);
	copy[value.len] = '\0';
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm parts = { .tm_isdst = 0 };
		const char *end = strptime(copy, forms[i], &parts);

		if (end && !*end) {
			*ret_us = (int64_t)timegm(&parts) * second_us;
			return true;
		}
	}
	return false;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static bool all_digits(struct text value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9') {
			return false;
		}
	}
	return value.len > 0;
}

bool api_answer_retry_after_s(struct text value, int64_t now_us, int64_t *ret_seconds)
{
	uint64_t seconds = 0;
	int64_t date_us = 0;

	if (all_digits(value)) {
		if (!text_to_u64(value, &seconds) || seconds > API_ANSWER_RETRY_MAX_S) {
			seconds = API_ANSWER_RETRY_MAX_S;
		}
		*ret_seconds =
			clamp((int64_t)seconds, API_ANSWER_RETRY_MIN_S, API_ANSWER_RETRY_MAX_S);
		return true;
	}
	if (api_answer_http_date(value, &date_us)) {
		/* Rounded up: a second too late is obeyed, a second too early is not. */
		*ret_seconds = clamp((date_us - now_us + second_us - 1) / second_us,
			API_ANSWER_RETRY_MIN_S, API_ANSWER_RETRY_MAX_S);
		return true;
	}
	return false;
}

/* "3", "3.0", "3;w=60": the whole part, and whether there is more. */
static bool read_number(struct text value, uint64_t *ret_number, bool *ret_fraction)
{
	struct text rest = value, part = { "", 0 }, whole = { "", 0 };

	text_next(&rest, ';', &part);
	part = text_trim(part);
	rest = part;
	text_next(&rest, '.', &whole);
	*ret_fraction = false;
	for (size_t i = 0; i < rest.len; i++) {
		*ret_fraction = *ret_fraction || rest.ptr[i] != '0';
	}
	return (whole.len == part.len || all_digits(rest)) && text_to_u64(whole, ret_number);
}

bool api_answer_reset_after_us(struct text value, int64_t now_us, int64_t *ret_after_us)
{
	static const uint64_t delta_max_s = 1000000;      /* eleven days; no epoch is so small */
	static const uint64_t epoch_s_max = 100000000000; /* the year 5138; beyond: milliseconds */
	static const uint64_t epoch_ms_max = 100000000000000;
	uint64_t number = 0;
	int64_t after_us = 0, at_us = 0;
	bool fraction;

	if (stamp_parse(value, &at_us) || api_answer_http_date(value, &at_us)) {
		after_us = at_us - now_us;
	} else if (!read_number(value, &number, &fraction) || number > epoch_ms_max) {
		return false;
	} else if (number <= delta_max_s) {
		after_us = (int64_t)(number + fraction) * second_us;
	} else if (number <= epoch_s_max) {
		after_us = (int64_t)(number + fraction) * second_us - now_us;
	} else {
		after_us = (int64_t)number * 1000 - now_us;
	}
	*ret_after_us = clamp(after_us, 0, API_ANSWER_RETRY_MAX_S * second_us);
	return true;
}

/* Each number of a list in its place. */
struct numbers {
	struct text at[LIMITS_MAX];
	size_t count;
};

static void add_number(struct numbers *numbers, struct text value)
{
	if (numbers->count < LIMITS_MAX) {
		numbers->at[numbers->count++] = text_trim(value);
	}
}

static void add_list(struct numbers *numbers, struct text list)
{
	struct text rest = list, part;

	while (text_next(&rest, ',', &part)) {
		add_number(numbers, part);
	}
}

static bool is_named(struct text pair, const char *name, struct text *ret_value)
{
	struct text rest = pair, key = { "", 0 };

	text_next(&rest, '=', &key);
	*ret_value = rest;
	return text_equal_nocase(text_trim(key), text_of(name));
}

static void add_draft(struct numbers *remaining, struct numbers *resets, struct text draft)
{
	struct text items = draft, item, pair, value;

	while (text_next(&items, ',', &item)) {
		while (text_next(&item, ';', &pair)) {
			if (is_named(pair, "remaining", &value) || is_named(pair, "r", &value)) {
				add_number(remaining, value);
			} else if (is_named(pair, "reset", &value) || is_named(pair, "t", &value)) {
				add_number(resets, value);
			}
		}
	}
}

/* The place of the least, or none. */
static size_t find_least(const struct numbers *numbers, int64_t *ret_least)
{
	size_t place = numbers->count;
	uint64_t number;
	bool fraction;

	*ret_least = -1;
	for (size_t i = 0; i < numbers->count; i++) {
		if (read_number(numbers->at[i], &number, &fraction) && number <= INT32_MAX &&
			(*ret_least < 0 || (int64_t)number < *ret_least)) {
			*ret_least = (int64_t)number;
			place = i;
		}
	}
	return place;
}

struct api_answer_limits api_answer_read_limits(
	struct text remaining, struct text reset, struct text draft, int64_t now_us)
{
	struct api_answer_limits limits = { .reset_after_us = -1 };
	struct numbers left = { .count = 0 }, resets = { .count = 0 };
	int64_t after_us = 0;

	add_list(&left, remaining);
	if (find_least(&left, &limits.remaining) == left.count) {
		left.count = 0;
		add_draft(&left, &resets, draft);
	}
	if (resets.count == 0 && api_answer_reset_after_us(reset, now_us, &after_us)) {
		add_number(&resets, reset); /* the comma of a date is none of a list */
	} else if (resets.count == 0) {
		add_list(&resets, reset);
	}
	size_t least = find_least(&left, &limits.remaining);

	/* Where they are not as many, the latest is waited for. */
	for (size_t i = 0; i < resets.count; i++) {
		if ((resets.count != left.count || i == least) &&
			api_answer_reset_after_us(resets.at[i], now_us, &after_us) &&
			after_us > limits.reset_after_us) {
			limits.reset_after_us = after_us;
		}
	}
	return limits;
}
