/* The head of a request or an answer, byte by byte.
 *
 * Small states, one function for each, in the order in which a head meets them. A decision depends
 * on the bytes up to it alone, never on where a read ended: that is what makes all splits equal. */
#include "http/head.h"

#include <assert.h>
#include <stdlib.h>

enum { ROOM_FIRST = 1024 }; /* bytes; most heads fit, and ten thousand dripped ones stay cheap */

enum state {
	AT_START, /* nothing has come but perhaps an empty line */
	AT_START_LF,
	IN_METHOD,
	IN_TARGET,
	IN_VERSION,
	IN_STATUS_LINE, /* of an answer, instead of all these */
	AT_LINE_LF,
	AT_FIELD, /* or the empty line that ends the section */
	IN_NAME,
	IN_VALUE,
	AT_LAST_LF,
	AT_END,
};

void head_begin_answer(struct head_reader *reader)
{
	free(reader->head);
	reader->head = NULL;
	reader->state = IN_STATUS_LINE;
}

void head_begin_trailer(struct head_reader *reader)
{
	reader->in_trailer = true;
	reader->state = AT_FIELD;
}

static void extend(struct span *span, const struct head *head)
{
	if (span->len == 0) {
		span->at = (uint16_t)(head->len - 1);
	}
	span->len++;
}

/* Room for one byte more. */
static bool make_room(struct head_reader *reader, struct refusal *refusal)
{
	size_t room = reader->head ? 2 * reader->head->room : ROOM_FIRST;
	struct head *head;

	if (reader->head && reader->head->len < reader->head->room) {
		return true;
	}
	head = realloc(reader->head, sizeof(*head) + room);
	if (!head) {
		return grammar_refuse(refusal, 503, "no_memory");
	}
	if (!reader->head) {
		memset(head, 0, sizeof(*head));
	}
	head->room = room;
	reader->head = head;
	return true;
}

/* The bytes of a head are kept, those of a trailer counted. */
static bool keep(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	if (reader->in_trailer) {
		return reader->trailer_len++ < reader->bytes_max ||
		       grammar_refuse(refusal, 431, "trailer_too_large");
	}
	if (reader->head && reader->head->len == reader->bytes_max) {
		return grammar_refuse(refusal, 431, "headers_too_large");
	}
	if (!make_room(reader, refusal)) {
		return false;
	}
	assert(reader->head);
	reader->head->bytes[reader->head->len++] = (char)byte;
	return true;
}

/* One empty line is forgiven, as RFC 9112 2.2 asks: there are clients that end a body with one. */
static bool at_start(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	if (byte == '\r' && !reader->line_skipped) {
		reader->state = AT_START_LF;
		return true;
	}
	if (!grammar_is(byte, GRAMMAR_TOKEN)) {
		return grammar_refuse_byte(refusal, byte, "method");
	}
	if (!keep(reader, byte, refusal)) {
		return false;
	}
	extend(&reader->head->method, reader->head);
	reader->state = IN_METHOD;
	return true;
}

static bool take_lf(
	struct head_reader *reader, unsigned char byte, struct refusal *refusal, enum state next)
{
	if (byte != '\n') {
		return grammar_refuse(refusal, 400, "bare_cr");
	}
	reader->state = (uint8_t)next;
	return true;
}

static bool at_start_lf(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	reader->line_skipped = true;
	return take_lf(reader, byte, refusal, AT_START);
}

static bool in_method(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	struct span *method = &reader->head->method;

	if (byte == ' ') {
		reader->state = IN_TARGET;
		return true;
	}
	if (!grammar_is(byte, GRAMMAR_TOKEN)) {
		return grammar_refuse_byte(refusal, byte, "method");
	}
	if (method->len == HTTP_METHOD_MAX) {
		return grammar_refuse(refusal, 400, "method_too_long");
	}
	extend(method, reader->head);
	return true;
}

static struct text cut_at(struct text whole, char stop)
{
	const char *found = whole.len ? memchr(whole.ptr, stop, whole.len) : NULL;

	return found ? (struct text){ whole.ptr, (size_t)(found - whole.ptr) } : whole;
}

static struct span span_of(const struct head *head, struct text text)
{
	return (struct span){ (uint16_t)(text.ptr - head->bytes), (uint16_t)text.len };
}

