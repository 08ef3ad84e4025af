/* The server with the kernel and libevent failing at chosen moments, and with an owner that frees
 * it. What it does with good and bad peers is shown over real sockets in tests/e2e. */
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "check.h"
#include "http/listener.h"

enum {
	DEADLINE_MS = 5000,
	POLL_MS = 2,
	REPLY_MAX = 65536,
	BODY_MAX = 1000,
};

#define REQUEST                                                                                    \
	"POST /x HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nx-twice: 2\r\nContent-Length: 2\r\n\r\nhi"

/* How many calls fail from now on, and how. */
static struct {
	int accepts, accept_error;
	int sends, send_error; /* send_error 0: only some bytes are taken */
	int streams;
	int buffers;
} failing;

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
struct bufferevent;
struct bufferevent *__real_bufferevent_socket_new(struct event_base *base, int fd, int options);
struct bufferevent *__wrap_bufferevent_socket_new(struct event_base *base, int fd, int options);
struct evbuffer;
struct evbuffer *__real_evbuffer_new(void);
struct evbuffer *__wrap_evbuffer_new(void);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	if (failing.accepts > 0) {
		failing.accepts--;
		errno = failing.accept_error;
		return -1;
	}
	return __real_accept4(fd, address, size, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (failing.sends > 0) {
		failing.sends--;
		if (failing.send_error == 0) {
			return send(fd, message->msg_iov[0].iov_base, 7, flags);
		}
		errno = failing.send_error;
		return -1;
	}
	return __real_sendmsg(fd, message, flags);
}

struct bufferevent *__wrap_bufferevent_socket_new(struct event_base *base, int fd, int options)
{
	if (failing.streams > 0) {
		failing.streams--;
		return NULL;
	}
	return __real_bufferevent_socket_new(base, fd, options);
}

struct evbuffer *__wrap_evbuffer_new(void)
{
	if (failing.buffers > 0) {
		failing.buffers--;
		return NULL;
	}
	return __real_evbuffer_new();
}

struct owner {
	struct loop *loop;
	struct server *server;
	bool hold;
	size_t requests;
	size_t gone;
	size_t drained;
	int64_t arrived_us;
	char field[8];
	size_t field_count;
	char body[BODY_MAX];
};

static void request_arrived(
	void *pointer, struct exchange *exchange, const struct http_request *request)
{
	struct owner *owner = pointer;
	struct text field = request_field(request, TEXT("X-TWICE"), &owner->field_count);
	struct answer answer = { .status = 200, .body = { owner->body, sizeof(owner->body) } };

	owner->requests++;
	owner->arrived_us = request->arrived_us;
	snprintf(owner->field, sizeof(owner->field), "%.*s", (int)field.len, field.ptr);
	if (owner->hold) {
		exchange_hold(exchange, owner);
	} else {
		exchange_answer(exchange, &answer);
	}
}

static void exchange_gone(void *pointer, void *tag)
{
	struct owner *owner = pointer;

	owner->gone += tag == owner;
}

static struct owner begin(void)
{
	struct owner owner = { .loop = loop_new() };

	memset(owner.body, 'b', sizeof(owner.body));
	return owner;
}

/* From here on owner must stay where it is. */
static void start(struct owner *owner)
{
	static const struct exchange_events events = { .request_arrived = request_arrived,
		.exchange_gone = exchange_gone };
	const struct server_options options = { .address = "127.0.0.1:0",
		.listen_fd = -1,
		.connections_max = 10,
		.body_max = 100,
		.linger_ms = 100 };
	struct problem problem = { "" };

	owner->server = server_new(owner->loop, &options, &events, owner, &problem);
	CHECK(owner->server != NULL, "it listens (%s)", problem.text);
}

static void end(struct owner *owner)
{
	server_free(owner->server);
	loop_free(owner->loop);
	CHECK(metrics_get(METRIC_CONNECTIONS_OPEN) == 0, "no connection is counted as open");
}

static int connect_to(const struct owner *owner)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *colon = strrchr(server_address(owner->server), ':');
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0,
		"a peer connects");
	return fd;
}

