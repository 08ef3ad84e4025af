#include "http/request.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/memory.h"
#include "http/chunk.h"
#include "http/head.h"

enum {
	BODY_ROOM_FIRST = 4096, /* bytes */
	PORT_DIGITS_MAX = 5,
};

enum state {
	IN_HEAD,
	AT_BODY, /* the head is whole and has been reported */
	IN_BODY,
	IN_SIZE_LINE,
	IN_CHUNK,
	AT_CHUNK_CR,
	AT_CHUNK_LF,
	IN_TRAILER,
	AT_WHOLE,
	AT_REFUSED,
};

struct request_reader {
	size_t body_max;
	struct head_reader head;
	struct chunk_line line;
	char *body; /* owned; NULL before the first byte of it */
	size_t body_len;
	size_t body_room;
	uint64_t body_left; /* still to come: of the body, or of this chunk */
	struct refusal refusal;
	uint8_t state; /* enum state */
	bool chunked;
	bool keep_alive;
	bool expects_continue;
};

struct request_reader *request_reader_new(size_t body_max)
{
	struct request_reader *reader = memory_new(sizeof(*reader));

	reader->body_max = body_max;
	return reader;
}

void request_reader_free(struct request_reader *reader)
{
	if (reader) {
		request_reader_reset(reader);
		free(reader);
	}
}

void request_reader_reset(struct request_reader *reader)
{
	free(reader->head.head);
	free(reader->body);
	*reader = (struct request_reader){ .body_max = reader->body_max };
}

static bool no(struct request_reader *reader, uint16_t status, const char *reason)
{
	return grammar_refuse(&reader->refusal, status, reason);
}

struct text request_field(const struct request_reader *reader, struct text name, size_t *ret_count)
{
	const struct head *head = reader->head.head;
	struct text first = { "", 0 };
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		if (!text_equal_nocase(head_text(head, head->fields[i].name), name)) {
			continue;
		}
		if (count++ == 0) {
			first = text_trim(head_text(head, head->fields[i].value));
		}
	}
	if (ret_count) {
		*ret_count = count;
	}
	return first;
}

/* A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. What else the grammar
 * allows in a registered name, commas for one, is in no name of a host. */
static bool host_well_formed(struct text host)
{
	struct text name, port;
	struct address address;

	if (!address_split(host, &name, &port) || port.len > PORT_DIGITS_MAX ||
		(port.len > 0 && !grammar_all(port, GRAMMAR_DIGIT))) {
		return false;
	}
	if (text_has_prefix(host, TEXT("["))) {
		return address_read_host(name, 0, &address) && address.any.sa_family == AF_INET6;
	}
	return grammar_all(name, GRAMMAR_HOST);
}

static bool check_host(struct request_reader *reader)
{
	const struct head *head = reader->head.head;
	struct text authority = head_text(head, head->authority);
	size_t count;
	struct text host = request_field(reader, TEXT("Host"), &count);

	if (count > 1) {
		return no(reader, 400, "repeated_host");
	}
	if (count == 0 && !reader->head.minor_0) {
		return no(reader, 400, "no_host");
	}
	if (count == 1 && !host_well_formed(host)) {
		return no(reader, 400, "host");
	}
	if (authority.len > 0 && !text_equal_nocase(authority, host)) {
		return no(reader, 400, "target_is_not_host");
	}
	return true;
}

/* One element of a comma-separated list. */
static bool list_next(struct text *rest, struct text *ret_element)
{
	struct text part;

	if (!text_next(rest, ',', &part)) {
		return false;
	}
	*ret_element = text_trim(part);
	return true;
}

/* Exactly "chunked". A list with another coding in it asks for what we do not do: 501. */
static bool check_coding(struct request_reader *reader, struct text value)
{
	struct text rest = value, coding;

	if (text_equal_nocase(value, TEXT("chunked"))) {
		reader->chunked = true;
		return true;
	}
	if (value.len == 0 || value.ptr[value.len - 1] == ',') {
		return no(reader, 400, "transfer_encoding");
	}
	while (list_next(&rest, &coding)) {
		if (!grammar_all(coding, GRAMMAR_TOKEN)) {
			return no(reader, 400, "transfer_encoding");
		}
	}
	return no(reader, 501, "transfer_encoding");
}

