/* https.h - one verified HTTP or HTTPS request at a time, over a connection that is kept alive.
 *
 * TLS 1.2 or newer; chain, host name and dates are checked and SNI is sent before any byte of a
 * request leaves. Names are resolved without blocking the loop. No redirects, no proxies from the
 * environment, no decompression, no answer taken from a body that was cut short. http:// only to a
 * loopback address.
 */
#pragma once

#include "base/text.h"
#include "io/loop.h"

enum {
	HTTPS_HEAD_MAX = 32 * 1024,
	HTTPS_BODY_MAX = 8 * 1024 * 1024,
	HTTPS_TOTAL_MS = 30000, /* name, connect, handshake, request and answer together */
	HTTPS_PROBLEM_MAX = 256,
	HTTPS_FIELDS_MAX = 8, /* extra request fields */
};

struct https; /* heap: one origin and its connection */

struct https_field {
	const char *name;
	const char *value;
};

struct https_request {
	const char *method;
	const char *target; /* path and query, already escaped; "" = the URL's own */
	struct https_field fields[HTTPS_FIELDS_MAX]; /* up to the first without a name; copied */
	struct text body;                            /* copied; len 0 = none */
	int64_t deadline_ms;                         /* 0 = HTTPS_TOTAL_MS */
};

enum https_end {
	HTTPS_ANSWERED,    /* a whole answer with any status */
	HTTPS_UNREACHABLE, /* name, connection or reset before an answer */
	HTTPS_UNTRUSTED,   /* certificate, host name or protocol version */
	HTTPS_BROKEN,      /* answer malformed, cut short or over a limit */
	HTTPS_LATE,        /* the deadline */
};

struct https_answer {
	enum https_end end;
	unsigned status;
	struct text body;    /* borrowed during the callback */
	const char *problem; /* a sentence when end is not HTTPS_ANSWERED */
	const struct https_fields *fields;
};

/* Exactly once for each https_send() that returned true, from the loop, never from inside it. */
typedef void https_done(void *tag, const struct https_answer *answer);

/* url: scheme, host, port and a path prefix. ca_file NULL = the system's. NULL with a sentence. */
struct https *https_new(
	struct loop *loop, const char *url, const char *ca_file, char problem[HTTPS_PROBLEM_MAX]);
void https_free(struct https *https); /* a running request ends without a callback */

/* False: one is running already. */
bool https_send(
	struct https *https, const struct https_request *request, https_done *done, void *tag);

/* A field of the answer, any case of name; len 0 = absent. Borrowed during the callback. */
struct text https_answer_field(const struct https_answer *answer, const char *name);
