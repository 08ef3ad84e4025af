/* connected -> (handshake) -> head -> body -> answer -> the next request, or the end. Read
 * downwards: the functions stand in the order in which a connection meets them. A connection is
 * freed only by run_chores(), when nothing of it is on the stack. */
#include "http/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "http/listener.h"
#include "http/request.h"
#include "http/stream.h"

enum {
	EXCHANGE_MAGIC = 0x45584348,
	CONNECTION_MAGIC = 0x434f4e4e,
};

enum phase {
	SHAKING,   /* TLS handshake */
	READING,   /* a request, or waiting for one */
	HANDLING,  /* exchange is with the owner */
	FLUSHING,  /* the last answer is being sent; nothing is read any more */
	FLUSHED,   /* sent; linger next */
	LINGERING, /* our side has ended; bytes are dropped until the peer's has, too */
	DEAD,      /* to be freed */
};

struct connection {
	unsigned magic;
	enum phase phase;
	struct server *server;
	TAILQ_ENTRY(connection) entry; /* in server->connections */
	TAILQ_ENTRY(connection) chore; /* in server->chores_due, while chore_due */
	struct stream *stream;         /* NULL: there was no memory for it */
	struct loop_timer *timer;
	int64_t timer_due_ms; /* when the timer fires; 0 = stopped */
	int64_t deadline_ms;  /* of the phase */
	struct request_reader *reader;
	size_t body_bytes;         /* its share of server->body_bytes */
	struct exchange *exchange; /* from the end of the head to the answer; else NULL */
	bool head_reported;        /* the reader waits to be asked for the body */
	bool peer_ended;           /* its side; it may still read */
	bool advancing;            /* advance() is on the stack */
	bool chore_due;
};

struct exchange {
	unsigned magic;
	struct connection *connection;
	int64_t arrived_us; /* valid when whole */
	void *tag;          /* valid when held */
	bool held;
	char request_id[SERVER_REQUEST_ID_MAX];
};

TAILQ_HEAD(connection_list, connection);

struct server {
	struct loop *loop;
	struct listener *listener; /* NULL: draining */
	struct stream_tls *tls;    /* NULL = plain */
	char address[ADDRESS_TEXT_MAX];
	struct server_options options; /* without the strings */
	struct server_events events;
	void *owner;
	struct connection_list connections;
	size_t connection_count;
	size_t body_bytes; /* of all bodies that are in memory */
	struct connection_list chores_due;
	struct loop_task *chores;
	uint32_t id_prefix; /* tells the requests of one run from those of another */
	uint64_t request_count;
	bool draining;
	loop_fired *drained; /* NULL: nobody waits for it */
	void *drained_owner;
};

static void put_off(struct connection *connection)
{
	struct server *server = connection->server;

	if (!connection->chore_due) {
		connection->chore_due = true;
		TAILQ_INSERT_TAIL(&server->chores_due, connection, chore);
		loop_task_post(server->chores);
	}
}

static void enter(struct connection *connection, enum phase phase)
{
	connection->phase = phase;
	if (phase == FLUSHED || phase == DEAD) {
		put_off(connection);
	}
}

/* The timer is moved only when it would fire too late: most deadlines are met, and a connection
 * whose requests are answered in time hardly ever touches it. */
static void set_deadline(struct connection *connection, int64_t after_ms)
{
	connection->deadline_ms = clock_mono_ms() + after_ms;
	if (!connection->timer_due_ms || connection->timer_due_ms > connection->deadline_ms) {
		connection->timer_due_ms = connection->deadline_ms;
		loop_timer_start(connection->timer, after_ms);
	}
}

/* For what the peer has to do; it has less time for it while we leave. */
static void set_peer_deadline(struct connection *connection, int64_t after_ms)
{
	bool cut = connection->server->draining && after_ms > SERVER_DRAIN_MS;

	set_deadline(connection, cut ? SERVER_DRAIN_MS : after_ms);
}

static void await_request(struct connection *connection)
{
	const struct server *server = connection->server;

	enter(connection, READING);
	set_deadline(connection, server->draining ? SERVER_DRAIN_IDLE_MS : server->options.idle_ms);
}

/* reason is ours: nothing a peer wrote is in the line. */
static void note_refusal(unsigned status, const char *reason)
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

