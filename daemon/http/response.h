/* response.h - read an HTTP/1.1 answer as a client must: bytes in, an answer or a reason out.
 *
 * Pure and incremental: any split of the same bytes gives the same result. Strict: where the body
 * ends is said once, by a length or by chunks, and never by the end of the connection, which looks
 * the same when it was cut. Interim answers (1xx) are read and dropped.
 */
#pragma once

#include "base/text.h"

enum {
	RESPONSE_FIELDS_MAX = 128,
	RESPONSE_INTERIM_MAX = 8,    /* 1xx answers before the one that counts */
	RESPONSE_TRAILER_MAX = 8192, /* bytes behind the last chunk, which are dropped */
};

enum response_step {
	RESPONSE_MORE,   /* everything given was consumed, more is needed */
	RESPONSE_WHOLE,  /* the answer is complete; bytes behind it were not taken */
	RESPONSE_BROKEN, /* response_problem() says why; nothing of it can be used */
};

struct response; /* heap */

struct response *response_new(uint16_t head_max, size_t body_max);
void response_free(struct response *response);

/* Forget all, and expect the answer to another request; that to HEAD has no body. */
void response_reset(struct response *response, bool to_head);

/* Not to be called again after RESPONSE_WHOLE or RESPONSE_BROKEN. */
enum response_step response_read(struct response *response, struct text bytes, size_t *ret_used);

bool response_begun(const struct response *response); /* a byte has come */
/* Why it cannot be read, a static snake_case word: of grammar.h, or one that is only here. */
const char *response_problem(const struct response *response);

/* Valid from RESPONSE_WHOLE until reset; borrowed. */
unsigned response_status(const struct response *response); /* 200 to 599 */
bool response_keeps_connection(const struct response *response);
struct text response_body(const struct response *response);
/* The first field of that name, in any case, trimmed; len 0: absent. */
struct text response_field(const struct response *response, struct text name);
