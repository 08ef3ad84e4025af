/* What becomes of each body that a sender with the secret can write. */
#include "order/event.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "check.h"
#include "order/signature.h"

#define RECEIVED_US INT64_C(1705312801000000)
#define TIME_US     INT64_C(1705312800000000)
#define TIME        "\"timestamp\":\"2024-01-15T10:00:00Z\""
#define CREATED     "\"event\":\"order.created\","

/* Envelopes around what a case is about. */
#define DATA(data)   "{" CREATED TIME ",\"data\":" data "}"
#define ORDER(field) DATA("{\"orderId\":\"order_1\"," field "}")
#define META(value)  ORDER("\"metadata\":{\"x\":" value "}")
#define ID(id)       DATA("{\"orderId\":" id "}")
#define STATUS(word) ORDER("\"status\":" word)
#define AT(time)     "{" CREATED "\"timestamp\":" time ",\"data\":{\"orderId\":\"order_1\"}}"
#define UNIX(time)                                                                                 \
	"{\"type\":\"order.paid\",\"created\":" time ",\"data\":{\"order\":{\"id\":\"order_1\"}}}"
#define FORM_2(order) "{\"type\":\"order.paid\",\"data\":{\"order\":" order "}}"
#define PLAIN         "{" CREATED "\"data\":{\"orderId\":\"order_1\"}}"

#define BAD "bad_json"

enum { BODY_MAX = 1 << 20, REASONS_MAX = 32 };

struct event_case {
	const char *promise;
	struct text body;
	const char *unusable; /* NULL: it is taken, as order_1 */
};

static bool reason_seen[REASONS_MAX];
static bool digest_fails;

unsigned char *__real_SHA256(const unsigned char *data, size_t len, unsigned char *out);
unsigned char *__wrap_SHA256(const unsigned char *data, size_t len, unsigned char *out);

unsigned char *__wrap_SHA256(const unsigned char *data, size_t len, unsigned char *out)
{
	return digest_fails ? NULL : __real_SHA256(data, len, out);
}

static void note_reason(const char *unusable)
{
	for (size_t i = 0; event_reason(i); i++) {
		reason_seen[i] = reason_seen[i] || strcmp(event_reason(i), unusable) == 0;
	}
}

static bool same_fact(const struct fact *a, const struct fact *b)
{
	return memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       strcmp(a->order_id, b->order_id) == 0 && strcmp(a->event_id, b->event_id) == 0 &&
	       strcmp(a->event_type, b->event_type) == 0 && strcmp(a->status, b->status) == 0 &&
	       a->has_status == b->has_status && a->has_occurred == b->has_occurred &&
	       a->occurred_us == b->occurred_us && a->received_us == b->received_us &&
	       a->body.ptr == b->body.ptr && a->body.len == b->body.len &&
	       a->unusable == b->unusable;
}

static bool is_blank(const struct fact *fact)
{
	return fact->order_id[0] == '\0' && fact->event_id[0] == '\0' &&
	       fact->event_type[0] == '\0' && fact->status[0] == '\0' && !fact->has_status &&
	       !fact->has_occurred && fact->occurred_us == 0;
}

/* Parses a copy that ends where its memory ends, twice, with what holds for every body. */
static struct fact parse(struct text body)
{
	CLEANUP(cleanup_free) char *copy = malloc(body.len > 0 ? body.len : 1);
	unsigned char key[SIGNATURE_DIGEST_BYTES];
	struct fact fact;
	struct fact again;

	if (!copy) {
		die("no memory for a test");
	}
	memset(&fact, 0xa5, sizeof(fact));
	memset(&again, 0x5a, sizeof(again));
	if (body.len > 0) {
		memcpy(copy, body.ptr, body.len);
	}
	event_parse((struct text){ copy, body.len }, RECEIVED_US, TEXT(""), &fact);
	event_parse((struct text){ copy, body.len }, RECEIVED_US, TEXT(""), &again);

	if (!same_fact(&fact, &again)) {
		CHECK(false, "the same body gives the same fact");
	}
	if (body.len > 0 && memcmp(copy, body.ptr, body.len) != 0) {
		CHECK(false, "the body stays as it was");
	}
	if (fact.body.ptr != copy || fact.body.len != body.len || fact.received_us != RECEIVED_US ||
		!signature_digest(body, key) || memcmp(fact.key, key, sizeof(key)) != 0) {
		CHECK(false, "body, time of receipt and key are set in every case");
	}
	if (fact.unusable && !is_blank(&fact)) {
		CHECK(false, "a fact for the quarantine says nothing of an order");
	}
	if (fact.unusable) {
		note_reason(fact.unusable);
	}
	fact.body = body;
	return fact;
}

