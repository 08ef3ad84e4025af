/* A listener and its connections: accepted, watched over, and freed.
 *
 * connected -> (handshake) -> requests, as exchange.c reads and answers them -> lingering -> freed.
 * Read downwards: the functions stand in the order in which a connection meets them. */
#include "http/server.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "http/handshake.h"
#include "http/listener.h"

enum { CONNECTION_MAGIC = 0x434f4e4e, CROWD = 64, CROWD_GONE = 4 };

struct server {
	struct loop *loop;
	struct listener *listener; /* NULL: draining */
	struct stream_tls *tls;    /* NULL = plain */
	char address[ADDRESS_TEXT_MAX];
	size_t connections_max;
	size_t crowd_count; /* the most connections since memory was given back */
	size_t body_max;
	struct exchange_events events;
	struct connection_set connections;
	loop_fired *drained; /* NULL: nobody waits for it */
	void *drained_owner;
};

static struct connection *connection_of(void *owner)
{
	struct connection *connection = owner;

	assert(connection->magic == CONNECTION_MAGIC);
	return connection;
}

static void stream_knocked(void *owner)
{
	handshake_ask(connection_of(owner));
}

static void stream_opened(void *owner)
{
	connection_wait_first(connection_of(owner));
}

static void bytes_arrived(void *owner)
{
	exchange_advance(connection_of(owner));
}

static void bytes_sent(void *owner)
{
	struct connection *connection = connection_of(owner);

	if (connection->phase == CONNECTION_FLUSHING) {
		connection_enter(connection, CONNECTION_FLUSHED);
	} else {
		exchange_advance(connection);
	}
}

static void peer_ended(void *owner)
{
	struct connection *connection = connection_of(owner);

	connection->peer_ended = true;
	exchange_advance(connection);
}

/* What OpenSSL has to say to a peer whose handshake failed is on its way: let it arrive. */
static void stream_failed(void *owner)
{
	struct connection *connection = connection_of(owner);

	if (connection->phase == CONNECTION_SHAKING) {
		exchange_note_refusal(0, "tls_handshake");
		connection_enter(connection, CONNECTION_FLUSHED);
	} else {
		exchange_lose(connection);
	}
}

static void deadline_passed(struct connection *connection)
{
	switch (connection->phase) {
	case CONNECTION_SILENT:
	case CONNECTION_KNOCKING:
	case CONNECTION_SHAKING:
		exchange_note_refusal(0, "tls_handshake_late");
		exchange_lose(connection);
		break;
	case CONNECTION_READING:
		exchange_request_late(connection);
		break;
	case CONNECTION_HANDLING:
		exchange_answer_late(connection);
		break;
	case CONNECTION_FLUSHING:
	case CONNECTION_LINGERING:
		exchange_lose(connection);
		break;
	case CONNECTION_FLUSHED:
	case CONNECTION_DEAD:
		break; /* run_chores() is on its way */
	}
}

static void timer_fired(void *owner)
{
	struct connection *connection = connection_of(owner);

	if (connection_is_late(connection)) {
		deadline_passed(connection);
	}
}

static void linger(struct connection *connection)
{
	if (connection->peer_ended || !stream_linger(connection->stream)) {
		exchange_lose(connection);
		return;
	}
	connection_enter(connection, CONNECTION_LINGERING);
	connection_set_deadline(connection, connection->set->limits.linger_ms);
}

/* What a crowd used lies between what is still in use, and goes back only when it is asked for. */
static void give_memory_back(struct server *server)
{
	size_t count = server->connections.count;

	if (server->crowd_count >= CROWD && count <= server->crowd_count / CROWD_GONE) {
		malloc_trim(0);
		server->crowd_count = count;
	}
}

static void free_connection(struct server *server, struct connection *connection)
{
	struct connection_set *set = &server->connections;

	TAILQ_REMOVE(&set->all, connection, entry);
	if (connection->chore_due) {
		TAILQ_REMOVE(&set->chores_due, connection, chore);
	}
	stream_free(connection->stream);
	loop_timer_free(connection->timer);
	set->body_bytes -= connection->body_bytes;
	request_reader_free(connection->reader);
	connection->magic = 0;
	free(connection);
	set->count--;
	metrics_add(METRIC_CONNECTIONS_OPEN, -1);
	give_memory_back(server);
	if (server->listener && set->count < server->connections_max) {
		listener_resume(server->listener);
	}
}

