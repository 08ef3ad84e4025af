#include "io/reply.h"

#include <assert.h>
#include <stdlib.h>

#include "base/die.h"
#include "io/chunk.h"

enum { ROOM_FIRST = 4096 }; /* bytes */

enum state {
	IN_HEAD,
	IN_BODY,
	IN_SIZE_LINE,
	IN_CHUNK,
	AT_CHUNK_CR,
	AT_CHUNK_LF,
	IN_TRAILER,
	AT_WHOLE,
	AT_BROKEN,
};

struct field {
	struct text name; /* in the bytes of the head, like value */
	struct text value;
};

struct bytes {
	char *ptr; /* owned */
	size_t len;
	size_t room;
	size_t max;
};

struct reply {
	struct bytes head;
	struct bytes body;
	struct field fields[REPLY_FIELDS_MAX];
	size_t field_count;
	struct chunk_line line;
	uint64_t left; /* of the body, or of this chunk */
	size_t trailer_len;
	size_t trailer_line_len;
	char trailer_last;
	unsigned interim_count;
	unsigned status;
	const char *problem;
	enum state state;
	bool to_head;
	bool minor_0; /* HTTP/1.0 */
	bool begun;
};

struct reply *reply_new(size_t head_max, size_t body_max)
{
	struct reply *reply = new_or_die(sizeof(*reply));

	reply->head.max = head_max;
	reply->body.max = body_max;
	return reply;
}

void reply_free(struct reply *reply)
{
	if (reply) {
		free(reply->head.ptr);
		free(reply->body.ptr);
		free(reply);
	}
}

void reply_reset(struct reply *reply, bool to_head)
{
	free(reply->head.ptr);
	free(reply->body.ptr);
	*reply = (struct reply){
		.head.max = reply->head.max,
		.body.max = reply->body.max,
		.to_head = to_head,
	};
}

static bool broken(struct reply *reply, const char *problem)
{
	reply->problem = problem;
	return false;
}

/* Room for what has come, doubled; never for what was only announced. The caller has checked that
 * the maximum is kept. */
static bool append(struct reply *reply, struct bytes *bytes, struct text more)
{
	size_t need = bytes->len + more.len;
	size_t room = bytes->room ? bytes->room : ROOM_FIRST;

	assert(need <= bytes->max);
	while (room < need) {
		room *= 2;
	}
	if (room > bytes->room) {
		char *ptr = realloc(bytes->ptr, room);

		if (!ptr) {
			return broken(reply, "sent an answer for which there is no memory");
		}
		bytes->ptr = ptr;
		bytes->room = room;
	}
	memcpy(bytes->ptr + bytes->len, more.ptr, more.len);
	bytes->len = need;
	return true;
}

static bool is_digit(char c)
{
	return grammar_is((unsigned char)c, GRAMMAR_DIGIT);
}

/* "HTTP/1.1 200 Fine". The reason is nobody's, and some leave the space before it out. */
static bool read_status_line(struct reply *reply, struct text line)
{
	const char *c = line.ptr;

	if (line.len < 12 || memcmp(c, "HTTP/1.", 7) != 0 || !is_digit(c[7]) || c[8] != ' ' ||
		!is_digit(c[9]) || !is_digit(c[10]) || !is_digit(c[11]) ||
		(line.len > 12 && c[12] != ' ')) {
		return broken(reply, "sent a status line that is not HTTP/1");
	}
	reply->minor_0 = c[7] == '0';
	reply->status = (unsigned)((c[9] - '0') * 100 + (c[10] - '0') * 10 + (c[11] - '0'));
	if (reply->status < 100 || reply->status > 599 || reply->status == 101) {
		return broken(reply, "sent a status that means nothing here");
	}
	return true;
}

static bool read_field_line(struct reply *reply, struct text line)
{
	struct text value = line;
	struct text name;

	if (!memchr(line.ptr, ':', line.len) || !text_next(&value, ':', &name) ||
		!grammar_all(name, GRAMMAR_TOKEN)) {
		return broken(reply, "sent a line that is no header field");
	}
	if (reply->field_count == REPLY_FIELDS_MAX) {
		return broken(reply, "sent too many header fields");
	}
	reply->fields[reply->field_count++] = (struct field){ name, text_trim(value) };
	return true;
}

