#include "io/https.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/die.h"
#include "io/grammar.h"
#include "io/lookup.h"
#include "io/origin.h"
#include "io/reply.h"

enum {
	HTTPS_MAGIC = 0x48545053,
	ATTEMPT_MS = 5000,   /* for one address, while there are others to try */
	IDLE_MAX_MS = 15000, /* a connection idle for longer may be dead without a sign of it */
};

struct https_fields {
	struct reply *reply;
};

struct https {
	unsigned magic;
	struct loop *loop;
	struct origin origin;
	SSL_CTX *tls; /* NULL: http */

	struct loop_timer *deadline;
	struct loop_timer *attempt; /* runs while an address that is not the last is tried */
	struct loop_task *ending;   /* see what comes next, with no library call below us */

	struct lookup *lookup; /* NULL: none under way */
	struct lookup_answer found;
	size_t address; /* which of found is tried */

	struct bufferevent *stream; /* NULL: not connected, nor trying */
	bool connected;             /* the handshake is over, and the peer is who it should be */
	bool used_up;               /* the stream has ended, or must not carry another request */
	int64_t idle_since_ms;      /* valid between two exchanges */

	bool running;             /* from https_send() until done */
	struct evbuffer *request; /* what is still to be given to a stream */
	int64_t deadline_ms;
	https_done *done;
	void *tag;
	struct reply *reply;

	bool ended; /* end and problem are valid, and ending is posted */
	enum https_end end;
	char problem[HTTPS_PROBLEM_MAX];
};

static void addresses_found(void *owner, const struct lookup_answer *answer);
static void try_address(struct https *https);
static void attempt_is_late(void *owner);
static void deadline_passed(void *owner);
static void stream_changed(struct bufferevent *stream, short what, void *owner);
static void bytes_arrived(struct bufferevent *stream, void *owner);
static void attempt_ended(void *owner);

static struct evbuffer *buffer_or_die(void)
{
	struct evbuffer *buffer = evbuffer_new();

	if (!buffer) {
		die("no memory for a buffer");
	}
	return buffer;
}

/* The first word counts; what comes later is a consequence. */
static void end_with(struct https *https, enum https_end end, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void end_with(struct https *https, enum https_end end, const char *format, ...)
{
	va_list arguments;

	if (https->ended) {
		return;
	}
	https->ended = true;
	https->end = end;
	va_start(arguments, format);
	vsnprintf(https->problem, sizeof(https->problem), format, arguments);
	va_end(arguments);
	loop_task_post(https->ending);
}

static const char *library_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return reason ? reason : "no reason given";
}

