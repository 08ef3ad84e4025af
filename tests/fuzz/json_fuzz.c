/* Any bytes, read as JSON by our reader and by jansson: both refuse, or both read the same values.
 *
 * They may differ only where this file says so:
 *   too_deep()    more than JSON_DEPTH_MAX arrays and objects within each other are refused by us
 *   drop_nuls()   jansson passes over a NUL behind a number or a word; with space there instead
 *                 both read the same
 *   mend()        jansson refuses half a surrogate pair in a value, and a number beyond any double;
 *                 what is left of a text without these is read by both
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "order/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	FLAGS = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL
};

static size_t read_by_both, refused_by_both, differing;

/* How much of a run was to the point. */
__attribute__((destructor)) static void say_counts(void)
{
	printf("%zu read by both, %zu refused by both, %zu differ as they may\n", read_by_both,
		refused_by_both, differing);
}

static void must(bool holds, const char *promise)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", promise);
		abort();
	}
}

static char *new_copy(struct text text)
{
	char *copy = malloc(text.len + 1);

	must(copy != NULL, "there is memory for a test");
	if (text.len > 0) {
		memcpy(copy, text.ptr, text.len);
	}
	copy[text.len] = '\0';
	return copy;
}

static bool too_deep(const json_t *json, size_t depth)
{
	const char *key;
	json_t *value;
	size_t index;

	if (depth > JSON_DEPTH_MAX) {
		return json_is_object(json) || json_is_array(json);
	}
	json_array_foreach(json, index, value)
	{
		if (too_deep(value, depth + 1)) {
			return true;
		}
	}
	json_object_foreach((json_t *)(uintptr_t)json, key, value)
	{
		if (too_deep(value, depth + 1)) {
			return true;
		}
	}
	return false;
}

static double as_double(struct text number)
{
	char *copy = new_copy(number), *end;
	double value = strtod(copy, &end);

	must(*end == '\0', "a number is one to the C library, too");
	free(copy);
	return value;
}

static bool same_value(struct json_reader *reader, const json_t *theirs, struct json_room *room);

static bool same_object(struct json_reader *reader, const json_t *theirs, struct json_room *room)
{
	struct json name;
	struct text key;
	size_t count = 0;

	must(json_enter(reader), "what was read is walked through");
	while (json_next(reader, &name)) {
		size_t used = room->used;

		must(json_text(&name, room, &key), "a name is a text");
		char *copy = new_copy(key);
		const json_t *value = json_object_get(theirs, copy);
		free(copy);
		room->used = used;
		if (!value || !same_value(reader, value, room)) {
			return false;
		}
		count++;
	}
	return count == json_object_size(theirs);
}

static bool same_array(struct json_reader *reader, const json_t *theirs, struct json_room *room)
{
	size_t count = 0;

	must(json_enter(reader), "what was read is walked through");
	while (json_next(reader, NULL)) {
		const json_t *value = json_array_get(theirs, count++);

		if (!value || !same_value(reader, value, room)) {
			return false;
		}
	}
	return count == json_array_size(theirs);
}

static bool same_string(const struct json *ours, const json_t *theirs, struct json_room *room)
{
	struct text value = { json_string_value(theirs), json_string_length(theirs) }, text;
	size_t used = room->used;
	bool is_text = json_text(ours, room, &text);

	room->used = used;
	must(is_text == !ours->unstorable, "a string is a text unless it is unstorable");
	return json_is_string(theirs) &&
	       (is_text ? text_equal(text, value) : memchr(value.ptr, '\0', value.len) != NULL);
}

static bool same_value(struct json_reader *reader, const json_t *theirs, struct json_room *room)
{
	enum json_kind kind = json_peek(reader);
	struct json value;

	if (kind == JSON_KIND_OBJECT) {
		return json_is_object(theirs) && same_object(reader, theirs, room);
	}
	if (kind == JSON_KIND_ARRAY) {
		return json_is_array(theirs) && same_array(reader, theirs, room);
	}
	must(json_read(reader, &value) && value.kind == kind, "a value is what it begins like");
	switch (kind) {
	case JSON_KIND_STRING:
		return same_string(&value, theirs, room);
	case JSON_KIND_NUMBER:
		return json_is_real(theirs) && json_real_value(theirs) == as_double(value.raw);
	case JSON_KIND_TRUE:
		return json_is_true(theirs);
	case JSON_KIND_FALSE:
		return json_is_false(theirs);
	case JSON_KIND_NULL:
		return json_is_null(theirs);
	case JSON_KIND_ABSENT:
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		break;
	}
	return false;
}

