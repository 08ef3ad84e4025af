/* An accepted connection as a stream of bytes, plain or TLS, over a bufferevent. */
#include "http/stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/memory.h"

struct stream_tls {
	SSL_CTX *context;
	char *certificate;
	char *key;
};

struct stream {
	struct loop *loop;
	int fd;                          /* owned */
	const struct stream_tls *secure; /* valid until stream_shake(); NULL = plain */
	size_t input_max;
	struct bufferevent *buffers; /* NULL before the handshake, and while lingering */
	SSL *tls;                    /* owned; NULL = plain */
	struct loop_watch *watch;    /* only while there are no buffers */
	const struct stream_events *events;
	void *owner;
};

static void free_context(SSL_CTX **context)
{
	SSL_CTX_free(*context);
}

static int no_password(char *out, int size, int writing, void *owner)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)owner;
	return -1; /* a daemon asks nobody */
}

static void describe(const char *what, const char *file, struct problem *problem)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;

	problem_say(
		problem, "cannot use the %s %s: %s", what, file, reason ? reason : "not usable");
	ERR_clear_error();
}

static SSL_CTX *new_context(const char *certificate, const char *key, struct problem *problem)
{
	SSL_CTX *context CLEANUP(free_context) = SSL_CTX_new(TLS_server_method());
	SSL_CTX *made;

	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
		describe("library", "OpenSSL", problem);
		return NULL;
	}
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);         /* of connections that sleep */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets need no room */
	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
		describe("certificate", certificate, problem);
		return NULL;
	}
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(context) != 1) {
		describe("key", key, problem);
		return NULL;
	}
	made = context;
	context = NULL;
	return made;
}

struct stream_tls *stream_tls_new(const char *certificate, const char *key, struct problem *problem)
{
	SSL_CTX *context = new_context(certificate, key, problem);
	struct stream_tls *tls;

	if (!context) {
		return NULL;
	}
	tls = memory_new(sizeof(*tls));
	tls->context = context;
	tls->certificate = memory_copy(certificate);
	tls->key = memory_copy(key);
	return tls;
}

void stream_tls_free(struct stream_tls *tls)
{
	if (!tls) {
		return;
	}
	SSL_CTX_free(tls->context);
	free(tls->certificate);
	free(tls->key);
	free(tls);
}

bool stream_tls_reload(struct stream_tls *tls, struct problem *problem)
{
	SSL_CTX *context = new_context(tls->certificate, tls->key, problem);

	if (!context) {
		return false;
	}
	SSL_CTX_free(tls->context); /* counted: the streams that use it keep it */
	tls->context = context;
	return true;
}

static bool wall_us(const ASN1_TIME *time, int64_t *ret_us)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1) {
		return false;
	}
	*ret_us = (int64_t)timegm(&tm) * 1000000;
	return true;
}

void stream_tls_validity(const struct stream_tls *tls, int64_t *ret_begin_us, int64_t *ret_end_us)
{
	const X509 *leaf = SSL_CTX_get0_certificate(tls->context);

	*ret_begin_us = 1;
	*ret_end_us = 0;
	if (!wall_us(X509_get0_notBefore(leaf), ret_begin_us) ||
		!wall_us(X509_get0_notAfter(leaf), ret_end_us)) {
		*ret_begin_us = 1;
		*ret_end_us = 0;
	}
}

static void bytes_arrived(struct bufferevent *buffers, void *owner)
{
	struct stream *stream = owner;

	(void)buffers;
	stream->events->arrived(stream->owner);
}

static void bytes_sent(struct bufferevent *buffers, void *owner)
{
	struct stream *stream = owner;

	(void)buffers;
	stream->events->sent(stream->owner);
}

static void state_changed(struct bufferevent *buffers, short what, void *owner)
{
	struct stream *stream = owner;

	(void)buffers;
	ERR_clear_error();
	if (what & BEV_EVENT_CONNECTED) {
		stream->events->opened(stream->owner);
	} else if ((what & BEV_EVENT_EOF) && !stream->tls) {
		stream->events->ended(stream->owner);
	} else {
		stream->events->failed(stream->owner);
	}
}

/* The callbacks of TLS are deferred: its handshake and its writes may fail inside our own calls. */
static struct bufferevent *new_buffers(struct stream *stream)
{
	struct event_base *base = loop_base(stream->loop);

	if (!stream->secure) {
		return bufferevent_socket_new(base, stream->fd, 0);
	}
	stream->tls = SSL_new(stream->secure->context);
	if (!stream->tls) {
		return NULL;
	}
	return bufferevent_openssl_socket_new(
		base, stream->fd, stream->tls, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_DEFER_CALLBACKS);
}

static bool open_buffers(struct stream *stream)
{
	stream->buffers = new_buffers(stream);
	if (!stream->buffers) {
		return false;
	}
	bufferevent_setcb(stream->buffers, bytes_arrived, bytes_sent, state_changed, stream);
	bufferevent_setwatermark(stream->buffers, EV_READ, 0, stream->input_max);
	return bufferevent_enable(stream->buffers, EV_READ | EV_WRITE) == 0;
}