static SSL_CTX *tls_new(const char *ca_file, char problem[HTTPS_PROBLEM_MAX])
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
		snprintf(problem, HTTPS_PROBLEM_MAX, "cannot set up TLS: %s", library_reason());
		SSL_CTX_free(tls);
		return NULL;
	}
	if ((ca_file ? SSL_CTX_load_verify_file(tls, ca_file)
		     : SSL_CTX_set_default_verify_paths(tls)) != 1) {
		snprintf(problem, HTTPS_PROBLEM_MAX, "cannot read the authorities in %s: %s",
			ca_file ? ca_file : "the system's store", library_reason());
		SSL_CTX_free(tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	return tls;
}

struct https *https_new(
	struct loop *loop, const char *url, const char *ca_file, char problem[HTTPS_PROBLEM_MAX])
{
	struct origin origin;
	SSL_CTX *tls = NULL;

	_Static_assert((int)ORIGIN_PROBLEM_MAX <= (int)HTTPS_PROBLEM_MAX, "its sentences fit");
	if (!origin_parse(text_of(url), &origin, problem)) {
		return NULL;
	}
	if (origin.tls) {
		tls = tls_new(ca_file, problem);
		if (!tls) {
			return NULL;
		}
	}

	struct https *https = new_or_die(sizeof(*https));

	https->magic = HTTPS_MAGIC;
	https->loop = loop;
	https->origin = origin;
	https->tls = tls;
	https->deadline = loop_timer_new(loop, deadline_passed, https);
	https->attempt = loop_timer_new(loop, attempt_is_late, https);
	https->ending = loop_task_new(loop, attempt_ended, https);
	https->request = buffer_or_die();
	https->reply = reply_new(HTTPS_HEAD_MAX, HTTPS_BODY_MAX);
	return https;
}

static void disconnect(struct https *https)
{
	if (https->stream) {
		bufferevent_free(https->stream); /* and its SSL, and its descriptor */
	}
	https->stream = NULL;
	https->connected = false;
	https->used_up = false;
}

void https_free(struct https *https)
{
	if (!https) {
		return;
	}
	lookup_free(https->lookup);
	disconnect(https);
	evbuffer_free(https->request);
	reply_free(https->reply);
	loop_timer_free(https->deadline);
	loop_timer_free(https->attempt);
	loop_task_free(https->ending);
	SSL_CTX_free(https->tls);
	https->magic = 0;
	free(https);
}

static void put(struct evbuffer *out, struct text text)
{
	if (evbuffer_add(out, text.ptr, text.len) != 0) {
		die("no memory for a request of %zu bytes", text.len);
	}
}

static void put_string(struct evbuffer *out, const char *string)
{
	put(out, text_of(string));
}

/* A line end in a name or a value would be a request of somebody else's. */
static void put_field(struct evbuffer *out, const char *name, const char *value)
{
	assert(grammar_all(text_of(name), GRAMMAR_TOKEN));
	assert(grammar_all(text_of(value), GRAMMAR_VALUE));
	put_string(out, name);
	put_string(out, ": ");
	put_string(out, value);
	put_string(out, "\r\n");
}

static void put_length(struct evbuffer *out, const struct https_request *request)
{
	char digits[24];

	if (request->body.len > 0 || strcmp(request->method, "POST") == 0 ||
		strcmp(request->method, "PUT") == 0) {
		snprintf(digits, sizeof(digits), "%zu", request->body.len);
		put_field(out, "Content-Length", digits);
	}
}

static void write_request(struct https *https, const struct https_request *request)
{
	struct evbuffer *out = https->request;
	const char *prefix = https->origin.prefix;
	bool at_root = prefix[0] == '\0' && request->target[0] != '/';

	assert(grammar_all(text_of(request->method), GRAMMAR_TOKEN));
	assert(origin_is_target(text_of(request->target)));
	evbuffer_drain(out, evbuffer_get_length(out));
	put_string(out, request->method);
	put_string(out, at_root ? " /" : " ");
	put_string(out, prefix);
	put_string(out, request->target);
	put_string(out, " HTTP/1.1\r\n");
	put_field(out, "Host", https->origin.authority);
	put_field(out, "User-Agent", "orderd/" ORDERD_VERSION);
	for (size_t i = 0; i < HTTPS_FIELDS_MAX && request->fields[i].name; i++) {
		put_field(out, request->fields[i].name, request->fields[i].value);
	}
	put_length(out, request);
	put_string(out, "\r\n");
	put(out, request->body);
}

/* Bytes that nobody asked for, and the end of the connection, may be there without the loop having
 * seen them yet: what they say would be taken for the answer. */
static bool is_quiet(const struct https *https)
{
	char byte;
	ssize_t got = recv(bufferevent_getfd(https->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) &&
	       evbuffer_get_length(bufferevent_get_input(https->stream)) == 0;
}

static bool can_use_again(const struct https *https)
{
	return https->connected && !https->used_up &&
	       clock_mono_ms() - https->idle_since_ms < IDLE_MAX_MS && is_quiet(https);
}

static void send_request(struct https *https)
{
	if (bufferevent_write_buffer(https->stream, https->request) != 0) {
		die("no memory for a request");
	}
}

bool https_send(
	struct https *https, const struct https_request *request, https_done *done, void *tag)
{
	if (https->running) {
		return false;
	}
	https->running = true;
	https->done = done;
	https->tag = tag;
	https->deadline_ms = request->deadline_ms > 0 ? request->deadline_ms : HTTPS_TOTAL_MS;
	write_request(https, request);
	reply_reset(https->reply, strcmp(request->method, "HEAD") == 0);
	loop_timer_start(https->deadline, https->deadline_ms);
	if (can_use_again(https)) {
		send_request(https);
		return true;
	}
	disconnect(https);
	https->lookup = lookup_new(
		https->loop, https->origin.host, https->origin.port, addresses_found, https);
	return true;
}

static void addresses_found(void *owner, const struct lookup_answer *answer)
{
	struct https *https = owner;

	assert(https->magic == HTTPS_MAGIC);
	https->found = *answer;
	lookup_free(https->lookup); /* answer goes with it */
	https->lookup = NULL;
	if (https->found.count == 0) {
		end_with(https, HTTPS_UNREACHABLE, "the name %s is not found: %s",
			https->origin.host, https->found.problem);
		return;
	}
	https->address = 0;
	try_address(https);
}

/* The name the certificate must carry: among its alternative names, the common name being no longer
 * looked at, and with a "*" only for a whole label. */
static bool expect_name(SSL *ssl, struct origin *origin)
{
	if (origin->literal) {
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), origin->host) == 1;
	}
	SSL_set_hostflags(
		ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, origin->host) == 1 &&
	       SSL_set_tlsext_host_name(ssl, origin->host) == 1;
}

