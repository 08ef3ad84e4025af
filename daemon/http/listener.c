/* A listening socket: opened or taken over, accepted from, paused while descriptors are short. */
#include "http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

struct listener {
	int fd; /* owned */
	struct loop_watch *watch;
	struct loop_timer *pause;
	const struct listener_events *events;
	void *owner;
	bool paused;      /* until the timer fires */
	bool full;        /* that is why */
	bool pause_known; /* logged; nothing has been accepted since */
	char address[ADDRESS_TEXT_MAX];
};

static bool bind_and_listen(int fd, const struct address *address)
{
	static const int on = 1;

	return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	       bind(fd, &address->any, address->len) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
}

/* A bound and listening socket, or -1. */
static int open_socket(const char *where, struct problem *problem)
{
	struct address address;
	int fd;

	if (!address_read(text_of(where), &address)) {
		problem_say(problem,
			"%.60s is no address to listen on, as 127.0.0.1:8480 or [::1]:8480 is",
			where);
		return -1;
	}
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind_and_listen(fd, &address)) {
		return fd;
	}
	problem_say(problem, "cannot listen on %s: %s", where, strerror(errno));
	if (fd >= 0) {
		close(fd);
	}
	return -1;
}

/* A socket that was handed over comes as it likes: it may be no listener at all, or a blocking one.
 */
static bool adopt_socket(int fd, struct problem *problem)
{
	int listening = 0;
	socklen_t size = sizeof(listening);
	int flags = fcntl(fd, F_GETFL);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening) {
		return problem_say(problem, "descriptor %d is not a listening socket", fd);
	}
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
		return problem_say(problem, "cannot use descriptor %d: %s", fd, strerror(errno));
	}
	return true;
}

static void note_address(struct listener *listener)
{
	struct address bound = { .len = sizeof(bound.ip6) };

	if (getsockname(listener->fd, &bound.any, &bound.len) == 0 &&
		(bound.any.sa_family == AF_INET || bound.any.sa_family == AF_INET6)) {
		address_write(&bound, listener->address);
	} else {
		snprintf(listener->address, sizeof(listener->address), "descriptor %d",
			listener->fd);
	}
}

/* What the kernel refuses now it may grant when the pause is over. */
static void apply(struct listener *listener)
{
	if (!loop_watch_want(listener->watch, listener->paused ? 0 : LOOP_READ)) {
		listener->paused = true;
		loop_timer_start(listener->pause, LISTEN_PAUSE_MS);
	}
}

static void pause_ended(void *owner)
{
	struct listener *listener = owner;

	listener->paused = false;
	listener->full = false;
	apply(listener);
}

/* Waiting for somebody to close beats asking the kernel again and again. error 0: no room. */
static void pause_accepting(struct listener *listener, int error)
{
	listener->paused = true;
	listener->full = error == 0;
	loop_timer_start(listener->pause, LISTEN_PAUSE_MS);
	apply(listener);
	metrics_add(METRIC_ACCEPT_PAUSES, 1);
	if (error && !listener->pause_known) {
		log_event(LOG_WARNING, "accept_paused",
			LOG_FIELDS(LOG_STRING("address", listener->address),
				LOG_STRING("error", strerror(error))));
		listener->pause_known = true;
	}
}

/* accept(2) hands on what went wrong with one connection; the next one may be well. */
static bool lost_one(int error)
{
	static const int errors[] = { EINTR, ECONNABORTED, EPERM, EPROTO, ENETDOWN, ENOPROTOOPT,
		EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i] == error) {
			return true;
		}
	}
	return false;
}

static void connections_arrived(void *owner, unsigned want)
{
	struct listener *listener = owner;

	(void)want;
	for (int i = 0; i < LISTEN_ACCEPTS_MAX; i++) {
		if (!listener->events->has_room(listener->owner)) {
			pause_accepting(listener, 0);
			return;
		}

		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			listener->pause_known = false;
			listener->events->accepted(listener->owner, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (!lost_one(errno)) {
			pause_accepting(listener, errno);
			return;
		}
	}
}

struct listener *listener_new(struct loop *loop, const char *address, int fd,
	const struct listener_events *events, void *owner, struct problem *problem)
{
	static const int on = 1;
	struct listener *listener;

	if (fd < 0) {
		fd = open_socket(address, problem);
	} else if (!adopt_socket(fd, problem)) {
		fd = -1;
	}
	if (fd < 0) {
		return NULL;
	}
	/* Accepted sockets inherit it. A socket that is not TCP has no Nagle to turn off. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	listener = memory_new(sizeof(*listener));
	listener->fd = fd;
	listener->events = events;
	listener->owner = owner;
	listener->pause = loop_timer_new(loop, pause_ended, listener);
	listener->watch = loop_watch_new(loop, fd, connections_arrived, listener);
	note_address(listener);
	apply(listener);
	return listener;
}

void listener_free(struct listener *listener)
{
	if (!listener) {
		return;
	}
	loop_watch_free(listener->watch);
	loop_timer_free(listener->pause);
	close(listener->fd);
	free(listener);
}

const char *listener_address(const struct listener *listener)
{
	return listener->address;
}

void listener_resume(struct listener *listener)
{
	if (listener->full) {
		loop_timer_stop(listener->pause);
		pause_ended(listener);
	}
}
