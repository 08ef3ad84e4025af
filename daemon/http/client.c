/* Requests to one origin, one at a time: look up, connect, send, read, and tell what came. */
#include "http/client.h"

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
#include "base/memory.h"
#include "http/grammar.h"
#include "http/response.h"
#include "http/url.h"
#include "io/dns.h"

enum {
	CLIENT_MAGIC = 0x48545053,
	ATTEMPT_MS = 5000,   /* for one address, while there are others to try */
	IDLE_MAX_MS = 15000, /* a connection idle for longer may be dead without a sign of it */
};

struct client {
	unsigned magic;
	struct loop *loop;
	struct url url;
	SSL_CTX *tls; /* NULL: http */

	struct loop_timer *deadline;
	struct loop_timer *attempt; /* runs while an address that is not the last is tried */
	struct loop_task *ending;   /* see what comes next, with no library call below us */

	struct dns *lookup; /* NULL: none under way */
	struct dns_answer found;
	size_t address; /* which of found is tried */

	struct bufferevent *stream; /* NULL: not connected, nor trying */
	bool connected;             /* the handshake is over, and the peer is who it should be */
	bool used_up;               /* the stream has ended, or must not carry another request */
	int64_t idle_since_ms;      /* valid between two exchanges */

	bool running;             /* from client_send() until done */
	bool sent;                /* valid while running, as is the next */
	bool reused;              /* the stream is that of an earlier request */
	struct evbuffer *request; /* what is still to be given to a stream */
	int64_t deadline_ms;
	client_done *done;
	void *tag;
	struct response *response;

	bool ended; /* end and problem are valid, and ending is posted */
	enum client_end end;
	struct problem problem;
};

static void addresses_found(void *owner, const struct dns_answer *answer);
static void try_address(struct client *client);
static void attempt_timed_out(void *owner);
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
static void end_with(struct client *client, enum client_end end, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void end_with(struct client *client, enum client_end end, const char *format, ...)
{
	va_list arguments;

	if (client->ended) {
		return;
	}
	client->ended = true;
	client->end = end;
	va_start(arguments, format);
	vsnprintf(client->problem.text, sizeof(client->problem.text), format, arguments);
	va_end(arguments);
	loop_task_post(client->ending);
}

static const char *library_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return reason ? reason : "no reason given";
}

