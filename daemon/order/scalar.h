/* scalar.h - one value of JSON as a value of a column: read, read with an assumption, or a fault.
 *
 * Digits are never changed: an amount is the number as sent, or unknown. Pure; decoded texts are in
 * the room. *ret_ is set only with SCALAR_READ and SCALAR_ASSUMED.
 */
#pragma once

#include "order/json.h"

enum {
	SCALAR_DIGITS_MAX = 40, /* of a number, significant ones */
	SCALAR_WHOLE_MAX = 30,  /* of them before the point */
	SCALAR_SCALE_MAX = 30,  /* and behind it */
	SCALAR_NUMBER_MAX = 80, /* bytes of a number */
	SCALAR_ID_DIGITS_MAX = 19,
};

enum scalar {
	SCALAR_ABSENT, /* null too */
	SCALAR_READ,
	SCALAR_ASSUMED,
	SCALAR_FAULT,
};

/* A string of at most max bytes; a number as its digits. */
enum scalar scalar_text(
	const struct json *value, struct json_room *room, size_t max, struct text *ret_text);

/* A string of at most max bytes, or a whole number of 1 to 19 digits: 5 is the id "5". */
enum scalar scalar_id(
	const struct json *value, struct json_room *room, size_t max, struct text *ret_id);

/* A string: a word of a vocabulary, of any length. */
enum scalar scalar_word(const struct json *value, struct json_room *room, struct text *ret_word);

/* A number within the bounds above; assumed: in a string that is exactly a number. */
enum scalar scalar_amount(
	const struct json *value, struct json_room *room, struct text *ret_number);

/* An amount of at most a thousand million, in either direction. */
enum scalar scalar_quantity(
	const struct json *value, struct json_room *room, struct text *ret_number);

/* A quantity that is a whole number and not negative. */
enum scalar scalar_count(const struct json *value, struct json_room *room, int64_t *ret_count);

/* Whether a number is whole, as 2, 2.0 and 2e0 are, and below 10^18. */
bool scalar_whole(struct text number, int64_t *ret_value);

/* RFC 3339; assumed: without a zone or with one of another form, a space for the T, a date alone,
 * whole seconds or milliseconds since 1970 as a number or in a string (epoch: what these are taken
 * for, SCALAR_READ where they are documented). Years 2000 to 2100. */
enum scalar scalar_time(
	const struct json *value, struct json_room *room, enum scalar epoch, int64_t *ret_us);

/* Three to five letters; in capitals. */
enum scalar scalar_currency(
	const struct json *value, struct json_room *room, struct text *ret_currency);