static int request_to(const struct owner *owner)
{
	int fd = connect_to(owner);

	CHECK(send(fd, REQUEST, sizeof(REQUEST) - 1, 0) == sizeof(REQUEST) - 1, "and asks");
	return fd;
}

struct waiting {
	struct owner *owner;
	struct loop_timer *timer;
	bool (*met)(void *tag);
	void *tag;
	int64_t until_ms;
	bool happened;
};

static void look(void *pointer)
{
	struct waiting *waiting = pointer;

	waiting->happened = waiting->met(waiting->tag);
	if (waiting->happened || clock_mono_ms() > waiting->until_ms) {
		loop_stop(waiting->owner->loop);
		return;
	}
	loop_timer_start(waiting->timer, POLL_MS);
}

/* Turns the loop until the condition is met, or a deadline has passed. */
static bool wait_for(struct owner *owner, bool (*met)(void *tag), void *tag)
{
	struct waiting waiting = {
		.owner = owner, .met = met, .tag = tag, .until_ms = clock_mono_ms() + DEADLINE_MS
	};

	waiting.timer = loop_timer_new(owner->loop, look, &waiting);
	loop_timer_start(waiting.timer, 0);
	loop_run(owner->loop);
	loop_timer_free(waiting.timer);
	return waiting.happened;
}

struct response {
	int fd;
	size_t len;
	bool ended;
	char bytes[REPLY_MAX];
};

static void read_more(struct response *response)
{
	ssize_t len = recv(response->fd, response->bytes + response->len,
		sizeof(response->bytes) - response->len, MSG_DONTWAIT);

	if (len > 0) {
		response->len += (size_t)len;
	}
	response->ended = response->ended || len == 0 || (len < 0 && errno != EAGAIN);
}

static bool is_answered(void *tag)
{
	struct response *response = tag;
	const char *body;

	read_more(response);
	body = memmem(response->bytes, response->len, "\r\n\r\n", 4);
	return body && response->len - (size_t)(body + 4 - response->bytes) == BODY_MAX;
}

static bool is_ended(void *tag)
{
	struct response *response = tag;

	read_more(response);
	return response->ended;
}

static bool has_requests(void *tag)
{
	return ((struct owner *)tag)->requests > 0;
}

static bool is_drained(void *tag)
{
	return ((struct owner *)tag)->drained > 0;
}

static void check_answered(struct owner *owner, const char *promise)
{
	static struct response response;

	response = (struct response){ .fd = request_to(owner) };
	CHECK(wait_for(owner, is_answered, &response) &&
			memcmp(response.bytes, "HTTP/1.1 200 OK\r\n", 17) == 0 &&
			memcmp(response.bytes + response.len - BODY_MAX, owner->body, BODY_MAX) ==
				0,
		"%s", promise);
	close(response.fd);
}

static void check_closed(struct owner *owner, const char *promise)
{
	static struct response response;

	response = (struct response){ .fd = request_to(owner) };
	CHECK(wait_for(owner, is_ended, &response) && response.len == 0, "%s", promise);
	close(response.fd);
	check_answered(owner, "and the next peer is answered");
}

static void check_exchange(void)
{
	struct owner owner = begin();
	int64_t now_us = clock_wall_us();

	start(&owner);
	check_answered(&owner, "a request is answered");
	CHECK(owner.arrived_us >= now_us && owner.arrived_us <= clock_wall_us(),
		"it knows when it was whole");
	CHECK(strcmp(owner.field, "1") == 0 && owner.field_count == 2, "its fields are there");
	check_answered(&owner, "another, too");
	end(&owner);
}

static void check_freed_while_held(void)
{
	struct owner owner = begin();
	int fd;

	owner.hold = true;
	start(&owner);
	fd = request_to(&owner);
	CHECK(wait_for(&owner, has_requests, &owner), "a request is held");
	end(&owner);
	CHECK(owner.gone == 1, "its owner is told when the server goes");
	close(fd);
}

