/* Reads JSON: bytes, strings, numbers, names, then arrays and objects around them. */
#include "order/json.h"

#include <assert.h>
#include <endian.h>

#include "order/escape.h"

enum {
	NUMERIC_WHOLE_MAX = 131072,
	NUMERIC_SCALE_MAX = 16383,
	EXPONENT_MAX = INT32_MAX / 2, /* PostgreSQL refuses larger ones, even of 0 */
};

static bool fail(struct json_reader *reader, enum json_fault fault)
{
	if (reader->fault == JSON_FINE) {
		reader->fault = fault;
	}
	return false;
}

static bool bad(struct json_reader *reader)
{
	return fail(reader, JSON_BAD);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct json_reader *reader)
{
	while (reader->at < reader->end && is_space(*reader->at)) {
		reader->at++;
	}
}

/* Strings. */

/* The high bit of each byte that is below 0x20, a quote, a backslash or not ASCII. Above the lowest
 * bit that is set there may be false ones: a borrow comes from a byte that is a match itself. */
static uint64_t special_bytes(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t quotes = bytes ^ ones * '"';
	uint64_t backslashes = bytes ^ ones * '\\';

	return ((((bytes - ones * ' ') & ~bytes) | ((quotes - ones) & ~quotes) |
			((backslashes - ones) & ~backslashes)) &
		       highs) |
	       (bytes & highs);
}

/* To the first byte that is special, or to fewer than eight before the end. */
static const char *skip_plain(const char *at, const char *end)
{
	while (end - at >= (ptrdiff_t)sizeof(uint64_t)) {
		uint64_t bytes;

		memcpy(&bytes, at, sizeof(bytes));
		uint64_t special = special_bytes(le64toh(bytes));
		if (special) {
			return at + __builtin_ctzll(special) / 8;
		}
		at += sizeof(bytes);
	}
	return at;
}

static bool read_escape(struct json_reader *reader)
{
	const char *at = reader->at + 1;

	if (at == reader->end) {
		return bad(reader);
	}
	if (*at != 'u') {
		reader->at = at + 1;
		return escape_short(*at) || bad(reader);
	}
	at++;
	if (escape_code_unit(at, reader->end) < 0) {
		return bad(reader);
	}
	reader->unstorable |= escape_unicode(&at, reader->end) == ESCAPE_NONE;
	reader->at = at;
	return true;
}

static bool read_beyond_ascii(struct json_reader *reader)
{
	struct text rest = { reader->at, (size_t)(reader->end - reader->at) };
	bool valid;

	text_next_code_point(&rest, &valid);
	reader->at = rest.ptr;
	return valid || bad(reader);
}

/* ret_string->unstorable is left to the caller. */
static bool read_string(struct json_reader *reader, struct json *ret_string)
{
	const char *begin = reader->at++;
	bool escaped = false;

	while ((reader->at = skip_plain(reader->at, reader->end)) < reader->end) {
		unsigned char c = (unsigned char)*reader->at;

		if (c == '"') {
			reader->at++;
			*ret_string = (struct json){ .kind = JSON_KIND_STRING,
				.escaped = escaped,
				.raw = { begin, (size_t)(reader->at - begin) } };
			return true;
		}
		if (c == '\\') {
			escaped = true;
			if (!read_escape(reader)) {
				return false;
			}
		} else if (c >= 0x80) {
			if (!read_beyond_ascii(reader)) {
				return false;
			}
		} else if (c < ' ') {
			break;
		} else {
			reader->at++;
		}
	}
	return bad(reader);
}

/* Numbers. */

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9') {
		at++;
	}
	return at;
}

/* At least one digit, from *at on. */
static bool take_digits(const char **at, const char *end)
{
	const char *begin = *at;

	*at = skip_digits(begin, end);
	return *at > begin;
}

static int64_t exponent_of(const char *at, const char *end)
{
	bool negative = at < end && *at == '-';
	int64_t exponent = 0;

	at += at < end && (*at == '-' || *at == '+');
	for (; at < end && exponent < EXPONENT_MAX; at++) {
		exponent = exponent * 10 + (*at - '0');
	}
	return negative ? -exponent : exponent;
}

struct json_magnitude json_measure(struct text number)
{
	const char *end = number.ptr + number.len;
	const char *at = number.ptr + (number.ptr[0] == '-');
	struct json_magnitude size = { .significant = 0 };
	bool behind_point = false;

