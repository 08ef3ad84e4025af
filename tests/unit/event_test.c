/* What becomes of each body that a sender with the secret can write. */
#include "event_case.h"

static bool digest_fails;
static int digest_after;   /* so many more of them are well */
static size_t allocations; /* of ours: what OpenSSL allocates is not counted */

unsigned char *__real_SHA256(const unsigned char *data, size_t len, unsigned char *out);
unsigned char *__wrap_SHA256(const unsigned char *data, size_t len, unsigned char *out);

unsigned char *__wrap_SHA256(const unsigned char *data, size_t len, unsigned char *out)
{
	if (digest_fails && digest_after-- == 0) {
		return NULL;
	}
	return __real_SHA256(data, len, out);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	allocations++;
	return __real_realloc(memory, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	allocations++;
	return __real_calloc(count, size);
}

static const struct event_case envelope_cases[] = {
	{ "no JSON", TEXT_INIT(PLAIN "x"), BAD },
	{ "JSON that is too deep",
		TEXT_INIT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
		"too_deep" },
	{ "form 1", TEXT_INIT(PLAIN), NULL },
	{ "form 2", TEXT_INIT(FORM_2("{\"id\":\"order_1\"}")), NULL },
	{ "neither event nor type", TEXT_INIT("{\"data\":{\"orderId\":\"order_1\"}}"),
		"no_envelope" },
	{ "of event and type the one whose order is told counts",
		TEXT_INIT("{" CREATED "\"type\":\"order.paid\","
			  "\"data\":{\"orderId\":\"order_1\"}}"),
		NULL },
	{ "so in form 2",
		TEXT_INIT("{" CREATED "\"type\":\"order.paid\","
			  "\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		NULL },
	{ "null is absent: type beside event",
		TEXT_INIT("{" CREATED "\"type\":null,"
			  "\"data\":{\"orderId\":\"order_1\"}}"),
		NULL },
	{ "null is absent: event beside type",
		TEXT_INIT("{\"event\":null,\"type\":\"order.paid\","
			  "\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		NULL },
	{ "event null", TEXT_INIT("{\"event\":null,\"data\":{\"orderId\":\"order_1\"}}"),
		"no_envelope" },
	{ "a status without an event is taken",
		TEXT_INIT("{\"data\":{\"orderId\":\"order_1\",\"status\":\"paid\"}}"), NULL },
	{ "a status without an event is taken in form 2, too",
		TEXT_INIT("{\"data\":{\"order\":{\"id\":\"order_1\",\"status\":\"paid\"}}}"),
		NULL },
	{ "a status null without an event",
		TEXT_INIT("{\"data\":{\"orderId\":\"order_1\",\"status\":null}}"), "no_envelope" },
	{ "event a number", TEXT_INIT("{\"event\":1,\"data\":{\"orderId\":\"order_1\"}}"),
		"no_envelope" },
	{ "event a number beside a status is taken",
		TEXT_INIT("{\"event\":1,\"data\":{\"orderId\":\"order_1\",\"status\":\"paid\"}}"),
		"faults {event_type}" },
	{ "event a number and a status that is none",
		TEXT_INIT("{\"event\":1,\"data\":{\"orderId\":\"order_1\",\"status\":1}}"),
		"no_envelope" },
	{ "type an object", TEXT_INIT("{\"type\":{},\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		"no_envelope" },
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
	{ "an event id that is a whole number is one",
		TEXT_INIT("{\"id\":1,\"type\":\"a\",\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		NULL },
	{ "an event id that is another number is none",
		TEXT_INIT("{\"id\":1.0,\"type\":\"a\",\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		"faults {event_id}" },
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
	{ "a status that is a number is absent", TEXT_INIT(STATUS("1")), "faults {status}" },
	{ "a status that is an object is absent", TEXT_INIT(STATUS("{\"name\":\"pending\"}")),
		"faults {status}" },
	{ "a status that is an array is absent", TEXT_INIT(STATUS("[\"pending\"]")),
		"faults {status}" },
	{ "a status that is true is absent", TEXT_INIT(STATUS("true")), "faults {status}" },
	{ "a status with an escaped NUL is absent", TEXT_INIT(STATUS("\"completed\\u0000\"")),
		"faults {status}" },
	{ "half a surrogate pair in a status is absent", TEXT_INIT(STATUS("\"\\ud800\"")),
		"faults {status}" },
	{ "an event with an escaped NUL beside a status is taken",
		TEXT_INIT("{\"event\":\"a\\u0000\",\"data\":{\"orderId\":\"order_1\","
			  "\"status\":\"paid\"}}"),
		"faults {event_type}" },
	{ "an event with an escaped NUL and no status",
		TEXT_INIT("{\"event\":\"a\\u0000\",\"data\":{\"orderId\":\"order_1\"}}"),
		"no_envelope" },
	{ "an escaped NUL costs its own field alone",
		TEXT_INIT(ORDER("\"customerData\":{\"firstName\":\"a\\u0000\"},"
				"\"cart\":{\"total\":5,\"currency\":\"\\udc00\"}")),
		"faults {customer_first_name,currency}" },
	{ "a status that is a number in form 2 is absent",
		TEXT_INIT(FORM_2("{\"id\":\"order_1\",\"status\":2}")), "faults {status}" },
};

static const struct event_case id_cases[] = {
	{ "missing", TEXT_INIT(DATA("{\"status\":\"pending\"}")), "no_order_id" },
	{ "null", TEXT_INIT(ID("null")), "no_order_id" },
	{ "1.0", TEXT_INIT(ID("1.0")), "bad_order_id" },
	{ "1e3", TEXT_INIT(ID("1e3")), "bad_order_id" },
	{ "-1", TEXT_INIT(ID("-1")), "bad_order_id" },
	{ "20 digits", TEXT_INIT(ID("12345678901234567890")), "bad_order_id" },
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
	{ "an escaped NUL behind", TEXT_INIT(ID("\"order_1\\u0000\"")), "bad_order_id" },
	{ "an escaped underscore is an underscore", TEXT_INIT(ID("\"order\\u005f1\"")), NULL },
	{ "a bad one in form 2", TEXT_INIT(FORM_2("{\"id\":\"a/b\"}")), "bad_order_id" },
	{ "another number in form 2", TEXT_INIT(FORM_2("{\"id\":5.0}")), "bad_order_id" },
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
	{ "year 0000", TEXT_INIT(AT("\"0000-01-15T10:00:00Z\"")), "faults {occurred_at}" },
	{ "year -001", TEXT_INIT(AT("\"-001-01-15T10:00:00Z\"")), "faults {occurred_at}" },
	{ "year 1969", TEXT_INIT(AT("\"1969-12-31T23:59:59Z\"")), "faults {occurred_at}" },
	{ "year 1999", TEXT_INIT(AT("\"1999-12-31T23:59:59Z\"")), "faults {occurred_at}" },
	{ "year 2101", TEXT_INIT(AT("\"2101-01-01T00:00:00Z\"")), "faults {occurred_at}" },
	{ "year 9999", TEXT_INIT(AT("\"9999-01-15T10:00:00Z\"")), "faults {occurred_at}" },
	{ "year 10000", TEXT_INIT(AT("\"10000-01-15T10:00:00Z\"")), "faults {occurred_at}" },
	{ "year 294277", TEXT_INIT(AT("\"294277-01-15T10:00:00Z\"")), "faults {occurred_at}" },
	{ "no zone", TEXT_INIT(AT("\"2024-01-15T10:00:00\"")), "assumed {created_at,occurred_at}" },
	{ "a date only", TEXT_INIT(AT("\"2024-01-15\"")), "assumed {created_at,occurred_at}" },
	{ "+25:00", TEXT_INIT(AT("\"2024-01-15T10:00:00+25:00\"")), "faults {occurred_at}" },
	{ "+0530", TEXT_INIT(AT("\"2024-01-15T10:00:00+0530\"")),
		"assumed {created_at,occurred_at}" },
	{ "a space for the T", TEXT_INIT(AT("\"2024-01-15 10:00:00Z\"")),
		"assumed {created_at,occurred_at}" },
	{ "a comma fraction", TEXT_INIT(AT("\"2024-01-15T10:00:00,5Z\"")), "faults {occurred_at}" },
	{ "30 February", TEXT_INIT(AT("\"2024-02-30T10:00:00Z\"")), "faults {occurred_at}" },
	{ "month 13", TEXT_INIT(AT("\"2024-13-01T10:00:00Z\"")), "faults {occurred_at}" },
	{ "24:00:00", TEXT_INIT(AT("\"2024-01-15T24:00:00Z\"")), "faults {occurred_at}" },
	{ "10:60", TEXT_INIT(AT("\"2024-01-15T10:60:00Z\"")), "faults {occurred_at}" },
	{ "29 February of 2023", TEXT_INIT(AT("\"2023-02-29T10:00:00Z\"")),
		"faults {occurred_at}" },
	{ "now", TEXT_INIT(AT("\"now\"")), "faults {occurred_at}" },
	{ "infinity", TEXT_INIT(AT("\"infinity\"")), "faults {occurred_at}" },
	{ "an empty string", TEXT_INIT(AT("\"\"")), "faults {occurred_at}" },
	{ "unix seconds in form 1", TEXT_INIT(AT("1705312800")),
		"assumed {created_at,occurred_at}" },
	{ "a string-number in form 1", TEXT_INIT(AT("\"1705312800\"")),
		"assumed {created_at,occurred_at}" },
	{ "an object", TEXT_INIT(AT("{}")), "faults {occurred_at}" },
	{ "true", TEXT_INIT(AT("true")), "faults {occurred_at}" },
	{ "unix seconds in form 2", TEXT_INIT(UNIX("1705312800")), NULL },
	{ "null in form 2 is no time", TEXT_INIT(UNIX("null")), NULL },
	{ "1705312800.0 is the same number", TEXT_INIT(UNIX("1705312800.0")), NULL },
	{ "milliseconds in form 2", TEXT_INIT(UNIX("1705312800000")), NULL },
	{ "1e12 in form 2", TEXT_INIT(UNIX("1e12")), NULL },
	{ "a negative in form 2", TEXT_INIT(UNIX("-1705312800")), "faults {occurred_at}" },
	{ "a fraction in form 2", TEXT_INIT(UNIX("1705312800.5")), "faults {occurred_at}" },
	{ "zero in form 2", TEXT_INIT(UNIX("0")), "faults {occurred_at}" },
	{ "20 digits in form 2", TEXT_INIT(UNIX("17053128001705312800")), "faults {occurred_at}" },
	{ "a string-number in form 2", TEXT_INIT(UNIX("\"1705312800\"")), NULL },
	{ "RFC 3339 in form 2", TEXT_INIT(UNIX("\"2024-01-15T10:00:00Z\"")), NULL },
	{ "true in form 2", TEXT_INIT(UNIX("true")), "faults {occurred_at}" },
};

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
	{ "with type beside event the event is told where its order is",
		TEXT_INIT("{\"event\":\"order.created\",\"type\":\"order.paid\","
			  "\"data\":{\"orderId\":\"order_1\"}}"),
		"", "order.created", NULL, 0 },
	{ "with event beside type the type is told where its order is",
		TEXT_INIT("{\"id\":\"evt_1\",\"event\":\"order.created\",\"type\":\"order.paid\","
			  "\"data\":{\"order\":{\"id\":\"order_1\"}}}"),
		"evt_1", "order.paid", NULL, 0 },
	{ "a status of null is none", TEXT_INIT(STATUS("null")), "", "order.created", NULL,
		TIME_US },
	{ "an empty status is a word", TEXT_INIT(STATUS("\"\"")), "", "order.created", "",
		TIME_US },
	{ "an unknown status is kept", TEXT_INIT(STATUS("\"on_hold\"")), "", "order.created",
		"on_hold", TIME_US },
	{ "a status is told in lower case", TEXT_INIT(STATUS("\"Completed\"")), "", "order.created",
		"completed", TIME_US },
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
			field_cases[i].promise, verdict_of(&fact), fact.event_id, fact.event_type,
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
	{ "a whole number is its digits", TEXT_INIT("1"), TEXT_INIT(ORDER("\"businessId\":1")),
		NULL },
	{ "another number is not ours", TEXT_INIT("1"), TEXT_INIT(ORDER("\"businessId\":2")),
		"wrong_business" },
	{ "what is no id names no business", TEXT_INIT("1"), TEXT_INIT(ORDER("\"businessId\":[1]")),
		NULL },
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

		make_room(business_cases[i].body.len);
		event_parse(business_cases[i].body, RECEIVED_US, business_cases[i].business, &room,
			&fact);
		if (fact.unusable) {
			note_reason(fact.unusable);
		}
		CHECK(unusable ? fact.unusable && strcmp(fact.unusable, unusable) == 0
			       : !fact.unusable,
			"business: %s (%s)", business_cases[i].promise, verdict_of(&fact));
	}
}

/* An allocation that fails cannot change a byte: there is none. */
static void check_memory(void)
{
	struct text body =
		TEXT("{" CREATED TIME ",\"data\":{\"orderId\":\"order\\u005f1\",\"cart\":"
		     "{\"total\":\"1\",\"items\":[{\"productId\":1}]},\"customerData\":{"
		     "\"firstName\":\"Zo\\u00eb\"}}}");
	struct fact fact;

	make_room(body.len);
	allocations = 0;
	event_parse(body, RECEIVED_US, TEXT(""), &room, &fact);
	CHECK(allocations == 0, "nothing is allocated (%zu times)", allocations);
	CHECK(strcmp(fact.order_id, "order_1") == 0 &&
			text_equal(fact.details.customer_first_name, TEXT("Zo\xc3\xab")),
		"and all is read");
}

#define LINES                                                                                      \
	"{" CREATED "\"data\":{\"orderId\":\"order_1\",\"cart\":{\"items\":[{\"productId\":1}]}}}"

/* No key, nothing can be kept: it comes again. */
static void check_digest_failing(void)
{
	struct fact fact;

	for (int after = 0; after < 2; after++) {
		digest_fails = true;
		digest_after = after;
		CHECK(!event_parse(TEXT(LINES), RECEIVED_US, TEXT(""), &room, &fact),
			"when digest %d fails, nothing has been read", after + 1);
		digest_fails = false;
		CHECK(event_parse(TEXT(LINES), RECEIVED_US, TEXT(""), &room, &fact) &&
				!fact.unusable,
			"and then all is well again");
	}
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

int main(void)
{
	TABLE("envelope", envelope_cases);
	TABLE("id", id_cases);
	TABLE("time", time_cases);
	check_id_length();
	check_fields();
	check_words_are_cut();
	check_business();
	check_memory();
	check_digest_failing();
	check_reasons();
	free(room.memory);
	return check_done();
}
