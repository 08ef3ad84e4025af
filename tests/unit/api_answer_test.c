/* What an answer of the Checkout API has to be before anything is made of it. */
#include "order/api_answer.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "check.h"
#include "say.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND       INT64_C(1000000)
#define NOW          (1705312800 * SECOND) /* Mon, 15 Jan 2024 10:00:00 GMT */

/* clang-format off */
static const struct {
	const char *promise;
	const char *type;
	bool json;
} types[] = {
	{ "JSON is JSON", "application/json", true },
	{ "parameters may follow", "application/json; charset=utf-8", true },
	{ "case and space do not count", "  Application/JSON ;x=y", true },
	{ "HTML is not", "text/html", false },
	{ "text is not", "text/plain", false },
	{ "JSON of another kind is not", "application/json-seq", false },
	{ "a suffix says JSON too", "application/problem+json", true },
	{ "a suffix with parameters", "application/vnd.api+JSON; charset=utf-8", true },
	{ "a suffix is not all of a type", "+json", false },
	{ "nor without a main type", "x+json", false },
	{ "a suffix stands at the end", "application/x+json2", false },
	{ "nothing is not", "", false },
	{ "a parameter alone is not", ";application/json", false },
};

#define PAGE(total) ",\"pagination\":{\"total\":" total ",\"limit\":20,\"offset\":0,\"hasMore\":false}}"

static const struct {
	const char *promise;
	const char *body;
	bool list;
} lists[] = {
	{ "a page is a list", "{\"success\":true,\"orders\":[{\"id\":\"a\"}]" PAGE("1"), true },
	{ "an empty page is a list", "{\"success\":true,\"orders\":[]" PAGE("0"), true },
	{ "unknown members do no harm", "{\"x\":[1],\"success\":true,\"orders\":[]" PAGE("0"), true },
	{ "rows are judged one by one, later",
		"{\"success\":true,\"orders\":[{\"id\":null},{}]" PAGE("2"), true },
	{ "a byte order mark is passed over", "\xEF\xBB\xBF{\"success\":true,\"orders\":[]" PAGE("0"),
		true },
	{ "a number of 20 digits is read", "{\"success\":true,\"orders\":[{\"n\":12345678901234567890}]"
		PAGE("1"), true },
	{ "a total with a fraction of nothing is a number", "{\"success\":true,\"orders\":[]" PAGE("0.0"),
		true },
	{ "nothing is no list", "", false },
	{ "an array is no list", "[]", false },
	{ "no success is no list", "{\"success\":false,\"orders\":[]" PAGE("0"), false },
	{ "success as a word is none", "{\"success\":\"true\",\"orders\":[]" PAGE("0"), false },
	{ "success has to be said", "{\"orders\":[]" PAGE("0"), false },
	{ "orders have to be there", "{\"success\":true" PAGE("0"), false },
	{ "orders are an array", "{\"success\":true,\"orders\":{}" PAGE("0"), false },
	{ "orders are not null", "{\"success\":true,\"orders\":null" PAGE("0"), false },
	{ "a row is an object", "{\"success\":true,\"orders\":[\"a\"]" PAGE("1"), false },
	{ "the pagination has to be there", "{\"success\":true,\"orders\":[]}", false },
	{ "a total is no string", "{\"success\":true,\"orders\":[]" PAGE("\"0\""), false },
	{ "a total is not null", "{\"success\":true,\"orders\":[]" PAGE("null"), false },
	{ "a total is not below nothing", "{\"success\":true,\"orders\":[]" PAGE("-1"), false },
	{ "a total that overflows is none", "{\"success\":true,\"orders\":[]" PAGE("1e999"), false },
	{ "a key twice is refused", "{\"success\":true,\"success\":true,\"orders\":[]" PAGE("0"), false },
	{ "a body cut short is refused", "{\"success\":true,\"orders\":[", false },
	{ "bytes behind it are refused", "{\"success\":true,\"orders\":[]" PAGE("0") "x", false },
	{ "an escaped NUL is no fault of the list",
		"{\"success\":true,\"orders\":[{\"id\":\"\\u0000\"}]" PAGE("1"), true },
	{ "bytes that are no UTF-8 are refused", "{\"success\":true,\"orders\":[{\"id\":\"\xFF\"}]"
		PAGE("1"), false },
	{ "HTML is no list", "<html><body>maintenance</body></html>", false },
};

