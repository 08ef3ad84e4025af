/* head.h - read a request line and header fields; the same machine reads a trailer and drops it.
 *
 * Pure and bytewise: it says what the bytes are, http.h what they mean.
 */
#pragma once

#include "http/grammar.h"

/* A place in the bytes of the head. */
struct span {
	uint16_t at;
	uint16_t len;
};

struct head_field {
	struct span name;
	struct span value; /* with the white space around it */
};

/* The head as it came, and where its parts are. */
struct head {
	size_t len;
	size_t room;
	size_t field_count;
	struct span method;
	struct span target;
	struct span path; /* the target up to "?", without what an absolute form has before it */
	struct span authority; /* len 0: the target is in another form than the absolute */
	struct head_field fields[HTTP_FIELDS_MAX];
	char bytes[];
};

/* Zeroed for a new request. */
struct head_reader {
	struct head *head; /* owned; NULL until the first byte; free() */
	uint16_t trailer_len;
	uint8_t state; /* enum in head.c */
	uint8_t version_len;
	bool line_skipped;
	bool minor_0; /* HTTP/1.0 */
	bool in_trailer;
};

enum head_step { HEAD_MORE, HEAD_WHOLE, HEAD_REFUSED };

enum head_step head_take(struct head_reader *reader, unsigned char byte, struct refusal *refusal);

/* After the last chunk: the bytes that come are fields to drop, up to an empty line. */
void head_begin_trailer(struct head_reader *reader);

static inline struct text head_text(const struct head *head, struct span span)
{
	return (struct text){ head->bytes + span.at, span.len };
}
