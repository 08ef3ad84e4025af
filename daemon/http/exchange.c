/* Requests as they come in over a connection, and their answers, one after the other.
 *
 * head -> body -> owner -> answer -> the next request, or the end. Read downwards: the functions
 * stand in the order in which a request meets them. */
#include "http/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

enum { EXCHANGE_MAGIC = 0x45584348 };

struct exchange {
	unsigned magic;
	struct connection *connection;
	uint64_t number; /* that makes its id; 0 = it has none yet */
	void *tag;       /* valid when held */
	bool held;
};

void exchange_note_refusal(unsigned status, const char *reason)
{
	metrics_add(METRIC_HTTP_REFUSED, 1);
	log_event(LOG_DEBUG, "http_refused",
		LOG_FIELDS(LOG_INT("status", status), LOG_STRING("reason", reason)));
}

static void free_exchange(struct connection *connection)
{
	if (connection->exchange) {
		connection->exchange->magic = 0;
		free(connection->exchange);
		connection->exchange = NULL;
	}
}

void exchange_lose(struct connection *connection)
{
	const struct connection_set *set = connection->set;
	bool held = connection->exchange && connection->exchange->held;
	void *tag = held ? connection->exchange->tag : NULL;

	if (connection->phase == CONNECTION_DEAD) {
		return;
	}
	if (connection->stream) {
		stream_silence(connection->stream);
	}
	connection_enter(connection, CONNECTION_DEAD);
	free_exchange(connection);
	if (held && set->events->exchange_gone) {
		set->events->exchange_gone(set->owner, tag);
	}
}

static void write_id(const struct connection_set *set, uint64_t number, char out[EXCHANGE_ID_MAX])
{
	snprintf(out, EXCHANGE_ID_MAX, "%08x-%llx", set->id_prefix, (unsigned long long)number);
}

void exchange_name(struct exchange *exchange, char out[EXCHANGE_ID_MAX])
{
	struct connection_set *set = exchange->connection->set;

	if (exchange->number == 0) {
		exchange->number = ++set->error_count;
	}
	write_id(set, exchange->number, out);
}

const struct address *exchange_peer(const struct exchange *exchange)
{
	return &exchange->connection->peer;
}

/* Its id tells one error from another. */
static size_t make_error(
	struct connection *connection, unsigned status, int64_t now_us, char out[ANSWER_ERROR_MAX])
{
	char id[EXCHANGE_ID_MAX];

	if (connection->exchange) {
		exchange_name(connection->exchange, id);
	} else {
		write_id(connection->set, ++connection->set->error_count, id);
	}
	return answer_error(status, now_us, id, out);
}

static bool send_answer(struct connection *connection, const struct answer *answer, bool keep_alive)
{
	char head[ANSWER_HEAD_MAX], error[ANSWER_ERROR_MAX];
	struct text body = answer->body;
	int64_t now_us = clock_wall_us();
	size_t head_len;

	if (body.len == 0 && answer->status >= 400) {
		body.len = make_error(connection, answer->status, now_us, error);
		body.ptr = error;
	}
	head_len = answer_head(answer, body.len, keep_alive, now_us, head);
	if (text_equal(request_of(connection->reader)->method, TEXT("HEAD"))) {
		body.len = 0;
	}
	return stream_send(connection->stream, (struct text){ head, head_len }, body);
}

/* No more is read: neither from a peer whose bytes we could not follow, nor behind a last answer.
 */
static void close_behind_answer(struct connection *connection)
{
	stream_stop(connection->stream);
	connection_enter(connection,
		stream_unsent(connection->stream) > 0 ? CONNECTION_FLUSHING : CONNECTION_FLUSHED);
	connection_set_peer_deadline(connection, connection->set->limits.idle_ms);
}

/* Whoever sends bodies needs no signature for it: all of them together have a bound. */
static void count_body(struct connection *connection)
{
	size_t now = request_of(connection->reader)->body.len;

	connection->set->body_bytes += now - connection->body_bytes;
	connection->body_bytes = now;
}

static void respond(struct connection *connection, const struct answer *answer, bool keep_alive)
{
	bool sent = send_answer(connection, answer, keep_alive);

	free_exchange(connection);
	request_reader_reset(connection->reader);
	count_body(connection);
	connection->head_reported = false;
	if (!sent) {
		exchange_lose(connection);
	} else if (!keep_alive) {
		close_behind_answer(connection);
	} else {
		connection_wait(connection);
	}
	/* Pipelined bytes, or the end of the peer's side: looked at in another round, so that
	 * exchange_answer() never calls back. */
	if (connection->phase == CONNECTION_READING && !connection->advancing) {
		connection_put_off(connection);
	}
}

/* Where the next request would begin is not known: the connection ends. */
static void refuse_request(struct connection *connection, unsigned status, const char *reason)
{
	const struct answer answer = {
		.status = status,
		.retry_after_s = status == 503 ? connection->set->limits.retry_after_s : 0,
	};

	exchange_note_refusal(status, reason);
	respond(connection, &answer, false);
}

static bool may_stay(const struct connection *connection)
{
	return request_of(connection->reader)->keep_alive && !connection->set->draining;
}