static void run_chore(struct server *server, struct connection *connection)
{
	switch (connection->phase) {
	case CONNECTION_READING:
		exchange_advance(connection);
		break;
	case CONNECTION_FLUSHED:
		linger(connection);
		break;
	case CONNECTION_DEAD:
		free_connection(server, connection);
		break;
	case CONNECTION_SILENT:
	case CONNECTION_KNOCKING:
	case CONNECTION_SHAKING:
	case CONNECTION_HANDLING:
	case CONNECTION_FLUSHING:
	case CONNECTION_LINGERING:
		break; /* what was put off has been overtaken */
	}
}

static void run_chores(void *owner)
{
	struct server *server = owner;
	struct connection_set *set = &server->connections;
	struct connection *connection;

	handshake_begin_some(set);
	while ((connection = TAILQ_FIRST(&set->chores_due))) {
		TAILQ_REMOVE(&set->chores_due, connection, chore);
		connection->chore_due = false;
		run_chore(server, connection);
	}
	if (server->drained && set->count == 0) {
		loop_fired *drained = server->drained;

		server->drained = NULL;
		drained(server->drained_owner); /* may free the server */
	}
}

/* Who has to go when somebody comes; NULL: nobody yet. Those who came only now have not had the
 * time to speak. */
static struct connection *evictable(const struct server *server)
{
	struct connection *longest = TAILQ_FIRST(&server->connections.waiting);
	bool waits = longest && clock_mono_ms() - longest->waits_since_ms >= SERVER_GRACE_MS;

	return waits ? longest : NULL;
}

static bool has_room(void *owner)
{
	const struct server *server = owner;

	return !memory_is_short() &&
	       (server->connections.count < server->connections_max || evictable(server));
}

static void make_room(struct server *server)
{
	struct connection *longest = evictable(server);

	if (server->connections.count >= server->connections_max) {
		assert(longest); /* has_room() said so */
		metrics_add(METRIC_CONNECTIONS_EVICTED, 1);
		exchange_lose(longest);
		free_connection(server, longest);
	}
}

static void count_connection(struct server *server)
{
	size_t count = ++server->connections.count;

	server->crowd_count = count > server->crowd_count ? count : server->crowd_count;
	metrics_add(METRIC_CONNECTIONS_ACCEPTED, 1);
	metrics_add(METRIC_CONNECTIONS_OPEN, 1);
}

static const struct stream_events stream_events = {
	.knocked = stream_knocked,
	.opened = stream_opened,
	.arrived = bytes_arrived,
	.sent = bytes_sent,
	.ended = peer_ended,
	.failed = stream_failed,
};

static void connection_arrived(void *owner, int fd)
{
	struct server *server = owner;
	struct connection_set *set = &server->connections;
	struct connection *connection = memory_new(sizeof(*connection));

	connection->magic = CONNECTION_MAGIC;
	connection->set = set;
	address_of_peer(fd, &connection->peer);
	connection->timer = loop_timer_new(server->loop, timer_fired, connection);
	connection->reader = request_reader_new(server->body_max);
	make_room(server);
	TAILQ_INSERT_TAIL(&set->all, connection, entry);
	count_connection(server);
	connection->stream = stream_new(
		server->loop, fd, server->tls, SERVER_INPUT_MAX, &stream_events, connection);
	if (!connection->stream) {
		exchange_lose(connection);
	} else if (server->tls) {
		connection_enter(connection, CONNECTION_SILENT);
		connection_set_deadline(connection, set->limits.handshake_ms);
	} else {
		connection_wait_first(connection);
	}
}

static int64_t or_default(int64_t chosen_ms, int64_t default_ms)
{
	return chosen_ms > 0 ? chosen_ms : default_ms;
}

static struct connection_limits limits_of(const struct server_options *options)
{
	return (struct connection_limits){
		.bodies_max = options->bodies_max > 0 ? options->bodies_max : SERVER_BODIES_MAX,
		.output_max = SERVER_OUTPUT_MAX,
		.handshakes_max = options->handshakes_max > 0 ? options->handshakes_max
							      : SERVER_HANDSHAKES_MAX,
		.first_ms = or_default(options->first_ms, SERVER_FIRST_MS),
		.handshake_ms = or_default(options->handshake_ms, SERVER_HANDSHAKE_MS),
		.head_ms = or_default(options->head_ms, SERVER_HEAD_MS),
		.body_ms = or_default(options->body_ms, SERVER_BODY_MS),
		.answer_ms = or_default(options->answer_ms, SERVER_ANSWER_MS),
		.idle_ms = or_default(options->idle_ms, SERVER_IDLE_MS),
		.linger_ms = or_default(options->linger_ms, SERVER_LINGER_MS),
		.drain_ms = SERVER_DRAIN_MS,
		.drain_idle_ms = SERVER_DRAIN_IDLE_MS,
		.retry_after_s = SERVER_RETRY_AFTER_S,
	};
}

