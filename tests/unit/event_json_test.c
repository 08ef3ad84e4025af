/* What of a body is JSON enough to be an event, and how large it may be. */
#include "event_case.h"

static const struct event_case json_cases[] = {
	{ "an event is taken", TEXT_INIT(PLAIN), NULL },
	{ "an empty body", TEXT_INIT(""), BAD },
	{ "no body at all", { NULL, 0 }, BAD },
	{ "spaces only", TEXT_INIT("   \r\n"), BAD },
	{ "null", TEXT_INIT("null"), "no_envelope" },
	{ "true", TEXT_INIT("true"), "no_envelope" },
	{ "1", TEXT_INIT("1"), "no_envelope" },
	{ "a string", TEXT_INIT("\"x\""), "no_envelope" },
	{ "an empty array", TEXT_INIT("[]"), "no_envelope" },
	{ "an array around an event", TEXT_INIT("[" PLAIN "]"), "no_envelope" },
	{ "an empty object", TEXT_INIT("{}"), "no_envelope" },
	{ "a key twice at the top", TEXT_INIT("{\"event\":\"a\"," CREATED "\"data\":{}}"), BAD },
	{ "a key twice in data", TEXT_INIT(ORDER("\"orderId\":\"order_2\"")), BAD },
	{ "a key twice deep inside", TEXT_INIT(META("{\"a\":1,\"a\":1}")), BAD },
	{ "a key twice, spelled otherwise", TEXT_INIT(ORDER("\"order\\u0049d\":\"order_2\"")),
		BAD },
	{ "junk behind", TEXT_INIT(PLAIN "x"), BAD },
	{ "a second event behind", TEXT_INIT(PLAIN PLAIN), BAD },
	{ "a NUL behind", TEXT_INIT(PLAIN "\0"), BAD },
	{ "a brace too many", TEXT_INIT(PLAIN "}"), BAD },
	{ "brackets closed that were never open", TEXT_INIT("]]]" PLAIN), BAD },
	{ "a body cut in the middle", TEXT_INIT("{" CREATED "\"data\":{\"orderId\":\"ord"), BAD },
	{ "a body cut behind a backslash", TEXT_INIT("{\"event\":\"\\"), BAD },
	{ "space behind is taken", TEXT_INIT(PLAIN " \t\r\n"), NULL },
	{ "space in front is taken", TEXT_INIT("\n " PLAIN), NULL },
	{ "a form feed is no space", TEXT_INIT("\f" PLAIN), BAD },
	{ "a byte order mark", TEXT_INIT("\xef\xbb\xbf" PLAIN), BAD },
	{ "UTF-16, little end first", TEXT_INIT("\xff\xfe{\0}\0"), BAD },
	{ "UTF-16, big end first", TEXT_INIT("\0{\0}"), BAD },
	{ "UTF-32, little end first", TEXT_INIT("{\0\0\0}\0\0\0"), BAD },
	{ "UTF-32, big end first", TEXT_INIT("\0\0\0{\0\0\0}"), BAD },
	{ "an overlong C0 AF", TEXT_INIT(META("\"\xc0\xaf\"")), BAD },
	{ "an overlong E0 80 AF", TEXT_INIT(META("\"\xe0\x80\xaf\"")), BAD },
	{ "a surrogate in UTF-8 (ED A0 80)", TEXT_INIT(META("\"\xed\xa0\x80\"")), BAD },
	{ "a pair of surrogates in UTF-8 (CESU-8)", TEXT_INIT(META("\"\xed\xa0\xbd\xed\xb8\x80\"")),
		BAD },
	{ "beyond U+10FFFF", TEXT_INIT(META("\"\xf4\x90\x80\x80\"")), BAD },
	{ "a lone continuation", TEXT_INIT(META("\"\x80\"")), BAD },
	{ "a sequence that the quote cuts", TEXT_INIT(META("\"\xe6\xbc\"")), BAD },
	{ "Latin-1", TEXT_INIT(META("\"caf\xe9\"")), BAD },
	{ "a lone high surrogate", TEXT_INIT(META("\"\\ud800\"")), NULL },
	{ "a lone low surrogate", TEXT_INIT(META("\"\\udc00\"")), NULL },
	{ "a pair the wrong way round", TEXT_INIT(META("\"\\udc00\\ud800\"")), NULL },
	{ "an escaped pair is taken", TEXT_INIT(META("\"\\ud83d\\ude00\"")), NULL },
	{ "an escaped NUL in a value", TEXT_INIT(META("\"a\\u0000b\"")), NULL },
	{ "an escaped NUL in a key", TEXT_INIT(META("{\"a\\u0000b\":1}")), BAD },
	{ "a raw NUL in a string", TEXT_INIT(META("\"a\0b\"")), BAD },
	{ "a raw newline in a string", TEXT_INIT(META("\"a\nb\"")), BAD },
	{ "a raw tab in a string", TEXT_INIT(META("\"a\tb\"")), BAD },
	{ "a raw U+001F in a string",
		TEXT_INIT(META("\"a\x1f"
			       "b\"")),
		BAD },
	{ "an escape that is none", TEXT_INIT(META("\"\\x41\"")), BAD },
	{ "an escape of three digits", TEXT_INIT(META("\"\\u041\"")), BAD },
	{ "U+2028, right-to-left override, joiner and emoji are taken",
		TEXT_INIT(META("\"\xe2\x80\xa8\xe2\x80\xae\xe2\x80\x8d\xf0\x9f\x9b\x92\"")), NULL },
	{ "the noncharacter U+FFFF is taken", TEXT_INIT(META("\"\xef\xbf\xbf\"")), NULL },
	{ "DEL is taken", TEXT_INIT(META("\"\x7f\"")), NULL },
	{ "single quotes", TEXT_INIT(META("'a'")), BAD },
	{ "a block comment", TEXT_INIT(META("/* a */ 1")), BAD },
	{ "a line comment", TEXT_INIT(META("1 // a\n")), BAD },
	{ "a trailing comma in an object", TEXT_INIT(META("{\"a\":1,}")), BAD },
	{ "a trailing comma in an array", TEXT_INIT(META("[1,]")), BAD },
	{ "an unquoted key", TEXT_INIT(META("{a:1}")), BAD },
	{ "hex", TEXT_INIT(META("0x1f")), BAD },
	{ "+1", TEXT_INIT(META("+1")), BAD },
	{ ".5", TEXT_INIT(META(".5")), BAD },
	{ "5.", TEXT_INIT(META("5.")), BAD },
	{ "012", TEXT_INIT(META("012")), BAD },
	{ "1e", TEXT_INIT(META("1e")), BAD },
	{ "a lone minus", TEXT_INIT(META("-")), BAD },
	{ "NaN", TEXT_INIT(META("NaN")), BAD },
	{ "Infinity", TEXT_INIT(META("Infinity")), BAD },
	{ "-Infinity", TEXT_INIT(META("-Infinity")), BAD },
	{ "True", TEXT_INIT(META("True")), BAD },
	{ "brackets and quotes inside a string are text",
		TEXT_INIT(META("\"[[[[{{{{\\\"]]}}\\\\\"")), NULL },
};