/* Nobody is there any more. Whoever holds the exchange is told at once. */
static void lose(struct connection *connection)
{
	const struct server *server = connection->server;
	bool held = connection->exchange && connection->exchange->held;
	void *tag = held ? connection->exchange->tag : NULL;

	if (connection->phase == DEAD) {
		return;
	}
	if (connection->stream) {
		stream_silence(connection->stream);
	}
	enter(connection, DEAD);
	free_exchange(connection);
	if (held && server->events.exchange_gone) {
		server->events.exchange_gone(server->owner, tag);
	}
}

static void make_request_id(struct server *server, char out[SERVER_REQUEST_ID_MAX])
{
	snprintf(out, SERVER_REQUEST_ID_MAX, "%08x-%llx", server->id_prefix,
		(unsigned long long)++server->request_count);
}

/* What could not be read as a request has an id nevertheless. */
static size_t make_error(const struct connection *connection, unsigned status, int64_t now_us,
	char out[ANSWER_ERROR_MAX])
{
	char request_id[SERVER_REQUEST_ID_MAX];

	if (connection->exchange) {
		return answer_error(status, now_us, connection->exchange->request_id, out);
	}
	make_request_id(connection->server, request_id);
	return answer_error(status, now_us, request_id, out);
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
	if (connection->exchange && text_equal(server_method(connection->exchange), TEXT("HEAD"))) {
		body.len = 0;
	}
	return stream_send(connection->stream, (struct text){ head, head_len }, body);
}

/* No more is read: neither from a peer whose bytes we could not follow, nor behind a last answer.
 */
static void close_behind_answer(struct connection *connection)
{
	stream_stop(connection->stream);
	enter(connection, stream_unsent(connection->stream) > 0 ? FLUSHING : FLUSHED);
	set_peer_deadline(connection, connection->server->options.idle_ms);
}

/* Whoever sends bodies needs no signature for it: all of them together have a bound. */
static void weigh_body(struct connection *connection)
{
	size_t now = request_of(connection->reader)->body.len;

	connection->server->body_bytes += now - connection->body_bytes;
	connection->body_bytes = now;
}

static void respond(struct connection *connection, const struct answer *answer, bool keep_alive)
{
	bool sent = send_answer(connection, answer, keep_alive);

	free_exchange(connection);
	request_reader_reset(connection->reader);
	weigh_body(connection);
	connection->head_reported = false;
	if (!sent) {
		lose(connection);
	} else if (!keep_alive) {
		close_behind_answer(connection);
	} else {
		await_request(connection);
	}
	/* Pipelined bytes, or the end of the peer's side: looked at in another round, so that
	 * server_answer() never calls back. */
	if (connection->phase == READING && !connection->advancing) {
		put_off(connection);
	}
}

/* Where the next request would begin is not known: the connection ends. */
static void refuse_request(struct connection *connection, unsigned status, const char *reason)
{
	const struct answer answer = {
		.status = status,
		.retry_after_s = status == 503 ? SERVER_RETRY_AFTER_S : 0,
	};

	note_refusal(status, reason);
	respond(connection, &answer, false);
}

static bool may_stay(const struct connection *connection)
{
	return request_of(connection->reader)->keep_alive && !connection->server->draining;
}

static void new_exchange(struct connection *connection)
{
	struct exchange *exchange = memory_new(sizeof(*exchange));

	exchange->magic = EXCHANGE_MAGIC;
	exchange->connection = connection;
	make_request_id(connection->server, exchange->request_id);
	connection->exchange = exchange;
}

static void head_arrived(struct connection *connection)
{
	const struct server *server = connection->server;
	struct answer answer = { 0 };
	unsigned status = 0;

	connection->head_reported = true;
	new_exchange(connection);
	set_peer_deadline(connection, server->options.body_ms);
	if (server->events.head_arrived) {
		status = server->events.head_arrived(server->owner, connection->exchange, &answer);
	}
	if (status) {
		answer.status = status;
		note_refusal(status, "head");
		respond(connection, &answer,
			may_stay(connection) && !request_of(connection->reader)->has_body);
	}
}

