/* What becomes of one value. */
#include "order/scalar.h"

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LONG_ID      "1234567890123456789012345678901234567890123456789012345678901234567890"

enum { ROOM = 1024, MAX = 8 };

static uint32_t memory[ROOM / sizeof(uint32_t)];
static struct json_room room = { (char *)memory, sizeof(memory), 0, false };

/* clang-format off */
/* "absent", "fault", "= …" for a value that is read, "~ …" for one that is assumed. */
struct scalar_case {
	const char *promise, *json, *wanted;
};

static const struct scalar_case texts[] = {
	{ "a string is a text", "\"abc\"", "= abc" },
	{ "escapes are decoded", "\"\\u00e9\\n\"", "= \xc3\xa9\n" },
	{ "an empty string is a text", "\"\"", "= " },
	{ "null is absent", "null", "absent" },
	{ "as long as allowed", "\"12345678\"", "= 12345678" },
	{ "a longer one is at fault", "\"123456789\"", "fault" },
	{ "escapes count as sent", "\"\\u0041\\u0041\"", "fault" },
	{ "a number is its digits", "-1.50e3", "= -1.50e3" },
	{ "a longer number is at fault", "123456789", "fault" },
	{ "an escaped NUL is at fault", "\"\\u0000\"", "fault" },
	{ "half a pair is at fault", "\"\\ud800\"", "fault" },
	{ "true is at fault", "true", "fault" },
	{ "false is at fault", "false", "fault" },
	{ "an array is at fault", "[]", "fault" },
	{ "an object is at fault", "{}", "fault" },
};

static const struct scalar_case ids[] = {
	{ "a string is an id", "\"a/b\"", "= a/b" },
	{ "a whole number is its digits", "0", "= 0" },
	{ "19 digits are an id", "9999999999999999999", "= 9999999999999999999" },
	{ "20 digits are none", "10000000000000000000", "fault" },
	{ "a negative number is none", "-1", "fault" },
	{ "1.0 is none", "1.0", "fault" },
	{ "1e3 is none", "1e3", "fault" },
	{ "null is absent", "null", "absent" },
	{ "an array is none", "[1]", "fault" },
	{ "a longer one is none", "\"" LONG_ID "\"", "fault" },
};

static const struct scalar_case words[] = {
	{ "a string is a word", "\"a b\"", "= a b" },
	{ "of any length", "\"" LONG_ID "\"", "= " LONG_ID },
	{ "a number is none", "1", "fault" },
	{ "null is absent", "null", "absent" },
};

static const struct scalar_case amounts[] = {
	{ "digits stay", "100.10", "= 100.10" },
	{ "-0 is an amount", "-0", "= -0" },
	{ "a negative one is an amount", "-0.01", "= -0.01" },
	{ "an exponent stays", "1.5E+2", "= 1.5E+2" },
	{ "18 digits behind the point", "0.123456789012345678", "= 0.123456789012345678" },
	{ "2^64", "18446744073709551616", "= 18446744073709551616" },
	{ "40 digits", "1234567890123456789012345678.901234567890",
		"= 1234567890123456789012345678.901234567890" },
	{ "41 digits", "1234567890123456789012345678.9012345678901", "fault" },
	{ "leading zeros are no digits", "0.0000000001234567890123456789",
		"= 0.0000000001234567890123456789" },
	{ "below 10^30", "999999999999999999999999999999", "= 999999999999999999999999999999" },
	{ "1e29", "1e29", "= 1e29" },
	{ "1e30", "1e30", "fault" },
	{ "-1e30", "-1e30", "fault" },
	{ "31 digits", "1000000000000000000000000000000", "fault" },
	{ "1e-30", "1e-30", "= 1e-30" },
	{ "1e-31", "1e-31", "fault" },
	{ "nothing with too many zeros", "0e-31", "fault" },
	{ "nothing times much", "0e300", "= 0e300" },
	{ "1e400", "1e400", "fault" },
	{ "1e-400", "1e-400", "fault" },
	{ "1e131071", "1e131071", "fault" },
	{ "80 bytes", "1e000000000000000000000000000000000000000000000000000000000000000000000000000001",
		"= 1e000000000000000000000000000000000000000000000000000000000000000000000000000001" },
	{ "81 bytes", "1e0000000000000000000000000000000000000000000000000000000000000000000000000000001",
		"fault" },
	{ "a number in a string", "\"59.98\"", "~ 59.98" },
	{ "escapes in it", "\"5\\u0039.98\"", "~ 59.98" },
	{ "a comma in it", "\"59,98\"", "fault" },
	{ "space before it", "\" 59.98\"", "fault" },
	{ "space behind it", "\"59.98 \"", "fault" },
	{ "a plus before it", "\"+1\"", "fault" },
	{ "a zero before it", "\"01\"", "fault" },
	{ "two numbers", "\"1 2\"", "fault" },
	{ "a currency behind it", "\"1 EUR\"", "fault" },
	{ "a word", "\"x\"", "fault" },
	{ "a word of JSON", "\"true\"", "fault" },
	{ "a string in a string", "\"\\\"1\\\"\"", "fault" },
	{ "an empty string", "\"\"", "fault" },
	{ "1e30 in a string", "\"1e30\"", "fault" },
	{ "an escaped NUL", "\"1\\u0000\"", "fault" },
	{ "null is absent", "null", "absent" },
	{ "true", "true", "fault" },
	{ "an array", "[1]", "fault" },
	{ "an object", "{\"amount\":1}", "fault" },
};