static const struct {
	const char *promise;
	const char *body;
	bool link;
} links[] = {
	{ "a link has its URL", "{\"success\":true,\"checkoutUrl\":\"https://checkout.example/s\"}", true },
	{ "a URL is a string", "{\"success\":true,\"checkoutUrl\":null}", false },
	{ "a link without a URL is none", "{\"success\":true}", false },
	{ "no success is no link", "{\"success\":false,\"checkoutUrl\":\"x\"}", false },
};

static const struct {
	const char *promise;
	const char *body;
	bool found;
	struct api_answer_error error;
} errors[] = {
	{ "the flat shape is read",
		"{\"success\":false,\"error\":\"Invalid cart data\",\"code\":\"CHECKOUT_001\",\"details\":"
		"{\"field\":\"cart.items\",\"message\":\"At least one item is required\"},"
		"\"requestId\":\"req_1\"}", true,
		{ true, "Invalid cart data", "CHECKOUT_001", "cart.items", "At least one item is required",
			"req_1" } },
	{ "the nested shape is read",
		"{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"No such order\",\"details\":"
		"{\"field\":\"orderId\"}},\"requestId\":\"req_2\"}", true,
		{ true, "No such order", "NOT_FOUND", "orderId", "", "req_2" } },
	{ "what is missing is empty", "{\"error\":\"no\"}", true, { false, "no", "", "", "", "" } },
	{ "success false makes a flat error the API's own", "{\"success\":false,\"error\":\"no\"}", true,
		{ true, "no", "", "", "", "" } },
	{ "success in words does not", "{\"success\":\"false\",\"error\":\"no\"}", true,
		{ false, "no", "", "", "", "" } },
	{ "an error of a framework is not its own",
		"{\"timestamp\":\"x\",\"status\":404,\"error\":\"Not Found\",\"path\":\"/v1\"}", true,
		{ false, "Not Found", "", "", "", "" } },
	{ "a nested error without details is not",
		"{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no\"}}", true,
		{ false, "no", "NOT_FOUND", "", "", "" } },
	{ "nor one whose code is a number", "{\"error\":{\"code\":404,\"message\":\"no\",\"details\":{}}}",
		true, { false, "no", "", "", "", "" } },
	{ "nor one without a message", "{\"error\":{\"code\":\"NO\",\"details\":{}}}", true,
		{ false, "", "NO", "", "", "" } },
	{ "what is of another kind is empty",
		"{\"error\":\"no\",\"code\":404,\"details\":[],\"requestId\":{}}", true,
		{ false, "no", "", "", "", "" } },
	{ "the nested shape keeps its own details",
		"{\"details\":{\"field\":\"a\"},\"error\":{\"message\":\"no\",\"details\":{\"message\":\"b\"}}}",
		true, { false, "no", "", "", "b", "" } },
	{ "escapes are decoded", "{\"error\":\"a\\nb\\u00e4\",\"code\":\"\\ud83d\\ude00\"}", true,
		{ false, "a\nb\xc3\xa4", "\xf0\x9f\x98\x80", "", "", "" } },
	{ "what is no text is empty", "{\"error\":\"a\\u0000\",\"code\":\"\\ud83d\"}", true,
		{ false, "", "", "", "", "" } },
	{ "a nested error may be empty", "{\"error\":{}}", true, { false, "", "", "", "", "" } },
	{ "an error that is a number is neither shape", "{\"error\":1}", false, { false, "", "", "", "", "" } },
	{ "an error that is not there is neither shape", "{\"success\":false}", false,
		{ false, "", "", "", "", "" } },
	{ "HTML is neither shape", "<html>", false, { false, "", "", "", "", "" } },
	{ "nothing is neither shape", "", false, { false, "", "", "", "", "" } },
};