static void request_arrived(struct connection *connection)
{
	const struct server *server = connection->server;

	enter(connection, HANDLING);
	connection->exchange->arrived_us = clock_wall_us();
	set_deadline(connection, server->options.answer_ms);
	server->events.request_arrived(server->owner, connection->exchange);
	/* Neither answered nor held: nobody would ever answer it. */
	assert(!connection->exchange || connection->exchange->held);
}

/* A peer that waits for our word has sent nothing behind the head. */
static void ask_for_body(struct connection *connection)
{
	if (request_of(connection->reader)->expects_continue &&
		stream_first(connection->stream).len == 0 &&
		!stream_send(connection->stream, TEXT("HTTP/1.1 100 Continue\r\n\r\n"), TEXT(""))) {
		lose(connection);
	}
}

static void more_awaited(struct connection *connection, bool was_reading, bool behind_head)
{
	if (!was_reading && request_reading(connection->reader)) {
		set_peer_deadline(connection, connection->server->options.head_ms);
	}
	if (connection->server->body_bytes > connection->server->options.bodies_max) {
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
		stream_unsent(connection->stream) > SERVER_OUTPUT_MAX) {
		return false;
	}
	reached = request_read(connection->reader, piece, &used);
	stream_drop(connection->stream, used);
	weigh_body(connection);
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
		lose(connection);
	}
}

static void advance(struct connection *connection)
{
	connection->advancing = true;
	while (connection->phase == READING && step(connection)) {
	}
	connection->advancing = false;
	if (connection->phase == READING && connection->peer_ended &&
		stream_first(connection->stream).len == 0) {
		requests_ended(connection);
	}
}

static struct connection *connection_of(void *owner)
{
	struct connection *connection = owner;

	assert(connection->magic == CONNECTION_MAGIC);
	return connection;
}

static void stream_opened(void *owner)
{
	await_request(connection_of(owner));
}

static void bytes_arrived(void *owner)
{
	advance(connection_of(owner));
}

static void bytes_sent(void *owner)
{
	struct connection *connection = connection_of(owner);

	if (connection->phase == FLUSHING) {
		enter(connection, FLUSHED);
	} else {
		advance(connection);
	}
}

static void peer_ended(void *owner)
{
	struct connection *connection = connection_of(owner);

	connection->peer_ended = true;
	advance(connection);
}

/* What OpenSSL has to say to a peer whose handshake failed is on its way: let it arrive. */
static void stream_failed(void *owner)
{
	struct connection *connection = connection_of(owner);

	if (connection->phase == SHAKING) {
		note_refusal(0, "tls_handshake");
		enter(connection, FLUSHED);
	} else {
		lose(connection);
	}
}

/* The owner took too long; it is told that its answer is no longer wanted. */
static void answer_late(struct connection *connection)
{
	const struct server *server = connection->server;
	const struct answer answer = { .status = 503, .retry_after_s = SERVER_RETRY_AFTER_S };
	void *tag = connection->exchange->tag;

	respond(connection, &answer, may_stay(connection));
	if (server->events.exchange_gone) {
		server->events.exchange_gone(server->owner, tag);
	}
}

static void request_late(struct connection *connection)
{
	if (!request_reading(connection->reader)) {
		lose(connection); /* it has slept long enough */
	} else if (connection->server->draining) {
		refuse_request(connection, 503, "draining");
	} else if (request_reading_body(connection->reader)) {
		refuse_request(connection, 408, "body_late");
	} else {
		refuse_request(connection, 408, "head_late");
	}
}

static void deadline_passed(struct connection *connection)
{
	switch (connection->phase) {
	case SHAKING:
		note_refusal(0, "tls_handshake_late");
		lose(connection);
		break;
	case READING:
		request_late(connection);
		break;
	case HANDLING:
		answer_late(connection);
		break;
	case FLUSHING:
	case LINGERING:
		lose(connection);
		break;
	case FLUSHED:
	case DEAD:
		break; /* run_chores() is on its way */
	}
}

static void timer_fired(void *owner)
{
	struct connection *connection = connection_of(owner);
	int64_t left_ms = connection->deadline_ms - clock_mono_ms();

	connection->timer_due_ms = 0;
	if (left_ms > 0) {
		connection->timer_due_ms = connection->deadline_ms;
		loop_timer_start(connection->timer, left_ms);
		return;
	}
	deadline_passed(connection);
}