/* http://authority/path: a server must take it although no client sends it to one. */
static bool split_absolute(struct head *head, struct text target)
{
	struct text scheme = cut_at(target, ':');
	struct text rest = { target.ptr + scheme.len, target.len - scheme.len };
	struct text authority, path;

	if (!text_has_prefix(rest, TEXT("://"))) {
		return false;
	}
	if (!text_equal_nocase(scheme, TEXT("http")) && !text_equal_nocase(scheme, TEXT("https"))) {
		return false;
	}
	rest = text_without_prefix(rest, TEXT("://"));
	authority = cut_at(cut_at(rest, '/'), '?');
	path = (struct text){ rest.ptr + authority.len, rest.len - authority.len };
	head->authority = span_of(head, authority);
	head->path = span_of(head, cut_at(path, '?'));
	return authority.len > 0;
}

/* The four forms of RFC 9112 3.2. */
static bool split_target(struct head *head)
{
	struct text method = head_text(head, head->method);
	struct text target = head_text(head, head->target);

	head->path = span_of(head, cut_at(target, '?'));
	if (text_has_prefix(target, TEXT("/"))) {
		return true;
	}
	if (text_equal(method, TEXT("CONNECT"))) {
		return target.len > 0;
	}
	if (text_equal(target, TEXT("*"))) {
		return text_equal(method, TEXT("OPTIONS"));
	}
	return split_absolute(head, target);
}

static bool in_target(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	struct span *target = &reader->head->target;

	if (byte == ' ' && split_target(reader->head)) {
		reader->state = IN_VERSION;
		return true;
	}
	if (!grammar_is(byte, GRAMMAR_VISIBLE)) {
		return grammar_refuse_byte(refusal, byte, "target");
	}
	if (target->len == HTTP_TARGET_MAX) {
		return grammar_refuse(refusal, 414, "target_too_long");
	}
	extend(target, reader->head);
	return true;
}

static bool judge_version(struct head_reader *reader, struct refusal *refusal)
{
	struct head *head = reader->head;
	char major = head->bytes[head->len - 4], minor = head->bytes[head->len - 2];

	if (major == '0') {
		return grammar_refuse(refusal, 400, "version");
	}
	if (major != '1' || minor > '1') {
		return grammar_refuse(refusal, 505, "version");
	}
	head->minor_0 = minor == '0';
	reader->state = AT_LINE_LF;
	return true;
}

/* "HTTP/1.1" has one spelling. */
static bool in_version(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	static const char form[] = "HTTP/0.0";
	char wanted = form[reader->version_len];

	if (byte == '\r' && wanted == '\0') {
		return judge_version(reader, refusal);
	}
	if (wanted == '0' ? !grammar_is(byte, GRAMMAR_DIGIT)
			  : wanted == '\0' || byte != (unsigned char)wanted) {
		return grammar_refuse_byte(refusal, byte, "version");
	}
	reader->version_len++;
	return true;
}

/* "HTTP/1.1 200 Fine". The reason is nobody's, and some leave the space before it out. */
static bool judge_status_line(struct head_reader *reader, struct refusal *refusal)
{
	struct head *head = reader->head;
	const char *c = head->bytes;
	size_t len = head->len - 1; /* the CR is there already */
	struct text digits = { c + 9, 3 };

	if (len < 12 || !grammar_is((unsigned char)c[7], GRAMMAR_DIGIT) || c[8] != ' ' ||
		!grammar_all(digits, GRAMMAR_DIGIT) || (len > 12 && c[12] != ' ')) {
		return grammar_refuse(refusal, 400, "status_line");
	}
	head->minor_0 = c[7] == '0';
	head->status = (uint16_t)((c[9] - '0') * 100 + (c[10] - '0') * 10 + (c[11] - '0'));
	reader->state = AT_LINE_LF;
	return true;
}

/* What is not HTTP is known by its first bytes; it might never send a line end. */
static bool in_status_line(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	static const char start[] = "HTTP/1.";
	size_t at = reader->head->len - 1;

	if (at < sizeof(start) - 1 && byte != (unsigned char)start[at]) {
		return grammar_refuse(refusal, 400, "not_http_1");
	}
	if (byte == '\r') {
		return judge_status_line(reader, refusal);
	}
	return grammar_is(byte, GRAMMAR_VALUE) || grammar_refuse_byte(refusal, byte, "status_line");
}

static bool at_line_lf(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	return take_lf(reader, byte, refusal, AT_FIELD);
}

static bool start_field(struct head_reader *reader, struct refusal *refusal)
{
	struct head *head = reader->head;

	reader->state = IN_NAME;
	if (reader->in_trailer) {
		return true;
	}
	if (head->field_count == reader->fields_max) {
		return grammar_refuse(refusal, 431, "too_many_headers");
	}
	head->fields[head->field_count++] = (struct head_field){ .at = (uint16_t)(head->len - 1) };
	return true;
}