static const struct {
	const char *promise;
	const char *value;
	int64_t seconds; /* -1: unreadable */
} retries[] = {
	{ "seconds are seconds", "17", 17 },
	{ "no time at all is one second", "0", 1 },
	{ "five minutes are the most", "300", 300 },
	{ "more is five minutes", "301", 300 },
	{ "a great many seconds are five minutes", "99999999999", 300 },
	{ "seconds beyond any number are five minutes", "99999999999999999999999999", 300 },
	{ "less than nothing is unreadable", "-1", -1 },
	{ "an exponent is unreadable", "1e9", -1 },
	{ "a fraction is unreadable", "1.5", -1 },
	{ "nothing is unreadable", "", -1 },
	{ "a word is unreadable", "soon", -1 },
	{ "a date is a time", "Mon, 15 Jan 2024 10:00:42 GMT", 42 },
	{ "a date in the past is one second", "Mon, 15 Jan 2024 09:00:00 GMT", 1 },
	{ "a date far ahead is five minutes", "Tue, 15 Jan 2030 10:00:00 GMT", 300 },
	{ "a date as in RFC 850 is a time", "Monday, 15-Jan-24 10:00:42 GMT", 42 },
	{ "a date as of asctime is a time", "Mon Jan 15 10:00:42 2024", 42 },
	{ "a date of one digit as of asctime is a time", "Mon Jan  5 10:00:42 2024", 1 },
	{ "a date in another zone is unreadable", "Mon, 15 Jan 2024 10:00:42 CET", -1 },
	{ "a date with bytes behind it is unreadable", "Mon, 15 Jan 2024 10:00:42 GMT, 5", -1 },
	{ "a date without its time is unreadable", "Mon, 15 Jan 2024", -1 },
};

static const struct {
	const char *promise;
	const char *value;
	int64_t after_s; /* -1: unreadable */
} resets[] = {
	{ "seconds since 1970 are told from the others", "1705312830", 30 },
	{ "milliseconds since 1970 are told from the others", "1705312830000", 30 },
	{ "seconds from now are told from the others", "30", 30 },
	{ "no seconds from now are now", "0", 0 },
	{ "a moment in the past is now", "1705312799", 0 },
	{ "a moment in the past in milliseconds is now", "1705312799999", 0 },
	{ "five minutes from now are the most", "301", 300 },
	{ "a moment far ahead is in five minutes", "1805312830", 300 },
	{ "a moment far ahead in milliseconds is in five minutes", "1805312830000", 300 },
	{ "eleven days are a number of seconds", "1000000", 300 },
	{ "a number beyond them is unreadable", "100000000000001", -1 },
	{ "a number that overflows is unreadable", "99999999999999999999999", -1 },
	{ "a sign is unreadable", "-5", -1 },
	{ "a part of a second is one", "1705312830.5", 31 },
	{ "a part of nothing is nothing", "30.0", 30 },
	{ "a date is a moment", "Mon, 15 Jan 2024 10:00:42 GMT", 42 },
	{ "a time in words is a moment", "2024-01-15T10:00:42Z", 42 },
	{ "nothing is unreadable", "", -1 },
};
/* clang-format on */

/* For any body of these tests. */
static struct json_room room;

static void check_shapes(void)
{
	for (size_t i = 0; i < COUNT(types); i++) {
		CHECK(api_answer_is_json(text_of(types[i].type)) == types[i].json, "%s",
			types[i].promise);
	}
	for (size_t i = 0; i < COUNT(lists); i++) {
		CHECK(api_answer_is_list(text_of(lists[i].body), &room) == lists[i].list, "%s",
			lists[i].promise);
	}
	for (size_t i = 0; i < COUNT(links); i++) {
		CHECK(api_answer_is_link(text_of(links[i].body), &room) == links[i].link, "%s",
			links[i].promise);
	}
}

static bool same(const struct api_answer_error *a, const struct api_answer_error *b)
{
	return a->own == b->own && strcmp(a->error, b->error) == 0 &&
	       strcmp(a->code, b->code) == 0 && strcmp(a->field, b->field) == 0 &&
	       strcmp(a->message, b->message) == 0 && strcmp(a->request_id, b->request_id) == 0;
}

static void check_errors(void)
{
	for (size_t i = 0; i < COUNT(errors); i++) {
		struct api_answer_error got = { .error = "" };
		bool found = api_answer_read_error(text_of(errors[i].body), &room, &got);

		CHECK(found == errors[i].found && same(&got, &errors[i].error), "%s",
			errors[i].promise);
	}
}

/* Each of its characters takes two bytes, so that the cut would fall into one. */
static void check_long_error(void)
{
	char body[4 * API_ANSWER_WORD_MAX] = "{\"error\":\"x";
	struct api_answer_error got = { .error = "" };

	for (int i = 0; i < API_ANSWER_WORD_MAX; i++) {
		strncat(body, "\xC3\xA4", sizeof(body) - strlen(body) - 1);
	}
	strncat(body, "\"}", sizeof(body) - strlen(body) - 1);
	CHECK(api_answer_read_error(text_of(body), &room, &got) &&
			strlen(got.error) == API_ANSWER_WORD_MAX - 1,
		"a long error is cut between characters (got %zu)", strlen(got.error));
}

