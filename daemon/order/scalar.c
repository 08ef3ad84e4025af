/* Reads one value for one column. */
#include "order/scalar.h"

#include <stdio.h>

#include "base/stamp.h"

enum {
	QUANTITY_WHOLE_MAX = 9, /* and 10^9 itself */
	WHOLE_DIGITS_MAX = 18,
	DATE_LEN = 10, /* 2024-01-15 */
	STAMP_MAX = 48,
};

static const int64_t quantity_max = 1000000000;
static const int64_t milliseconds_from = 100000000000; /* as seconds: the year 5138 */

static bool is_absent(const struct json *value)
{
	return value->kind == JSON_KIND_ABSENT || value->kind == JSON_KIND_NULL;
}

static bool is_digits(struct text word)
{
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] < '0' || word.ptr[i] > '9') {
			return false;
		}
	}
	return word.len > 0;
}

enum scalar scalar_word(const struct json *value, struct json_room *room, struct text *ret_word)
{
	if (is_absent(value)) {
		return SCALAR_ABSENT;
	}
	return json_text(value, room, ret_word) ? SCALAR_READ : SCALAR_FAULT;
}

/* max is of what was sent, which is never shorter. */
enum scalar scalar_text(
	const struct json *value, struct json_room *room, size_t max, struct text *ret_text)
{
	if (value->kind == JSON_KIND_NUMBER && value->raw.len <= max) {
		*ret_text = value->raw;
		return SCALAR_READ;
	}
	if (value->kind == JSON_KIND_STRING && value->raw.len - 2 > max) {
		return SCALAR_FAULT;
	}
	return scalar_word(value, room, ret_text);
}

enum scalar scalar_id(
	const struct json *value, struct json_room *room, size_t max, struct text *ret_id)
{
	if (value->kind == JSON_KIND_NUMBER &&
		(!is_digits(value->raw) || value->raw.len > SCALAR_ID_DIGITS_MAX)) {
		return SCALAR_FAULT;
	}
	return scalar_text(value, room, max, ret_id);
}

/* A string that is a number and nothing else. */
static bool is_number(struct text word)
{
	struct json_reader reader;
	struct json number;

	json_begin(&reader, word, NULL);
	return json_read(&reader, &number) && json_end(&reader) &&
	       number.kind == JSON_KIND_NUMBER && number.raw.len == word.len;
}

enum scalar scalar_amount(const struct json *value, struct json_room *room, struct text *ret_number)
{
	bool in_string = value->kind == JSON_KIND_STRING;
	struct text number = value->raw;

	if (is_absent(value)) {
		return SCALAR_ABSENT;
	}
	if (in_string ? !json_text(value, room, &number) : value->kind != JSON_KIND_NUMBER) {
		return SCALAR_FAULT;
	}
	if (number.len > SCALAR_NUMBER_MAX || (in_string && !is_number(number))) {
		return SCALAR_FAULT;
	}
	struct json_magnitude size = json_measure(number);
	if (size.significant > SCALAR_DIGITS_MAX || size.whole > SCALAR_WHOLE_MAX ||
		size.scale > SCALAR_SCALE_MAX) {
		return SCALAR_FAULT;
	}
	*ret_number = number;
	return in_string ? SCALAR_ASSUMED : SCALAR_READ;
}

bool scalar_whole(struct text number, int64_t *ret_value)
{
	struct json_magnitude size = json_measure(number);
	bool negative = number.ptr[0] == '-';
	int64_t value = 0, place = 0;

	if (size.whole > WHOLE_DIGITS_MAX) {
		return false;
	}
	for (size_t i = negative; i < number.len; i++) {
		char c = number.ptr[i];

		if (c == 'e' || c == 'E') {
			break;
		}
		if (c == '.' || (c == '0' && value == 0)) {
			continue;
		}
		if (place >= size.whole) {
			if (c != '0') {
				return false;
			}
			continue;
		}
		value = value * 10 + (c - '0');
		place++;
	}
	for (; place < size.whole; place++) {
		value *= 10;
	}
	*ret_value = negative ? -value : value;
	return true;
}

enum scalar scalar_quantity(
	const struct json *value, struct json_room *room, struct text *ret_number)
{
	struct text number;
	enum scalar read = scalar_amount(value, room, &number);
	int64_t whole;

	if (read != SCALAR_READ && read != SCALAR_ASSUMED) {
		return read;
	}
	if (json_measure(number).whole > QUANTITY_WHOLE_MAX &&
		!(scalar_whole(number, &whole) &&
			(whole == quantity_max || whole == -quantity_max))) {
		return SCALAR_FAULT;
	}
	*ret_number = number;
	return read;
}