static bool at_field(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	if (byte == '\r') {
		reader->state = AT_LAST_LF;
		return true;
	}
	if (reader->any_line && byte != '\n') {
		reader->state = IN_VALUE;
		return true;
	}
	if (byte == ' ' || byte == '\t') {
		return grammar_refuse(refusal, 400, "folded_header");
	}
	if (!grammar_is(byte, GRAMMAR_TOKEN)) {
		return grammar_refuse_byte(refusal, byte, "header_name");
	}
	return start_field(reader, refusal);
}

static bool in_name(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	struct head *head = reader->head;

	if (byte != ':') {
		return grammar_is(byte, GRAMMAR_TOKEN) ||
		       grammar_refuse_byte(refusal, byte, "header_name");
	}
	if (!reader->in_trailer) {
		struct head_field *field = &head->fields[head->field_count - 1];

		field->name_len = (uint16_t)(head->len - 1 - field->at);
	}
	reader->state = IN_VALUE;
	return true;
}

static bool in_value(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	if (byte == '\r') {
		reader->state = AT_LINE_LF;
		return true;
	}
	return grammar_is(byte, GRAMMAR_VALUE) || (reader->any_line && byte != '\n') ||
	       grammar_refuse_byte(refusal, byte, "header_value");
}

static bool at_last_lf(struct head_reader *reader, unsigned char byte, struct refusal *refusal)
{
	return take_lf(reader, byte, refusal, AT_END);
}

static bool (*const on_byte[])(
	struct head_reader *reader, unsigned char byte, struct refusal *refusal) = {
	[AT_START] = at_start,
	[AT_START_LF] = at_start_lf,
	[IN_METHOD] = in_method,
	[IN_TARGET] = in_target,
	[IN_VERSION] = in_version,
	[IN_STATUS_LINE] = in_status_line,
	[AT_LINE_LF] = at_line_lf,
	[AT_FIELD] = at_field,
	[IN_NAME] = in_name,
	[IN_VALUE] = in_value,
	[AT_LAST_LF] = at_last_lf,
};

enum head_step head_read(
	struct head_reader *reader, struct text bytes, size_t *used, struct refusal *refusal)
{
	while (*used < bytes.len) {
		unsigned char byte = (unsigned char)bytes.ptr[(*used)++];
		uint8_t state = reader->state;

		if ((state >= IN_METHOD && !keep(reader, byte, refusal)) ||
			!on_byte[state](reader, byte, refusal)) {
			return HEAD_REFUSED;
		}
		if (reader->state == AT_END) {
			return HEAD_WHOLE;
		}
	}
	return HEAD_MORE;
}

static struct text value_of(const struct head *head, size_t i)
{
	const struct head_field *field = &head->fields[i];
	size_t at = field->at + field->name_len + 1U;
	/* Behind the last line there is an empty one. */
	size_t end = i + 1 < head->field_count ? field[1].at - 2U : head->len - 4;

	return text_trim((struct text){ head->bytes + at, end - at });
}

static bool has_name(const struct head *head, size_t i, struct text name)
{
	const struct head_field *field = &head->fields[i];

	return field->name_len == name.len &&
	       text_equal_nocase((struct text){ head->bytes + field->at, name.len }, name);
}

bool head_next(const struct head *head, struct text name, size_t *place, struct text *ret_value)
{
	while (*place < head->field_count) {
		size_t i = (*place)++;

		if (has_name(head, i, name)) {
			*ret_value = value_of(head, i);
			return true;
		}
	}
	return false;
}

struct text head_find(const struct head *head, struct text name, size_t *ret_count)
{
	struct text first = { "", 0 }, value;
	size_t place = 0;

	for (*ret_count = 0; head_next(head, name, &place, &value); (*ret_count)++) {
		first = *ret_count == 0 ? value : first;
	}
	return first;
}

bool head_find_from_end(
	const struct head *head, struct text name, size_t behind, struct text *ret_value)
{
	for (size_t i = head->field_count; i > 0; i--) {
		if (has_name(head, i - 1, name) && behind-- == 0) {
			*ret_value = value_of(head, i - 1);
			return true;
		}
	}
	return false;
}

bool head_lists(const struct head *head, struct text name, struct text word)
{
	struct text value, part;
	size_t place = 0;

	while (head_next(head, name, &place, &value)) {
		while (text_next(&value, ',', &part)) {
			if (text_equal_nocase(text_trim(part), word)) {
				return true;
			}
		}
	}
	return false;
}