static bool take_line(struct reply *reply, struct text line, bool first)
{
	if (line.len > 0 && !grammar_all(line, GRAMMAR_VALUE)) {
		return broken(reply, "sent control characters in its header");
	}
	return first ? read_status_line(reply, line) : read_field_line(reply, line);
}

/* The head ends in an empty line, which is not among these. */
static bool read_lines(struct reply *reply)
{
	struct text rest = { reply->head.ptr, reply->head.len - 2 };
	bool first = true;

	reply->field_count = 0;
	while (rest.len > 0) {
		const char *end = memmem(rest.ptr, rest.len, "\r\n", 2);
		size_t len = (size_t)(end - rest.ptr);

		if (!take_line(reply, (struct text){ rest.ptr, len }, first)) {
			return false;
		}
		first = false;
		rest = (struct text){ end + 2, rest.len - len - 2 };
	}
	return !first || broken(reply, "sent a status line that is not HTTP/1");
}

static size_t find(const struct reply *reply, struct text name, struct text *ret_first)
{
	size_t count = 0;

	for (size_t i = 0; i < reply->field_count; i++) {
		if (text_equal_nocase(reply->fields[i].name, name)) {
			*ret_first = count++ == 0 ? reply->fields[i].value : *ret_first;
		}
	}
	return count;
}

static bool read_framing(struct reply *reply)
{
	struct text length = { "", 0 };
	struct text coding = { "", 0 };
	size_t length_count = find(reply, TEXT("Content-Length"), &length);
	size_t coding_count = find(reply, TEXT("Transfer-Encoding"), &coding);

	if (reply->to_head || reply->status == 204 || reply->status == 304) {
		reply->state = AT_WHOLE;
		return true;
	}
	if (length_count + coding_count != 1) {
		return broken(reply, "sent an answer that does not say once where it ends");
	}
	if (coding_count == 1) {
		reply->state = IN_SIZE_LINE;
		return (!reply->minor_0 && text_equal_nocase(coding, TEXT("chunked"))) ||
		       broken(reply, "sent an answer in a coding that is not chunked");
	}
	if (!text_to_u64(length, &reply->left)) {
		return broken(reply, "sent a length that is no number");
	}
	if (reply->left > reply->body.max) {
		return broken(reply, "sent an answer that is too long");
	}
	reply->state = reply->left > 0 ? IN_BODY : AT_WHOLE;
	return true;
}

static bool finish_head(struct reply *reply)
{
	if (!read_lines(reply)) {
		return false;
	}
	if (reply->status >= 200) {
		return read_framing(reply);
	}
	reply->head.len = 0;
	return ++reply->interim_count <= REPLY_INTERIM_MAX ||
	       broken(reply, "sent too many interim answers");
}

/* What is not HTTP is known by its first bytes; it might never send an empty line. */
static bool take_head(struct reply *reply, char byte)
{
	static const char start[] = "HTTP/1.";
	struct bytes *head = &reply->head;

	if (head->len < sizeof(start) - 1 && byte != start[head->len]) {
		return broken(reply, "sent something that is not HTTP/1");
	}
	if (head->len == head->max) {
		return broken(reply, "sent a header that is too long");
	}
	if (!append(reply, head, (struct text){ &byte, 1 })) {
		return false;
	}
	if (head->len < 4 || memcmp(head->ptr + head->len - 4, "\r\n\r\n", 4) != 0) {
		return true;
	}
	return finish_head(reply);
}

/* As much of a body or chunk as there is. */
static bool take_body(struct reply *reply, struct text bytes, size_t *used)
{
	struct text part = { bytes.ptr + *used, bytes.len - *used };

	if (part.len > reply->left) {
		part.len = (size_t)reply->left;
	}
	*used += part.len;
	reply->left -= part.len;
	if (reply->left == 0) {
		reply->state = reply->state == IN_CHUNK ? AT_CHUNK_CR : AT_WHOLE;
	}
	return append(reply, &reply->body, part);
}