enum scalar scalar_count(const struct json *value, struct json_room *room, int64_t *ret_count)
{
	struct text number;
	enum scalar read = scalar_quantity(value, room, &number);
	int64_t count;

	if (read != SCALAR_READ && read != SCALAR_ASSUMED) {
		return read;
	}
	if (!scalar_whole(number, &count) || count < 0) {
		return SCALAR_FAULT;
	}
	*ret_count = count;
	return read;
}

/* Seconds and milliseconds of the same years are told apart by their size. */
static bool read_epoch(struct text number, int64_t *ret_us)
{
	int64_t value, ms = 0;

	if (!scalar_whole(number, &value)) {
		return false;
	}
	if (value >= milliseconds_from) {
		ms = value % 1000;
		value /= 1000;
	}
	if (!stamp_from_unix((double)value, ret_us)) {
		return false;
	}
	*ret_us += ms * 1000;
	return true;
}

/* What RFC 3339 refuses for its zone, for the space before the time, or because that is not told:
 * written anew as it has it. */
static bool read_loose_time(struct text word, int64_t *ret_us)
{
	char stamp[STAMP_MAX];
	size_t sign = word.len;

	if (word.len < DATE_LEN || word.len > STAMP_MAX - sizeof("T:00Z")) {
		return false;
	}
	if (word.len == DATE_LEN) {
		snprintf(stamp, sizeof(stamp), "%.*sT00:00:00Z", DATE_LEN, word.ptr);
		return stamp_parse(text_of(stamp), ret_us);
	}
	for (size_t i = DATE_LEN; i < word.len; i++) {
		sign = word.ptr[i] == '+' || word.ptr[i] == '-' ? i : sign;
	}
	size_t zone = word.len - sign;
	const char *minutes = zone == 3 ? "00" : word.ptr + word.len - 2;
	char separator = word.ptr[DATE_LEN] == ' ' ? 'T' : word.ptr[DATE_LEN];

	if (zone == 0) {
		bool has_zone = word.ptr[word.len - 1] == 'Z' || word.ptr[word.len - 1] == 'z';

		snprintf(stamp, sizeof(stamp), "%.*s%c%.*s%s", DATE_LEN, word.ptr, separator,
			(int)word.len - DATE_LEN - 1, word.ptr + DATE_LEN + 1, has_zone ? "" : "Z");
	} else if (zone == 3 || zone == 5 || (zone == 6 && word.ptr[sign + 3] == ':')) {
		snprintf(stamp, sizeof(stamp), "%.*s%c%.*s:%.2s", DATE_LEN, word.ptr, separator,
			(int)sign + 3 - DATE_LEN - 1, word.ptr + DATE_LEN + 1, minutes);
	} else {
		return false;
	}
	return stamp_parse(text_of(stamp), ret_us);
}

enum scalar scalar_time(
	const struct json *value, struct json_room *room, enum scalar epoch, int64_t *ret_us)
{
	struct text word;

	if (value->kind == JSON_KIND_NUMBER) {
		return read_epoch(value->raw, ret_us) ? epoch : SCALAR_FAULT;
	}
	enum scalar read = scalar_word(value, room, &word);
	if (read != SCALAR_READ || stamp_parse(word, ret_us)) {
		return read;
	}
	if (is_digits(word)) {
		return read_epoch(word, ret_us) ? epoch : SCALAR_FAULT;
	}
	return read_loose_time(word, ret_us) ? SCALAR_ASSUMED : SCALAR_FAULT;
}

enum scalar scalar_currency(
	const struct json *value, struct json_room *room, struct text *ret_currency)
{
	enum { LEAST = 3, MOST = 5 };
	struct text word;
	enum scalar read = scalar_word(value, room, &word);

	if (read != SCALAR_READ) {
		return read;
	}
	if (word.len < LEAST || word.len > MOST) {
		return SCALAR_FAULT;
	}
	char *capitals = room->memory + room->used;
	bool changed = false;
	for (size_t i = 0; i < word.len; i++) {
		char c = word.ptr[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
			return SCALAR_FAULT;
		}
		capitals[i] = (char)(c & ~0x20);
		changed |= capitals[i] != c;
	}
	*ret_currency = word;
	if (changed) {
		ret_currency->ptr = capitals;
		room->used += word.len;
	}
	return SCALAR_READ;
}