static SSL_CTX *tls_new(const char *ca_file, struct problem *problem)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
		problem_say(problem, "cannot set up TLS: %s", library_reason());
		SSL_CTX_free(tls);
		return NULL;
	}
	if ((ca_file ? SSL_CTX_load_verify_file(tls, ca_file)
		     : SSL_CTX_set_default_verify_paths(tls)) != 1) {
		problem_say(problem, "cannot read the authorities in %s: %s",
			ca_file ? ca_file : "the system's store", library_reason());
		SSL_CTX_free(tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	return tls;
}

struct client *client_new(
	struct loop *loop, const char *base_url, const char *ca_file, struct problem *problem)
{
	struct url url;
	SSL_CTX *tls = NULL;

	if (!url_parse(text_of(base_url), &url, problem)) {
		return NULL;
	}
	if (url.tls) {
		tls = tls_new(ca_file, problem);
		if (!tls) {
			return NULL;
		}
	}

	struct client *client = memory_new(sizeof(*client));

	client->magic = CLIENT_MAGIC;
	client->loop = loop;
	client->url = url;
	client->tls = tls;
	client->deadline = loop_timer_new(loop, deadline_passed, client);
	client->attempt = loop_timer_new(loop, attempt_timed_out, client);
	client->ending = loop_task_new(loop, attempt_ended, client);
	client->request = buffer_or_die();
	client->response = response_new(CLIENT_HEAD_MAX, CLIENT_BODY_MAX);
	return client;
}

static void disconnect(struct client *client)
{
	if (client->stream) {
		bufferevent_free(client->stream); /* and its SSL, and its descriptor */
	}
	client->stream = NULL;
	client->connected = false;
	client->used_up = false;
}

void client_free(struct client *client)
{
	if (!client) {
		return;
	}
	dns_free(client->lookup);
	disconnect(client);
	evbuffer_free(client->request);
	response_free(client->response);
	loop_timer_free(client->deadline);
	loop_timer_free(client->attempt);
	loop_task_free(client->ending);
	SSL_CTX_free(client->tls);
	client->magic = 0;
	free(client);
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

/* The token stays where its owner keeps it: the buffer, and the stream after it, refer to it. */
static void put_bearer(struct evbuffer *out, struct text token)
{
	if (token.len == 0) {
		return;
	}
	assert(grammar_all(token, GRAMMAR_VALUE));
	put_string(out, "Authorization: Bearer ");
	if (evbuffer_add_reference(out, token.ptr, token.len, NULL, NULL) != 0) {
		die("no memory for a request of %zu bytes", token.len);
	}
	put_string(out, "\r\n");
}

static void put_length(struct evbuffer *out, const struct client_request *request)
{
	char digits[24];

	if (request->body.len > 0 || strcmp(request->method, "POST") == 0 ||
		strcmp(request->method, "PUT") == 0) {
		snprintf(digits, sizeof(digits), "%zu", request->body.len);
		put_field(out, "Content-Length", digits);
	}
}

static void write_request(struct client *client, const struct client_request *request)
{
	struct evbuffer *out = client->request;
	const char *prefix = client->url.prefix;
	bool at_root = prefix[0] == '\0' && request->target[0] != '/';

	assert(grammar_all(text_of(request->method), GRAMMAR_TOKEN));
	assert(url_is_target(text_of(request->target)));
	evbuffer_drain(out, evbuffer_get_length(out));
	put_string(out, request->method);
	put_string(out, at_root ? " /" : " ");
	put_string(out, prefix);
	put_string(out, request->target);
	put_string(out, " HTTP/1.1\r\n");
	put_field(out, "Host", client->url.authority);
	put_field(out, "User-Agent", "orderd/" ORDERD_VERSION);
	put_field(out, "Accept-Encoding", "identity"); /* without it any coding is allowed */
	for (size_t i = 0; i < CLIENT_FIELDS_MAX && request->fields[i].name; i++) {
		put_field(out, request->fields[i].name, request->fields[i].value);
	}
	put_bearer(out, request->bearer);
	put_length(out, request);
	put_string(out, "\r\n");
	put(out, request->body);
}

/* Bytes that nobody asked for, and the end of the connection, may be there without the loop having
 * seen them yet: what they say would be taken for the answer. */
static bool is_quiet(const struct client *client)
{
	char byte;
	ssize_t got = recv(bufferevent_getfd(client->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) &&
	       evbuffer_get_length(bufferevent_get_input(client->stream)) == 0;
}

static bool can_use_again(const struct client *client)
{
	return client->connected && !client->used_up &&
	       clock_mono_ms() - client->idle_since_ms < IDLE_MAX_MS && is_quiet(client);
}

static void send_request(struct client *client)
{
	client->sent = true;
	if (bufferevent_write_buffer(client->stream, client->request) != 0) {
		die("no memory for a request");
	}
}

bool client_send(
	struct client *client, const struct client_request *request, client_done *done, void *tag)
{
	if (client->running) {
		return false;
	}
	client->running = true;
	client->done = done;
	client->tag = tag;
	client->deadline_ms = request->deadline_ms > 0 ? request->deadline_ms : CLIENT_TOTAL_MS;
	write_request(client, request);
	response_reset(client->response, strcmp(request->method, "HEAD") == 0);
	loop_timer_start(client->deadline, client->deadline_ms);
	client->sent = false;
	client->reused = can_use_again(client);
	if (client->reused) {
		send_request(client);
		return true;
	}
	disconnect(client);
	client->lookup =
		dns_new(client->loop, client->url.host, client->url.port, addresses_found, client);
	return true;
}

static void addresses_found(void *owner, const struct dns_answer *answer)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC);
	client->found = *answer;
	dns_free(client->lookup); /* answer goes with it */
	client->lookup = NULL;
	if (client->found.count == 0) {
		end_with(client, CLIENT_UNREACHABLE, "the name %s is not found: %s",
			client->url.host, client->found.problem);
		return;
	}
	client->address = 0;
	try_address(client);
}

/* The name the certificate must carry: among its alternative names, the common name being no longer
 * looked at, and with a "*" only for a whole label. */
static bool expect_name(SSL *ssl, struct url *url)
{
	if (url->literal) {
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), url->host) == 1;
	}
	SSL_set_hostflags(
		ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, url->host) == 1 && SSL_set_tlsext_host_name(ssl, url->host) == 1;
}