static void linger(struct connection *connection)
{
	if (connection->peer_ended || !stream_linger(connection->stream)) {
		lose(connection);
		return;
	}
	enter(connection, LINGERING);
	set_deadline(connection, connection->server->options.linger_ms);
}

static void free_connection(struct connection *connection)
{
	struct server *server = connection->server;

	TAILQ_REMOVE(&server->connections, connection, entry);
	if (connection->chore_due) {
		TAILQ_REMOVE(&server->chores_due, connection, chore);
	}
	stream_free(connection->stream);
	loop_timer_free(connection->timer);
	server->body_bytes -= connection->body_bytes;
	request_reader_free(connection->reader);
	connection->magic = 0;
	free(connection);
	server->connection_count--;
	metrics_add(METRIC_CONNECTIONS_OPEN, -1);
	if (server->listener && server->connection_count < server->options.connections_max) {
		listener_hold(server->listener, false);
	}
}

static void run_chore(struct connection *connection)
{
	switch (connection->phase) {
	case READING:
		advance(connection);
		break;
	case FLUSHED:
		linger(connection);
		break;
	case DEAD:
		free_connection(connection);
		break;
	case SHAKING:
	case HANDLING:
	case FLUSHING:
	case LINGERING:
		break; /* what was put off has been overtaken */
	}
}

static void run_chores(void *owner)
{
	struct server *server = owner;
	struct connection *connection;

	while ((connection = TAILQ_FIRST(&server->chores_due))) {
		TAILQ_REMOVE(&server->chores_due, connection, chore);
		connection->chore_due = false;
		run_chore(connection);
	}
	if (server->drained && server->connection_count == 0) {
		loop_fired *drained = server->drained;

		server->drained = NULL;
		drained(server->drained_owner); /* may free the server */
	}
}

static void count_connection(struct server *server)
{
	server->connection_count++;
	metrics_add(METRIC_CONNECTIONS_ACCEPTED, 1);
	metrics_add(METRIC_CONNECTIONS_OPEN, 1);
	if (server->connection_count >= server->options.connections_max) {
		metrics_add(METRIC_ACCEPT_PAUSES, 1);
		listener_hold(server->listener, true);
	}
}

static const struct stream_events stream_events = {
	.opened = stream_opened,
	.arrived = bytes_arrived,
	.sent = bytes_sent,
	.ended = peer_ended,
	.failed = stream_failed,
};

static void connected(void *owner, int fd)
{
	struct server *server = owner;
	struct connection *connection = memory_new(sizeof(*connection));

	connection->magic = CONNECTION_MAGIC;
	connection->server = server;
	connection->timer = loop_timer_new(server->loop, timer_fired, connection);
	connection->reader = request_reader_new(server->options.body_max);
	TAILQ_INSERT_TAIL(&server->connections, connection, entry);
	count_connection(server);
	connection->stream = stream_new(
		server->loop, fd, server->tls, SERVER_INPUT_MAX, &stream_events, connection);
	if (!connection->stream) {
		lose(connection);
	} else if (server->tls) {
		enter(connection, SHAKING);
		set_deadline(connection, server->options.handshake_ms);
	} else {
		await_request(connection);
	}
}

static int64_t or_default(int64_t chosen_ms, int64_t default_ms)
{
	return chosen_ms > 0 ? chosen_ms : default_ms;
}

static void copy_options(struct server *server, const struct server_options *options)
{
	server->options = (struct server_options){
		.listen_fd = -1,
		.connections_max = options->connections_max,
		.body_max = options->body_max,
		.answer_ms = or_default(options->answer_ms, SERVER_ANSWER_MS),
		.head_ms = or_default(options->head_ms, SERVER_HEAD_MS),
		.body_ms = or_default(options->body_ms, SERVER_BODY_MS),
		.idle_ms = or_default(options->idle_ms, SERVER_IDLE_MS),
		.handshake_ms = or_default(options->handshake_ms, SERVER_HANDSHAKE_MS),
		.linger_ms = or_default(options->linger_ms, SERVER_LINGER_MS),
		.bodies_max = options->bodies_max > 0 ? options->bodies_max : SERVER_BODIES_MAX,
	};
}

