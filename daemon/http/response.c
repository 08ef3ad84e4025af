#include "http/response.h"

#include <assert.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/memory.h"
#include "http/chunk.h"

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

struct response {
	struct bytes head;
	struct bytes body;
	struct field fields[RESPONSE_FIELDS_MAX];
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

struct response *response_new(size_t head_max, size_t body_max)
{
	struct response *response = memory_new(sizeof(*response));

	response->head.max = head_max;
	response->body.max = body_max;
	return response;
}

void response_free(struct response *response)
{
	if (response) {
		free(response->head.ptr);
		free(response->body.ptr);
		free(response);
	}
}

void response_reset(struct response *response, bool to_head)
{
	free(response->head.ptr);
	free(response->body.ptr);
	*response = (struct response){
		.head.max = response->head.max,
		.body.max = response->body.max,
		.to_head = to_head,
	};
}

static bool broken(struct response *response, const char *problem)
{
	response->problem = problem;
	return false;
}

/* Room for what has come, doubled; never for what was only announced. The caller has checked that
 * the maximum is kept. */
static bool append(struct response *response, struct bytes *bytes, struct text more)
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
			return broken(response, "sent an answer for which there is no memory");
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
static bool read_status_line(struct response *response, struct text line)
{
	const char *c = line.ptr;

	if (line.len < 12 || memcmp(c, "HTTP/1.", 7) != 0 || !is_digit(c[7]) || c[8] != ' ' ||
		!is_digit(c[9]) || !is_digit(c[10]) || !is_digit(c[11]) ||
		(line.len > 12 && c[12] != ' ')) {
		return broken(response, "sent a status line that is not HTTP/1");
	}
	response->minor_0 = c[7] == '0';
	response->status = (unsigned)((c[9] - '0') * 100 + (c[10] - '0') * 10 + (c[11] - '0'));
	if (response->status < 100 || response->status > 599 || response->status == 101) {
		return broken(response, "sent a status that means nothing here");
	}
	return true;
}

static bool read_field_line(struct response *response, struct text line)
{
	struct text value = line;
	struct text name;

	if (!memchr(line.ptr, ':', line.len) || !text_next(&value, ':', &name) ||
		!grammar_all(name, GRAMMAR_TOKEN)) {
		return broken(response, "sent a line that is no header field");
	}
	if (response->field_count == RESPONSE_FIELDS_MAX) {
		return broken(response, "sent too many header fields");
	}
	response->fields[response->field_count++] = (struct field){ name, text_trim(value) };
	return true;
}

static bool take_line(struct response *response, struct text line, bool first)
{
	if (line.len > 0 && !grammar_all(line, GRAMMAR_VALUE)) {
		return broken(response, "sent control characters in its header");
	}
	return first ? read_status_line(response, line) : read_field_line(response, line);
}

/* The head ends in an empty line, which is not among these. */
static bool read_lines(struct response *response)
{
	struct text rest = { response->head.ptr, response->head.len - 2 };
	bool first = true;

	response->field_count = 0;
	while (rest.len > 0) {
		const char *end = memmem(rest.ptr, rest.len, "\r\n", 2);
		size_t len = (size_t)(end - rest.ptr);

		if (!take_line(response, (struct text){ rest.ptr, len }, first)) {
			return false;
		}
		first = false;
		rest = (struct text){ end + 2, rest.len - len - 2 };
	}
	return !first || broken(response, "sent a status line that is not HTTP/1");
}

static size_t find(const struct response *response, struct text name, struct text *ret_first)
{
	size_t count = 0;

	for (size_t i = 0; i < response->field_count; i++) {
		if (text_equal_nocase(response->fields[i].name, name)) {
			*ret_first = count++ == 0 ? response->fields[i].value : *ret_first;
		}
	}
	return count;
}

static bool read_framing(struct response *response)
{
	struct text length = { "", 0 };
	struct text coding = { "", 0 };
	size_t length_count = find(response, TEXT("Content-Length"), &length);
	size_t coding_count = find(response, TEXT("Transfer-Encoding"), &coding);

	if (response->to_head || response->status == 204 || response->status == 304) {
		response->state = AT_WHOLE;
		return true;
	}
	if (length_count + coding_count != 1) {
		return broken(response, "sent an answer that does not say once where it ends");
	}
	if (coding_count == 1) {
		response->state = IN_SIZE_LINE;
		return (!response->minor_0 && text_equal_nocase(coding, TEXT("chunked"))) ||
		       broken(response, "sent an answer in a coding that is not chunked");
	}
	if (!text_to_u64(length, &response->left)) {
		return broken(response, "sent a length that is no number");
	}
	if (response->left > response->body.max) {
		return broken(response, "sent an answer that is too long");
	}
	response->state = response->left > 0 ? IN_BODY : AT_WHOLE;
	return true;
}

static bool finish_head(struct response *response)
{
	if (!read_lines(response)) {
		return false;
	}
	if (response->status >= 200) {
		return read_framing(response);
	}
	response->head.len = 0;
	return ++response->interim_count <= RESPONSE_INTERIM_MAX ||
	       broken(response, "sent too many interim answers");
}

/* What is not HTTP is known by its first bytes; it might never send an empty line. */
static bool take_head(struct response *response, char byte)
{
	static const char start[] = "HTTP/1.";
	struct bytes *head = &response->head;

	if (head->len < sizeof(start) - 1 && byte != start[head->len]) {
		return broken(response, "sent something that is not HTTP/1");
	}
	if (head->len == head->max) {
		return broken(response, "sent a header that is too long");
	}
	if (!append(response, head, (struct text){ &byte, 1 })) {
		return false;
	}
	if (head->len < 4 || memcmp(head->ptr + head->len - 4, "\r\n\r\n", 4) != 0) {
		return true;
	}
	return finish_head(response);
}

/* As much of a body or chunk as there is. */
static bool take_body(struct response *response, struct text bytes, size_t *used)
{
	struct text part = { bytes.ptr + *used, bytes.len - *used };

	if (part.len > response->left) {
		part.len = (size_t)response->left;
	}
	*used += part.len;
	response->left -= part.len;
	if (response->left == 0) {
		response->state = response->state == IN_CHUNK ? AT_CHUNK_CR : AT_WHOLE;
	}
	return append(response, &response->body, part);
}

static bool take_size_line(struct response *response, char byte)
{
	struct refusal refusal = { 0 };

	switch (chunk_line_take(&response->line, (unsigned char)byte, &refusal)) {
	case CHUNK_MORE:
	case CHUNK_SIZED:
		break;
	case CHUNK_REFUSED:
		return broken(response, "sent a chunk without a proper size");
	case CHUNK_WHOLE:
		response->left = response->line.size;
		response->state = response->left > 0 ? IN_CHUNK : IN_TRAILER;
		break;
	}
	return response->line.size <= response->body.max - response->body.len ||
	       broken(response, "sent an answer that is too long");
}

static bool take_chunk_end(struct response *response, char byte)
{
	bool at_cr = response->state == AT_CHUNK_CR;

	if (byte != (at_cr ? '\r' : '\n')) {
		return broken(response, "sent a chunk that is longer than it said");
	}
	response->state = at_cr ? AT_CHUNK_LF : IN_SIZE_LINE;
	return true;
}

/* Lines up to an empty one; only their ends matter. */
static bool take_trailer(struct response *response, char byte)
{
	bool after_cr = response->trailer_last == '\r';

	if (++response->trailer_len > RESPONSE_TRAILER_MAX) {
		return broken(response, "sent a trailer that is too long");
	}
	if ((byte == '\n') != after_cr) {
		return broken(response, "sent a trailer with bare line ends");
	}
	response->trailer_last = byte;
	if (byte == '\n') {
		response->state = response->trailer_line_len == 0 ? AT_WHOLE : IN_TRAILER;
		response->trailer_line_len = 0;
	} else if (byte != '\r') {
		response->trailer_line_len++;
	}
	return true;
}

static bool take(struct response *response, struct text bytes, size_t *used)
{
	switch (response->state) {
	case IN_HEAD:
		return take_head(response, bytes.ptr[(*used)++]);
	case IN_BODY:
	case IN_CHUNK:
		return take_body(response, bytes, used);
	case IN_SIZE_LINE:
		return take_size_line(response, bytes.ptr[(*used)++]);
	case AT_CHUNK_CR:
	case AT_CHUNK_LF:
		return take_chunk_end(response, bytes.ptr[(*used)++]);
	case IN_TRAILER:
		return take_trailer(response, bytes.ptr[(*used)++]);
	case AT_WHOLE:
	case AT_BROKEN:
		break;
	}
	die("an answer is read on behind its end");
}

enum response_step response_read(struct response *response, struct text bytes, size_t *ret_used)
{
	size_t used = 0;