static const struct scalar_case quantities[] = {
	{ "pieces", "3", "= 3" },
	{ "a part", "0.35", "= 0.35" },
	{ "a negative one", "-2", "= -2" },
	{ "a thousand million", "1000000000", "= 1000000000" },
	{ "a thousand million, in another spelling", "1.0e9", "= 1.0e9" },
	{ "and a bit", "1000000000.5", "fault" },
	{ "and one", "1000000001", "fault" },
	{ "less than none", "-1000000001", "fault" },
	{ "10^12", "1000000000000", "fault" },
	{ "in a string", "\"2\"", "~ 2" },
	{ "null is absent", "null", "absent" },
	{ "true", "true", "fault" },
};

static const struct scalar_case counts[] = {
	{ "0", "0", "= 0" },
	{ "-0", "-0", "= 0" },
	{ "2.0", "2.0", "= 2" },
	{ "20e-1", "20e-1", "= 2" },
	{ "2e3", "2e3", "= 2000" },
	{ "0.002e3", "0.002e3", "= 2" },
	{ "100200", "100200", "= 100200" },
	{ "a thousand million", "1000000000", "= 1000000000" },
	{ "one more", "1000000001", "fault" },
	{ "1.5", "1.5", "fault" },
	{ "0.5", "0.5", "fault" },
	{ "0.05", "0.05", "fault" },
	{ "1.01", "1.01", "fault" },
	{ "-1", "-1", "fault" },
	{ "in a string", "\"7\"", "~ 7" },
	{ "null is absent", "null", "absent" },
	{ "an array", "[]", "fault" },
};

#define TEN "1705312800000000"