	for (; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			behind_point = true;
			continue;
		}
		size.scale += behind_point;
		size.significant += size.significant > 0 || *at != '0';
	}
	int64_t exponent = at < end ? exponent_of(at + 1, end) : 0;
	size.scale -= exponent;
	/* Nothing times ten to whatever is nothing, but not where the exponent alone is refused. */
	if (size.significant > 0 || exponent >= EXPONENT_MAX) {
		size.whole = (int64_t)size.significant - size.scale;
	}
	size.scale = size.scale > 0 ? size.scale : 0;
	return size;
}

static bool fits_numeric(struct text number)
{
	struct json_magnitude size = json_measure(number);

	return size.whole <= NUMERIC_WHOLE_MAX && size.scale <= NUMERIC_SCALE_MAX;
}

static bool read_number(struct json_reader *reader, struct json *ret_number)
{
	const char *begin = reader->at, *at = begin, *end = reader->end;
	bool fine = true, has_exponent = false;

	at += *at == '-';
	if (at < end && *at == '0') {
		at++;
	} else {
		fine = take_digits(&at, end);
	}
	if (fine && at < end && *at == '.') {
		at++;
		fine = take_digits(&at, end);
	}
	if (fine && at < end && (*at == 'e' || *at == 'E')) {
		has_exponent = true;
		at++;
		at += at < end && (*at == '-' || *at == '+');
		fine = take_digits(&at, end);
	}
	reader->at = at;
	*ret_number = (struct json){ JSON_KIND_NUMBER, .raw = { begin, (size_t)(at - begin) } };
	if (fine && (has_exponent || ret_number->raw.len > NUMERIC_SCALE_MAX)) {
		reader->unstorable |= !fits_numeric(ret_number->raw);
	}
	return fine || bad(reader);
}

/* Names. */

/* In the order of their decoded bytes, which in UTF-8 is that of the characters. As long as bytes
 * are the same, both are at the same place of a character. */
static int compare_names(const struct json_reader *reader, uint32_t left, uint32_t right)
{
	const char *a = reader->begin + left, *b = reader->begin + right;

	for (;;) {
		if (*a == '\\' && *b == '\\' && a[1] == b[1] && a[1] != 'u') {
			a += 2;
			b += 2;
		} else if (*a == '\\' || *b == '\\') {
			int32_t unit_a = escape_next(&a, reader->end);
			int32_t unit_b = escape_next(&b, reader->end);

			if (unit_a != unit_b) {
				return unit_a < unit_b ? -1 : 1;
			}
		} else if (*a == *b) {
			if (*a == '"') {
				return 0;
			}
			a++;
			b++;
		} else if (*a == '"' || *b == '"') {
			return *a == '"' ? -1 : 1;
		} else {
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		}
	}
}

/* Length, first and last byte: the names of an object seldom share all three. */
static uint64_t shape_of(const struct json *name)
{
	unsigned char first = (unsigned char)name->raw.ptr[1];
	unsigned char last = (unsigned char)name->raw.ptr[name->raw.len - 2];

	return UINT64_C(1) << ((name->raw.len * 7 + first * 5U + last * 3U) % 64);
}

/* An escaped name may be of any shape. */
static bool note_name(struct json_reader *reader, const struct json *name)
{
	struct json_level *level = &reader->levels[reader->depth - 1];
	uint32_t where = (uint32_t)(name->raw.ptr + 1 - reader->begin);
	uint64_t shape = name->escaped ? UINT64_MAX : shape_of(name);

	if (!reader->names) {
		return true;
	}
	if (reader->names_count == reader->names_max) {
		return bad(reader);
	}
	if (reader->names_count - level->names_first < JSON_NAMES_COMPARED &&
		(level->seen & shape) != 0) {
		for (size_t i = level->names_first; i < reader->names_count; i++) {
			if (compare_names(reader, reader->names[i], where) == 0) {
				return bad(reader);
			}
		}
	}
	level->seen |= shape;
	reader->names[reader->names_count++] = where;
	return true;
}

/* Puts a name below root where it belongs: down along the greater children to the end, then up
 * again, for it most likely belongs low. That takes half the comparisons of the textbook's way. */
static void sift(
	const struct json_reader *reader, uint32_t *names, size_t root, size_t count, uint32_t name)
{
	size_t hole = root, child;

	while ((child = 2 * hole + 2) < count) {
		child -= compare_names(reader, names[child - 1], names[child]) > 0;
		names[hole] = names[child];
		hole = child;
	}
	if (child == count) {
		names[hole] = names[child - 1];
		hole = child - 1;
	}
	for (size_t above; hole > root; hole = above) {
		above = (hole - 1) / 2;
		if (compare_names(reader, names[above], name) >= 0) {
			break;
		}
		names[hole] = names[above];
	}
	names[hole] = name;
}

