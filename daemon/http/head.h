/* head.h - read the head of a request or an answer: its first line and its header fields. The same
 * machine reads a trailer, and drops it.
 *
 * Pure and incremental: it says what the bytes are, request.c and response.c what they mean. Fields
 * are read alike in both directions. These differ: a request may have an empty line before it, an
 * answer begins with "HTTP/1." or not at all; and the trailer of an answer is lines of anything,
 * that of a request fields.
 */
#pragma once

#include "http/grammar.h"

enum { HEAD_FIELDS_MAX = 128 }; /* there is room for; the reader may take fewer */

/* A place in the bytes of the head. */
struct span {
	uint16_t at;
	uint16_t len;
};

/* The value is the rest of the line, with the white space around it. */
struct head_field {
	uint16_t at;
	uint16_t name_len;
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
	uint16_t status;       /* of an answer */
	bool minor_0;          /* HTTP/1.0 */
	struct head_field fields[HEAD_FIELDS_MAX];
	char bytes[];
};

/* Zeroed but for the limits: ready for a request. */
struct head_reader {
	uint16_t bytes_max;  /* 431 */
	uint16_t fields_max; /* 431; not of a trailer */
	bool any_line;       /* is taken for one of a trailer */
	struct head *head;   /* owned; NULL until the first byte, and for a trailer; free() */
	uint16_t trailer_len;
	uint8_t state; /* enum in head.c */
	uint8_t version_len;
	bool line_skipped;
	bool in_trailer;
};

/* Be ready for an answer instead; what was read is forgotten. */
void head_begin_answer(struct head_reader *reader);

/* Or for a trailer, behind the last chunk. */
void head_begin_trailer(struct head_reader *reader);

enum head_step { HEAD_MORE, HEAD_WHOLE, HEAD_REFUSED };

/* From bytes + *used on, which moves behind what was taken: all of them with HEAD_MORE. */
enum head_step head_read(
	struct head_reader *reader, struct text bytes, size_t *used, struct refusal *refusal);

static inline struct text head_text(const struct head *head, struct span span)
{
	return (struct text){ head->bytes + span.at, span.len };
}

/* The first field of that name (any case), trimmed; *ret_count says how many there are. */
struct text head_find(const struct head *head, struct text name, size_t *ret_count);

/* The field of that name which has so many more of it behind it, trimmed. False: there are not so
 * many. */
bool head_find_from_end(
	const struct head *head, struct text name, size_t behind, struct text *ret_value);

/* The next field of that name, trimmed, from *place on, which begins at 0. False: there is none. */
bool head_next(const struct head *head, struct text name, size_t *place, struct text *ret_value);

/* Is the word, in any case, in the comma-separated list of any field of that name? */
bool head_lists(const struct head *head, struct text name, struct text word);