static const struct scalar_case times[] = {
	{ "RFC 3339", "\"2024-01-15T10:00:00Z\"", "= " TEN },
	{ "with an offset", "\"2024-01-15T12:00:00+02:00\"", "= " TEN },
	{ "with a fraction", "\"2024-01-15T10:00:00.1234567Z\"", "= 1705312800123456" },
	{ "escapes are decoded", "\"2024-01-15\\u005410:00:00Z\"", "= " TEN },
	{ "no zone", "\"2024-01-15T10:00:00\"", "~ " TEN },
	{ "no zone, with a fraction", "\"2024-01-15T10:00:00.5\"", "~ 1705312800500000" },
	{ "+0000", "\"2024-01-15T10:00:00+0000\"", "~ " TEN },
	{ "+0530", "\"2024-01-15T15:30:00+0530\"", "~ " TEN },
	{ "-0200", "\"2024-01-15T08:00:00.0-0200\"", "~ " TEN },
	{ "+02", "\"2024-01-15T12:00:00+02\"", "~ " TEN },
	{ "a space for the T", "\"2024-01-15 10:00:00Z\"", "~ " TEN },
	{ "a space and no zone", "\"2024-01-15 10:00:00\"", "~ " TEN },
	{ "a space and an offset", "\"2024-01-15 12:00:00+02:00\"", "~ " TEN },
	{ "a space, as PostgreSQL writes it", "\"2024-01-15 10:00:00.25+00\"", "~ 1705312800250000" },
	{ "a date alone", "\"2024-01-15\"", "~ 1705276800000000" },
	{ "seconds since 1970", "1705312800", "~ " TEN },
	{ "seconds in another spelling", "1705312800.0", "~ " TEN },
	{ "milliseconds since 1970", "1705312800123", "~ 1705312800123000" },
	{ "seconds in a string", "\"1705312800\"", "~ " TEN },
	{ "milliseconds in a string", "\"1705312800123\"", "~ 1705312800123000" },
	{ "the first second of 2000", "946684800", "~ 946684800000000" },
	{ "the last one of 1999", "946684799", "fault" },
	{ "the last second of 2100", "4133980799", "~ 4133980799000000" },
	{ "the first one of 2101", "4133980800", "fault" },
	{ "the last millisecond of 2100", "4133980799999", "~ 4133980799999000" },
	{ "the first one of 2101 in milliseconds", "4133980800000", "fault" },
	{ "microseconds", "1705312800123456", "fault" },
	{ "a part of a second", "1705312800.5", "fault" },
	{ "a part of a second in a string", "\"1705312800.5\"", "fault" },
	{ "a negative number", "-1705312800", "fault" },
	{ "0", "0", "fault" },
	{ "1e400", "1e400", "fault" },
	{ "20 digits", "\"17053128001705312800\"", "fault" },
	{ "year 1999", "\"1999-12-31 23:59:59\"", "fault" },
	{ "month 13 and no zone", "\"2024-13-01T10:00:00\"", "fault" },
	{ "+25:00", "\"2024-01-15T10:00:00+25:00\"", "fault" },
	{ "+2500", "\"2024-01-15T10:00:00+2500\"", "fault" },
	{ "+5", "\"2024-01-15T10:00:00+5\"", "fault" },
	{ "+005300", "\"2024-01-15T10:00:00+005300\"", "fault" },
	{ "a comma for the point", "\"2024-01-15T10:00:00,5\"", "fault" },
	{ "no seconds", "\"2024-01-15T10:00\"", "fault" },
	{ "two spaces", "\"2024-01-15  10:00:00\"", "fault" },
	{ "space behind", "\"2024-01-15T10:00:00Z \"", "fault" },
	{ "an underscore for the T", "\"2024-01-15_10:00:00\"", "fault" },
	{ "a date and half a time", "\"2024-01-15T\"", "fault" },
	{ "a date of nine bytes", "\"2024-1-15\"", "fault" },
	{ "30 digits of a fraction and no zone", "\"2024-01-15T10:00:00.123456789012345678901234567890\"",
		"fault" },
	{ "now", "\"now\"", "fault" },
	{ "infinity", "\"infinity\"", "fault" },
	{ "an empty string", "\"\"", "fault" },
	{ "null is absent", "null", "absent" },
	{ "true", "true", "fault" },
	{ "an object", "{}", "fault" },
};

static const struct scalar_case currencies[] = {
	{ "capitals", "\"USD\"", "= USD" },
	{ "five", "\"USDCX\"", "= USDCX" },
	{ "lower case", "\"usd\"", "= USD" },
	{ "both", "\"uSdC\"", "= USDC" },
	{ "escapes are decoded", "\"\\u0075sd\"", "= USD" },
	{ "two", "\"US\"", "fault" },
	{ "six", "\"USDXYZ\"", "fault" },
	{ "a space", "\"US \"", "fault" },
	{ "a bracket next to Z", "\"US[\"", "fault" },
	{ "a backquote next to a", "\"us`\"", "fault" },
	{ "a sign", "\"\xe2\x82\xac\"", "fault" },
	{ "digits", "\"840\"", "fault" },
	{ "a number", "840", "fault" },
	{ "an empty string", "\"\"", "fault" },
	{ "null is absent", "null", "absent" },
};
/* clang-format on */