/* Half pairs in a string become U+FFFD. */
static bool mend_string(char *at, const char *end)
{
	bool mended = false;
	unsigned unit, low;

	for (; at < end; at += *at == '\\' ? 2 : 1) {
		if (*at != '\\' || at[1] != 'u') {
			continue;
		}
		sscanf(at + 2, "%4x", &unit);
		if (unit >= 0xD800 && unit <= 0xDBFF && at[6] == '\\' && at[7] == 'u' &&
			sscanf(at + 8, "%4x", &low) == 1 && low >= 0xDC00 && low <= 0xDFFF) {
			at += 6;
		} else if (unit >= 0xD800 && unit <= 0xDFFF) {
			memcpy(at + 2, "FFFD", 4);
			mended = true;
		}
	}
	return mended;
}

/* Changes what jansson refuses in a copy that we have read, without changing its length. */
static bool mend(struct json_reader *reader, char *copy)
{
	enum json_kind kind = json_peek(reader);
	bool mended = false;
	struct json value;

	if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY) {
		json_enter(reader);
		while (json_next(reader, NULL)) {
			mended |= mend(reader, copy);
		}
		return mended;
	}
	must(json_read(reader, &value), "what was read is walked through");
	char *raw = copy + (value.raw.ptr - reader->begin);
	if (kind == JSON_KIND_STRING) {
		return mend_string(raw, raw + value.raw.len);
	}
	if (kind == JSON_KIND_NUMBER && isinf(as_double(value.raw))) {
		memset(raw, ' ', value.raw.len);
		raw[0] = '1';
		return true;
	}
	return false;
}

static bool read_ours(struct text text, struct json_room *room, enum json_fault *ret_fault)
{
	struct json_reader reader;
	struct json value;

	room->used = 0;
	json_begin(&reader, text, room);
	bool read = json_read(&reader, &value);
	read = json_end(&reader) && read;
	*ret_fault = reader.fault;
	must(read == (reader.fault == JSON_FINE), "what is refused has a fault");
	return read;
}

static void compare(struct text text, const json_t *theirs, struct json_room *room)
{
	struct json_reader reader;

	json_begin(&reader, text, NULL);
	must(same_value(&reader, theirs, room), "both read the same values");
	must(json_end(&reader), "to the same end");
}

static void drop_nuls(char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		at[i] = at[i] == '\0' ? ' ' : at[i];
	}
}

/* We have read what jansson refuses. */
static void check_difference(struct text text, struct json_room *room)
{
	char *copy = new_copy(text);
	struct json_reader reader;
	enum json_fault fault;

	json_begin(&reader, text, NULL);
	must(mend(&reader, copy), "what jansson refuses we refuse");
	struct text mended = { copy, text.len };
	json_t *theirs = json_loadb(copy, text.len, FLAGS, NULL);
	must(theirs != NULL, "but for half pairs and large numbers");
	must(read_ours(mended, room, &fault), "and without these we still read it");
	compare(mended, theirs, room);
	json_decref(theirs);
	free(copy);
}

/* jansson has read what we refuse. */
static void check_refusal(struct text text, const json_t *theirs, struct json_room *room)
{
	char *copy = new_copy(text);
	struct text without = { copy, text.len };
	enum json_fault fault;

	must(text.len > 0 && memchr(text.ptr, '\0', text.len), "what jansson reads we read");
	drop_nuls(copy, text.len);
	must(read_ours(without, room, &fault), "but for a NUL");
	compare(without, theirs, room);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_room room = { malloc(json_room_size(size)), json_room_size(size), 0, false };
	char *bytes = malloc(size > 0 ? size : 1);
	struct text text = { bytes, size };
	enum json_fault fault;

	must(room.memory && bytes, "there is memory for a test");
	if (size > 0) {
		memcpy(bytes, data, size);
	}
	bool ours = read_ours(text, &room, &fault);
	json_t *theirs = json_loadb(bytes, size, FLAGS, NULL);
	read_by_both += ours && theirs;
	refused_by_both += !ours && !theirs;
	differing += ours != (theirs != NULL);
	if (ours && theirs) {
		compare(text, theirs, &room);
	} else if (theirs && fault == JSON_TOO_DEEP) {
		must(too_deep(theirs, 1), "what jansson does not find too deep we do not either");
	} else if (theirs) {
		check_refusal(text, theirs, &room);
	} else if (ours) {
		check_difference(text, &room);
	}
	must(memcmp(bytes, data, size) == 0, "the text stays as it was");
	json_decref(theirs);
	free(bytes);
	free(room.memory);
	return 0;
}
