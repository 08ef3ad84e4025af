/* http.h - read HTTP/1.0 and HTTP/1.1 requests: bytes in, a request or a refusal out.
 *
 * Pure: no socket, no clock, no log. Strict wherever RFC 9112 lets a server be strict, because what
 * two readers understand differently is how requests are smuggled. Incremental: any split of the
 * same bytes gives the same result. The limits, HTTP_..._MAX, are those of grammar.h.
 */
#pragma once

#include "io/grammar.h"

enum http_step {
	HTTP_MORE,    /* everything given was consumed, more is needed */
	HTTP_HEAD,    /* the header section is complete: look at it, then go on or give up */
	HTTP_REQUEST, /* the request is whole */
	HTTP_REFUSED, /* malformed or over a limit: answer http_refusal(), then close */
};

struct http_reader; /* heap; its buffers exist only while a request is being read */

struct http_reader *http_reader_new(size_t body_max);
void http_reader_free(struct http_reader *reader);

/* Read on. *ret_used of the bytes were taken (all of them with HTTP_MORE); bytes behind a whole
 * request are left to the caller for the next one. After HTTP_HEAD call again, even with no bytes.
 */
enum http_step http_read(struct http_reader *reader, struct text bytes, size_t *ret_used);

/* Forget this request and its buffers; be ready for the next. */
void http_reader_reset(struct http_reader *reader);

/* Status code of the refusal: 400, 411, 413, 414, 431, 501 or 505, or 503 when there is no memory.
 */
unsigned http_refusal(const struct http_reader *reader);
/* Why, a static snake_case word for the log. */
const char *http_refusal_reason(const struct http_reader *reader);

/* True from the first byte of a request until it is whole: the total deadlines run. */
bool http_reading(const struct http_reader *reader);
bool http_reading_body(const struct http_reader *reader);

/* Valid from HTTP_HEAD until reset; borrowed. */
struct text http_method(const struct http_reader *reader);
struct text http_path(const struct http_reader *reader); /* the target up to "?" */
bool http_keep_alive(const struct http_reader *reader);
bool http_expects_continue(const struct http_reader *reader);
bool http_has_body(const struct http_reader *reader); /* a length above 0, or chunked */

/* The first field of that name (any case), trimmed; *ret_count (may be NULL) says how many there
 * are. */
struct text http_field(const struct http_reader *reader, struct text name, size_t *ret_count);

/* Valid from HTTP_REQUEST until reset; borrowed. */
struct text http_body(const struct http_reader *reader);
