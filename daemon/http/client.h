/* client.h - one verified HTTP or HTTPS request at a time, over a connection that is kept alive.
 *
 * TLS 1.2 or newer; chain, host name and dates are checked and SNI is sent before any byte of a
 * request leaves. Names are resolved without blocking the loop. No redirects, no proxies from the
 * environment, no decompression, and none is asked for. No body is taken that was cut short, or may
 * have been: one that ends with the connection counts over TLS, where the peer says that it ends
 * it. http:// only to a loopback address.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"
#include "io/loop.h"

enum {
	CLIENT_HEAD_MAX = 32 * 1024,
	CLIENT_BODY_MAX = 8 * 1024 * 1024,
	CLIENT_TOTAL_MS = 30000, /* name, connect, handshake, request and answer together */
	CLIENT_FIELDS_MAX = 8,   /* extra request fields */
};

struct client; /* heap: one origin and its connection */
struct response;

struct client_field {
	const char *name;
	const char *value;
};

struct client_request {
	const char *method;
	const char *target; /* path and query, already escaped; "" = the URL's own */
	struct client_field fields[CLIENT_FIELDS_MAX]; /* up to the first without a name; copied */
	struct text bearer;  /* the token of Authorization: Bearer; len 0 = no such field. Never
				copied: borrowed until the client is freed or sends again */
	struct text body;    /* copied; len 0 = none */
	int64_t deadline_ms; /* 0 = CLIENT_TOTAL_MS */
};

enum client_end {
	CLIENT_ANSWERED,    /* a whole answer with any status */
	CLIENT_UNREACHABLE, /* name, connection or reset before an answer */
	CLIENT_DROPPED,     /* a connection of an earlier request ended before a byte of an answer;
			       the next request has one of its own */
	CLIENT_UNTRUSTED,   /* certificate, host name or protocol version */
	CLIENT_BROKEN,      /* answer malformed, cut short or over a limit */
	CLIENT_LATE,        /* the deadline */
};

struct client_answer {
	enum client_end end;
	unsigned status;     /* 0: no head of an answer has come; else it has, whatever the end */
	bool sent;           /* some of the request may have reached the peer */
	struct text body;    /* "" unless CLIENT_ANSWERED; borrowed during the callback */
	const char *problem; /* a sentence when end is not CLIENT_ANSWERED; borrowed like body */
	const struct response *response; /* for client_answer_next_field() */
};

/* Exactly once for each client_send() that returned true, from the loop, never from inside it. */
typedef void client_done(void *tag, const struct client_answer *answer);

/* url: scheme, host, port and a path prefix. ca_file NULL = the system's. NULL with a sentence. */
struct client *client_new(
	struct loop *loop, const char *base_url, const char *ca_file, struct problem *problem);
void client_free(struct client *client); /* a running request ends without a callback */

/* False: one is running already. */
bool client_send(
	struct client *client, const struct client_request *request, client_done *done, void *tag);

/* The next field of that name, in any case, from *place on, which begins at 0. Borrowed during the
 * callback. False: there is none. */
bool client_answer_next_field(const struct client_answer *answer, const char *name, size_t *place,
	struct text *ret_value);

/* The first; len 0 = absent. */
static inline struct text client_answer_field(const struct client_answer *answer, const char *name)
{
	struct text value = { "", 0 };
	size_t place = 0;

	client_answer_next_field(answer, name, &place, &value);
	return value;
}