/* Heapsort: n log n comparisons whatever the names are, in the place where they are. */
static void sort_names(const struct json_reader *reader, uint32_t *names, size_t count)
{
	for (size_t root = count / 2; root-- > 0;) {
		sift(reader, names, root, count, names[root]);
	}
	for (size_t last = count - 1; last > 0; last--) {
		uint32_t name = names[last];

		names[last] = names[0];
		sift(reader, names, 0, last, name);
	}
}

static bool names_differ(struct json_reader *reader, const struct json_level *level)
{
	if (!reader->names) {
		return true;
	}
	uint32_t *names = reader->names + level->names_first;
	size_t count = reader->names_count - level->names_first;
	reader->names_count = level->names_first;
	if (count <= JSON_NAMES_COMPARED) {
		return true;
	}
	sort_names(reader, names, count);
	for (size_t i = 1; i < count; i++) {
		if (compare_names(reader, names[i - 1], names[i]) == 0) {
			return false;
		}
	}
	return true;
}

/* Values. */

size_t json_room_size(size_t text_len)
{
	return text_len + text_len / 4 + 2 * sizeof(uint32_t);
}

void json_begin(struct json_reader *reader, struct text text, struct json_room *room)
{
	assert(text.len <= UINT32_MAX);
	reader->begin = text.len > 0 ? text.ptr : "";
	reader->at = reader->begin;
	reader->end = reader->begin + text.len;
	reader->fault = JSON_FINE;
	reader->unstorable = false;
	reader->depth = 0;
	reader->names = NULL;
	reader->names_count = 0;
	if (room) {
		size_t aligned = (room->used + sizeof(uint32_t) - 1) & ~(sizeof(uint32_t) - 1);

		reader->names = (uint32_t *)(void *)(room->memory + aligned);
		reader->names_max =
			aligned < room->size ? (room->size - aligned) / sizeof(uint32_t) : 0;
	}
}

enum json_kind json_peek(struct json_reader *reader)
{
	skip_space(reader);
	if (reader->fault != JSON_FINE || reader->at == reader->end) {
		return JSON_KIND_ABSENT;
	}
	switch (*reader->at) {
	case '{':
		return JSON_KIND_OBJECT;
	case '[':
		return JSON_KIND_ARRAY;
	case '"':
		return JSON_KIND_STRING;
	case 't':
		return JSON_KIND_TRUE;
	case 'f':
		return JSON_KIND_FALSE;
	case 'n':
		return JSON_KIND_NULL;
	case '-':
		return JSON_KIND_NUMBER;
	default:
		return *reader->at >= '0' && *reader->at <= '9' ? JSON_KIND_NUMBER
								: JSON_KIND_ABSENT;
	}
}

bool json_enter(struct json_reader *reader)
{
	enum json_kind kind = json_peek(reader);

	if (kind != JSON_KIND_OBJECT && kind != JSON_KIND_ARRAY) {
		return bad(reader);
	}
	if (reader->depth == JSON_DEPTH_MAX) {
		return fail(reader, JSON_TOO_DEEP);
	}
	reader->levels[reader->depth++] = (struct json_level){
		.names_first = (uint32_t)reader->names_count,
		.is_object = kind == JSON_KIND_OBJECT,
	};
	reader->at++;
	return true;
}

static bool read_name(struct json_reader *reader, struct json *ret_name)
{
	bool unstorable = reader->unstorable;

	skip_space(reader);
	if (reader->at == reader->end || *reader->at != '"') {
		return bad(reader);
	}
	reader->unstorable = false;
	if (!read_string(reader, ret_name) || reader->unstorable || !note_name(reader, ret_name)) {
		return bad(reader);
	}
	reader->unstorable = unstorable;
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != ':') {
		return bad(reader);
	}
	reader->at++;
	return true;
}

bool json_next(struct json_reader *reader, struct json *ret_name)
{
	assert(reader->depth > 0);
	struct json_level *level = &reader->levels[reader->depth - 1];
	struct json name;

	skip_space(reader);
	if (reader->fault != JSON_FINE || reader->at == reader->end) {
		return bad(reader);
	}
	if (*reader->at == (level->is_object ? '}' : ']')) {
		reader->at++;
		reader->depth--;
		return level->is_object && !names_differ(reader, level) && bad(reader);
	}
	if (level->begun && *reader->at++ != ',') {
		return bad(reader);
	}
	level->begun = true;
	return !level->is_object || read_name(reader, ret_name ? ret_name : &name);
}

