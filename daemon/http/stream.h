/* stream.h - one accepted connection, plain or TLS: bytes in, bytes out, and an end that loses
 * nothing.
 *
 * TLS 1.2 or newer. Reading stops by itself at input_max bytes that nobody has dropped.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"
#include "io/loop.h"

enum { STREAM_DISCARD_BYTES = 16384 }; /* dropped in one round of stream_linger() */

struct stream;     /* heap */
struct stream_tls; /* heap: certificate and key of a listener */

/* certificate: PEM chain; both names are copied. NULL with a sentence in problem. */
struct stream_tls *stream_tls_new(
	const char *certificate, const char *key, struct problem *problem);
void stream_tls_free(struct stream_tls *tls); /* streams that were made with it live on */

/* Read both files again, for the streams to come. On failure nothing changes. */
bool stream_tls_reload(struct stream_tls *tls, struct problem *problem);

/* From when until when the certificate is valid, wall time; begin > end: it does not say. */
void stream_tls_validity(const struct stream_tls *tls, int64_t *ret_begin_us, int64_t *ret_end_us);

/* All run from the loop, never from inside a function of this module. */
struct stream_events {
	void (*knocked)(void *owner); /* TLS only, once: the peer has said something */
	void (*opened)(void *owner);  /* TLS only: the handshake is done */
	void (*arrived)(void *owner); /* there are more bytes at stream_first() */
	void (*sent)(void *owner);    /* stream_unsent() is 0 again */
	/* The peer has ended its side and may still read. Plain only: behind its goodbye a TLS peer
	 * is sent nothing. */
	void (*ended)(void *owner);
	/* Nobody is there any more, or no TLS. Once, and once more behind stream_linger(). */
	void (*failed)(void *owner);
};

/* Takes fd, which does not block. events is borrowed for ever, tls until stream_shake(). NULL: no
 * memory, fd is closed. */
struct stream *stream_new(struct loop *loop, int fd, struct stream_tls *tls, size_t input_max,
	const struct stream_events *events, void *owner);
/* Closes. Not from inside an event of its own. */
void stream_free(struct stream *stream);

/* TLS only, once, behind knocked: begin the handshake, which is what costs memory and time. Before
 * it nothing but stream_silence(), stream_linger() and stream_free() may be called. False: no
 * memory. */
bool stream_shake(struct stream *stream);

/* Borrowed until stream_drop(). A part of what has arrived; len 0: all of it was dropped. */
struct text stream_first(const struct stream *stream);
void stream_drop(struct stream *stream, size_t len);

/* Copies both, as one piece. False: no memory, or nobody there. */
bool stream_send(struct stream *stream, struct text head, struct text body);
size_t stream_unsent(const struct stream *stream); /* bytes the kernel has not taken yet */

/* Read no more. */
void stream_stop(struct stream *stream);
/* Send no more, read no more; failed comes from nowhere any more. */
void stream_silence(struct stream *stream);

/* End our side, then read and drop until the peer ends its own: failed. (Closing with bytes unread
 * would send a reset, which may overtake what was sent.) Not from inside an event of its own.
 * False: nobody is there. */
bool stream_linger(struct stream *stream);