static bool take_size_line(struct reply *reply, char byte)
{
	struct refusal refusal = { 0 };

	switch (chunk_line_take(&reply->line, (unsigned char)byte, &refusal)) {
	case CHUNK_MORE:
	case CHUNK_SIZED:
		break;
	case CHUNK_REFUSED:
		return broken(reply, "sent a chunk without a proper size");
	case CHUNK_WHOLE:
		reply->left = reply->line.size;
		reply->state = reply->left > 0 ? IN_CHUNK : IN_TRAILER;
		break;
	}
	return reply->line.size <= reply->body.max - reply->body.len ||
	       broken(reply, "sent an answer that is too long");
}

static bool take_chunk_end(struct reply *reply, char byte)
{
	bool at_cr = reply->state == AT_CHUNK_CR;

	if (byte != (at_cr ? '\r' : '\n')) {
		return broken(reply, "sent a chunk that is longer than it said");
	}
	reply->state = at_cr ? AT_CHUNK_LF : IN_SIZE_LINE;
	return true;
}

/* Lines up to an empty one; only their ends matter. */
static bool take_trailer(struct reply *reply, char byte)
{
	bool after_cr = reply->trailer_last == '\r';

	if (++reply->trailer_len > REPLY_TRAILER_MAX) {
		return broken(reply, "sent a trailer that is too long");
	}
	if ((byte == '\n') != after_cr) {
		return broken(reply, "sent a trailer with bare line ends");
	}
	reply->trailer_last = byte;
	if (byte == '\n') {
		reply->state = reply->trailer_line_len == 0 ? AT_WHOLE : IN_TRAILER;
		reply->trailer_line_len = 0;
	} else if (byte != '\r') {
		reply->trailer_line_len++;
	}
	return true;
}

static bool take(struct reply *reply, struct text bytes, size_t *used)
{
	switch (reply->state) {
	case IN_HEAD:
		return take_head(reply, bytes.ptr[(*used)++]);
	case IN_BODY:
	case IN_CHUNK:
		return take_body(reply, bytes, used);
	case IN_SIZE_LINE:
		return take_size_line(reply, bytes.ptr[(*used)++]);
	case AT_CHUNK_CR:
	case AT_CHUNK_LF:
		return take_chunk_end(reply, bytes.ptr[(*used)++]);
	case IN_TRAILER:
		return take_trailer(reply, bytes.ptr[(*used)++]);
	case AT_WHOLE:
	case AT_BROKEN:
		break;
	}
	die("an answer is read on behind its end");
}

enum reply_step reply_read(struct reply *reply, struct text bytes, size_t *ret_used)
{
	size_t used = 0;

	reply->begun = reply->begun || bytes.len > 0;
	while (used < bytes.len && reply->state < AT_WHOLE) {
		if (!take(reply, bytes, &used)) {
			reply->state = AT_BROKEN;
		}
	}
	*ret_used = used;
	if (reply->state < AT_WHOLE) {
		return REPLY_MORE;
	}
	return reply->state == AT_WHOLE ? REPLY_WHOLE : REPLY_BROKEN;
}

bool reply_begun(const struct reply *reply)
{
	return reply->begun;
}

const char *reply_problem(const struct reply *reply)
{
	return reply->problem ? reply->problem : "";
}

unsigned reply_status(const struct reply *reply)
{
	return reply->status;
}

/* HTTP/1.0 could keep one when it says so; no server of today has to be met half-way. */
bool reply_keeps_connection(const struct reply *reply)
{
	for (size_t i = 0; i < reply->field_count; i++) {
		struct text rest = reply->fields[i].value;
		struct text option;

		if (!text_equal_nocase(reply->fields[i].name, TEXT("Connection"))) {
			continue;
		}
		while (text_next(&rest, ',', &option)) {
			if (text_equal_nocase(text_trim(option), TEXT("close"))) {
				return false;
			}
		}
	}
	return !reply->minor_0;
}

struct text reply_body(const struct reply *reply)
{
	return (struct text){ reply->body.ptr ? reply->body.ptr : "", reply->body.len };
}

struct text reply_field(const struct reply *reply, struct text name)
{
	struct text value = { "", 0 };

	find(reply, name, &value);
	return value;
}
