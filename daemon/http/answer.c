/* The head of an answer, and the body of an error, as they are sent. */
#include "http/answer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/stamp.h"

enum { DATE_MAX = 32 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

static const struct {
	unsigned status;
	const char *reason; /* RFC 9110 15 */
	const char *error;
} words[] = {
	{ 200, "OK", "" },
	{ 400, "Bad Request", "The request is malformed" },
	{ 401, "Unauthorized", "The signature is missing or not valid" },
	{ 404, "Not Found", "There is nothing at this path" },
	{ 405, "Method Not Allowed", "This path does not take this method" },
	{ 408, "Request Timeout", "The request took too long to arrive" },
	{ 411, "Length Required", "The request has a body of unknown length" },
	{ 413, "Content Too Large", "The body is too large" },
	{ 414, "URI Too Long", "The request target is too long" },
	{ 431, "Request Header Fields Too Large", "The header fields are too large" },
	{ 500, "Internal Server Error", "The request could not be handled" },
	{ 501, "Not Implemented", "This transfer coding is not supported" },
	{ 503, "Service Unavailable", "Not now; send the request again later" },
	{ 505, "HTTP Version Not Supported", "This version of HTTP is not supported" },
};

static const char *reason_of(unsigned status)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].status == status) {
			return words[i].reason;
		}
	}
	return "";
}

static const char *error_of(unsigned status)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].status == status) {
			return words[i].error;
		}
	}
	return "The request could not be handled";
}

/* IMF-fixdate of RFC 9110 5.6.7, whatever the locale. */
static void format_date(int64_t now_us, char out[DATE_MAX])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t seconds = now_us / 1000000;
	struct tm tm = { 0 };

	gmtime_r(&seconds, &tm);
	snprintf(out, DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
		months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* What does not fit is our bug: every string in an answer is ours. */
__attribute__((format(printf, 4, 5))) static void put(
	char *out, size_t size, size_t *len, const char *format, ...)
{
	va_list arguments;
	int added;

	va_start(arguments, format);
	added = vsnprintf(out + *len, size - *len, format, arguments);
	va_end(arguments);
	assert(added >= 0 && (size_t)added < size - *len);
	*len += (size_t)added;
}

size_t answer_head(const struct answer *answer, size_t body_len, bool keep_alive, int64_t now_us,
	char out[ANSWER_HEAD_MAX])
{
	const char *type = answer->content_type ? answer->content_type : "application/json";
	char date[DATE_MAX];
	size_t len = 0;

	assert(answer->status >= 200 && answer->status <= 599);
	format_date(now_us, date);
	put(out, ANSWER_HEAD_MAX, &len,
		"HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Connection: %s\r\n",
		answer->status, reason_of(answer->status), date, type, body_len,
		keep_alive ? "keep-alive" : "close");
	if (answer->allow) {
		put(out, ANSWER_HEAD_MAX, &len, "Allow: %s\r\n", answer->allow);
	}
	if (answer->retry_after_s > 0) {
		put(out, ANSWER_HEAD_MAX, &len, "Retry-After: %lld\r\n",
			(long long)answer->retry_after_s);
	}
	put(out, ANSWER_HEAD_MAX, &len, "\r\n");
	return len;
}

size_t answer_error(
	unsigned status, int64_t now_us, const char *request_id, char out[ANSWER_ERROR_MAX])
{
	char stamp[STAMP_TEXT_MAX];
	size_t len = 0;

	stamp_format(now_us, stamp);
	put(out, ANSWER_ERROR_MAX, &len,
		"{\"success\":false,\"error\":\"%s\",\"code\":\"ORDERD_%u\",\"timestamp\":\"%s\","
		"\"requestId\":\"%s\"}",
		error_of(status), status, stamp, request_id);
	return len;
}
