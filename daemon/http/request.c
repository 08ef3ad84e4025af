/* A request: what its head must say for all to agree on what it is, then its body. */
#include "http/request.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/memory.h"
#include "http/body.h"
#include "http/head.h"

enum { PORT_DIGITS_MAX = 5 };

enum state { IN_HEAD, IN_BODY, AT_WHOLE, AT_REFUSED };

struct request_reader {
	struct http_request request;
	struct head_reader head;
	struct body body;
	struct refusal refusal;
	enum state state;
};

struct request_reader *request_reader_new(size_t body_max)
{
	struct request_reader *reader = memory_new(sizeof(*reader));

	reader->body.max = body_max;
	request_reader_reset(reader);
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
	free(reader->body.bytes);
	*reader = (struct request_reader){
		.head = { .bytes_max = HTTP_HEAD_MAX, .fields_max = HTTP_FIELDS_MAX },
		.body = { .max = reader->body.max, .trailer = { .bytes_max = HTTP_TRAILER_MAX } },
	};
}

struct text request_field(const struct http_request *request, struct text name, size_t *ret_count)
{
	return head_find(request->head, name, ret_count);
}

bool request_field_from_end(
	const struct http_request *request, struct text name, size_t behind, struct text *ret_value)
{
	return head_find_from_end(request->head, name, behind, ret_value);
}

static bool no(struct request_reader *reader, uint16_t status, const char *reason)
{
	return grammar_refuse(&reader->refusal, status, reason);
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
	struct text host = head_find(head, TEXT("Host"), &count);

	if (count > 1) {
		return no(reader, 400, "repeated_host");
	}
	if (count == 0 && !head->minor_0) {
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

static bool check_framing(struct request_reader *reader)
{
	const struct head *head = reader->head.head;

	if (!body_expect(&reader->body, head, &reader->refusal)) {
		return false;
	}
	return reader->body.end != BODY_UNSAID ||
	       !text_equal(head_text(head, head->method), TEXT("POST")) ||
	       no(reader, 411, "no_length");
}

/* "close" in any Connection field wins. */
static bool keeps_alive(const struct head *head)
{
	struct text name = TEXT("Connection");

	return !head_lists(head, name, TEXT("close")) &&
	       (!head->minor_0 || head_lists(head, name, TEXT("keep-alive")));
}

static bool expects_continue(const struct http_request *request)
{
	size_t count;
	struct text expect = request_field(request, TEXT("Expect"), &count);

	return !request->head->minor_0 && request->has_body &&
	       text_equal_nocase(expect, TEXT("100-continue"));
}

static bool finish_head(struct request_reader *reader)
{
	const struct head *head = reader->head.head;
	struct http_request *request = &reader->request;

	if (!check_host(reader) || !check_framing(reader)) {
		return false;
	}
	request->head = head;
	request->method = head_text(head, head->method);
	request->path = head_text(head, head->path);
	request->has_body = reader->body.end == BODY_CHUNKS || reader->body.left > 0;
	request->keep_alive = keeps_alive(head);
	request->expects_continue = expects_continue(request);
	return true;
}

static enum request_step refused(struct request_reader *reader)
{
	reader->state = AT_REFUSED;
	return REQUEST_REFUSED;
}

static enum request_step read_head(struct request_reader *reader, struct text bytes, size_t *used)
{
	switch (head_read(&reader->head, bytes, used, &reader->refusal)) {
	case HEAD_MORE:
		return REQUEST_MORE;
	case HEAD_WHOLE:
		if (finish_head(reader)) {
			reader->state = IN_BODY;
			return REQUEST_HEAD;
		}
		break;
	case HEAD_REFUSED:
		break;
	}
	return refused(reader);
}

static enum request_step read_body(struct request_reader *reader, struct text bytes, size_t *used)
{
	struct body *body = &reader->body;
	enum body_step step = body_read(body, bytes, used, &reader->refusal);

	reader->request.body = (struct text){ body->bytes ? body->bytes : "", body->len };
	switch (step) {
	case BODY_MORE:
		return REQUEST_MORE;
	case BODY_WHOLE:
		reader->state = AT_WHOLE;
		return REQUEST_WHOLE;
	case BODY_REFUSED:
		break;
	}
	return refused(reader);
}

enum request_step request_read(struct request_reader *reader, struct text bytes, size_t *ret_used)
{
	*ret_used = 0;
	switch (reader->state) {
	case IN_HEAD:
		return read_head(reader, bytes, ret_used);
	case IN_BODY:
		return read_body(reader, bytes, ret_used);
	case AT_WHOLE:
		return REQUEST_WHOLE;
	case AT_REFUSED:
		break;
	}
	return REQUEST_REFUSED;
}

const struct refusal *request_refusal(const struct request_reader *reader)
{
	return &reader->refusal;
}

bool request_reading(const struct request_reader *reader)
{
	return reader->head.head && reader->state < AT_WHOLE;
}

bool request_reading_body(const struct request_reader *reader)
{
	return reader->state == IN_BODY;
}

struct http_request *request_of(struct request_reader *reader)
{
	return &reader->request;
}