static struct bufferevent *tls_stream_new(struct client *client)
{
	SSL *ssl = SSL_new(client->tls);
	struct bufferevent *stream = NULL;

	if (ssl && expect_name(ssl, &client->url)) {
		stream = bufferevent_openssl_socket_new(loop_base(client->loop), -1, ssl,
			BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	}
	if (!stream) {
		SSL_free(ssl);
		ERR_clear_error();
	}
	return stream;
}

static bool begin_connect(struct client *client, struct address *address)
{
	client->stream = client->tls ? tls_stream_new(client)
				     : bufferevent_socket_new(
					       loop_base(client->loop), -1, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream) {
		return false;
	}
	bufferevent_setcb(client->stream, bytes_arrived, NULL, stream_changed, client);
	return bufferevent_enable(client->stream, EV_READ | EV_WRITE) == 0 &&
	       bufferevent_socket_connect(client->stream, &address->any, (int)address->len) == 0;
}

static void try_address(struct client *client)
{
	if (client->address + 1 < client->found.count) {
		loop_timer_start(client->attempt, ATTEMPT_MS);
	}
	if (!begin_connect(client, &client->found.addresses[client->address])) {
		end_with(client, CLIENT_UNREACHABLE, "cannot make a connection to %s",
			client->url.authority);
	}
}

static void attempt_timed_out(void *owner)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC);
	if (!client->connected) {
		end_with(client, CLIENT_UNREACHABLE, "%s cannot be reached in time",
			client->url.authority);
	}
}

static void deadline_passed(void *owner)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC);
	end_with(client, CLIENT_LATE, "%s has not answered within %lld ms", client->url.authority,
		(long long)client->deadline_ms);
}

/* Why TLS refused, or NULL: the peer was merely lost. */
static const char *distrust(const struct client *client)
{
	SSL *ssl = bufferevent_openssl_get_ssl(client->stream);
	unsigned long error;
	long verdict;

	if (!ssl) {
		return NULL;
	}
	verdict = SSL_get_verify_result(ssl);
	if (verdict != X509_V_OK) {
		return X509_verify_cert_error_string(verdict);
	}
	error = bufferevent_get_openssl_error(client->stream);
	if (error == 0 || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		return NULL;
	}
	return ERR_reason_error_string(error);
}

static void handshake_failed(struct client *client, int error)
{
	const char *reason = distrust(client);

	if (reason) {
		end_with(client, CLIENT_UNTRUSTED, "%s is not trusted: %s", client->url.authority,
			reason);
		return;
	}
	end_with(client, CLIENT_UNREACHABLE, "%s cannot be reached: %s", client->url.authority,
		error ? strerror(error) : "it hung up");
}

/* What has come is read before the end of the connection is looked at. */
static void read_answer(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	size_t len = evbuffer_get_length(input);
	struct text bytes = { (const char *)evbuffer_pullup(input, -1), len };
	size_t used;

	switch (response_read(client->response, bytes, &used)) {
	case RESPONSE_MORE:
		break;
	case RESPONSE_WHOLE:
		client->used_up = used < len || !response_keeps_connection(client->response);
		end_with(client, CLIENT_ANSWERED, "%s", "");
		break;
	case RESPONSE_BROKEN:
		end_with(client, CLIENT_BROKEN, "%s sent an answer that cannot be read: %s",
			client->url.authority, response_problem(client->response));
		break;
	}
	evbuffer_drain(input, len);
}