static const char *answer(const struct fact *fact)
{
	return fact->unusable ? fact->unusable : "taken";
}

static void check_case(const char *table, const char *promise, struct text body,
	const char *unusable, const char *order_id)
{
	struct fact fact = parse(body);
	bool right = unusable ? fact.unusable && strcmp(fact.unusable, unusable) == 0
			      : !fact.unusable && strcmp(fact.order_id, order_id) == 0;

	CHECK(right, "%s: %s (wanted %s, got %s)", table, promise, unusable ? unusable : "taken",
		answer(&fact));
}

static void check_table(const char *table, const struct event_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_case(table, cases[i].promise, cases[i].body, cases[i].unusable, "order_1");
	}
}

static const struct event_case json_cases[] = {
	{ "an event is taken", TEXT_INIT(PLAIN), NULL },
	{ "an empty body", TEXT_INIT(""), BAD },
	{ "no body at all", { NULL, 0 }, BAD },
	{ "spaces only", TEXT_INIT("   \r\n"), BAD },
	{ "null", TEXT_INIT("null"), BAD },
	{ "true", TEXT_INIT("true"), BAD },
	{ "1", TEXT_INIT("1"), BAD },
	{ "a string", TEXT_INIT("\"x\""), BAD },
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
	{ "a lone high surrogate", TEXT_INIT(META("\"\\ud800\"")), BAD },
	{ "a lone low surrogate", TEXT_INIT(META("\"\\udc00\"")), BAD },
	{ "a pair the wrong way round", TEXT_INIT(META("\"\\udc00\\ud800\"")), BAD },
	{ "an escaped pair is taken", TEXT_INIT(META("\"\\ud83d\\ude00\"")), NULL },
	{ "an escaped NUL in a value", TEXT_INIT(META("\"a\\u0000b\"")), BAD },
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
	{ "1e400 has no double", TEXT_INIT(META("1e400")), BAD },
	{ "-1e400 has no double", TEXT_INIT(META("-1e400")), BAD },
	{ "1e131071 has no double", TEXT_INIT(ORDER("\"cart\":{\"total\":1e131071}")), BAD },
	{ "-0 is a number", TEXT_INIT(META("-0")), NULL },
	/* Money is judged in SQL, which reads the same bytes. */
	{ "1e-400 is left to PostgreSQL", TEXT_INIT(ORDER("\"cart\":{\"total\":1e-400}")), NULL },
	{ "a negative amount is left to PostgreSQL", TEXT_INIT(ORDER("\"cart\":{\"total\":-1}")),
		NULL },
	{ "an amount as string is left to PostgreSQL",
		TEXT_INIT(ORDER("\"cart\":{\"total\":\"59.98\"}")), NULL },
	{ "a currency of our own is left to PostgreSQL",
		TEXT_INIT(ORDER("\"cart\":{\"currency\":\"usd\"}")), NULL },
	{ "customerData as string is taken", TEXT_INIT(ORDER("\"customerData\":\"Zo\xc3\xab\"")),
		NULL },
	{ "customerData null is taken", TEXT_INIT(ORDER("\"customerData\":null")), NULL },
};