/* Digits and nothing else; a number too large for any type is a length too large. */
static bool check_length(struct request_reader *reader, struct text value)
{
	uint64_t length;

	if (!grammar_all(value, GRAMMAR_DIGIT)) {
		return no(reader, 400, "content_length");
	}
	reader->body_left = text_to_u64(value, &length) ? length : UINT64_MAX;
	return true;
}

/* Where a body ends must have one answer (RFC 9112 6.3). */
static bool check_framing(struct request_reader *reader)
{
	size_t coding_count, length_count;
	struct text coding = request_field(reader, TEXT("Transfer-Encoding"), &coding_count);
	struct text length = request_field(reader, TEXT("Content-Length"), &length_count);

	if (coding_count > 0 && length_count > 0) {
		return no(reader, 400, "length_and_transfer_encoding");
	}
	if (coding_count > 1) {
		return no(reader, 400, "repeated_transfer_encoding");
	}
	if (length_count > 1) {
		return no(reader, 400, "repeated_content_length");
	}
	if (length_count == 1) {
		return check_length(reader, length);
	}
	if (coding_count == 1 && reader->head.minor_0) {
		return no(reader, 400, "transfer_encoding_in_1_0");
	}
	if (coding_count == 1) {
		return check_coding(reader, coding);
	}
	if (text_equal(request_method(reader), TEXT("POST"))) {
		return no(reader, 411, "no_length");
	}
	return true;
}

/* "close" in any Connection field wins. */
static void note_connection(struct request_reader *reader)
{
	const struct head *head = reader->head.head;
	bool close_asked = false, keep_asked = false;

	for (size_t i = 0; i < head->field_count; i++) {
		struct text rest = head_text(head, head->fields[i].value), option;

		if (!text_equal_nocase(head_text(head, head->fields[i].name), TEXT("Connection"))) {
			continue;
		}
		while (list_next(&rest, &option)) {
			close_asked |= text_equal_nocase(option, TEXT("close"));
			keep_asked |= text_equal_nocase(option, TEXT("keep-alive"));
		}
	}
	reader->keep_alive = !close_asked && (keep_asked || !reader->head.minor_0);
}

static void note_expectation(struct request_reader *reader)
{
	struct text expect = request_field(reader, TEXT("Expect"), NULL);

	reader->expects_continue = !reader->head.minor_0 && request_has_body(reader) &&
				   text_equal_nocase(expect, TEXT("100-continue"));
}

static bool finish_head(struct request_reader *reader)
{
	if (!check_host(reader) || !check_framing(reader)) {
		return false;
	}
	note_connection(reader);
	note_expectation(reader);
	reader->state = AT_BODY;
	return true;
}

static bool take_head(struct request_reader *reader, unsigned char byte)
{
	enum head_step step = head_take(&reader->head, byte, &reader->refusal);

	if (step == HEAD_WHOLE) {
		return finish_head(reader);
	}
	return step == HEAD_MORE;
}

/* The size is judged only here, after the caller has seen the head: a wrong path or method is
 * answered as such. */
static bool begin_body(struct request_reader *reader)
{
	if (reader->chunked) {
		reader->state = IN_SIZE_LINE;
	} else if (reader->body_left > reader->body_max) {
		return no(reader, 413, "body_too_large");
	} else {
		reader->state = reader->body_left > 0 ? IN_BODY : AT_WHOLE;
	}
	return true;
}

/* Room for what has arrived, doubled; never for what was only announced. */
static bool make_body_room(struct request_reader *reader, size_t more)
{
	size_t most =
		reader->chunked ? reader->body_max : reader->body_len + (size_t)reader->body_left;
	size_t need = reader->body_len + more; /* at most body_max, of which most is no more */
	size_t room = reader->body_room ? reader->body_room : BODY_ROOM_FIRST;
	char *body;

	if (need <= reader->body_room) {
		return true;
	}
	while (room < need) {
		room = room > most / 2 ? most : room * 2;
	}
	room = room > most ? most : room;
	body = realloc(reader->body, room);
	if (!body) {
		return no(reader, 503, "no_memory");
	}
	reader->body = body;
	reader->body_room = room;
	return true;
}

