/* listener.h - a listening TCP socket and the connections that come in on it.
 *
 * When there is no room, or the process is out of descriptors, it pauses instead of spinning; the
 * connections wait in the kernel's queue.
 */
#pragma once

#include "base/problem.h"
#include "io/loop.h"

enum {
	LISTEN_BACKLOG = 4096,
	LISTEN_ACCEPTS_MAX = 64, /* in one round; the rest waits for the next */
	LISTEN_PAUSE_MS = 100,   /* without room; after EMFILE, ENFILE or no memory */
};

struct listener; /* heap */

/* Run from the loop; neither may free the listener. */
struct listener_events {
	bool (*has_room)(void *owner); /* for one more */
	/* Takes fd, which is non-blocking, close-on-exec and, as TCP, without Nagle's delay. */
	void (*accepted)(void *owner, int fd);
};

/* fd >= 0: a listening socket to take, in place of address ("127.0.0.1:8480", "[::1]:0"; numbers
 * only, port 0 = any). events is borrowed for ever. NULL with a sentence in problem; fd is then
 * still the caller's. */
struct listener *listener_new(struct loop *loop, const char *address, int fd,
	const struct listener_events *events, void *owner, struct problem *problem);

/* Closes the socket; whoever handed it over may have it open still. */
void listener_free(struct listener *listener);

/* "127.0.0.1:43211": where it really listens. */
const char *listener_address(const struct listener *listener);

/* There is room again; without this it is asked for after a pause. */
void listener_resume(struct listener *listener);
