/* request.h - read HTTP/1.0 and HTTP/1.1 requests: bytes in, a request or a refusal out.
 *
 * Pure: no socket, no clock, no log. Strict wherever RFC 9112 lets a server be strict, because what
 * two readers understand differently is how requests are smuggled. Incremental: any split of the
 * same bytes gives the same result. The limits, HTTP_..._MAX, are those of grammar.h.
 */
#pragma once

#include "http/grammar.h"

struct head;

/* Complete from the end of its head on, but for the body. */
struct http_request {
	struct text method;
	struct text path;        /* the target up to "?" */
	struct text body;        /* what has come of it */
	int64_t arrived_us;      /* wall time it was whole, as whoever asked the clock wrote here */
	const struct head *head; /* for request_field() */
	bool has_body;           /* a length above 0, or chunked */
	bool keep_alive;
	bool expects_continue;
};

/* The first field of that name (any case), trimmed; *ret_count says how many there are. */
struct text request_field(const struct http_request *request, struct text name, size_t *ret_count);

/* The last field of that name, or the one with so many of them behind it. False: there is none. */
bool request_field_from_end(const struct http_request *request, struct text name, size_t behind,
	struct text *ret_value);

enum request_step {
	REQUEST_MORE,    /* everything given was consumed, more is needed */
	REQUEST_HEAD,    /* the header section is complete: look at it, then go on or give up */
	REQUEST_WHOLE,   /* the request is whole */
	REQUEST_REFUSED, /* malformed or over a limit: answer request_refusal(), then close */
};

struct request_reader; /* heap; its buffers exist only while a request is being read */

struct request_reader *request_reader_new(size_t body_max);
void request_reader_free(struct request_reader *reader);

/* Read on. *ret_used of the bytes were taken (all of them with REQUEST_MORE); bytes behind a whole
 * request are left to the caller for the next one. After REQUEST_HEAD call again, even with no
 * bytes.
 */
enum request_step request_read(struct request_reader *reader, struct text bytes, size_t *ret_used);

/* Forget this request and its buffers; be ready for the next. */
void request_reader_reset(struct request_reader *reader);

/* 400, 411, 413, 414, 431, 501 or 505, or 503 when there is no memory. Borrowed until reset. */
const struct refusal *request_refusal(const struct request_reader *reader);

/* True from the first byte of a request until it is whole: the total deadlines run. */
bool request_reading(const struct request_reader *reader);
bool request_reading_body(const struct request_reader *reader);

/* What has been read; borrowed until reset. Before the end of the head there is nothing in it. */
struct http_request *request_of(struct request_reader *reader);
