/* server.h - accept connections, read whole requests within limits and deadlines, send answers.
 *
 * One listener, plain or TLS. Answers leave in the order of the requests of a connection; the next
 * pipelined request is looked at only after the answer to the one before it. What the server
 * refuses by itself (framing, limits, deadlines, head_arrived) is counted and logged.
 */
#pragma once

#include "http/exchange.h"

enum {
	SERVER_FIRST_MS = 10000, /* to the first byte of the first request */
	SERVER_HEAD_MS =
		10000, /* from the first byte of a request to the end of its headers, in total */
	SERVER_BODY_MS = 20000, /* from the end of the headers to the end of the body, in total */
	/* Between two requests, or for a peer that takes no bytes. Longer than the 60 s after which
	 * nginx closes: a request never meets a connection that is just being closed here. */
	SERVER_IDLE_MS = 75000,
	SERVER_GRACE_MS = 100,   /* to the first byte, or between requests, also where there is no
				    room for others */
	SERVER_ANSWER_MS = 2500, /* the longest a held request waits; then 503 leaves by itself */
	SERVER_HANDSHAKE_MS = 10000, /* of TLS, from the connection on, in total */
	SERVER_HANDSHAKES_MAX = 256, /* in flight; beyond, the one begun longest ago is cut */
	SERVER_LINGER_MS = 2000, /* how long the bytes of a peer are still drained behind the last
				    answer, so that it reads that answer instead of a reset */
	SERVER_DRAIN_MS = 5000,  /* server_drain(): for requests that have begun */
	SERVER_DRAIN_IDLE_MS = 250, /* server_drain(): for requests that are on their way */
	SERVER_INPUT_MAX = 16384,   /* bytes read ahead of the request that is being answered */
	SERVER_OUTPUT_MAX = 16384,  /* with more bytes unsent, the next request waits */
	SERVER_RETRY_AFTER_S = 1,   /* with the server's own 503 */
	SERVER_BODIES_MAX =
		64 * 1024 * 1024, /* bytes of all bodies in memory, signed or not: 503 */
};

struct server; /* heap */

struct server_options {
	const char *address;         /* "127.0.0.1:8480", "[::1]:0"; port 0 = any */
	int listen_fd;               /* >= 0: a listening socket to take instead of address */
	const char *tls_certificate; /* PEM chain; NULL = plain */
	const char *tls_key;
	/* More are let in for those that have waited longest outside of a request, which are
	 * closed; without these they wait in the kernel's queue. */
	size_t connections_max;
	size_t body_max;
	int64_t answer_ms; /* at most SERVER_ANSWER_MS; 0 = that */
	/* For tests: 0 = the constant above. */
	int64_t first_ms;
	int64_t head_ms;
	int64_t body_ms;
	int64_t idle_ms;
	int64_t handshake_ms;
	int64_t linger_ms;
	size_t bodies_max;
	size_t handshakes_max;
};

/* NULL with a sentence in problem. events and options are copied, strings in them too. */
struct server *server_new(struct loop *loop, const struct server_options *options,
	const struct exchange_events *events, void *owner, struct problem *problem);
void server_free(struct server *server);

/* "127.0.0.1:43211": where it really listens; also after server_drain(). */
const char *server_address(const struct server *server);

/* Read certificate and key again; old connections keep what they have. On failure nothing changes.
 */
bool server_reload_tls(struct server *server, struct problem *problem);

/* Stop accepting (an inherited socket stays open in the service manager), answer what is in flight
 * with "Connection: close", close idle connections; drained runs once when none is left, and may
 * free the server. */
void server_drain(struct server *server, loop_fired *drained, void *owner);