static void say(enum scalar read, struct text text, char *out, size_t size)
{
	if (read == SCALAR_ABSENT || read == SCALAR_FAULT) {
		snprintf(out, size, "%s", read == SCALAR_FAULT ? "fault" : "absent");
	} else {
		snprintf(out, size, "%c %.*s", read == SCALAR_READ ? '=' : '~', (int)text.len,
			text.ptr);
	}
}

static struct json value_of(const char *json)
{
	struct json value = { .kind = JSON_KIND_ABSENT };
	struct json_reader reader;

	room.used = 0;
	json_begin(&reader, text_of(json), &room);
	json_read(&reader, &value);
	CHECK(json_end(&reader), "%s is JSON", json);
	return value;
}

typedef enum scalar read_as(const struct json *value, struct text *ret_text);

static void check_table(
	const char *table, const struct scalar_case *cases, size_t count, read_as *read)
{
	for (size_t i = 0; i < count; i++) {
		struct json value = value_of(cases[i].json);
		struct text text = TEXT("untouched");
		char got[256];

		say(read(&value, &text), text, got, sizeof(got));
		CHECK(strcmp(got, cases[i].wanted) == 0, "%s: %s (%s)", table, cases[i].promise,
			got);
	}
}

static enum scalar as_text(const struct json *value, struct text *ret_text)
{
	return scalar_text(value, &room, MAX, ret_text);
}

static enum scalar as_id(const struct json *value, struct text *ret_text)
{
	return scalar_id(value, &room, 64, ret_text);
}

static enum scalar as_word(const struct json *value, struct text *ret_text)
{
	return scalar_word(value, &room, ret_text);
}

static enum scalar as_amount(const struct json *value, struct text *ret_text)
{
	return scalar_amount(value, &room, ret_text);
}

static enum scalar as_quantity(const struct json *value, struct text *ret_text)
{
	return scalar_quantity(value, &room, ret_text);
}

static struct text digits(int64_t value)
{
	static char number[32];

	snprintf(number, sizeof(number), "%lld", (long long)value);
	return text_of(number);
}

static enum scalar as_count(const struct json *value, struct text *ret_text)
{
	int64_t count = 0;
	enum scalar read = scalar_count(value, &room, &count);

	*ret_text = digits(count);
	return read;
}

static enum scalar as_time(const struct json *value, struct text *ret_text)
{
	int64_t us = 0;
	enum scalar read = scalar_time(value, &room, SCALAR_ASSUMED, &us);

	*ret_text = digits(us);
	return read;
}

static enum scalar as_currency(const struct json *value, struct text *ret_text)
{
	return scalar_currency(value, &room, ret_text);
}

/* Where seconds since 1970 are documented, nothing is assumed of them. */
static void check_documented_epoch(void)
{
	static const char *const told[] = { "1705312800", "1705312800000", "\"1705312800\"" };
	int64_t us = 0;

	for (size_t i = 0; i < COUNT(told); i++) {
		struct json value = value_of(told[i]);

		CHECK(scalar_time(&value, &room, SCALAR_READ, &us) == SCALAR_READ,
			"%s is no assumption where it is documented", told[i]);
	}
	struct json value = value_of("\"2024-01-15\"");
	CHECK(scalar_time(&value, &room, SCALAR_READ, &us) == SCALAR_ASSUMED,
		"a date alone is one everywhere");
}

int main(void)
{
	check_table("text", texts, COUNT(texts), as_text);
	check_table("id", ids, COUNT(ids), as_id);
	check_table("word", words, COUNT(words), as_word);
	check_table("amount", amounts, COUNT(amounts), as_amount);
	check_table("quantity", quantities, COUNT(quantities), as_quantity);
	check_table("count", counts, COUNT(counts), as_count);
	check_table("time", times, COUNT(times), as_time);
	check_table("currency", currencies, COUNT(currencies), as_currency);
	check_documented_epoch();
	return check_done();
}