static bool read_word(struct json_reader *reader, enum json_kind kind, struct json *ret_word)
{
	const char *word = kind == JSON_KIND_TRUE    ? "true"
			   : kind == JSON_KIND_FALSE ? "false"
						     : "null";
	size_t len = strlen(word);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0) {
		return bad(reader);
	}
	*ret_word = (struct json){ .kind = kind, .raw = { reader->at, len } };
	reader->at += len;
	return true;
}

static bool read_scalar(struct json_reader *reader, struct json *ret_value)
{
	enum json_kind kind = json_peek(reader);

	switch (kind) {
	case JSON_KIND_STRING:
		return read_string(reader, ret_value);
	case JSON_KIND_NUMBER:
		return read_number(reader, ret_value);
	case JSON_KIND_TRUE:
	case JSON_KIND_FALSE:
	case JSON_KIND_NULL:
		return read_word(reader, kind, ret_value);
	case JSON_KIND_ABSENT:
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		break;
	}
	return bad(reader);
}

/* Without recursion: the levels are the stack. */
static bool read_nested(struct json_reader *reader, enum json_kind kind, struct json *ret_value)
{
	const char *begin = reader->at;
	size_t depth = reader->depth;
	struct json inner;

	json_enter(reader);
	while (reader->fault == JSON_FINE && reader->depth > depth) {
		if (!json_next(reader, NULL)) {
			continue;
		}
		enum json_kind inner_kind = json_peek(reader);
		if (inner_kind == JSON_KIND_OBJECT || inner_kind == JSON_KIND_ARRAY) {
			json_enter(reader);
		} else {
			read_scalar(reader, &inner);
		}
	}
	*ret_value = (struct json){ .kind = kind, .raw = { begin, (size_t)(reader->at - begin) } };
	return reader->fault == JSON_FINE;
}

bool json_read(struct json_reader *reader, struct json *ret_value)
{
	enum json_kind kind = json_peek(reader);
	bool unstorable = reader->unstorable, read;

	reader->unstorable = false;
	if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY) {
		read = read_nested(reader, kind, ret_value);
	} else {
		read = read_scalar(reader, ret_value);
	}
	ret_value->unstorable = reader->unstorable;
	reader->unstorable |= unstorable;
	return read;
}

/* Behind the string that begins there; the end of the text when it has none. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++) {
		at += *at == '\\' && end - at > 1;
	}
	return at < end ? at + 1 : end;
}

bool json_skip(struct json_reader *reader, struct text *ret_slice)
{
	size_t depth = 0;

	skip_space(reader);
	const char *begin = reader->at, *at = begin, *end = reader->end;
	while (at < end && (depth > 0 || (*at != ',' && *at != ']' && *at != '}'))) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		depth += *at == '{' || *at == '[';
		depth -= *at == '}' || *at == ']';
		at++;
	}
	reader->at = at;
	while (at > begin && is_space(at[-1])) {
		at--;
	}
	*ret_slice = (struct text){ begin, (size_t)(at - begin) };
	return (at > begin && reader->at < end) || bad(reader);
}

bool json_end(struct json_reader *reader)
{
	skip_space(reader);
	if (reader->at != reader->end || reader->depth > 0) {
		return bad(reader);
	}
	return reader->fault == JSON_FINE;
}

/* An escape is never shorter than the character it stands for. */
bool json_text(const struct json *string, struct json_room *room, struct text *ret_text)
{
	if (string->kind != JSON_KIND_STRING || string->unstorable) {
		return false;
	}
	*ret_text = (struct text){ string->raw.ptr + 1, string->raw.len - 2 };
	if (!string->escaped) {
		return true;
	}
	assert(room->size - room->used >= ret_text->len);
	const char *at = ret_text->ptr, *end = at + ret_text->len + 1;
	char *begin = room->memory + room->used, *out = begin;
	for (int32_t unit; (unit = escape_next(&at, end)) != ESCAPE_END;) {
		out = escape_put_utf8(out, unit);
	}
	room->used += (size_t)(out - begin);
	*ret_text = (struct text){ begin, (size_t)(out - begin) };
	return true;
}
