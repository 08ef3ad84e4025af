/* The grammar, byte for byte, and what is said of each value. */
#include "order/json.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { LARGE = 1 << 20 };

/* clang-format off */
/* Read, and unstorable for jsonb. */
static const struct {
	const char *promise;
	struct text text;
	bool read;
	bool unstorable;
} values[] = {
	{ "an object", TEXT_INIT("{}"), true, false },
	{ "an array", TEXT_INIT("[]"), true, false },
	{ "a string", TEXT_INIT("\"\""), true, false },
	{ "0", TEXT_INIT("0"), true, false },
	{ "true", TEXT_INIT("true"), true, false },
	{ "false", TEXT_INIT("false"), true, false },
	{ "null", TEXT_INIT("null"), true, false },
	{ "nothing", TEXT_INIT(""), false, false },
	{ "space", TEXT_INIT(" \t\r\n"), false, false },
	{ "space around", TEXT_INIT(" \t\r\n1 \t\r\n"), true, false },
	{ "space everywhere", TEXT_INIT(" { \"a\" : [ 1 , 2 ] , \"b\" : { } } "), true, false },
	{ "a form feed", TEXT_INIT("\f1"), false, false },
	{ "a no-break space", TEXT_INIT("\xc2\xa0" "1"), false, false },
	{ "a byte order mark", TEXT_INIT("\xef\xbb\xbf" "1"), false, false },
	{ "two values", TEXT_INIT("1 2"), false, false },
	{ "a NUL behind", TEXT_INIT("1\0"), false, false },
	{ "a word cut short", TEXT_INIT("tru"), false, false },
	{ "a word too long", TEXT_INIT("nullx"), false, false },
	{ "another word", TEXT_INIT("nope"), false, false },
	{ "a word in capitals", TEXT_INIT("True"), false, false },
	{ "NaN", TEXT_INIT("NaN"), false, false },
	{ "Infinity", TEXT_INIT("Infinity"), false, false },
	{ "-Infinity", TEXT_INIT("-Infinity"), false, false },

	{ "an array that does not end", TEXT_INIT("["), false, false },
	{ "one that does not end behind a value", TEXT_INIT("[1"), false, false },
	{ "one that does not end behind a comma", TEXT_INIT("[1,"), false, false },
	{ "a comma too many", TEXT_INIT("[1,]"), false, false },
	{ "a comma too early", TEXT_INIT("[,1]"), false, false },
	{ "a comma alone", TEXT_INIT("[,]"), false, false },
	{ "two commas", TEXT_INIT("[1,,2]"), false, false },
	{ "no comma", TEXT_INIT("[1 2]"), false, false },
	{ "a colon for a comma", TEXT_INIT("[1:2]"), false, false },
	{ "a brace for a bracket", TEXT_INIT("[1}"), false, false },
	{ "a bracket too many", TEXT_INIT("[1]]"), false, false },
	{ "a bracket at once", TEXT_INIT("]"), false, false },

	{ "an object of two", TEXT_INIT("{\"a\":1,\"b\":2}"), true, false },
	{ "an object that does not end", TEXT_INIT("{"), false, false },
	{ "one that does not end behind a name", TEXT_INIT("{\"a\""), false, false },
	{ "one that does not end behind a colon", TEXT_INIT("{\"a\":"), false, false },
	{ "one that does not end behind a value", TEXT_INIT("{\"a\":1"), false, false },
	{ "one that does not end behind a comma", TEXT_INIT("{\"a\":1,"), false, false },
	{ "a comma at the end", TEXT_INIT("{\"a\":1,}"), false, false },
	{ "a comma at the beginning", TEXT_INIT("{,\"a\":1}"), false, false },
	{ "a bracket for a brace", TEXT_INIT("{\"a\":1]"), false, false },
	{ "no colon", TEXT_INIT("{\"a\" 1}"), false, false },
	{ "a comma for a colon", TEXT_INIT("{\"a\",1}"), false, false },
	{ "two colons", TEXT_INIT("{\"a\"::1}"), false, false },
	{ "no value", TEXT_INIT("{\"a\":}"), false, false },
	{ "a name without quotes", TEXT_INIT("{a:1}"), false, false },
	{ "a name in single quotes", TEXT_INIT("{'a':1}"), false, false },
	{ "a name that is a number", TEXT_INIT("{1:1}"), false, false },
	{ "an empty name", TEXT_INIT("{\"\":1}"), true, false },
	{ "a comment", TEXT_INIT("/**/1"), false, false },

	{ "a name twice", TEXT_INIT("{\"a\":1,\"a\":2}"), false, false },
	{ "an empty name twice", TEXT_INIT("{\"\":1,\"\":2}"), false, false },
	{ "a name twice with others between", TEXT_INIT("{\"a\":1,\"b\":{},\"c\":[],\"a\":1}"), false, false },
	{ "a name twice, escaped behind", TEXT_INIT("{\"ab\":1,\"a\\u0062\":2}"), false, false },
	{ "a name twice, escaped before", TEXT_INIT("{\"a\\u0062\":1,\"ab\":2}"), false, false },
	{ "a name twice, both escaped", TEXT_INIT("{\"\\/\":1,\"\\u002f\":2}"), false, false },
	{ "a name twice, with a pair", TEXT_INIT("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), false, false },
	{ "a name twice, beyond ASCII", TEXT_INIT("{\"x\xc3\xa9\":1,\"x\\u00E9\":2}"), false, false },
	{ "a name twice in an inner object", TEXT_INIT("[{\"x\":{\"a\":1,\"a\":1}}]"), false, false },
	{ "a name again in an inner object", TEXT_INIT("{\"a\":{\"a\":{\"a\":1}}}"), true, false },
	{ "a name again in the next object", TEXT_INIT("[{\"a\":1},{\"a\":1}]"), true, false },
	{ "a name behind an inner object of that name", TEXT_INIT("{\"a\":{\"b\":1},\"b\":1}"), true, false },
	{ "one of the same shape as another before it",
		TEXT_INIT("{\"a1b\":{\"a2b\":1},\"a2b\":1}"), true, false },
	{ "a name twice around an inner object", TEXT_INIT("{\"a\":{\"b\":1},\"a\":1}"), false, false },
	{ "names in another case", TEXT_INIT("{\"a\":1,\"A\":1}"), true, false },
	{ "a name that begins another", TEXT_INIT("{\"a\":1,\"aa\":1,\"a\\u0061a\":1,\"\":1}"), true, false },
	{ "names of the same shape", TEXT_INIT("{\"a1b\":1,\"a2b\":1,\"a3b\":1}"), true, false },
	{ "composed and decomposed", TEXT_INIT("{\"\xc3\xa9\":1,\"e\xcc\x81\":1}"), true, false },
	{ "an escaped name beside another", TEXT_INIT("{\"\\u0061\":1,\"b\":1}"), true, false },
	{ "a NUL in a name", TEXT_INIT("{\"a\\u0000\":1}"), false, false },
	{ "half a pair in a name", TEXT_INIT("{\"\\ud83d\":1}"), false, false },

	{ "all escapes", TEXT_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), true, false },
	{ "no escape", TEXT_INIT("\"\\x41\""), false, false },
	{ "an escape of a capital", TEXT_INIT("\"\\N\""), false, false },
	{ "an escape of a NUL", TEXT_INIT("\"\\\0\""), false, false },
	{ "a capital U", TEXT_INIT("\"\\U0041\""), false, false },
	{ "three digits", TEXT_INIT("\"\\u041\""), false, false },
	{ "a digit that is none", TEXT_INIT("\"\\u00g0\""), false, false },
	{ "cut behind a backslash", TEXT_INIT("\"\\"), false, false },
	{ "cut behind a u", TEXT_INIT("\"\\u"), false, false },
	{ "cut inside of digits", TEXT_INIT("\"\\u00"), false, false },
	{ "cut behind digits", TEXT_INIT("\"\\u0041"), false, false },
	{ "cut in a string", TEXT_INIT("\"abcdefghijk"), false, false },
	{ "a quote that is escaped", TEXT_INIT("\"\\\""), false, false },
	{ "a pair", TEXT_INIT("\"\\ud83d\\ude00\""), true, false },
	{ "a pair in capitals", TEXT_INIT("\"\\uD83D\\uDE00\""), true, false },
	{ "the last pair", TEXT_INIT("\"\\udbff\\udfff\""), true, false },
	{ "around the pairs", TEXT_INIT("\"\\ud7ff\\ue000\""), true, false },
	{ "half a pair", TEXT_INIT("\"\\ud83d\""), true, true },
	{ "half a pair before text", TEXT_INIT("\"\\ud83dabcdef\""), true, true },
	{ "half a pair before an escape", TEXT_INIT("\"\\ud83d\\n\""), true, true },
	{ "half a pair before another character", TEXT_INIT("\"\\ud83d\\u0041\""), true, true },
	{ "half a pair before a pair", TEXT_INIT("\"\\ud83d\\ud83d\\ude00\""), true, true },
	{ "half a pair before no digits", TEXT_INIT("\"\\ud83d\\uzzzz\""), false, false },
	{ "the other half", TEXT_INIT("\"\\ude00\""), true, true },
	{ "a pair the wrong way round", TEXT_INIT("\"\\ude00\\ud83d\""), true, true },
	{ "an escaped NUL", TEXT_INIT("\"\\u0000\""), true, true },
	{ "an escaped NUL deep inside", TEXT_INIT("[{\"a\":[\"\\u0000\"]},1]"), true, true },
	{ "an escaped backslash before u0000", TEXT_INIT("\"\\\\u0000\""), true, false },

	{ "a raw NUL", TEXT_INIT("\"a\0b\""), false, false },
	{ "a raw newline", TEXT_INIT("\"a\nb\""), false, false },
	{ "a raw U+001F", TEXT_INIT("\"a\x1f" "b\""), false, false },
	{ "a raw U+001F behind eight bytes", TEXT_INIT("\"abcdefgh\x1f" "ijklmnop\""), false, false },
	{ "a raw newline behind eight bytes", TEXT_INIT("\"abcdefgh\nijklmnop\""), false, false },
	{ "DEL", TEXT_INIT("\"\x7f\""), true, false },
	{ "U+0080", TEXT_INIT("\"\xc2\x80\""), true, false },
	{ "U+07FF", TEXT_INIT("\"\xdf\xbf\""), true, false },
	{ "U+0800", TEXT_INIT("\"\xe0\xa0\x80\""), true, false },
	{ "U+D7FF", TEXT_INIT("\"\xed\x9f\xbf\""), true, false },
	{ "U+E000", TEXT_INIT("\"\xee\x80\x80\""), true, false },
	{ "U+FFFF", TEXT_INIT("\"\xef\xbf\xbf\""), true, false },
	{ "U+10000", TEXT_INIT("\"\xf0\x90\x80\x80\""), true, false },
	{ "U+10FFFF", TEXT_INIT("\"\xf4\x8f\xbf\xbf\""), true, false },
	{ "beyond U+10FFFF", TEXT_INIT("\"\xf4\x90\x80\x80\""), false, false },
	{ "F5", TEXT_INIT("\"\xf5\x80\x80\x80\""), false, false },
	{ "FF", TEXT_INIT("\"\xff\""), false, false },
	{ "a surrogate in UTF-8", TEXT_INIT("\"\xed\xa0\x80\""), false, false },
	{ "the last surrogate in UTF-8", TEXT_INIT("\"\xed\xbf\xbf\""), false, false },
	{ "overlong C0 80", TEXT_INIT("\"\xc0\x80\""), false, false },
	{ "overlong C1 BF", TEXT_INIT("\"\xc1\xbf\""), false, false },
	{ "overlong E0 9F BF", TEXT_INIT("\"\xe0\x9f\xbf\""), false, false },
	{ "overlong F0 8F BF BF", TEXT_INIT("\"\xf0\x8f\xbf\xbf\""), false, false },
	{ "a continuation alone", TEXT_INIT("\"\x80\""), false, false },
	{ "a sequence of two that a quote cuts", TEXT_INIT("\"\xc3\""), false, false },
	{ "a sequence of three that a quote cuts", TEXT_INIT("\"\xe6\xbc\""), false, false },
	{ "a sequence of four that a quote cuts", TEXT_INIT("\"\xf0\x9f\x98\""), false, false },
	{ "a sequence that the end cuts", TEXT_INIT("\"\xf0\x9f"), false, false },
	{ "a byte beyond ASCII outside of a string", TEXT_INIT("\xc3\xa9"), false, false },
	{ "a bad byte in a name", TEXT_INIT("{\"\xff\":1}"), false, false },

	{ "-0", TEXT_INIT("-0"), true, false },
	{ "-1", TEXT_INIT("-1"), true, false },
	{ "0.0", TEXT_INIT("0.0"), true, false },
	{ "0e0", TEXT_INIT("0e0"), true, false },
	{ "1.5E+2", TEXT_INIT("1.5E+2"), true, false },
	{ "1e-7", TEXT_INIT("1e-7"), true, false },
	{ "1e007", TEXT_INIT("1e007"), true, false },
	{ "012", TEXT_INIT("012"), false, false },
	{ "-012", TEXT_INIT("-012"), false, false },
	{ "00", TEXT_INIT("00"), false, false },
	{ "+1", TEXT_INIT("+1"), false, false },
	{ "-", TEXT_INIT("-"), false, false },
	{ "--1", TEXT_INIT("--1"), false, false },
	{ "-a", TEXT_INIT("-a"), false, false },
	{ ".5", TEXT_INIT(".5"), false, false },
	{ "5.", TEXT_INIT("5."), false, false },
	{ "5.e1", TEXT_INIT("5.e1"), false, false },
	{ "1.2.3", TEXT_INIT("1.2.3"), false, false },
	{ "1e", TEXT_INIT("1e"), false, false },
	{ "1e+", TEXT_INIT("1e+"), false, false },
	{ "1e1.5", TEXT_INIT("1e1.5"), false, false },
	{ "1ee1", TEXT_INIT("1ee1"), false, false },
	{ "0x1f", TEXT_INIT("0x1f"), false, false },
	{ "1_000", TEXT_INIT("1_000"), false, false },
	{ "1a", TEXT_INIT("1a"), false, false },
	{ "2^64", TEXT_INIT("18446744073709551616"), true, false },
	{ "1e400", TEXT_INIT("1e400"), true, false },
	{ "1e131071", TEXT_INIT("1e131071"), true, false },
	{ "1e131072", TEXT_INIT("1e131072"), true, true },
	{ "10e131071", TEXT_INIT("10e131071"), true, true },
	{ "1e-16383", TEXT_INIT("1e-16383"), true, false },
	{ "1e-16384", TEXT_INIT("1e-16384"), true, true },
	{ "0.1e-16383", TEXT_INIT("0.1e-16383"), true, true },
	{ "0e-16384", TEXT_INIT("0e-16384"), true, true },
	{ "0e999999", TEXT_INIT("0e999999"), true, false },
	{ "0e9999999999999999999999", TEXT_INIT("0e9999999999999999999999"), true, true },
	{ "1e9999999999999999999999", TEXT_INIT("1e9999999999999999999999"), true, true },
	{ "-1e-9999999999999999999999", TEXT_INIT("-1e-9999999999999999999999"), true, true },
	{ "1e0000000000000000000001", TEXT_INIT("1e0000000000000000000001"), true, false },
};

static const struct {
	const char *number;
	struct json_magnitude size;
} magnitudes[] = {
	{ "0", { 0, 0, 0 } },
	{ "-0", { 0, 0, 0 } },
	{ "0.00", { 0, 0, 2 } },
	{ "0e5", { 0, 0, 0 } },
	{ "1", { 1, 1, 0 } },
	{ "-59.98", { 4, 2, 2 } },
	{ "100", { 3, 3, 0 } },
	{ "0.05", { 1, -1, 2 } },
	{ "0.50", { 2, 0, 2 } },
	{ "1e3", { 1, 4, 0 } },
	{ "1.50e1", { 3, 2, 1 } },
	{ "1.5e10", { 2, 11, 0 } },
	{ "1e-3", { 1, -2, 3 } },
	{ "12345678901234567890.5", { 21, 20, 1 } },
};

/* What a string says; NULL: it is no text. */
static const struct {
	const char *raw, *text;
} strings[] = {
	{ "\"\"", "" },
	{ "\"plain\"", "plain" },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
	{ "\"a\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\"", "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z" },
	{ "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff\"",
		"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
	{ "\"\xc3\xa9\\n\xf0\x9f\x98\x80\"", "\xc3\xa9\n\xf0\x9f\x98\x80" },
	{ "\"\\u0000\"", NULL },
	{ "\"a\\ud83d\"", NULL },
	{ "5", NULL },
	{ "[\"a\"]", NULL },
};
/* clang-format on */

static struct json_room room;

/* The text ends where its memory ends. */
static bool read_exactly(struct text text, struct json *ret_value)
{
	CLEANUP(cleanup_free) char *copy = malloc(text.len > 0 ? text.len : 1);
	struct json_reader reader;

	if (!copy) {
		return false;
	}
	if (text.len > 0) {
		memcpy(copy, text.ptr, text.len);
	}
	json_begin(&reader, (struct text){ copy, text.len }, &room);
	return json_read(&reader, ret_value) && json_end(&reader);
}

static void check_values(void)
{
	for (size_t i = 0; i < COUNT(values); i++) {
		struct json value = { .kind = JSON_KIND_ABSENT };
		bool read = read_exactly(values[i].text, &value);

		CHECK(read == values[i].read && (!read || value.unstorable == values[i].unstorable),
			"%s is %s", values[i].promise,
			!values[i].read        ? "refused"
			: values[i].unstorable ? "read, but not for jsonb"
					       : "read");
	}
}

static void check_magnitudes(void)
{
	for (size_t i = 0; i < COUNT(magnitudes); i++) {
		struct json_magnitude got = json_measure(text_of(magnitudes[i].number));
		struct json_magnitude size = magnitudes[i].size;

		CHECK(got.significant == size.significant && got.whole == size.whole &&
				got.scale == size.scale,
			"%s has its size (%zu %lld %lld)", magnitudes[i].number, got.significant,
			(long long)got.whole, (long long)got.scale);
	}
}

static void check_strings(void)
{
	for (size_t i = 0; i < COUNT(strings); i++) {
		struct text raw = text_of(strings[i].raw), text;
		struct json_reader reader;
		struct json value;

		room.used = 0;
		json_begin(&reader, raw, &room);
		bool read = json_read(&reader, &value) && json_end(&reader);
		bool is_text = json_text(&value, &room, &text);
		CHECK(read && is_text == (strings[i].text != NULL) &&
				(!is_text || text_equal(text, text_of(strings[i].text))),
			"a string is decoded: %s", strings[i].raw);
		CHECK(!is_text || value.escaped || text.ptr == raw.ptr + 1,
			"it is a slice where nothing is escaped");
	}
}

/* The loop that the header shows, and slices of it. */
static void check_walk(void)
{
	struct text text = TEXT(" {\"a\" : [1, {\"b\":2}], \"c\":null} ");
	struct json_reader reader, inner;
	struct json name, value;

	json_begin(&reader, text, &room);
	CHECK(json_peek(&reader) == JSON_KIND_OBJECT && json_enter(&reader),
		"an object is entered");
	CHECK(json_next(&reader, &name) && text_equal(name.raw, TEXT("\"a\"")), "its first name");
	CHECK(json_read(&reader, &value) && value.kind == JSON_KIND_ARRAY &&
			text_equal(value.raw, TEXT("[1, {\"b\":2}]")),
		"and value, whole");
	CHECK(json_next(&reader, &name) && text_equal(name.raw, TEXT("\"c\"")), "its second name");
	CHECK(json_peek(&reader) == JSON_KIND_NULL && !json_enter(&reader) && !json_end(&reader),
		"what is no array is not entered, and that is a fault");

	json_begin(&inner, value.raw, NULL);
	CHECK(json_enter(&inner) && json_next(&inner, NULL) && json_read(&inner, &value) &&
			text_equal(value.raw, TEXT("1")) && json_next(&inner, NULL) &&
			json_enter(&inner) && json_next(&inner, &name) &&
			json_read(&inner, &value) && text_equal(value.raw, TEXT("2")) &&
			!json_next(&inner, NULL) && !json_next(&inner, NULL) && json_end(&inner),
		"a slice that was read is walked through again");
}

static void check_skipping(void)
{
	static const char *const elements[] = { "{\"a\":[1,\"]\"]}", "\"a,]\\\"\"", "1e", "{]",
		"\xff", "[{,},]", "tru e" };
	char text[256] = "[";
	struct json_reader reader;
	struct text slice;

	for (size_t i = 0; i < COUNT(elements); i++) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%s ", i > 0 ? " ," : " ", elements[i]);
	}
	strncat(text, "]", sizeof(text) - strlen(text) - 1);
	json_begin(&reader, text_of(text), NULL);
	json_enter(&reader);
	for (size_t i = 0; i < COUNT(elements); i++) {
		CHECK(json_next(&reader, NULL) && json_skip(&reader, &slice) &&
				text_equal(slice, text_of(elements[i])),
			"an element is skipped: %s", elements[i]);
	}
	CHECK(!json_next(&reader, NULL) && json_end(&reader), "to the end");

	static const char *const broken[] = { "[", "[ ", "[,1]", "[1,]", "[\"a]", "[\"\\", "[{]",
		"[1" };
	for (size_t i = 0; i < COUNT(broken); i++) {
		json_begin(&reader, text_of(broken[i]), NULL);
		json_enter(&reader);
		while (json_next(&reader, NULL)) {
			json_skip(&reader, &slice);
		}
		CHECK(!json_end(&reader), "what does not end is refused: %s", broken[i]);
	}
}

static void check_depth(void)
{
	char text[2 * (JSON_DEPTH_MAX + 1) + 1];
	struct json value;

	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	CHECK(read_exactly((struct text){ text + 1, 2 * JSON_DEPTH_MAX }, &value),
		"%d arrays within each other are read", JSON_DEPTH_MAX);
	CHECK(!read_exactly((struct text){ text, 2 * (JSON_DEPTH_MAX + 1) }, &value),
		"one more is refused");
}

/* An object of the names n to n + count, in an order that is no order, and one more name. */
static struct text named(char *out, size_t count, size_t step, const char *more)
{
	size_t len = 0;

	out[len++] = '{';
	for (size_t i = 0; i < count; i++) {
		len += (size_t)snprintf(out + len, 32, "\"%zx\":0,", i * step % count);
	}
	len += (size_t)snprintf(out + len, 32, "\"%s\":0}", more);
	return (struct text){ out, len };
}

/* Every count around the bound below which names are compared as they come. */
static void check_names(void)
{
	static char text[LARGE];
	bool distinct = true, twice = true;
	struct json value;

	for (size_t count = 1; count < 64; count++) {
		distinct = distinct && read_exactly(named(text, count, 211, "x"), &value);
		for (size_t i = 0; i < count; i++) {
			char again[32], escaped[32];

			snprintf(again, sizeof(again), "%zx", i);
			snprintf(escaped, sizeof(escaped), "\\u%04x%.8s", (unsigned)again[0],
				again + 1);
			twice = twice && !read_exactly(named(text, count, 211, again), &value) &&
				!read_exactly(named(text, count, 211, escaped), &value);
		}
	}
	CHECK(distinct, "objects of up to 64 names are read");
	CHECK(twice, "and refused with any of them twice, spelled otherwise too");
}

/* A text longer than its room was made for is refused, not written beyond it. */
static void check_small_room(void)
{
	static char text[LARGE];
	struct json_room small = { room.memory, 10 * sizeof(uint32_t), 0, false };
	struct json_reader reader;
	struct json value;

	json_begin(&reader, named(text, 9, 1, "x"), &small);
	CHECK(json_read(&reader, &value) && json_end(&reader), "ten names fit where there is room");
	json_begin(&reader, named(text, 10, 1, "x"), &small);
	CHECK(!json_read(&reader, &value) && !json_end(&reader), "eleven do not");
}

int main(void)
{
	room.size = json_room_size(LARGE);
	room.memory = malloc(room.size);
	if (!CHECK(room.memory != NULL, "there is memory for the room")) {
		return check_done();
	}
	check_values();
	check_magnitudes();
	check_strings();
	check_walk();
	check_skipping();
	check_depth();
	check_names();
	check_small_room();
	free(room.memory);
	return check_done();
}
