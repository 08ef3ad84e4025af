#include "http/answer.h"

#include <locale.h>
#include <stdlib.h>

#include "check.h"

enum { NOW_US_PARTS = 1000000 };

/* Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110, and a fraction that no header shows. */
static const int64_t now_us = INT64_C(784111777) * NOW_US_PARTS + 250000;

static const struct {
	const char *promise;
	struct answer answer;
	size_t body_len;
	bool keep_alive;
	const char *expected;
} heads[] = {
	{ "a good answer is JSON and keeps the connection", { .status = 200 }, 16, true,
		"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/json\r\nContent-Length: 16\r\n"
		"Connection: keep-alive\r\n\r\n" },
	{ "a last answer says so", { .status = 400 }, 0, false,
		"HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/json\r\nContent-Length: 0\r\nConnection: "
		"close\r\n\r\n" },
	{ "405 names the methods", { .status = 405, .allow = "GET, HEAD" }, 1, true,
		"HTTP/1.1 405 Method Not Allowed\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/json\r\nContent-Length: 1\r\n"
		"Connection: keep-alive\r\nAllow: GET, HEAD\r\n\r\n" },
	{ "503 says when to come again", { .status = 503, .retry_after_s = 300 }, 1, true,
		"HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/json\r\nContent-Length: 1\r\n"
		"Connection: keep-alive\r\nRetry-After: 300\r\n\r\n" },
	{ "a second is a time to wait, too", { .status = 503, .retry_after_s = 1 }, 1, true,
		"HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/json\r\nContent-Length: 1\r\n"
		"Connection: keep-alive\r\nRetry-After: 1\r\n\r\n" },
	{ "another type is said", { .status = 200, .content_type = "text/plain; charset=utf-8" },
		123456789, true,
		"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 123456789\r\n"
		"Connection: keep-alive\r\n\r\n" },
	{ "a status without a name is a status", { .status = 299 }, 0, true,
		"HTTP/1.1 299 \r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/json\r\nContent-Length: 0\r\n"
		"Connection: keep-alive\r\n\r\n" },
};

static void check_heads(void)
{
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char out[ANSWER_HEAD_MAX];
		size_t len = answer_head(
			&heads[i].answer, heads[i].body_len, heads[i].keep_alive, now_us, out);
		struct text got = { out, len };

		CHECK(text_equal(got, text_of(heads[i].expected)), "%s (%.*s)", heads[i].promise,
			(int)len, out);
	}
}

/* Everything the program ever answers with, and two it never does. */
static const unsigned statuses[] = { 400, 401, 404, 405, 408, 411, 413, 414, 431, 500, 501, 503,
	505, 418, 599 };

static void check_errors(void)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		char out[ANSWER_ERROR_MAX], code[32];
		size_t len = answer_error(statuses[i], now_us, "0badcafe-2a", out);

		CHECK(len <= ANSWER_ERROR_MAX, "the body of %u is short (%zu)", statuses[i], len);
		CHECK(strncmp(out, "{\"success\":false,\"error\":\"", 26) == 0 && out[26] != '"',
			"the body of %u says what is wrong", statuses[i]);
		snprintf(code, sizeof(code), "\"code\":\"ORDERD_%u\"", statuses[i]);
		CHECK(strstr(out, code) != NULL, "the body of %u has its code", statuses[i]);
		CHECK(strstr(out, "\"timestamp\":\"1994-11-06T08:49:37.250000Z\"") &&
				strstr(out, "\"requestId\":\"0badcafe-2a\"}"),
			"the body of %u has time and id (%s)", statuses[i], out);
	}
}

static void check_sameness(void)
{
	char one[ANSWER_ERROR_MAX], two[ANSWER_ERROR_MAX];
	size_t one_len = answer_error(401, now_us, "a", one);
	size_t two_len = answer_error(401, now_us, "a", two);

	CHECK(one_len == two_len && memcmp(one, two, one_len) == 0, "one 401 is like another");
}

/* The first and last seconds there are, and a leap day. */
static const struct {
	int64_t seconds;
	const char *expected;
} dates[] = {
	{ 0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" },
	{ 951782400, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n" },
	{ 4102444799, "Date: Thu, 31 Dec 2099 23:59:59 GMT\r\n" },
};

static void check_dates(void)
{
	static const struct answer answer = { .status = 200 };

	/* Names of days and months are those of HTTP wherever we run. */
	setlocale(LC_ALL, "");
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		char out[ANSWER_HEAD_MAX];

		answer_head(&answer, 0, true, dates[i].seconds * NOW_US_PARTS, out);
		CHECK(strstr(out, dates[i].expected) != NULL, "second %lld is dated",
			(long long)dates[i].seconds);
	}
}

int main(void)
{
	check_heads();
	check_errors();
	check_sameness();
	check_dates();
	return check_done();
}
