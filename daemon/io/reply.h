/* reply.h - read an HTTP/1.1 answer as a client must: bytes in, an answer or a reason out.
 *
 * Pure and incremental: any split of the same bytes gives the same result. Strict: where the body
 * ends is said once, by a length or by chunks, and never by the end of the connection, which looks
 * the same when it was cut. Interim answers (1xx) are read and dropped.
 */
#pragma once

#include "base/text.h"

enum {
	REPLY_FIELDS_MAX = 128,
	REPLY_INTERIM_MAX = 8,    /* 1xx answers before the one that counts */
	REPLY_TRAILER_MAX = 8192, /* bytes behind the last chunk, which are dropped */
};

enum reply_step {
	REPLY_MORE,   /* everything given was consumed, more is needed */
	REPLY_WHOLE,  /* the answer is complete; bytes behind it were not taken */
	REPLY_BROKEN, /* reply_problem() says why; nothing of it can be used */
};

struct reply; /* heap */

struct reply *reply_new(size_t head_max, size_t body_max);
void reply_free(struct reply *reply);

/* Forget all, and expect the answer to another request; that to HEAD has no body. */
void reply_reset(struct reply *reply, bool to_head);

/* Not to be called again after REPLY_WHOLE or REPLY_BROKEN. */
enum reply_step reply_read(struct reply *reply, struct text bytes, size_t *ret_used);

bool reply_begun(const struct reply *reply);          /* a byte has come */
const char *reply_problem(const struct reply *reply); /* "sent …", static */

/* Valid from REPLY_WHOLE until reset; borrowed. */
unsigned reply_status(const struct reply *reply); /* 200 to 599 */
bool reply_keeps_connection(const struct reply *reply);
struct text reply_body(const struct reply *reply);
/* The first field of that name, in any case, trimmed; len 0: absent. */
struct text reply_field(const struct reply *reply, struct text name);