/* As much of a body or chunk as there is in bytes. */
static bool take_body(struct request_reader *reader, struct text bytes, size_t *used)
{
	size_t len = bytes.len - *used;

	if (len > reader->body_left) {
		len = (size_t)reader->body_left;
	}
	if (!make_body_room(reader, len)) {
		return false;
	}
	memcpy(reader->body + reader->body_len, bytes.ptr + *used, len);
	*used += len;
	reader->body_len += len;
	reader->body_left -= len;
	if (reader->body_left == 0) {
		reader->state = reader->chunked ? AT_CHUNK_CR : AT_WHOLE;
	}
	return true;
}

static bool take_size_line(struct request_reader *reader, unsigned char byte)
{
	enum chunk_step step = chunk_line_take(&reader->line, byte, &reader->refusal);

	if (step == CHUNK_SIZED && reader->line.size > reader->body_max - reader->body_len) {
		return no(reader, 413, "body_too_large");
	}
	if (step == CHUNK_WHOLE && reader->line.size > 0) {
		reader->body_left = reader->line.size;
		reader->state = IN_CHUNK;
	} else if (step == CHUNK_WHOLE) {
		head_begin_trailer(&reader->head);
		reader->state = IN_TRAILER;
	}
	return step != CHUNK_REFUSED;
}

static bool at_chunk_cr(struct request_reader *reader, unsigned char byte)
{
	if (byte != '\r') {
		return grammar_refuse_byte(&reader->refusal, byte, "chunk_end");
	}
	reader->state = AT_CHUNK_LF;
	return true;
}

static bool at_chunk_lf(struct request_reader *reader, unsigned char byte)
{
	if (byte != '\n') {
		return no(reader, 400, "bare_cr");
	}
	reader->state = IN_SIZE_LINE;
	return true;
}

static bool take_trailer(struct request_reader *reader, unsigned char byte)
{
	enum head_step step = head_take(&reader->head, byte, &reader->refusal);

	if (step == HEAD_WHOLE) {
		reader->state = AT_WHOLE;
	}
	return step != HEAD_REFUSED;
}

static bool (*const on_byte[])(struct request_reader *reader, unsigned char byte) = {
	[IN_HEAD] = take_head,
	[IN_SIZE_LINE] = take_size_line,
	[AT_CHUNK_CR] = at_chunk_cr,
	[AT_CHUNK_LF] = at_chunk_lf,
	[IN_TRAILER] = take_trailer,
};

static bool take(struct request_reader *reader, struct text bytes, size_t *used)
{
	if (reader->state == IN_BODY || reader->state == IN_CHUNK) {
		return take_body(reader, bytes, used);
	}
	return on_byte[reader->state](reader, (unsigned char)bytes.ptr[(*used)++]);
}

enum request_step request_read(struct request_reader *reader, struct text bytes, size_t *ret_used)
{
	size_t used = 0;

	if (reader->state == AT_BODY && !begin_body(reader)) {
		reader->state = AT_REFUSED;
	}
	while (used < bytes.len && reader->state != AT_BODY && reader->state < AT_WHOLE) {
		if (!take(reader, bytes, &used)) {
			reader->state = AT_REFUSED;
		}
	}
	*ret_used = used;
	if (reader->state == AT_BODY) {
		return REQUEST_HEAD;
	}
	if (reader->state < AT_WHOLE) {
		return REQUEST_MORE;
	}
	return reader->state == AT_WHOLE ? REQUEST_WHOLE : REQUEST_REFUSED;
}

unsigned request_refusal(const struct request_reader *reader)
{
	return reader->refusal.status;
}

const char *request_refusal_reason(const struct request_reader *reader)
{
	return reader->refusal.reason;
}

bool request_reading(const struct request_reader *reader)
{
	return reader->head.head && reader->state < AT_WHOLE;
}

bool request_reading_body(const struct request_reader *reader)
{
	return reader->state >= AT_BODY && reader->state < AT_WHOLE;
}

struct text request_method(const struct request_reader *reader)
{
	return head_text(reader->head.head, reader->head.head->method);
}

struct text request_path(const struct request_reader *reader)
{
	return head_text(reader->head.head, reader->head.head->path);
}

bool request_keep_alive(const struct request_reader *reader)
{
	return reader->keep_alive;
}

bool request_expects_continue(const struct request_reader *reader)
{
	return reader->expects_continue;
}

bool request_has_body(const struct request_reader *reader)
{
	return reader->chunked || reader->body_left > 0 || reader->body_len > 0;
}

struct text request_body(const struct request_reader *reader)
{
	return (struct text){ reader->body ? reader->body : "", reader->body_len };
}
