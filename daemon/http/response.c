/* An answer: interim ones are passed over, then the head says whether and where a body ends. */
#include "http/response.h"

#include <stdlib.h>

#include "base/memory.h"
#include "http/body.h"
#include "http/head.h"

enum state { IN_HEAD, IN_BODY, AT_WHOLE, AT_BROKEN };

struct response {
	struct head_reader head;
	struct body body;
	struct refusal refusal; /* its status means nothing here */
	unsigned interim_count;
	enum state state;
	bool to_head;
	bool begun;
	bool headed;
};

struct response *response_new(uint16_t head_max, size_t body_max)
{
	struct response *response = memory_new(sizeof(*response));

	response->head.bytes_max = head_max;
	response->body.max = body_max;
	response_reset(response, false);
	return response;
}

static void free_buffers(struct response *response)
{
	free(response->head.head);
	free(response->body.bytes);
}

void response_free(struct response *response)
{
	if (response) {
		free_buffers(response);
		free(response);
	}
}

void response_reset(struct response *response, bool to_head)
{
	free_buffers(response);
	*response = (struct response){
		.head = { .bytes_max = response->head.bytes_max,
			.fields_max = RESPONSE_FIELDS_MAX },
		.body = { .max = response->body.max,
			.trailer = { .bytes_max = RESPONSE_TRAILER_MAX, .any_line = true } },
		.to_head = to_head,
	};
	head_begin_answer(&response->head);
}

static bool no(struct response *response, const char *reason)
{
	return grammar_refuse(&response->refusal, 400, reason);
}

static bool next_interim(struct response *response)
{
	head_begin_answer(&response->head);
	return ++response->interim_count <= RESPONSE_INTERIM_MAX || no(response, "interim_answers");
}

static bool finish_head(struct response *response)
{
	const struct head *head = response->head.head;

	if (head->status < 100 || head->status > 599 || head->status == 101) {
		return no(response, "status");
	}
	if (head->status < 200) {
		return next_interim(response);
	}
	response->headed = true;
	response->state = IN_BODY;
	if (response->to_head || head->status == 204 || head->status == 304) {
		response->state = AT_WHOLE;
		return true;
	}
	if (!body_expect(&response->body, head, &response->refusal)) {
		return false;
	}
	if (response->body.end == BODY_UNSAID) {
		response->body.end = BODY_CLOSE;
	}
	return true;
}

static bool take_head(struct response *response, struct text bytes, size_t *used)
{
	enum head_step step = head_read(&response->head, bytes, used, &response->refusal);

	return step == HEAD_MORE || (step == HEAD_WHOLE && finish_head(response));
}

static bool take_body(struct response *response, struct text bytes, size_t *used)
{
	enum body_step step = body_read(&response->body, bytes, used, &response->refusal);

	if (step == BODY_WHOLE) {
		response->state = AT_WHOLE;
	}
	return step != BODY_REFUSED;
}

enum response_step response_read(struct response *response, struct text bytes, size_t *ret_used)
{
	bool well = true;

	*ret_used = 0;
	response->begun = response->begun || bytes.len > 0;
	while (well && response->state == IN_HEAD && *ret_used < bytes.len) {
		well = take_head(response, bytes, ret_used);
	}
	if (well && response->state == IN_BODY) {
		well = take_body(response, bytes, ret_used);
	}
	if (!well) {
		response->state = AT_BROKEN;
		return RESPONSE_BROKEN;
	}
	return response->state == AT_WHOLE ? RESPONSE_WHOLE : RESPONSE_MORE;
}

bool response_end(const struct response *response, bool clean)
{
	return response->state == IN_BODY && response_ends_with_connection(response) && clean;
}

bool response_begun(const struct response *response)
{
	return response->begun;
}

bool response_has_head(const struct response *response)
{
	return response->headed;
}

bool response_ends_with_connection(const struct response *response)
{
	return response->body.end == BODY_CLOSE;
}

const char *response_problem(const struct response *response)
{
	return response->refusal.reason ? response->refusal.reason : "";
}

unsigned response_status(const struct response *response)
{
	return response->head.head->status;
}

/* HTTP/1.0 could keep one when it says so; no server of today has to be met half-way. */
bool response_keeps_connection(const struct response *response)
{
	const struct head *head = response->head.head;

	return !head->minor_0 && !head_lists(head, TEXT("Connection"), TEXT("close"));
}

struct text response_body(const struct response *response)
{
	const struct body *body = &response->body;

	return (struct text){ body->bytes ? body->bytes : "", body->len };
}

bool response_next_field(
	const struct response *response, struct text name, size_t *place, struct text *ret_value)
{
	return head_next(response->head.head, name, place, ret_value);
}