static const struct event_case envelope_cases[] = {
	{ "form 1", TEXT_INIT(PLAIN), NULL },
	{ "form 2", TEXT_INIT(FORM_2("{\"id\":\"order_1\"}")), NULL },
	{ "neither event nor type", TEXT_INIT("{\"data\":{\"orderId\":\"order_1\"}}"),
		"no_envelope" },
	{ "both event and type",
		TEXT_INIT("{" CREATED "\"type\":\"order.created\","
			  "\"data\":{\"orderId\":\"order_1\"}}"),
		"two_envelopes" },
	{ "both, one of them null",
		TEXT_INIT("{" CREATED "\"type\":null,"
			  "\"data\":{\"orderId\":\"order_1\"}}"),
		"two_envelopes" },
	{ "event null", TEXT_INIT("{\"event\":null,\"data\":{\"orderId\":\"order_1\"}}"),
		"bad_event_type" },
	{ "event a number", TEXT_INIT("{\"event\":1,\"data\":{\"orderId\":\"order_1\"}}"),
		"bad_event_type" },
	{ "type an object", TEXT_INIT("{\"type\":{},\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		"bad_event_type" },
	{ "an event nobody knows is taken",
		TEXT_INIT("{\"event\":\"cart.seen\",\"data\":{\"orderId\":\"order_1\"}}"), NULL },
	{ "an event of no letters is taken",
		TEXT_INIT("{\"event\":\"\",\"data\":{\"orderId\":\"order_1\"}}"), NULL },
	{ "an event of SQL is taken as text",
		TEXT_INIT("{\"event\":\"'); drop table torque.orders; --\","
			  "\"data\":{\"orderId\":\"order_1\"}}"),
		NULL },
	{ "an event with CR LF is taken as text",
		TEXT_INIT("{\"event\":\"a\\r\\nb\",\"data\":{\"orderId\":\"order_1\"}}"), NULL },
	{ "an event id that is a number",
		TEXT_INIT("{\"id\":1,\"type\":\"a\",\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		"bad_event_id" },
	{ "an event id null is taken",
		TEXT_INIT("{\"id\":null,\"type\":\"a\",\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		NULL },
	{ "data missing", TEXT_INIT("{" CREATED TIME "}"), "no_data" },
	{ "data null", TEXT_INIT(DATA("null")), "no_data" },
	{ "data an array", TEXT_INIT(DATA("[{\"orderId\":\"order_1\"}]")), "no_data" },
	{ "data a string", TEXT_INIT(DATA("\"order_1\"")), "no_data" },
	{ "data a number", TEXT_INIT(DATA("1")), "no_data" },
	{ "data missing in form 2", TEXT_INIT("{\"type\":\"order.paid\"}"), "no_data" },
	{ "the order missing in form 2", TEXT_INIT("{\"type\":\"order.paid\",\"data\":{}}"),
		"no_order_id" },
	{ "the order null in form 2", TEXT_INIT(FORM_2("null")), "no_order_id" },
	{ "the order an array in form 2", TEXT_INIT(FORM_2("[\"order_1\"]")), "no_order_id" },
	{ "form 1 around the data of form 2", TEXT_INIT(DATA("{\"order\":{\"id\":\"order_1\"}}")),
		"no_order_id" },
	{ "form 2 around the data of form 1",
		TEXT_INIT("{\"type\":\"a\",\"data\":{\"orderId\":\"order_1\"}}"), "no_order_id" },
	{ "the same order in both places is taken",
		TEXT_INIT(ORDER("\"order\":{\"id\":\"order_1\"}")), NULL },
	{ "two orders in one event", TEXT_INIT(ORDER("\"order\":{\"id\":\"order_2\"}")),
		"two_orders" },
	{ "two orders in form 2",
		TEXT_INIT("{\"type\":\"a\",\"data\":{\"orderId\":\"order_2\","
			  "\"order\":{\"id\":\"order_1\"}}}"),
		"two_orders" },
	{ "an order that is only a word is taken", TEXT_INIT(ORDER("\"order\":\"first\"")), NULL },
	{ "a status that is a number", TEXT_INIT(STATUS("1")), "bad_status" },
	{ "a status that is an object", TEXT_INIT(STATUS("{\"name\":\"pending\"}")), "bad_status" },
	{ "a status that is an array", TEXT_INIT(STATUS("[\"pending\"]")), "bad_status" },
	{ "a status that is true", TEXT_INIT(STATUS("true")), "bad_status" },
	{ "a status with an escaped NUL", TEXT_INIT(STATUS("\"completed\\u0000\"")), BAD },
	{ "a status that is a number in form 2",
		TEXT_INIT(FORM_2("{\"id\":\"order_1\",\"status\":2}")), "bad_status" },
};

static const struct event_case id_cases[] = {
	{ "missing", TEXT_INIT(DATA("{\"status\":\"pending\"}")), "no_order_id" },
	{ "null", TEXT_INIT(ID("null")), "no_order_id" },
	{ "a number", TEXT_INIT(ID("1")), "bad_order_id" },
	{ "an object", TEXT_INIT(ID("{\"id\":\"order_1\"}")), "bad_order_id" },
	{ "an array", TEXT_INIT(ID("[\"order_1\"]")), "bad_order_id" },
	{ "true", TEXT_INIT(ID("true")), "bad_order_id" },
	{ "empty", TEXT_INIT(ID("\"\"")), "bad_order_id" },
	{ "SQL", TEXT_INIT(ID("\"'; DROP TABLE orders;--\"")), "bad_order_id" },
	{ "$1", TEXT_INIT(ID("\"$1\"")), "bad_order_id" },
	{ "%s%n", TEXT_INIT(ID("\"%s%n\"")), "bad_order_id" },
	{ "backslashes", TEXT_INIT(ID("\"a\\\\b\"")), "bad_order_id" },
	{ "E'\\x00'", TEXT_INIT(ID("\"E'\\\\x00'\"")), "bad_order_id" },
	{ "a way up", TEXT_INIT(ID("\"../../v1/business\"")), "bad_order_id" },
	{ "an escaped way up", TEXT_INIT(ID("\"..%2f\"")), "bad_order_id" },
	{ "a way up in escapes", TEXT_INIT(ID("\"%2e%2e/\"")), "bad_order_id" },
	{ "a dot segment", TEXT_INIT(ID("\".\"")), "bad_order_id" },
	{ "a double dot segment", TEXT_INIT(ID("\"..\"")), "bad_order_id" },
	{ "a query", TEXT_INIT(ID("\"a?limit=1\"")), "bad_order_id" },
	{ "a fragment", TEXT_INIT(ID("\"a#b\"")), "bad_order_id" },
	{ "a parameter", TEXT_INIT(ID("\"a;b\"")), "bad_order_id" },
	{ "an ampersand", TEXT_INIT(ID("\"a&b\"")), "bad_order_id" },
	{ "user information", TEXT_INIT(ID("\"@evil.test/\"")), "bad_order_id" },
	{ "an authority", TEXT_INIT(ID("\"//evil.test\"")), "bad_order_id" },
	{ "a URL", TEXT_INIT(ID("\"http://169.254.169.254/\"")), "bad_order_id" },
	{ "full-width letters",
		TEXT_INIT(ID("\"\xef\xbd\x8f"
			     "rder_1\"")),
		"bad_order_id" },
	{ "a Cyrillic look-alike",
		TEXT_INIT(ID("\"\xd0\xbe"
			     "rder_1\"")),
		"bad_order_id" },
	{ "composed (NFC)", TEXT_INIT(ID("\"\xc3\xb6rder\"")), "bad_order_id" },
	{ "decomposed (NFD)", TEXT_INIT(ID("\"o\xcc\x88rder\"")), "bad_order_id" },
	{ "a space in front", TEXT_INIT(ID("\" order_1\"")), "bad_order_id" },
	{ "a space behind", TEXT_INIT(ID("\"order_1 \"")), "bad_order_id" },
	{ "a newline behind", TEXT_INIT(ID("\"order_1\\n\"")), "bad_order_id" },
	{ "an escaped NUL behind", TEXT_INIT(ID("\"order_1\\u0000\"")), BAD },
	{ "an escaped underscore is an underscore", TEXT_INIT(ID("\"order\\u005f1\"")), NULL },
	{ "a bad one in form 2", TEXT_INIT(FORM_2("{\"id\":\"a/b\"}")), "bad_order_id" },
	{ "a number in form 2", TEXT_INIT(FORM_2("{\"id\":5}")), "bad_order_id" },
};

static const struct event_case time_cases[] = {
	{ "RFC 3339", TEXT_INIT(AT("\"2024-01-15T10:00:00Z\"")), NULL },
	{ "a leap second", TEXT_INIT(AT("\"2016-12-31T23:59:60Z\"")), NULL },
	{ "an offset", TEXT_INIT(AT("\"2024-01-15T12:00:00+02:00\"")), NULL },
	{ "-00:00", TEXT_INIT(AT("\"2024-01-15T10:00:00-00:00\"")), NULL },
	{ "lower-case t and z", TEXT_INIT(AT("\"2024-01-15t10:00:00z\"")), NULL },
	{ "30 fraction digits",
		TEXT_INIT(AT("\"2024-01-15T10:00:00.123456789012345678901234567890Z\"")), NULL },
	{ "year 2000", TEXT_INIT(AT("\"2000-01-01T00:00:00Z\"")), NULL },
	{ "year 2100", TEXT_INIT(AT("\"2100-12-31T23:59:59Z\"")), NULL },
	{ "29 February of 2024", TEXT_INIT(AT("\"2024-02-29T10:00:00Z\"")), NULL },
	{ "null is no time", TEXT_INIT(AT("null")), NULL },
	{ "year 0000", TEXT_INIT(AT("\"0000-01-15T10:00:00Z\"")), "bad_time" },
	{ "year -001", TEXT_INIT(AT("\"-001-01-15T10:00:00Z\"")), "bad_time" },
	{ "year 1969", TEXT_INIT(AT("\"1969-12-31T23:59:59Z\"")), "bad_time" },
	{ "year 1999", TEXT_INIT(AT("\"1999-12-31T23:59:59Z\"")), "bad_time" },
	{ "year 2101", TEXT_INIT(AT("\"2101-01-01T00:00:00Z\"")), "bad_time" },
	{ "year 9999", TEXT_INIT(AT("\"9999-01-15T10:00:00Z\"")), "bad_time" },
	{ "year 10000", TEXT_INIT(AT("\"10000-01-15T10:00:00Z\"")), "bad_time" },
	{ "year 294277", TEXT_INIT(AT("\"294277-01-15T10:00:00Z\"")), "bad_time" },
	{ "no zone", TEXT_INIT(AT("\"2024-01-15T10:00:00\"")), "bad_time" },
	{ "a date only", TEXT_INIT(AT("\"2024-01-15\"")), "bad_time" },
	{ "+25:00", TEXT_INIT(AT("\"2024-01-15T10:00:00+25:00\"")), "bad_time" },
	{ "+0530", TEXT_INIT(AT("\"2024-01-15T10:00:00+0530\"")), "bad_time" },
	{ "a space for the T", TEXT_INIT(AT("\"2024-01-15 10:00:00Z\"")), "bad_time" },
	{ "a comma fraction", TEXT_INIT(AT("\"2024-01-15T10:00:00,5Z\"")), "bad_time" },
	{ "30 February", TEXT_INIT(AT("\"2024-02-30T10:00:00Z\"")), "bad_time" },
	{ "month 13", TEXT_INIT(AT("\"2024-13-01T10:00:00Z\"")), "bad_time" },
	{ "24:00:00", TEXT_INIT(AT("\"2024-01-15T24:00:00Z\"")), "bad_time" },
	{ "10:60", TEXT_INIT(AT("\"2024-01-15T10:60:00Z\"")), "bad_time" },
	{ "29 February of 2023", TEXT_INIT(AT("\"2023-02-29T10:00:00Z\"")), "bad_time" },
	{ "now", TEXT_INIT(AT("\"now\"")), "bad_time" },
	{ "infinity", TEXT_INIT(AT("\"infinity\"")), "bad_time" },
	{ "an empty string", TEXT_INIT(AT("\"\"")), "bad_time" },
	{ "unix seconds in form 1", TEXT_INIT(AT("1705312800")), "bad_time" },
	{ "a string-number in form 1", TEXT_INIT(AT("\"1705312800\"")), "bad_time" },
	{ "an object", TEXT_INIT(AT("{}")), "bad_time" },
	{ "true", TEXT_INIT(AT("true")), "bad_time" },
	{ "unix seconds in form 2", TEXT_INIT(UNIX("1705312800")), NULL },
	{ "null in form 2 is no time", TEXT_INIT(UNIX("null")), NULL },
	{ "1705312800.0 is the same number", TEXT_INIT(UNIX("1705312800.0")), NULL },
	{ "milliseconds in form 2", TEXT_INIT(UNIX("1705312800000")), "bad_time" },
	{ "1e12 in form 2", TEXT_INIT(UNIX("1e12")), "bad_time" },
	{ "a negative in form 2", TEXT_INIT(UNIX("-1705312800")), "bad_time" },
	{ "a fraction in form 2", TEXT_INIT(UNIX("1705312800.5")), "bad_time" },
	{ "zero in form 2", TEXT_INIT(UNIX("0")), "bad_time" },
	{ "20 digits in form 2", TEXT_INIT(UNIX("17053128001705312800")), "bad_time" },
	{ "a string-number in form 2", TEXT_INIT(UNIX("\"1705312800\"")), "bad_time" },
	{ "RFC 3339 in form 2", TEXT_INIT(UNIX("\"2024-01-15T10:00:00Z\"")), "bad_time" },
	{ "true in form 2", TEXT_INIT(UNIX("true")), "bad_time" },
};

/* Room for one large body at a time. */
static char large[BODY_MAX + 64];

static struct text repeated(const char *head, const char *piece, size_t count, const char *tail)
{
	size_t piece_len = strlen(piece);
	size_t len = strlen(head);

	if (len + count * piece_len + strlen(tail) > sizeof(large)) {
		die("a body of the test is too large");
	}
	memcpy(large, head, len);
	for (size_t i = 0; i < count; i++) {
		memcpy(large + len, piece, piece_len);
		len += piece_len;
	}
	memcpy(large + len, tail, strlen(tail));
	return (struct text){ large, len + strlen(tail) };
}

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

static void check_large(void)
{
	const char *table = "size";

	check_case(table, "as deep as allowed", nested(EVENT_DEPTH_MAX), NULL, "order_1");
	check_case(table, "one deeper", nested(EVENT_DEPTH_MAX + 1), "too_deep", NULL);
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
	check_case(table, "as many values as allowed", crowded(EVENT_TOKENS_MAX), NULL, "order_1");
	check_case(table, "one more", crowded(EVENT_TOKENS_MAX + 1), "too_many_values", NULL);
	check_case(table, "500,000 small values", crowded(500000), "too_many_values", NULL);
	check_case(table, "500,000 empty strings", repeated("[\"\"", ",\"\"", 349000, "]"),
		"too_many_values", NULL);
	check_case(table, "words with nothing between are bounded too",
		repeated("[", "1\"\"", 300000, "]"), "too_many_values", NULL);
	check_case(table, "100,000 keys", many_keys(100000), "too_many_values", NULL);
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

static void check_id_length(void)
{
	char id[FACT_ORDER_ID_MAX + 1];
	struct text body;

	memset(id, 'a', sizeof(id));
	id[FACT_ORDER_ID_MAX] = '\0';
	body = repeated("{" CREATED "\"data\":{\"orderId\":\"", "a", FACT_ORDER_ID_MAX, "\"}}");
	check_case("id", "128 characters are taken", body, NULL, id);
	body = repeated("{" CREATED "\"data\":{\"orderId\":\"", "a", FACT_ORDER_ID_MAX + 1, "\"}}");
	check_case("id", "129 characters", body, "bad_order_id", NULL);
	body = repeated("{" CREATED "\"data\":{\"orderId\":\"", "a", 1000000, "\"}}");
	check_case("id", "a million characters", body, "bad_order_id", NULL);
	check_case("id", "another case is another order", TEXT(ID("\"Order_1\"")), NULL, "Order_1");
	check_case("id", "all of its alphabet", TEXT(ID("\"aZ09_.:-\"")), NULL, "aZ09_.:-");
}

static const struct {
	const char *promise;
	struct text body;
	const char *event_id;
	const char *event_type;
	const char *status;  /* NULL: none */
	int64_t occurred_us; /* 0: none */
} field_cases[] = {
	{ "form 1 is read",
		TEXT_INIT("{" CREATED TIME ",\"data\":{\"orderId\":\"order_1\","
			  "\"status\":\"pending\",\"businessId\":\"business_123\"}}"),
		"", "order.created", "pending", TIME_US },
	{ "form 2 is read",
		TEXT_INIT("{\"id\":\"evt_1\",\"type\":\"order.paid\",\"data\":{\"order\":"
			  "{\"id\":\"order_1\",\"status\":\"paid\",\"amount\":59.98}},"
			  "\"created\":1705312800}"),
		"evt_1", "order.paid", "paid", TIME_US },
	{ "no status is none", TEXT_INIT(PLAIN), "", "order.created", NULL, 0 },
	{ "a status of null is none", TEXT_INIT(STATUS("null")), "", "order.created", NULL,
		TIME_US },
	{ "an empty status is a word", TEXT_INIT(STATUS("\"\"")), "", "order.created", "",
		TIME_US },
	{ "an unknown status is kept", TEXT_INIT(STATUS("\"on_hold\"")), "", "order.created",
		"on_hold", TIME_US },
	{ "case of a status is kept", TEXT_INIT(STATUS("\"Completed\"")), "", "order.created",
		"Completed", TIME_US },
	{ "space in a status is kept", TEXT_INIT(STATUS("\" completed\"")), "", "order.created",
		" completed", TIME_US },
	{ "an event id null is none",
		TEXT_INIT("{\"id\":null,\"type\":\"a\",\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		"", "a", NULL, 0 },
	{ "form 1 has no event id",
		TEXT_INIT("{\"id\":\"evt_1\"," CREATED "\"data\":{\"orderId\":\"order_1\"}}"), "",
		"order.created", NULL, 0 },
	{ "escapes are decoded",
		TEXT_INIT(
			"{\"\\u0065vent\":\"a\\r\\n\\u00e9\",\"data\":{\"orderId\":\"order_1\"}}"),
		"", "a\r\n\xc3\xa9", NULL, 0 },
	{ "the status is the order's, not the payment's",
		TEXT_INIT(ORDER("\"payment\":{\"status\":\"confirmed\"}")), "", "order.created",
		NULL, TIME_US },
	{ "a leap second is the next second", TEXT_INIT(AT("\"2016-12-31T23:59:60Z\"")), "",
		"order.created", NULL, INT64_C(1483228800000000) },
	{ "a fraction is cut to microseconds", TEXT_INIT(AT("\"2024-01-15T10:00:00.1234569Z\"")),
		"", "order.created", NULL, TIME_US + 123456 },
	{ "an offset is taken off", TEXT_INIT(AT("\"2024-01-15T15:30:00+05:30\"")), "",
		"order.created", NULL, TIME_US },
};

static void check_fields(void)
{
	for (size_t i = 0; i < sizeof(field_cases) / sizeof(field_cases[0]); i++) {
		struct fact fact = parse(field_cases[i].body);
		const char *status = field_cases[i].status;

		CHECK(!fact.unusable && strcmp(fact.order_id, "order_1") == 0 &&
				strcmp(fact.event_id, field_cases[i].event_id) == 0 &&
				strcmp(fact.event_type, field_cases[i].event_type) == 0 &&
				strcmp(fact.status, status ? status : "") == 0 &&
				fact.has_status == (status != NULL) &&
				fact.occurred_us == field_cases[i].occurred_us &&
				fact.has_occurred == (field_cases[i].occurred_us != 0),
			"fields: %s (%s, id %s, type %s, status %s, at %lld)",
			field_cases[i].promise, answer(&fact), fact.event_id, fact.event_type,
			fact.status, (long long)fact.occurred_us);
	}
}

static void check_words_are_cut(void)
{
	struct fact fact = parse(
		repeated("{\"event\":\"", "x", 1024, "\",\"data\":{\"orderId\":\"order_1\"}}"));

	CHECK(!fact.unusable && strlen(fact.event_type) == FACT_WORD_MAX,
		"an event of 1 KiB is cut at %d bytes", FACT_WORD_MAX);
	fact = parse(repeated(
		"{\"event\":\"", "\xc3\xa9", 512, "\",\"data\":{\"orderId\":\"order_1\"}}"));
	CHECK(!fact.unusable && strlen(fact.event_type) == FACT_WORD_MAX - 1,
		"no character is cut in two (%zu bytes kept)", strlen(fact.event_type));
	fact = parse(repeated("{" CREATED "\"data\":{\"orderId\":\"order_1\",\"status\":\"",
		"\xf0\x9f\x9b\x92", 100, "\"}}"));
	CHECK(!fact.unusable && strlen(fact.status) == FACT_WORD_MAX - 3,
		"no status is cut inside a character (%zu bytes kept)", strlen(fact.status));
}

static const struct {
	const char *promise;
	struct text business; /* as configured */
	struct text body;
	const char *unusable;
} business_cases[] = {
	{ "ours is taken", TEXT_INIT("business_1"),
		TEXT_INIT(ORDER("\"businessId\":\"business_1\"")), NULL },
	{ "another's is refused", TEXT_INIT("business_1"),
		TEXT_INIT(ORDER("\"businessId\":\"business_2\"")), "wrong_business" },
	{ "a longer one is another's", TEXT_INIT("business_1"),
		TEXT_INIT(ORDER("\"businessId\":\"business_12\"")), "wrong_business" },
	{ "a number is not ours", TEXT_INIT("1"), TEXT_INIT(ORDER("\"businessId\":1")),
		"wrong_business" },
	{ "none is taken", TEXT_INIT("business_1"), TEXT_INIT(PLAIN), NULL },
	{ "null is taken", TEXT_INIT("business_1"), TEXT_INIT(ORDER("\"businessId\":null")), NULL },
	{ "any is taken when none is configured", TEXT_INIT(""),
		TEXT_INIT(ORDER("\"businessId\":\"business_2\"")), NULL },
	{ "another's in form 2 is refused", TEXT_INIT("business_1"),
		TEXT_INIT(FORM_2("{\"id\":\"order_1\",\"businessId\":\"business_2\"}")),
		"wrong_business" },
	{ "another's beside the order is refused", TEXT_INIT("business_1"),
		TEXT_INIT("{\"type\":\"a\",\"data\":{\"businessId\":\"business_2\","
			  "\"order\":{\"id\":\"order_1\"}}}"),
		"wrong_business" },
};

static void check_business(void)
{
	for (size_t i = 0; i < sizeof(business_cases) / sizeof(business_cases[0]); i++) {
		const char *unusable = business_cases[i].unusable;
		struct fact fact;

		event_parse(business_cases[i].body, RECEIVED_US, business_cases[i].business, &fact);
		if (fact.unusable) {
			note_reason(fact.unusable);
		}
		CHECK(unusable ? fact.unusable && strcmp(fact.unusable, unusable) == 0
			       : !fact.unusable,
			"business: %s (%s)", business_cases[i].promise, answer(&fact));
	}
}

static size_t allocations_left;

static void *allocate_or_fail(size_t size)
{
	if (allocations_left == 0) {
		errno = ENOMEM;
		return NULL;
	}
	allocations_left--;
	return malloc(size);
}

/* Each allocation of jansson failed once, and from there on all of them. */
static void check_memory(void)
{
	struct text body = TEXT("{" CREATED TIME ",\"data\":{\"orderId\":\"order_1\",\"a\":[1,true,"
				"\"\\u00e9\"],\"b\":1.5,\"c\":1,\"d\":2,\"e\":3,\"f\":4,\"g\":5,"
				"\"h\":6,\"i\":7,\"j\":\"a long string, that needs to grow\"}}");
	size_t allocations = 0;
	size_t other_count = 0;

	json_set_alloc_funcs(allocate_or_fail, free);
	for (;; allocations++) {
		struct fact fact;

		allocations_left = allocations;
		event_parse(body, RECEIVED_US, TEXT(""), &fact);
		if (!fact.unusable || allocations > 10000) {
			break;
		}
		note_reason(fact.unusable);
		other_count += strcmp(fact.unusable, "no_memory") != 0;
	}
	json_set_alloc_funcs(malloc, free);
	CHECK(allocations > 20 && other_count == 0,
		"without memory a body is kept as no_memory (%zu allocations, %zu otherwise)",
		allocations, other_count);
}

/* No key, nothing can be kept: the service manager starts us anew. */
static void check_digest_failing(void)
{
	int status = 0;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct fact fact;
		struct rlimit no_core = { 0, 0 };
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		setrlimit(RLIMIT_CORE, &no_core);
		dup2(null, STDERR_FILENO);
		digest_fails = true;
		event_parse(TEXT(PLAIN), RECEIVED_US, TEXT(""), &fact);
		_exit(0);
	}
	waitpid(child, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "without a digest we die");
}

static void check_reasons(void)
{
	size_t count = 0;

	for (; event_reason(count); count++) {
		const char *reason = event_reason(count);

		CHECK(strspn(reason, "abcdefghijklmnopqrstuvwxyz_") == strlen(reason),
			"%s is a word", reason);
		CHECK(count < REASONS_MAX && reason_seen[count], "%s has been met", reason);
	}
	CHECK(count > 0 && !event_reason(count + 1), "the list of reasons ends");
}

#define TABLE(name, cases) check_table((name), (cases), sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	TABLE("json", json_cases);
	TABLE("number", number_cases);
	TABLE("envelope", envelope_cases);
	TABLE("id", id_cases);
	TABLE("time", time_cases);
	check_large();
	check_id_length();
	check_fields();
	check_words_are_cut();
	check_business();
	check_memory();
	check_digest_failing();
	check_reasons();
	return check_done();
}