static const struct listener_events listener_events = {
	.has_room = has_room,
	.accepted = connection_arrived,
};

static bool open_server(
	struct server *server, const struct server_options *options, struct problem *problem)
{
	if (options->tls_certificate && !options->tls_key) {
		return problem_say(problem, "a certificate needs its key");
	}
	if (options->tls_certificate) {
		server->tls = stream_tls_new(options->tls_certificate, options->tls_key, problem);
		if (!server->tls) {
			return false;
		}
	}
	server->listener = listener_new(server->loop, options->address, options->listen_fd,
		&listener_events, server, problem);
	if (!server->listener) {
		return false;
	}
	snprintf(
		server->address, sizeof(server->address), "%s", listener_address(server->listener));
	return true;
}

static void init_connections(
	struct server *server, const struct server_options *options, void *owner)
{
	struct connection_set *set = &server->connections;

	set->limits = limits_of(options);
	set->events = &server->events;
	set->owner = owner;
	TAILQ_INIT(&set->all);
	TAILQ_INIT(&set->waiting);
	TAILQ_INIT(&set->knocking);
	TAILQ_INIT(&set->shaking);
	TAILQ_INIT(&set->chores_due);
	set->chores = loop_task_new(server->loop, run_chores, server);
	if (getrandom(&set->id_prefix, sizeof(set->id_prefix), 0) < 0) {
		die("the kernel has no random numbers");
	}
}

struct server *server_new(struct loop *loop, const struct server_options *options,
	const struct exchange_events *events, void *owner, struct problem *problem)
{
	struct server *server = memory_new(sizeof(*server));

	assert(options->connections_max > 0 && events->request_arrived);
	server->loop = loop;
	server->connections_max = options->connections_max;
	server->body_max = options->body_max;
	server->events = *events;
	init_connections(server, options, owner);
	if (!open_server(server, options, problem)) {
		server_free(server);
		return NULL;
	}
	return server;
}

void server_free(struct server *server)
{
	struct connection *connection;

	if (!server) {
		return;
	}
	listener_free(server->listener);
	server->listener = NULL;
	while ((connection = TAILQ_FIRST(&server->connections.all))) {
		exchange_lose(connection);
		free_connection(server, connection);
	}
	loop_task_free(server->connections.chores);
	stream_tls_free(server->tls);
	free(server);
}

const char *server_address(const struct server *server)
{
	return server->address;
}

bool server_reload_tls(struct server *server, struct problem *problem)
{
	return !server->tls || stream_tls_reload(server->tls, problem);
}

/* Requests that have begun are waited for; connections that sleep are listened to for a moment
 * more, as their next request may be on its way. */
static void drain(struct connection *connection)
{
	switch (connection->phase) {
	case CONNECTION_READING:
		if (!request_reading(connection->reader)) {
			connection_wait(connection);
			break;
		}
		connection_set_deadline(connection, connection->set->limits.drain_ms);
		break;
	case CONNECTION_SILENT:
		connection_set_deadline(connection, connection->set->limits.drain_idle_ms);
		break;
	case CONNECTION_KNOCKING:
	case CONNECTION_SHAKING:
	case CONNECTION_FLUSHING:
		connection_set_deadline(connection, connection->set->limits.drain_ms);
		break;
	case CONNECTION_HANDLING:
	case CONNECTION_FLUSHED:
	case CONNECTION_LINGERING:
	case CONNECTION_DEAD:
		break; /* these have short deadlines of their own */
	}
}

void server_drain(struct server *server, loop_fired *drained, void *owner)
{
	struct connection *connection;

	server->connections.draining = true;
	server->drained = drained;
	server->drained_owner = owner;
	listener_free(server->listener);
	server->listener = NULL;
	TAILQ_FOREACH(connection, &server->connections.all, entry)
	{
		drain(connection);
	}
	loop_task_post(server->connections.chores);
}
