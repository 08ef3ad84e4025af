/* exchange.h - one request and its answer: what a server tells its owner, and is told. */
#pragma once

#include "http/answer.h"
#include "http/connection.h"

struct exchange; /* owned by the server, from a whole request to its answer */

/* All run from the loop, and none may free the server. */
struct exchange_events {
	/* The headers are complete, the body has not been read. Return 0 to read it, or a status to
	 * refuse with (404, 405, 503): the server answers and closes if there is a body. *answer is
	 * preset. May be NULL. */
	unsigned (*head_arrived)(
		void *owner, const struct http_request *request, struct answer *answer);
	/* The request is whole. Call exchange_answer() now, or exchange_hold() and answer later;
	 * the request is borrowed until then. */
	void (*request_arrived)(
		void *owner, struct exchange *exchange, const struct http_request *request);
	/* Only after exchange_hold(): the peer went away, was answered 503 at answer_ms, or the
	 * server is being freed. The exchange is gone when this returns. A peer that has only ended
	 * its own side still waits for its answer. */
	void (*exchange_gone)(void *owner, void *tag);
};

enum { EXCHANGE_ID_MAX = 32 };

/* Whose request it is; borrowed. */
const struct address *exchange_peer(const struct exchange *exchange);
/* The requestId that its error, if it gets one, tells the peer. */
void exchange_name(struct exchange *exchange, char out[EXCHANGE_ID_MAX]);

/* Keep the exchange for a later answer; tag comes back with exchange_gone. */
void exchange_hold(struct exchange *exchange, void *tag);

/* The exchange is gone when this returns. Never calls back. */
void exchange_answer(struct exchange *exchange, const struct answer *answer);

/* The rest is for server.c only. */

/* Read what has arrived, as far as it goes. */
void exchange_advance(struct connection *connection);

/* The deadline of a connection that is read from, or whose request is being handled, has passed. */
void exchange_request_late(struct connection *connection);
void exchange_answer_late(struct connection *connection);

/* Nobody is there any more. Whoever holds the exchange is told at once. */
void exchange_lose(struct connection *connection);

/* Count and log what is refused. reason is ours: nothing a peer wrote is in the line. status 0: it
 * could not be answered. */
void exchange_note_refusal(unsigned status, const char *reason);