static void check_limits(void)
{
	static const struct {
		const char *promise, *remaining, *reset, *draft;
		int64_t left, after_s; /* -1: not told */
	} cases[] = {
		{ "a number and when there is more", "3", "40", "", 3, 40 },
		{ "nothing", "", "", "", -1, -1 },
		{ "the least of several", "3, 900", "40, 200", "", 3, 40 },
		{ "the least may be the last", "900,3", "200 ,40", "", 3, 40 },
		{ "a number with a part of nothing", "3.0", "40", "", 3, 40 },
		{ "a number with parameters", "3;w=60, 900;w=3600", "", "", 3, -1 },
		{ "one reset for several", "900, 3", "40", "", 3, 40 },
		{ "several resets for one: the latest", "3", "40, 200, x", "", 3, 200 },
		{ "a reset in words", "3", "Mon, 15 Jan 2024 10:00:42 GMT", "", 3, 42 },
		{ "what is no number is left out", "x, 5", "", "", 5, -1 },
		{ "less than nothing is no number", "-1", "40", "", -1, 40 },
		{ "nor is a word", "3x", "40", "", -1, 40 },
		{ "nor is a dot", "3.", "40", "", -1, 40 },
		{ "nor is more than any limit", "3000000000", "40", "", -1, 40 },
		{ "the draft's dictionary", "", "", "limit=9, remaining=3, reset=40", 3, 40 },
		{ "in any order", "", "", "reset=40,Remaining = 3", 3, 40 },
		{ "the draft's policies", "", "", "\"a;b\";r=900;t=200, \"day\";r=3;t=40", 3, 40 },
		{ "the draft where the rest is no number", "soon", "40", "r=3", 3, 40 },
		{ "the draft does not replace the rest", "5", "40", "r=3;t=9", 5, 40 },
		{ "a draft of something else", "", "", "limit=9;w=60", -1, -1 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct api_answer_limits got = api_answer_read_limits(text_of(cases[i].remaining),
			text_of(cases[i].reset), text_of(cases[i].draft), NOW);
		int64_t after_us = cases[i].after_s < 0 ? -1 : cases[i].after_s * SECOND;

		CHECK(got.remaining == cases[i].left && got.reset_after_us == after_us,
			"limits: %s (got %lld, %lld us)", cases[i].promise,
			(long long)got.remaining, (long long)got.reset_after_us);
	}
}

static void check_times(void)
{
	for (size_t i = 0; i < COUNT(retries); i++) {
		int64_t got = -1;
		bool read = api_answer_retry_after_s(text_of(retries[i].value), NOW, &got);

		CHECK(read == (retries[i].seconds >= 0) && got == retries[i].seconds,
			"Retry-After: %s (got %lld)", retries[i].promise, (long long)got);
	}
	for (size_t i = 0; i < COUNT(resets); i++) {
		int64_t after_us = 0;
		bool read = api_answer_reset_after_us(text_of(resets[i].value), NOW, &after_us);

		CHECK(read == (resets[i].after_s >= 0) &&
				(!read || after_us == resets[i].after_s * SECOND),
			"X-RateLimit-Reset: %s (got %lld us)", resets[i].promise,
			(long long)after_us);
	}

	int64_t seconds = 0;

	CHECK(api_answer_retry_after_s(TEXT("Mon, 15 Jan 2024 10:00:42 GMT"), NOW + 1, &seconds) &&
			seconds == 42,
		"Retry-After: a part of a second is waited for as a whole one");
}

static void check_bounds(void)
{
	enum { LEN = 8 * 1024 * 1024 };
	CLEANUP(cleanup_free) char *body = malloc(LEN);

	if (!CHECK(body != NULL, "there is memory for a large answer")) {
		return;
	}
	memset(body, '[', LEN);
	CHECK(!api_answer_is_list((struct text){ body, LEN }, &room),
		"an answer that is too deep is refused");
	for (size_t i = 1; i < LEN; i++) {
		body[i] = i % 2 ? '1' : ',';
	}
	CHECK(!api_answer_is_list((struct text){ body, LEN }, &room),
		"one of too many values is refused");
}

#define ROW "{\"id\":\"order_1\",\"status\":\"Completed\"}"
#define DEEP                                                                                       \
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[" \
	"[[[["                                                                                     \
	"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" \
	"]]]]"

/* One row between two good ones, and what is made of it: "unusable …", or id, status and columns.
 */
static const struct {
	const char *promise, *row, *wanted;
} rows[] = {
	{ "a row is a fact",
		"{\"id\":\"order_2\",\"status\":\"completed\",\"createdAt\":\"2024-01-15T10:00:"
		"00Z\","
		"\"customerData\":{\"email\":\"c@example.com\",\"firstName\":\"J\",\"lastName\":"
		"\"D\"},"
		"\"cart\":{\"itemCount\":2,\"total\":59.98,\"currency\":\"USD\"}}",
		"order_2 completed created_at=2024-01-15T10:00:00.000000Z "
		"customer_email=c@example.com customer_first_name=J customer_last_name=D "
		"currency=USD total=59.98 item_count=2" },
	{ "an id may be a whole number", "{\"id\":5,\"status\":\"paid\"}", "5 paid " },
	{ "a status that is none is a fault", "{\"id\":\"a\",\"status\":5}",
		"a - faults={status}" },
	{ "an odd amount costs itself", "{\"id\":\"a\",\"cart\":{\"total\":1e400}}",
		"a - faults={total}" },
	{ "half a character in a name costs the name",
		"{\"id\":\"a\",\"customerData\":{\"email\":\"x\",\"firstName\":\"\\ud83d\"}}",
		"a - customer_email=x faults={customer_first_name}" },
	{ "brackets and quotes in a name end nothing",
		"{\"id\":\"a\",\"customerData\":{\"email\":\"]}\\\"],[\\\\\"}}",
		"a - customer_email=]}\"],[\\" },
	{ "the second form's names mean nothing", "{\"id\":\"a\",\"amount\":5}", "a - " },
	{ "one of no id", "{\"status\":\"paid\"}", "unusable no_order_id" },
	{ "one whose id is null", "{\"id\":null}", "unusable no_order_id" },
	{ "one of an odd id", "{\"id\":\"a/b\"}", "unusable bad_order_id" },
	{ "one whose id is 1.0", "{\"id\":1.0}", "unusable bad_order_id" },
	{ "one with a name twice", "{\"id\":\"a\",\"id\":\"a\"}", "unusable bad_json" },
	{ "one that is too deep", "{\"id\":\"a\",\"x\":" DEEP "}", "unusable too_deep" },
	{ "one with a number that is none", "{\"id\":\"a\",\"x\":01}", "unusable bad_json" },
	{ "one with a bad byte", "{\"id\":\"\xff\"}", "unusable bad_json" },
	{ "one that is null", "null", "unusable no_object" },
	{ "one that is a string", "\"],[\"", "unusable no_object" },
	{ "one that is an array", "[1,2]", "unusable no_object" },
	{ "one that is a word", "nought", "unusable bad_json" },
	{ "two without a comma", "{} {}", "unusable bad_json" },
};

static void say_row(const struct fact *fact, char out[SAY_MAX])
{
	char details[SAY_MAX];

	say_details(&fact->details, details);
	if (fact->unusable) {
		snprintf(out, SAY_MAX, "unusable %s", fact->unusable);
	} else {
		snprintf(out, SAY_MAX, "%.128s %.255s %.7000s", fact->order_id,
			fact->has_status ? fact->status : "-", details);
	}
}

static void check_rows(void)
{
	static char body[SAY_MAX], got[SAY_MAX];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct api_answer_page page;
		struct fact fact;

		snprintf(body, sizeof(body),
			"{\"orders\":[" ROW ", %s\t," ROW "],\"success\":true}", rows[i].row);
		bool read = api_answer_read_page(text_of(body), &room, &page);
		read = read && api_answer_next_row(&page, &room, &fact) && !fact.unusable &&
		       strcmp(fact.order_id, "order_1") == 0 && page.row == 1;
		CHECK(read, "rows: %s: the row before it is read", rows[i].promise);
		read = read && api_answer_next_row(&page, &room, &fact) && page.row == 2;
		say_row(&fact, got);
		CHECK(read && strcmp(got, rows[i].wanted) == 0 &&
				text_equal(fact.body, text_of(rows[i].row)),
			"rows: %s (%s)", rows[i].promise, got);
		read = read && api_answer_next_row(&page, &room, &fact) && page.row == 3;
		CHECK(read && !fact.unusable && strcmp(fact.status, "completed") == 0,
			"rows: %s: the row behind it is read", rows[i].promise);
		CHECK(!api_answer_next_row(&page, &room, &fact) && page.row == 3,
			"rows: %s: there is no other", rows[i].promise);
	}
}

#define FRAME(frame) "{\"orders\":[" ROW "]" frame "}"

/* success total limit offset hasMore, "-" where unknown; NULL: no page. */
static const struct {
	const char *promise, *body, *wanted;
} pages[] = {
	{ "a page has a frame",
		FRAME(",\"success\":true,\"pagination\":{\"total\":150,\"limit\":20,"
		      "\"offset\":40,\"hasMore\":true}"),
		"1 150 20 40 1" },
	{ "the frame may come first",
		"{\"pagination\":{\"total\":1,\"hasMore\":false},\"success\":true,\"orders\":[" ROW
		"]}",
		"1 1 - - 0" },
	{ "a page without a frame is one", FRAME(""), "0 - - - -" },
	{ "success false is not success", FRAME(",\"success\":false"), "0 - - - -" },
	{ "success as a word is not success", FRAME(",\"success\":\"true\""), "0 - - - -" },
	{ "a total as text is unknown", FRAME(",\"pagination\":{\"total\":\"150\"}"), "0 - - - -" },
	{ "a total of null is unknown", FRAME(",\"pagination\":{\"total\":null}"), "0 - - - -" },
	{ "a total below nothing is unknown", FRAME(",\"pagination\":{\"total\":-1}"),
		"0 - - - -" },
	{ "a total with a fraction is unknown", FRAME(",\"pagination\":{\"total\":1.5}"),
		"0 - - - -" },
	{ "a total with a fraction of nothing is known", FRAME(",\"pagination\":{\"total\":15e1}"),
		"0 150 - - -" },
	{ "a total of 16 digits is unknown", FRAME(",\"pagination\":{\"total\":1234567890123456}"),
		"0 - - - -" },
	{ "hasMore as text is unknown", FRAME(",\"pagination\":{\"hasMore\":\"true\"}"),
		"0 - - - -" },
	{ "a pagination that is none is unknown", FRAME(",\"pagination\":[1]"), "0 - - - -" },
	{ "a byte order mark is passed over", "\xEF\xBB\xBF" FRAME(""), "0 - - - -" },
	{ "half a character outside of the rows does no harm", FRAME(",\"note\":\"\\ud83d\""),
		"0 - - - -" },
	{ "nothing is no page", "", NULL },
	{ "an array is no page", "[" ROW "]", NULL },
	{ "orders have to be there", "{\"success\":true}", NULL },
	{ "orders that are null are none", "{\"orders\":null}", NULL },
	{ "orders in an object are none", "{\"orders\":{\"a\":" ROW "}}", NULL },
	{ "a page cut short is none", "{\"orders\":[" ROW ",", NULL },
	{ "a page cut inside of a row is none", "{\"orders\":[{\"id\":\"a", NULL },
	{ "a row that is not there is no row", "{\"orders\":[" ROW ",]}", NULL },
	{ "two commas have no row between them", "{\"orders\":[" ROW ",," ROW "]}", NULL },
	{ "bytes behind it make it none", FRAME("") "x", NULL },
	{ "a name twice in the frame", FRAME(",\"orders\":[]"), NULL },
	{ "a bad byte in the frame", FRAME(",\"note\":\"\xff\""), NULL },
	{ "HTML is no page", "<html>", NULL },
};

static void say_count(struct fact_integer count, char *out)
{
	size_t len = strlen(out);

	if (count.known) {
		snprintf(out + len, SAY_MAX - len, " %lld", (long long)count.value);
	} else {
		snprintf(out + len, SAY_MAX - len, " -");
	}
}

static void check_pages(void)
{
	for (size_t i = 0; i < COUNT(pages); i++) {
		struct api_answer_page page;
		char got[SAY_MAX] = "no page";

		if (api_answer_read_page(text_of(pages[i].body), &room, &page)) {
			snprintf(got, sizeof(got), "%d", page.success);
			say_count(page.total, got);
			say_count(page.limit, got);
			say_count(page.offset, got);
			say_count((struct fact_integer){ page.has_more_known, page.has_more }, got);
		}
		CHECK(strcmp(got, pages[i].wanted ? pages[i].wanted : "no page") == 0,
			"page: %s (%s)", pages[i].promise, got);
	}
}

static void check_orders(void)
{
	static const struct {
		const char *promise, *body, *wanted; /* NULL: it is none */
	} cases[] = {
		{ "an order with details is a fact",
			"{\"success\":true,\"order\":{\"id\":\"order_1\",\"status\":\"completed\","
			"\"cart\":{\"items\":[{\"productId\":\"p\",\"quantity\":2,\"price\":29.99,"
			"\"total\":59.98}],\"subtotal\":59.98,\"total\":59.98,\"currency\":\"USD\"}"
			","
			"\"payment\":{\"method\":\"crypto\",\"transactionId\":\"tx\",\"amount\":59."
			"98,"
			"\"status\":\"confirmed\"}}}",
			"order_1 completed currency=USD subtotal=59.98 total=59.98 item_count=2 "
			"items=[{\"product_id\":\"p\",\"quantity\":2,\"price\":29.99,\"total\":59."
			"98}] "
			"payment_method=crypto payment_transaction_id=tx payment_amount=59.98 "
			"payment_status=confirmed" },
		{ "a cancelled order is a fact",
			"{\"success\":true,\"message\":\"m\",\"order\":{\"id\":\"order_1\","
			"\"status\":\"cancelled\",\"cancelledAt\":\"2024-01-15T10:10:00Z\","
			"\"cancellationReason\":\"Customer request\"}}",
			"order_1 cancelled cancelled_at=2024-01-15T10:10:00.000000Z "
			"cancellation_reason=Customer request" },
		{ "one with a NUL in a name is a fact",
			"{\"success\":true,\"order\":{\"id\":\"order_1\",\"customerData\":"
			"{\"email\":\"\\u0000\"}}}",
			"order_1 - faults={customer_email}" },
		{ "another order is none", "{\"success\":true,\"order\":{\"id\":\"order_2\"}}",
			NULL },
		{ "another case is another order",
			"{\"success\":true,\"order\":{\"id\":\"ORDER_1\"}}", NULL },
		{ "a longer id is another order",
			"{\"success\":true,\"order\":{\"id\":\"order_12\"}}", NULL },
		{ "no success is no order", "{\"success\":false,\"order\":{\"id\":\"order_1\"}}",
			NULL },
		{ "nothing is none", "", NULL },
		{ "one of an odd id is none", "{\"success\":true,\"order\":{\"id\":\"a b\"}}",
			NULL },
		{ "one without an id is none", "{\"success\":true,\"order\":{}}", NULL },
		{ "success has to be said", "{\"order\":{\"id\":\"order_1\"}}", NULL },
		{ "an order is an object", "{\"success\":true,\"order\":[]}", NULL },
		{ "one that is no JSON is none", "{\"success\":true,\"order\":{\"id\":\"order_1\"}",
			NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char got[SAY_MAX] = "none";
		struct fact fact;

		if (api_answer_read_order(text_of(cases[i].body), TEXT("order_1"), TEXT("lookup"),
			    &room, &fact)) {
			say_row(&fact, got);
		}
		CHECK(strcmp(got, cases[i].wanted ? cases[i].wanted : "none") == 0,
			"order: %s (%s)", cases[i].promise, got);
	}
}

/* As PostgreSQL has it: select sha256('list:{"id":"order_1","status":"Completed"}'). */
static void check_key(void)
{
	static const char wanted[] =
		"061aaedc9e3cdc8a25cf3861bead42d377218a55e64f058dd20fe94464e94740";
	char hex[2 * FACT_KEY_BYTES + 1] = "";
	struct api_answer_page page;
	struct fact fact;

	if (api_answer_read_page(TEXT("{\"orders\":[ " ROW " ]}"), &room, &page) &&
		api_answer_next_row(&page, &room, &fact)) {
		text_to_hex(fact.key, sizeof(fact.key), hex);
	}
	CHECK(strcmp(hex, wanted) == 0, "the key of a row is that of its source and text (%s)",
		hex);
}

int main(void)
{
	room.size = json_room_size(8 * 1024 * 1024);
	room.memory = malloc(room.size);
	if (!CHECK(room.memory != NULL, "there is memory for the room")) {
		return check_done();
	}
	check_shapes();
	check_pages();
	check_rows();
	check_orders();
	check_key();
	check_errors();
	check_long_error();
	check_limits();
	check_times();
	check_bounds();
	free(room.memory);
	return check_done();
}