static struct bufferevent *tls_stream_new(struct https *https)
{
	SSL *ssl = SSL_new(https->tls);
	struct bufferevent *stream = NULL;

	if (ssl && expect_name(ssl, &https->origin)) {
		stream = bufferevent_openssl_socket_new(loop_base(https->loop), -1, ssl,
			BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	}
	if (!stream) {
		SSL_free(ssl);
		ERR_clear_error();
	}
	return stream;
}

static bool begin_connect(struct https *https, const struct lookup_address *address)
{
	struct sockaddr_storage socket = address->socket; /* libevent takes it without const */

	https->stream = https->tls ? tls_stream_new(https)
				   : bufferevent_socket_new(
					     loop_base(https->loop), -1, BEV_OPT_CLOSE_ON_FREE);
	if (!https->stream) {
		return false;
	}
	bufferevent_setcb(https->stream, bytes_arrived, NULL, stream_changed, https);
	return bufferevent_enable(https->stream, EV_READ | EV_WRITE) == 0 &&
	       bufferevent_socket_connect(
		       https->stream, (struct sockaddr *)&socket, (int)address->len) == 0;
}

static void try_address(struct https *https)
{
	if (https->address + 1 < https->found.count) {
		loop_timer_start(https->attempt, ATTEMPT_MS);
	}
	if (!begin_connect(https, &https->found.addresses[https->address])) {
		end_with(https, HTTPS_UNREACHABLE, "cannot make a connection to %s",
			https->origin.authority);
	}
}

static void attempt_is_late(void *owner)
{
	struct https *https = owner;

	assert(https->magic == HTTPS_MAGIC);
	if (!https->connected) {
		end_with(https, HTTPS_UNREACHABLE, "%s cannot be reached in time",
			https->origin.authority);
	}
}

static void deadline_passed(void *owner)
{
	struct https *https = owner;

	assert(https->magic == HTTPS_MAGIC);
	end_with(https, HTTPS_LATE, "%s has not answered within %lld ms", https->origin.authority,
		(long long)https->deadline_ms);
}

/* Why TLS refused, or NULL: the peer was merely lost. */
static const char *distrust(const struct https *https)
{
	SSL *ssl = bufferevent_openssl_get_ssl(https->stream);
	unsigned long error;
	long verdict;

	if (!ssl) {
		return NULL;
	}
	verdict = SSL_get_verify_result(ssl);
	if (verdict != X509_V_OK) {
		return X509_verify_cert_error_string(verdict);
	}
	error = bufferevent_get_openssl_error(https->stream);
	if (error == 0 || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		return NULL;
	}
	return ERR_reason_error_string(error);
}

static void handshake_failed(struct https *https, int error)
{
	const char *reason = distrust(https);

	if (reason) {
		end_with(https, HTTPS_UNTRUSTED, "%s is not trusted: %s", https->origin.authority,
			reason);
		return;
	}
	end_with(https, HTTPS_UNREACHABLE, "%s cannot be reached: %s", https->origin.authority,
		error ? strerror(error) : "it hung up");
}

static void connection_ended(struct https *https)
{
	const char *host = https->origin.authority;

	if (reply_begun(https->reply)) {
		end_with(https, HTTPS_BROKEN, "%s cut its answer short", host);
	} else {
		end_with(https, HTTPS_UNREACHABLE, "%s hung up before its answer", host);
	}
}

static void stream_changed(struct bufferevent *stream, short what, void *owner)
{
	int error = EVUTIL_SOCKET_ERROR();
	struct https *https = owner;
	int on = 1;

	assert(https->magic == HTTPS_MAGIC && https->stream == stream);
	if (!https->running || https->ended) {
		https->used_up = true;
	} else if ((what & BEV_EVENT_CONNECTED) != 0) {
		https->connected = true;
		setsockopt(bufferevent_getfd(stream), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		send_request(https);
	} else if (https->connected) {
		connection_ended(https);
	} else {
		handshake_failed(https, error);
	}
}

static void bytes_arrived(struct bufferevent *stream, void *owner)
{
	struct evbuffer *input = bufferevent_get_input(stream);
	struct https *https = owner;
	size_t used;

	assert(https->magic == HTTPS_MAGIC && https->stream == stream);
	if (!https->running || https->ended) {
		https->used_up = true; /* by an answer nobody asked for */
		bufferevent_disable(stream, EV_READ);
		return;
	}

	size_t len = evbuffer_get_length(input);
	struct text bytes = { (const char *)evbuffer_pullup(input, -1), len };

	switch (reply_read(https->reply, bytes, &used)) {
	case REPLY_MORE:
		break;
	case REPLY_WHOLE:
		https->used_up = used < len || !reply_keeps_connection(https->reply);
		end_with(https, HTTPS_ANSWERED, "%s", "");
		break;
	case REPLY_BROKEN:
		end_with(https, HTTPS_BROKEN, "%s %s", https->origin.authority,
			reply_problem(https->reply));
		break;
	}
	evbuffer_drain(input, len);
}

/* Nothing of the request has left for an address that was not connected: another may be tried. Not
 * when this one is distrusted, which is worse than silence. */
static bool try_next_address(struct https *https)
{
	if (https->end != HTTPS_UNREACHABLE || https->connected ||
		https->address + 1 >= https->found.count) {
		return false;
	}
	disconnect(https);
	https->ended = false;
	https->address++;
	try_address(https);
	return true;
}

/* done may send the next request or free https, so the answer goes with this frame. */
static void tell(struct https *https)
{
	struct https_fields fields = { https->reply };
	char problem[HTTPS_PROBLEM_MAX];
	struct https_answer answer = {
		.end = https->end,
		.body = TEXT(""),
		.problem = problem,
		.fields = &fields,
	};

	memcpy(problem, https->problem, sizeof(problem));
	if (answer.end == HTTPS_ANSWERED) {
		answer.status = reply_status(fields.reply);
		answer.body = reply_body(fields.reply);
	}
	https->reply = reply_new(HTTPS_HEAD_MAX, HTTPS_BODY_MAX);
	https->running = false;
	https->ended = false;
	https->idle_since_ms = clock_mono_ms();
	https->done(https->tag, &answer);
	reply_free(fields.reply);
}

static void attempt_ended(void *owner)
{
	struct https *https = owner;

	assert(https->magic == HTTPS_MAGIC && https->running && https->ended);
	loop_timer_stop(https->attempt);
	if (try_next_address(https)) {
		return;
	}
	loop_timer_stop(https->deadline);
	lookup_free(https->lookup);
	https->lookup = NULL;
	if (https->end != HTTPS_ANSWERED || https->used_up) {
		disconnect(https);
	}
	tell(https);
}

struct text https_answer_field(const struct https_answer *answer, const char *name)
{
	if (answer->end != HTTPS_ANSWERED) {
		return TEXT("");
	}
	return reply_field(answer->fields->reply, text_of(name));
}
