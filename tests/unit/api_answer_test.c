/* What an answer of the Checkout API has to be before anything is made of it. */
#include "order/api_answer.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "check.h"

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
	{ "an escaped NUL is refused", "{\"success\":true,\"orders\":[{\"id\":\"\\u0000\"}]" PAGE("1"),
		false },
	{ "bytes that are no UTF-8 are refused", "{\"success\":true,\"orders\":[{\"id\":\"\xFF\"}]"
		PAGE("1"), false },
	{ "HTML is no list", "<html><body>maintenance</body></html>", false },
};

static const struct {
	const char *promise;
	const char *body;
	bool order;
} orders[] = {
	{ "the order asked for is taken", "{\"success\":true,\"order\":{\"id\":\"order_1\"}}", true },
	{ "another order is refused", "{\"success\":true,\"order\":{\"id\":\"order_2\"}}", false },
	{ "another case is another order", "{\"success\":true,\"order\":{\"id\":\"ORDER_1\"}}", false },
	{ "a longer id is another order", "{\"success\":true,\"order\":{\"id\":\"order_12\"}}", false },
	{ "an order has an id", "{\"success\":true,\"order\":{}}", false },
	{ "an id is a string", "{\"success\":true,\"order\":{\"id\":1}}", false },
	{ "an order is an object", "{\"success\":true,\"order\":[]}", false },
	{ "no success is no order", "{\"success\":false,\"order\":{\"id\":\"order_1\"}}", false },
	{ "nothing is no order", "", false },
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
		{ "Invalid cart data", "CHECKOUT_001", "cart.items", "At least one item is required",
			"req_1" } },
	{ "the nested shape is read",
		"{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"No such order\",\"details\":"
		"{\"field\":\"orderId\"}},\"requestId\":\"req_2\"}", true,
		{ "No such order", "NOT_FOUND", "orderId", "", "req_2" } },
	{ "what is missing is empty", "{\"error\":\"no\"}", true, { "no", "", "", "", "" } },
	{ "what is of another kind is empty",
		"{\"error\":\"no\",\"code\":404,\"details\":[],\"requestId\":{}}", true,
		{ "no", "", "", "", "" } },
	{ "a nested error may be empty", "{\"error\":{}}", true, { "", "", "", "", "" } },
	{ "an error that is a number is neither shape", "{\"error\":1}", false, { "", "", "", "", "" } },
	{ "an error that is not there is neither shape", "{\"success\":false}", false,
		{ "", "", "", "", "" } },
	{ "HTML is neither shape", "<html>", false, { "", "", "", "", "" } },
	{ "nothing is neither shape", "", false, { "", "", "", "", "" } },
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
	{ "a fraction is unreadable", "1705312830.5", -1 },
	{ "a date is unreadable", "Mon, 15 Jan 2024 10:00:42 GMT", -1 },
	{ "nothing is unreadable", "", -1 },
};
/* clang-format on */

static void check_shapes(void)
{
	for (size_t i = 0; i < COUNT(types); i++) {
		CHECK(api_answer_is_json(text_of(types[i].type)) == types[i].json, "%s",
			types[i].promise);
	}
	for (size_t i = 0; i < COUNT(lists); i++) {
		CHECK(api_answer_is_list(text_of(lists[i].body)) == lists[i].list, "%s",
			lists[i].promise);
	}
	for (size_t i = 0; i < COUNT(orders); i++) {
		CHECK(api_answer_is_order(text_of(orders[i].body), TEXT("order_1")) ==
				orders[i].order,
			"%s", orders[i].promise);
	}
	for (size_t i = 0; i < COUNT(links); i++) {
		CHECK(api_answer_is_link(text_of(links[i].body)) == links[i].link, "%s",
			links[i].promise);
	}
}

static bool same(const struct api_answer_error *a, const struct api_answer_error *b)
{
	return strcmp(a->error, b->error) == 0 && strcmp(a->code, b->code) == 0 &&
	       strcmp(a->field, b->field) == 0 && strcmp(a->message, b->message) == 0 &&
	       strcmp(a->request_id, b->request_id) == 0;
}

static void check_errors(void)
{
	for (size_t i = 0; i < COUNT(errors); i++) {
		struct api_answer_error got = { .error = "" };
		bool found = api_answer_read_error(text_of(errors[i].body), &got);

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
	CHECK(api_answer_read_error(text_of(body), &got) &&
			strlen(got.error) == API_ANSWER_WORD_MAX - 1,
		"a long error is cut between characters (got %zu)", strlen(got.error));
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

static void check_mending(void)
{
	static const struct {
		const char *promise, *body, *mended;
	} cases[] = {
		{ "a NUL", "\"a\\u0000b\"", "\"a\\uFFFDb\"" },
		{ "half a character at the end", "\"a\\ud83d\"", "\"a\\uFFFD\"" },
		{ "half a character before another", "\\uD83d\\u0041", "\\uFFFD\\u0041" },
		{ "a second half alone", "\\udE00\\uD83D\\uDE00", "\\uFFFD\\uD83D\\uDE00" },
		{ "two first halves", "\\ud83d\\ud83d\\ude00", "\\uFFFD\\ud83d\\ude00" },
		{ "a whole character stays", "\\ud83d\\ude00", NULL },
		{ "a backslash that is escaped stays", "\\\\u0000", NULL },
		{ "what is cut short stays", "\\u000", NULL },
		{ "what is no number stays", "\\u00g0\\", NULL },
		{ "nothing stays", "", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text body = text_of(cases[i].body);
		CLEANUP(cleanup_free) char *mended = api_answer_replace_escapes(body);
		struct text got = { mended, body.len };

		CHECK(cases[i].mended ? mended && text_equal(got, text_of(cases[i].mended))
				      : !mended,
			"mended: %s", cases[i].promise);
	}
}

static void check_bounds(void)
{
	enum { LEN = 8 * 1024 * 1024 };
	CLEANUP(cleanup_free) char *body = malloc(LEN);

	if (!CHECK(body != NULL, "there is memory for a large answer")) {
		return;
	}
	memset(body, '[', LEN);
	CHECK(!api_answer_is_list((struct text){ body, LEN }),
		"an answer that is too deep is refused");
	for (size_t i = 1; i < LEN; i++) {
		body[i] = i % 2 ? '1' : ',';
	}
	CHECK(!api_answer_is_list((struct text){ body, LEN }), "one of too many values is refused");
}

int main(void)
{
	check_shapes();
	check_errors();
	check_long_error();
	check_times();
	check_mending();
	check_bounds();
	return check_done();
}