	response->begun = response->begun || bytes.len > 0;
	while (used < bytes.len && response->state < AT_WHOLE) {
		if (!take(response, bytes, &used)) {
			response->state = AT_BROKEN;
		}
	}
	*ret_used = used;
	if (response->state < AT_WHOLE) {
		return RESPONSE_MORE;
	}
	return response->state == AT_WHOLE ? RESPONSE_WHOLE : RESPONSE_BROKEN;
}

bool response_begun(const struct response *response)
{
	return response->begun;
}

const char *response_problem(const struct response *response)
{
	return response->problem ? response->problem : "";
}

unsigned response_status(const struct response *response)
{
	return response->status;
}

/* HTTP/1.0 could keep one when it says so; no server of today has to be met half-way. */
bool response_keeps_connection(const struct response *response)
{
	for (size_t i = 0; i < response->field_count; i++) {
		struct text rest = response->fields[i].value;
		struct text option;

		if (!text_equal_nocase(response->fields[i].name, TEXT("Connection"))) {
			continue;
		}
		while (text_next(&rest, ',', &option)) {
			if (text_equal_nocase(text_trim(option), TEXT("close"))) {
				return false;
			}
		}
	}
	return !response->minor_0;
}

struct text response_body(const struct response *response)
{
	return (struct text){ response->body.ptr ? response->body.ptr : "", response->body.len };
}

struct text response_field(const struct response *response, struct text name)
{
	struct text value = { "", 0 };

	find(response, name, &value);
	return value;
}