static void drained(void *pointer)
{
	struct owner *owner = pointer;

	owner->drained++;
	server_free(owner->server);
	owner->server = NULL;
}

static void check_drained(void)
{
	struct owner owner = begin();

	start(&owner);
	check_answered(&owner, "before the drain a request is answered");
	server_drain(owner.server, drained, &owner);
	CHECK(owner.drained == 0, "drained is never called from inside");
	CHECK(wait_for(&owner, is_drained, &owner) && owner.drained == 1,
		"it is called once, and may free the server");
	end(&owner);
}

static void check_sends(void)
{
	struct owner owner = begin();

	start(&owner);
	failing.sends = 1;
	failing.send_error = EAGAIN;
	check_answered(&owner, "an answer that the kernel does not take at once is sent later");
	failing.sends = 1;
	failing.send_error = 0;
	check_answered(&owner, "an answer that it takes a part of is sent whole");
	failing.sends = 1;
	failing.send_error = EPIPE;
	check_closed(&owner, "an answer to nobody ends the connection");
	failing.sends = 1;
	failing.send_error = EAGAIN;
	failing.buffers = 1;
	check_closed(&owner, "an answer there is no memory for ends the connection");
	end(&owner);
}

static void check_no_stream(void)
{
	struct owner owner = begin();

	start(&owner);
	failing.streams = 1;
	check_closed(&owner, "a connection there is no memory for is closed");
	end(&owner);
}

static void check_accepts(void)
{
	static const int passing[] = { ECONNABORTED, EINTR, EPROTO, ENETDOWN };
	static const int lasting[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };
	struct owner owner = begin();
	int64_t pauses = metrics_get(METRIC_ACCEPT_PAUSES);

	start(&owner);
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		failing.accepts = 1;
		failing.accept_error = passing[i];
		check_answered(
			&owner, "a connection lost on the way in costs the next one nothing");
	}
	CHECK(metrics_get(METRIC_ACCEPT_PAUSES) == pauses, "and is no reason to pause");
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
		int64_t before_ms = clock_mono_ms();

		failing.accepts = 1;
		failing.accept_error = lasting[i];
		check_answered(&owner, "without descriptors or memory a peer waits");
		CHECK(clock_mono_ms() - before_ms >= LISTEN_PAUSE_MS, "for a pause");
	}
	CHECK(metrics_get(METRIC_ACCEPT_PAUSES) == pauses + 4, "the pauses are counted");
	end(&owner);
}

/* What is handed over listens, but on no address that could be written. */
static void check_adopted(void)
{
	static const struct exchange_events events = { .request_arrived = request_arrived };
	struct sockaddr_un address = { .sun_family = AF_UNIX }; /* the kernel chooses a name */
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	const struct server_options options = { .listen_fd = fd, .connections_max = 1 };
	struct loop *loop = loop_new();
	struct problem problem = { "" };
	struct server *server;
	char expected[32];

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) == 0 &&
			listen(fd, 1) == 0,
		"a socket listens");
	server = server_new(loop, &options, &events, NULL, &problem);
	snprintf(expected, sizeof(expected), "descriptor %d", fd);
	CHECK(server && strcmp(server_address(server), expected) == 0,
		"a listener without an address is named by its descriptor (%s)", problem.text);
	server_free(server);
	loop_free(loop);
}

static void check_options(void)
{
	static const struct exchange_events events = { .request_arrived = request_arrived };
	const struct server_options options = { .address = "127.0.0.1:0",
		.listen_fd = -1,
		.connections_max = 1,
		.tls_certificate = "/nowhere/certificate.pem" };
	struct loop *loop = loop_new();
	struct problem problem = { "" };

	CHECK(!server_new(loop, &options, &events, NULL, &problem) && problem.text[0],
		"a certificate without a key is refused (%s)", problem.text);
	server_free(NULL);
	loop_free(loop);
}

int main(void)
{
	check_exchange();
	check_freed_while_held();
	check_drained();
	check_sends();
	check_no_stream();
	check_accepts();
	check_adopted();
	check_options();
	return check_done();
}
