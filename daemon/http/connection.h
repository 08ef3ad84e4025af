/* connection.h - the state of one accepted connection: its phase, its deadline, what it waits for,
 * and its place among those that wait.
 *
 * For exchange.c, which reads its requests and answers them, handshake.c, which lets it begin, and
 * server.c, which makes and frees it. Freed only from the loop, when nothing of it is on the stack.
 */
#pragma once

#include <sys/queue.h>

#include "base/address.h"
#include "http/request.h"
#include "http/stream.h"
#include "io/loop.h"

enum connection_phase {
	CONNECTION_SILENT,    /* TLS: not a byte has come yet */
	CONNECTION_KNOCKING,  /* TLS: its handshake waits for its turn; in set->knocking */
	CONNECTION_SHAKING,   /* TLS handshake; in set->shaking */
	CONNECTION_READING,   /* a request, or waiting for one */
	CONNECTION_HANDLING,  /* exchange is with the owner */
	CONNECTION_FLUSHING,  /* the last answer is being sent; nothing is read any more */
	CONNECTION_FLUSHED,   /* sent; linger next */
	CONNECTION_LINGERING, /* our side has ended; bytes are dropped until the peer's has, too */
	CONNECTION_DEAD,      /* to be freed */
};

/* All are set. What they are for is said in server.h. */
struct connection_limits {
	size_t bodies_max;
	size_t output_max;
	size_t handshakes_max;
	int64_t handshake_ms;
	int64_t first_ms;
	int64_t head_ms;
	int64_t body_ms;
	int64_t answer_ms;
	int64_t idle_ms;
	int64_t linger_ms;
	int64_t drain_ms;
	int64_t drain_idle_ms;
	int64_t retry_after_s;
};

TAILQ_HEAD(connection_list, connection);

/* What the connections of one server share; embedded in it. */
struct connection_set {
	struct connection_limits limits;
	const struct exchange_events *events; /* borrowed */
	void *owner;
	struct connection_list all;
	size_t count;
	struct connection_list waiting; /* not inside a request; the longest without a byte first */
	struct connection_list knocking; /* the newest first */
	struct connection_list shaking;  /* the oldest first */
	size_t shaking_count;
	struct connection_list chores_due;
	struct loop_task *chores;
	size_t body_bytes;    /* of all bodies that are in memory */
	uint32_t id_prefix;   /* tells the errors of one run from those of another */
	uint64_t error_count; /* that have an id */
	bool draining;
};

struct connection {
	unsigned magic;
	enum connection_phase phase;
	struct connection_set *set;
	TAILQ_ENTRY(connection) entry;  /* in set->all */
	TAILQ_ENTRY(connection) waiter; /* in set->waiting, while it waits */
	TAILQ_ENTRY(connection) turn;   /* in set->knocking or set->shaking, as its phase says */
	TAILQ_ENTRY(connection) chore;  /* in set->chores_due, while chore_due */
	struct address peer;            /* len 0: not known */
	struct stream *stream;          /* NULL: there was no memory for it */
	struct loop_timer *timer;
	int64_t timer_due_ms; /* when the timer fires; 0 = stopped */
	int64_t deadline_ms;  /* of the phase */
	struct request_reader *reader;
	size_t body_bytes;         /* its share of set->body_bytes */
	struct exchange *exchange; /* while it is handled; else NULL */
	int64_t waits_since_ms;    /* valid while it waits */
	bool waits;                /* nothing has begun that would be lost with it */
	bool head_reported;        /* the reader waits to be asked for the body */
	bool peer_ended;           /* its side; it may still read */
	bool advancing;            /* exchange_advance() is on the stack */
	bool chore_due;
};

/* See to it in another round of the loop: read on, linger or free, as its phase says then. */
void connection_put_off(struct connection *connection);

void connection_enter(struct connection *connection, enum connection_phase phase);

/* Of the phase, from now. */
void connection_set_deadline(struct connection *connection, int64_t after_ms);
/* For what the peer has to do; it has less time for it while we leave. */
void connection_set_peer_deadline(struct connection *connection, int64_t after_ms);
/* For the timer: has the deadline passed? If not, the timer is started again. */
bool connection_is_late(struct connection *connection);

/* For the first request, and for the next one. */
void connection_wait_first(struct connection *connection);
void connection_wait(struct connection *connection);

/* A byte came or went: outside of a request it is now the one that has waited least. */
void connection_note_byte(struct connection *connection);
