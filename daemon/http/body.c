/* The body of a request or an answer, in one piece of memory. */
#include "http/body.h"

#include <stdlib.h>

enum { ROOM_FIRST = 4096 }; /* bytes */

enum state {
	AT_START,
	IN_LENGTH,
	IN_REST, /* until the connection ends */
	IN_SIZE_LINE,
	IN_CHUNK,
	AT_CHUNK_CR,
	AT_CHUNK_LF,
	IN_TRAILER,
	AT_WHOLE,
};

/* Exactly "chunked". A list with another coding in it asks for what we do not do: 501. */
static bool expect_coding(struct body *body, struct text value, struct refusal *refusal)
{
	struct text rest = value, coding;

	if (text_equal_nocase(value, TEXT("chunked"))) {
		body->end = BODY_CHUNKS;
		return true;
	}
	if (value.len == 0 || value.ptr[value.len - 1] == ',') {
		return grammar_refuse(refusal, 400, "transfer_encoding");
	}
	while (text_next(&rest, ',', &coding)) {
		if (!grammar_all(text_trim(coding), GRAMMAR_TOKEN)) {
			return grammar_refuse(refusal, 400, "transfer_encoding");
		}
	}
	return grammar_refuse(refusal, 501, "transfer_encoding");
}

/* Digits and nothing else; a number too large for any type is a length too large. */
static bool expect_length(struct body *body, struct text value, struct refusal *refusal)
{
	if (!grammar_all(value, GRAMMAR_DIGIT)) {
		return grammar_refuse(refusal, 400, "content_length");
	}
	body->end = BODY_LENGTH;
	if (!text_to_u64(value, &body->left)) {
		body->left = UINT64_MAX;
	}
	return true;
}

/* Where a body ends must have one answer (RFC 9112 6.3). */
bool body_expect(struct body *body, const struct head *head, struct refusal *refusal)
{
	size_t coding_count, length_count;
	struct text coding = head_find(head, TEXT("Transfer-Encoding"), &coding_count);
	struct text length = head_find(head, TEXT("Content-Length"), &length_count);

	if (coding_count > 0 && length_count > 0) {
		return grammar_refuse(refusal, 400, "length_and_transfer_encoding");
	}
	if (coding_count > 1) {
		return grammar_refuse(refusal, 400, "repeated_transfer_encoding");
	}
	if (length_count > 1) {
		return grammar_refuse(refusal, 400, "repeated_content_length");
	}
	if (coding_count == 1 && head->minor_0) {
		return grammar_refuse(refusal, 400, "transfer_encoding_in_1_0");
	}
	if (coding_count == 1) {
		return expect_coding(body, coding, refusal);
	}
	return length_count == 0 || expect_length(body, length, refusal);
}

/* Judged only here, after a server has seen the head: a wrong path or method is answered as such.
 */
static bool begin(struct body *body, struct refusal *refusal)
{
	if (body->end == BODY_CHUNKS) {
		body->state = IN_SIZE_LINE;
	} else if (body->end == BODY_CLOSE) {
		body->left = (uint64_t)body->max + 1; /* never all of it */
		body->state = IN_REST;
	} else if (body->left > body->max) {
		return grammar_refuse(refusal, 413, "body_too_large");
	} else {
		body->state = body->left > 0 ? IN_LENGTH : AT_WHOLE;
	}
	return true;
}

/* Room for what has arrived, doubled; never for what was only announced. */
static bool make_room(struct body *body, size_t more, struct refusal *refusal)
{
	size_t most = body->end != BODY_LENGTH ? body->max : body->len + (size_t)body->left;
	size_t need = body->len + more; /* at most max, of which most is no more */
	size_t room = body->room ? body->room : ROOM_FIRST;
	char *bytes;

	if (need <= body->room) {
		return true;
	}
	while (room < need) {
		room = room > most / 2 ? most : room * 2;
	}
	room = room > most ? most : room;
	bytes = realloc(body->bytes, room);
	if (!bytes) {
		return grammar_refuse(refusal, 503, "no_memory");
	}
	body->bytes = bytes;
	body->room = room;
	return true;
}

/* As much of a length, a chunk or a rest as there is. */
static bool take_bytes(struct body *body, struct text bytes, size_t *used, struct refusal *refusal)
{
	size_t len = bytes.len - *used;

	if (len > body->left) {
		len = (size_t)body->left;
	}
	if (!make_room(body, len, refusal)) {
		return false;
	}
	memcpy(body->bytes + body->len, bytes.ptr + *used, len);
	*used += len;
	body->len += len;
	body->left -= len;
	if (body->left == 0) {
		body->state = body->state == IN_CHUNK ? AT_CHUNK_CR : AT_WHOLE;
	}
	return true;
}

static bool take_size_line(struct body *body, unsigned char byte, struct refusal *refusal)
{
	switch (chunk_line_take(&body->line, byte, refusal)) {
	case CHUNK_MORE:
		break;
	case CHUNK_SIZED:
		return body->line.size <= body->max - body->len ||
		       grammar_refuse(refusal, 413, "body_too_large");
	case CHUNK_WHOLE:
		body->left = body->line.size;
		body->state = IN_CHUNK;
		if (body->left == 0) {
			head_begin_trailer(&body->trailer);
			body->state = IN_TRAILER;
		}
		break;
	case CHUNK_REFUSED:
		return false;
	}
	return true;
}

static bool take_chunk_end(struct body *body, unsigned char byte, struct refusal *refusal)
{
	if (body->state == AT_CHUNK_LF) {
		body->state = IN_SIZE_LINE;
		return byte == '\n' || grammar_refuse(refusal, 400, "bare_cr");
	}
	body->state = AT_CHUNK_LF;
	return byte == '\r' || grammar_refuse_byte(refusal, byte, "chunk_end");
}

static bool take_trailer(
	struct body *body, struct text bytes, size_t *used, struct refusal *refusal)
{
	enum head_step step = head_read(&body->trailer, bytes, used, refusal);

	if (step == HEAD_WHOLE) {
		body->state = AT_WHOLE;
	}
	return step != HEAD_REFUSED;
}

static bool take(struct body *body, struct text bytes, size_t *used, struct refusal *refusal)
{
	switch ((enum state)body->state) {
	case IN_LENGTH:
	case IN_CHUNK:
		return take_bytes(body, bytes, used, refusal);
	case IN_REST:
		if (bytes.len - *used > body->max - body->len) {
			return grammar_refuse(refusal, 413, "body_too_large");
		}
		return take_bytes(body, bytes, used, refusal);
	case IN_SIZE_LINE:
		return take_size_line(body, (unsigned char)bytes.ptr[(*used)++], refusal);
	case AT_CHUNK_CR:
	case AT_CHUNK_LF:
		return take_chunk_end(body, (unsigned char)bytes.ptr[(*used)++], refusal);
	case IN_TRAILER:
		return take_trailer(body, bytes, used, refusal);
	case AT_START:
	case AT_WHOLE:
		break;
	}
	return true;
}

enum body_step body_read(
	struct body *body, struct text bytes, size_t *used, struct refusal *refusal)
{
	if (body->state == AT_START && !begin(body, refusal)) {
		return BODY_REFUSED;
	}
	while (*used < bytes.len && body->state != AT_WHOLE) {
		if (!take(body, bytes, used, refusal)) {
			return BODY_REFUSED;
		}
	}
	return body->state == AT_WHOLE ? BODY_WHOLE : BODY_MORE;
}