/* TLS says so itself when a peer ends a connection; without it an end looks like a cut. */
static bool ended_by_peer(const struct client *client)
{
	SSL *ssl = bufferevent_openssl_get_ssl(client->stream);

	return ssl && (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

static void connection_ended(struct client *client)
{
	const struct response *response = client->response;
	const char *host = client->url.authority;

	if (evbuffer_get_length(bufferevent_get_input(client->stream)) > 0) {
		read_answer(client);
	}
	client->used_up = true;
	if (response_end(response, ended_by_peer(client))) {
		end_with(client, CLIENT_ANSWERED, "%s", "");
	} else if (response_has_head(response) && response_ends_with_connection(response)) {
		end_with(client, CLIENT_BROKEN,
			"%s ended its answer by hanging up, which tells no end from a cut", host);
	} else if (response_begun(response)) {
		end_with(client, CLIENT_BROKEN, "%s cut its answer short", host);
	} else {
		end_with(client, client->reused ? CLIENT_DROPPED : CLIENT_UNREACHABLE,
			"%s hung up before its answer", host);
	}
}

static void stream_changed(struct bufferevent *stream, short what, void *owner)
{
	int error = EVUTIL_SOCKET_ERROR();
	struct client *client = owner;
	int on = 1;

	assert(client->magic == CLIENT_MAGIC && client->stream == stream);
	if (!client->running || client->ended) {
		client->used_up = true;
	} else if ((what & BEV_EVENT_CONNECTED) != 0) {
		client->connected = true;
		setsockopt(bufferevent_getfd(stream), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		send_request(client);
	} else if (client->connected) {
		connection_ended(client);
	} else {
		handshake_failed(client, error);
	}
}

static void bytes_arrived(struct bufferevent *stream, void *owner)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC && client->stream == stream);
	if (!client->running || client->ended) {
		client->used_up = true; /* by an answer nobody asked for */
		bufferevent_disable(stream, EV_READ);
		return;
	}
	read_answer(client);
}

/* Nothing of the request has left for an address that was not connected: another may be tried. Not
 * when this one is distrusted, which is worse than silence. */
static bool try_next_address(struct client *client)
{
	if (client->end != CLIENT_UNREACHABLE || client->connected ||
		client->address + 1 >= client->found.count) {
		return false;
	}
	disconnect(client);
	client->ended = false;
	client->address++;
	try_address(client);
	return true;
}

/* done may send the next request or free the client, so the answer goes with this frame. */
static void tell(struct client *client)
{
	struct response *response = client->response;
	struct problem problem = client->problem;
	struct client_answer answer = {
		.end = client->end,
		.body = TEXT(""),
		.problem = problem.text,
		.sent = client->sent,
		.response = response,
	};

	if (response_has_head(response)) {
		answer.status = response_status(response);
	}
	if (answer.end == CLIENT_ANSWERED) {
		answer.body = response_body(response);
	}
	client->response = response_new(CLIENT_HEAD_MAX, CLIENT_BODY_MAX);
	client->running = false;
	client->ended = false;
	client->idle_since_ms = clock_mono_ms();
	client->done(client->tag, &answer);
	response_free(response);
}

static void attempt_ended(void *owner)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC && client->running && client->ended);
	loop_timer_stop(client->attempt);
	if (try_next_address(client)) {
		return;
	}
	loop_timer_stop(client->deadline);
	dns_free(client->lookup);
	client->lookup = NULL;
	if (client->end != CLIENT_ANSWERED || client->used_up) {
		disconnect(client);
	}
	tell(client);
}

bool client_answer_next_field(
	const struct client_answer *answer, const char *name, size_t *place, struct text *ret_value)
{
	return answer->status > 0 &&
	       response_next_field(answer->response, text_of(name), place, ret_value);
}