static void first_byte_arrived(void *owner, unsigned want)
{
	struct stream *stream = owner;

	(void)want;
	loop_watch_want(stream->watch, 0);
	stream->events->knocked(stream->owner);
}

struct stream *stream_new(struct loop *loop, int fd, struct stream_tls *tls, size_t input_max,
	const struct stream_events *events, void *owner)
{
	struct stream *stream = memory_new(sizeof(*stream));
	bool opened;

	stream->loop = loop;
	stream->fd = fd;
	stream->secure = tls;
	stream->input_max = input_max;
	stream->events = events;
	stream->owner = owner;
	if (tls) {
		stream->watch = loop_watch_new(loop, fd, first_byte_arrived, stream);
		opened = loop_watch_want(stream->watch, LOOP_READ);
	} else {
		opened = open_buffers(stream);
	}
	if (!opened) {
		stream_free(stream);
		return NULL;
	}
	return stream;
}

bool stream_shake(struct stream *stream)
{
	loop_watch_free(stream->watch);
	stream->watch = NULL;
	return open_buffers(stream);
}

/* Without TLS's goodbye the peer could not tell a whole answer from one that was cut. */
static void free_buffers(struct stream *stream)
{
	if (stream->tls && SSL_is_init_finished(stream->tls)) {
		ERR_clear_error();
		SSL_shutdown(stream->tls); /* best effort: the socket does not block */
		ERR_clear_error();
	}
	if (stream->buffers) {
		bufferevent_free(stream->buffers);
	}
	SSL_free(stream->tls);
	stream->buffers = NULL;
	stream->tls = NULL;
}

void stream_free(struct stream *stream)
{
	if (!stream) {
		return;
	}
	free_buffers(stream);
	loop_watch_free(stream->watch);
	close(stream->fd);
	free(stream);
}

struct text stream_first(const struct stream *stream)
{
	struct evbuffer_iovec piece = { 0 };

	if (evbuffer_peek(bufferevent_get_input(stream->buffers), -1, NULL, &piece, 1) < 1) {
		return (struct text){ "", 0 };
	}
	return (struct text){ piece.iov_base, piece.iov_len };
}

void stream_drop(struct stream *stream, size_t len)
{
	evbuffer_drain(bufferevent_get_input(stream->buffers), len);
}

/* Straight to the kernel when nothing waits before it: no round of the loop, no change of what is
 * watched. Returns how many bytes went that way, or -1. */
static ssize_t send_now(const struct stream *stream, struct text head, struct text body)
{
	struct iovec parts[2] = { { .iov_len = head.len }, { .iov_len = body.len } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t sent;

	if (stream->tls || stream_unsent(stream) > 0) {
		return 0;
	}
	/* iov_base is not const, but sendmsg() only reads there. */
	memcpy(&parts[0].iov_base, &head.ptr, sizeof(head.ptr));
	memcpy(&parts[1].iov_base, &body.ptr, sizeof(body.ptr));
	sent = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
		return 0;
	}
	return sent;
}

static bool add(struct evbuffer *buffer, struct text text, size_t skip)
{
	return skip >= text.len || evbuffer_add(buffer, text.ptr + skip, text.len - skip) == 0;
}

bool stream_send(struct stream *stream, struct text head, struct text body)
{
	ssize_t now = send_now(stream, head, body);
	size_t sent = now > 0 ? (size_t)now : 0;
	struct evbuffer *rest;
	bool added;

	if (now < 0 || sent == head.len + body.len) {
		return now >= 0;
	}
	rest = evbuffer_new();
	added = rest && add(rest, head, sent) &&
		add(rest, body, sent > head.len ? sent - head.len : 0) &&
		bufferevent_write_buffer(stream->buffers, rest) == 0;
	if (rest) {
		evbuffer_free(rest);
	}
	return added;
}

size_t stream_unsent(const struct stream *stream)
{
	return evbuffer_get_length(bufferevent_get_output(stream->buffers));
}

void stream_stop(struct stream *stream)
{
	bufferevent_disable(stream->buffers, EV_READ);
}

void stream_silence(struct stream *stream)
{
	if (stream->buffers) {
		bufferevent_disable(stream->buffers, EV_READ | EV_WRITE);
		bufferevent_setcb(stream->buffers, NULL, NULL, NULL, NULL);
	}
	if (stream->watch) {
		loop_watch_want(stream->watch, 0);
	}
}

static void bytes_to_discard_arrived(void *owner, unsigned want)
{
	struct stream *stream = owner;
	char dropped[STREAM_DISCARD_BYTES];
	ssize_t len = recv(stream->fd, dropped, sizeof(dropped), MSG_DONTWAIT);

	(void)want;
	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
		stream->events->failed(stream->owner);
	}
}

bool stream_linger(struct stream *stream)
{
	free_buffers(stream);
	if (shutdown(stream->fd, SHUT_WR) != 0) {
		return false;
	}
	stream->watch = loop_watch_new(stream->loop, stream->fd, bytes_to_discard_arrived, stream);
	return loop_watch_want(stream->watch, LOOP_READ);
}