static bool open_server(struct server *server, const struct server_options *options, char *problem,
	size_t problem_size)
{
	if (options->tls_certificate && !options->tls_key) {
		snprintf(problem, problem_size, "a certificate needs its key");
		return false;
	}
	if (options->tls_certificate) {
		server->tls = stream_tls_new(
			options->tls_certificate, options->tls_key, problem, problem_size);
		if (!server->tls) {
			return false;
		}
	}
	server->listener = listener_new(server->loop, options->address, options->listen_fd,
		connected, server, problem, problem_size);
	if (!server->listener) {
		return false;
	}
	snprintf(
		server->address, sizeof(server->address), "%s", listener_address(server->listener));
	return true;
}

struct server *server_new(struct loop *loop, const struct server_options *options,
	const struct server_events *events, void *owner, char *problem, size_t problem_size)
{
	struct server *server = memory_new(sizeof(*server));

	assert(options->connections_max > 0 && events->request_arrived);
	server->loop = loop;
	server->events = *events;
	server->owner = owner;
	server->chores = loop_task_new(loop, run_chores, server);
	TAILQ_INIT(&server->connections);
	TAILQ_INIT(&server->chores_due);
	copy_options(server, options);
	if (getrandom(&server->id_prefix, sizeof(server->id_prefix), 0) < 0) {
		die("the kernel has no random numbers");
	}
	if (!open_server(server, options, problem, problem_size)) {
		server_free(server);
		return NULL;
	}
	return server;
}

void server_free(struct server *server)
{
	struct connection *connection, *next;

	if (!server) {
		return;
	}
	listener_free(server->listener);
	server->listener = NULL;
	for (connection = TAILQ_FIRST(&server->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, entry);
		lose(connection);
		free_connection(connection);
	}
	loop_task_free(server->chores);
	stream_tls_free(server->tls);
	free(server);
}

const char *server_address(const struct server *server)
{
	return server->address;
}

bool server_reload_tls(struct server *server, char *problem, size_t problem_size)
{
	return !server->tls || stream_tls_reload(server->tls, problem, problem_size);
}

/* Requests that have begun are waited for; connections that sleep are listened to for a moment
 * more, as their next request may be on its way. */
static void drain(struct connection *connection)
{
	switch (connection->phase) {
	case READING:
		if (!request_reading(connection->reader)) {
			await_request(connection);
			break;
		}
		set_deadline(connection, SERVER_DRAIN_MS);
		break;
	case SHAKING:
	case FLUSHING:
		set_deadline(connection, SERVER_DRAIN_MS);
		break;
	case HANDLING:
	case FLUSHED:
	case LINGERING:
	case DEAD:
		break; /* these have short deadlines of their own */
	}
}

void server_drain(struct server *server, loop_fired *drained, void *owner)
{
	struct connection *connection;

	server->draining = true;
	server->drained = drained;
	server->drained_owner = owner;
	listener_free(server->listener);
	server->listener = NULL;
	TAILQ_FOREACH(connection, &server->connections, entry)
	{
		drain(connection);
	}
	loop_task_post(server->chores);
}

static const struct http_request *request_in(const struct exchange *exchange)
{
	assert(exchange->magic == EXCHANGE_MAGIC);
	return request_of(exchange->connection->reader);
}

struct text server_method(const struct exchange *exchange)
{
	return request_in(exchange)->method;
}

struct text server_path(const struct exchange *exchange)
{
	return request_in(exchange)->path;
}

struct text server_field(const struct exchange *exchange, struct text name, size_t *ret_count)
{
	return request_field(request_in(exchange), name, ret_count);
}

struct text server_body(const struct exchange *exchange)
{
	return request_in(exchange)->body;
}

int64_t server_arrived_us(const struct exchange *exchange)
{
	return exchange->arrived_us;
}

const char *server_request_id(const struct exchange *exchange)
{
	return exchange->request_id;
}

void server_hold(struct exchange *exchange, void *tag)
{
	assert(exchange->magic == EXCHANGE_MAGIC && !exchange->held);
	exchange->held = true;
	exchange->tag = tag;
}

void server_answer(struct exchange *exchange, const struct answer *answer)
{
	struct connection *connection = exchange->connection;

	assert(exchange->magic == EXCHANGE_MAGIC && connection->phase == HANDLING);
	respond(connection, answer, may_stay(connection));
}
