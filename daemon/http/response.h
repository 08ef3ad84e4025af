/* response.h - read an HTTP/1.1 answer as a client must: bytes in, an answer or a reason out.
 *
 * Pure and incremental: any split of the same bytes gives the same result. Strict: where the body
 * ends is said once, by a length or by chunks, or by nothing but the end of the connection, which
 * may be that of one that was cut. Interim answers (1xx) are read and dropped. Status and fields
 * are valid as soon as the head has been read, whatever becomes of the body.
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

/* The connection has ended. True: the answer is whole by that alone. clean: the peer has said that
 * it ends it. */
bool response_end(const struct response *response, bool clean);

bool response_begun(const struct response *response);    /* a byte has come */
bool response_has_head(const struct response *response); /* even when it is broken later */
/* Its body has no end of its own. Only with a head. */
bool response_ends_with_connection(const struct response *response);
/* Why it cannot be read, a static snake_case word: of grammar.h, or one that is only here. */
const char *response_problem(const struct response *response);

/* Valid from response_has_head() until reset; borrowed. */
unsigned response_status(const struct response *response); /* 200 to 599 */
/* The next field of that name, in any case, trimmed, from *place on, which begins at 0. */
bool response_next_field(
	const struct response *response, struct text name, size_t *place, struct text *ret_value);

/* Valid from RESPONSE_WHOLE, or response_end(), until reset; borrowed. */
bool response_keeps_connection(const struct response *response);
struct text response_body(const struct response *response);