static const struct event_case number_cases[] = {
	{ "2^63 - 1", TEXT_INIT(META("9223372036854775807")), NULL },
	{ "2^63", TEXT_INIT(META("9223372036854775808")), NULL },
	{ "-2^63 - 1", TEXT_INIT(META("-9223372036854775809")), NULL },
	{ "a 20-digit integer", TEXT_INIT(META("12345678901234567890")), NULL },
	{ "a 20-digit amount", TEXT_INIT(ORDER("\"cart\":{\"total\":12345678901234567890.5}")),
		NULL },
	{ "1e400 is a number, though no double", TEXT_INIT(META("1e400")), NULL },
	{ "-1e400 is a number, though no double", TEXT_INIT(META("-1e400")), NULL },
	{ "1e131071 is no amount", TEXT_INIT(ORDER("\"cart\":{\"total\":1e131071}")),
		"faults {total}" },
	{ "1e400 is no amount", TEXT_INIT(ORDER("\"cart\":{\"total\":1e400}")), "faults {total}" },
	{ "-0 is a number", TEXT_INIT(META("-0")), NULL },
	{ "1e-400 is no amount", TEXT_INIT(ORDER("\"cart\":{\"total\":1e-400}")),
		"faults {total}" },
	{ "a negative amount is an amount", TEXT_INIT(ORDER("\"cart\":{\"total\":-1}")), NULL },
	{ "an amount as string is assumed to be one",
		TEXT_INIT(ORDER("\"cart\":{\"total\":\"59.98\"}")), "assumed {total}" },
	{ "a currency in lower case is a currency",
		TEXT_INIT(ORDER("\"cart\":{\"currency\":\"usd\"}")), NULL },
	{ "customerData as string is taken", TEXT_INIT(ORDER("\"customerData\":\"Zo\xc3\xab\"")),
		"faults {customer}" },
	{ "customerData null is taken", TEXT_INIT(ORDER("\"customerData\":null")), NULL },
};