static bool new_exchange(struct connection *connection)
{
	struct exchange *exchange = memory_try(sizeof(*exchange));

	if (!exchange) {
		return false;
	}
	*exchange = (struct exchange){ .magic = EXCHANGE_MAGIC, .connection = connection };
	connection->exchange = exchange;
	return true;
}

static void head_arrived(struct connection *connection)
{
	const struct connection_set *set = connection->set;
	const struct http_request *request = request_of(connection->reader);
	struct answer answer = { 0 };
	unsigned status = 0;

	connection->head_reported = true;
	connection_set_peer_deadline(connection, set->limits.body_ms);
	if (set->events->head_arrived) {
		status = set->events->head_arrived(set->owner, request, &answer);
	}
	if (status) {
		answer.status = status;
		exchange_note_refusal(status, "head");
		respond(connection, &answer, may_stay(connection) && !request->has_body);
	}
}

static void request_arrived(struct connection *connection)
{
	const struct connection_set *set = connection->set;
	struct http_request *request = request_of(connection->reader);

	if (!new_exchange(connection)) {
		refuse_request(connection, 503, "no_memory");
		return;
	}
	connection_enter(connection, CONNECTION_HANDLING);
	request->arrived_us = clock_wall_us();
	connection_set_deadline(connection, set->limits.answer_ms);
	set->events->request_arrived(set->owner, connection->exchange, request);
	/* Neither answered nor held: nobody would ever answer it. */
	assert(!connection->exchange || connection->exchange->held);
}

/* A peer that waits for our word has sent nothing behind the head. */
static void ask_for_body(struct connection *connection)
{
	if (request_of(connection->reader)->expects_continue &&
		stream_first(connection->stream).len == 0 &&
		!stream_send(connection->stream, TEXT("HTTP/1.1 100 Continue\r\n\r\n"), TEXT(""))) {
		exchange_lose(connection);
	}
}

static void more_awaited(struct connection *connection, bool was_reading, bool behind_head)
{
	const struct connection_set *set = connection->set;

	if (!was_reading && request_reading(connection->reader)) {
		connection_set_peer_deadline(connection, set->limits.head_ms);
	}
	if (set->body_bytes > set->limits.bodies_max) {
		refuse_request(connection, 503, "bodies_full");
	} else if (behind_head) {
		ask_for_body(connection);
	}
}

/* One piece of input goes to the reader. False: there is nothing to do for now. */
static bool step(struct connection *connection)
{
	struct text piece = stream_first(connection->stream);
	bool was_reading = request_reading(connection->reader);
	bool behind_head = connection->head_reported;
	const struct refusal *refusal;
	enum request_step reached;
	size_t used;

	if ((piece.len == 0 && !behind_head) ||
		stream_unsent(connection->stream) > connection->set->limits.output_max) {
		return false;
	}
	reached = request_read(connection->reader, piece, &used);
	stream_drop(connection->stream, used);
	count_body(connection);
	connection->head_reported = false;
	switch (reached) {
	case REQUEST_MORE:
		more_awaited(connection, was_reading, behind_head);
		break;
	case REQUEST_HEAD:
		head_arrived(connection);
		break;
	case REQUEST_WHOLE:
		request_arrived(connection);
		break;
	case REQUEST_REFUSED:
		refusal = request_refusal(connection->reader);
		refuse_request(connection, refusal->status, refusal->reason);
		break;
	}
	return true;
}

/* The peer ended its side, and what it sent has been used up. */
static void requests_ended(struct connection *connection)
{
	if (request_reading(connection->reader)) {
		refuse_request(connection, 400, "cut_short");
	} else if (stream_unsent(connection->stream) == 0) {
		exchange_lose(connection);
	}
}

void exchange_advance(struct connection *connection)
{
	connection->advancing = true;
	while (connection->phase == CONNECTION_READING && step(connection)) {
	}
	connection->advancing = false;
	if (connection->phase == CONNECTION_READING && connection->peer_ended &&
		stream_first(connection->stream).len == 0) {
		requests_ended(connection);
	}
	connection_note_byte(connection);
}

/* The owner took too long; it is told that its answer is no longer wanted. */
void exchange_answer_late(struct connection *connection)
{
	const struct connection_set *set = connection->set;
	const struct answer answer = { .status = 503, .retry_after_s = set->limits.retry_after_s };
	void *tag = connection->exchange->tag;

	respond(connection, &answer, may_stay(connection));
	if (set->events->exchange_gone) {
		set->events->exchange_gone(set->owner, tag);
	}
}

void exchange_request_late(struct connection *connection)
{
	if (!request_reading(connection->reader)) {
		exchange_lose(connection); /* it has slept long enough */
	} else if (connection->set->draining) {
		refuse_request(connection, 503, "draining");
	} else if (request_reading_body(connection->reader)) {
		refuse_request(connection, 408, "body_late");
	} else {
		refuse_request(connection, 408, "head_late");
	}
}

void exchange_hold(struct exchange *exchange, void *tag)
{
	assert(exchange->magic == EXCHANGE_MAGIC && !exchange->held);
	exchange->held = true;
	exchange->tag = tag;
}

void exchange_answer(struct exchange *exchange, const struct answer *answer)
{
	struct connection *connection = exchange->connection;

	assert(exchange->magic == EXCHANGE_MAGIC && connection->phase == CONNECTION_HANDLING);
	respond(connection, answer, may_stay(connection));
}