/* An event whose metadata is an array nested until the whole is of that depth. */
static struct text nested(size_t depth)
{
	size_t arrays = depth - 2;
	struct text body = repeated(
		"{" CREATED "\"data\":{\"orderId\":\"order_1\",\"metadata\":", "[", arrays, "");

	for (size_t i = 0; i < arrays; i++) {
		large[body.len++] = ']';
	}
	memcpy(large + body.len, "}}", 2);
	body.len += 2;
	return body;
}

/* An event of exactly that many keys and values. */
static struct text crowded(size_t token_count)
{
	/* {, event, order.created, data, {, orderId, order_1, metadata, [, and the first 0 */
	return repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"metadata\":[0", ",0",
		token_count - 10, "]}}");
}

static struct text many_keys(size_t count)
{
	size_t len = (size_t)snprintf(large, sizeof(large),
		"{" CREATED "\"data\":{\"orderId\":\"order_1\",\"customerData\":{\"k\":0");

	for (size_t i = 0; i < count; i++) {
		len += (size_t)snprintf(large + len, sizeof(large) - len, ",\"%zx\":0", i);
	}
	len += (size_t)snprintf(large + len, sizeof(large) - len, "}}}");
	return (struct text){ large, len };
}

/* So many names, and the first of them again. */
static struct text twice_named(size_t count)
{
	struct text body = many_keys(count);
	size_t len = body.len - strlen("}}}");

	len += (size_t)snprintf(large + len, sizeof(large) - len, ",\"\\u0030\":0}}}");
	return (struct text){ large, len };
}

static void check_large(void)
{
	const char *table = "size";

	check_case(table, "as deep as allowed", nested(JSON_DEPTH_MAX), NULL, "order_1");
	check_case(table, "one deeper", nested(JSON_DEPTH_MAX + 1), "too_deep", NULL);
	check_case(table, "2,049 deep", nested(2049), "too_deep", NULL);
	check_case(table, "a million brackets", repeated("", "[", 1000000, ""), "too_deep", NULL);
	check_case(table, "2,000 objects in each other", repeated("", "{\"a\":", 2000, ""),
		"too_deep", NULL);
	check_case(table, "brackets side by side are not deep",
		repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"metadata\":[0", ",[]",
			1000, "]}}"),
		NULL, "order_1");
	check_case(table, "an escaped quote does not end a string",
		repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"x\":\"\\\"", "[", 100,
			"\"}}"),
		NULL, "order_1");
	check_case(table, "an escaped backslash does not escape the quote behind it",
		repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"x\":[\"\\\\\",", "[", 100,
			""),
		"too_deep", NULL);
	check_case(table, "space is not counted",
		repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"x\":[0",
			",[ ],[\t],[\r],[\n]", 4000, "]}}"),
		NULL, "order_1");
	check_case(table, "500,000 small values are taken", crowded(500000), NULL, "order_1");
	check_case(table, "an array of 500,000 empty strings",
		repeated("[\"\"", ",\"\"", 349000, "]"), "no_envelope", NULL);
	check_case(table, "words with nothing between", repeated("[", "1\"\"", 300000, "]"), BAD,
		NULL);
	check_case(table, "100,000 names are taken", many_keys(100000), NULL, "order_1");
	check_case(table, "200,000 names, all the same",
		repeated("{\"\":0", ",\"\":0", 170000, "}"), BAD, NULL);
	check_case(table, "a name at the end that stood at the beginning", twice_named(100000), BAD,
		NULL);
	check_case(
		table, "customerData of 1,000 fields is taken", many_keys(1000), NULL, "order_1");
	check_case(table, "a string of 900 KiB is taken",
		repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"metadata\":{\"x\":\"",
			"x", 900 * 1024, "\"}}}"),
		NULL, "order_1");
	check_case(table, "a string of 900 KiB of brackets is one value",
		repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"metadata\":{\"x\":\"",
			"[", 900 * 1024, "\"}}}"),
		NULL, "order_1");
}

int main(void)
{
	TABLE("json", json_cases);
	TABLE("number", number_cases);
	check_large();
	free(room.memory);
	return check_done();
}
