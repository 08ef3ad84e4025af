/* lookup.h - the addresses of a host name, without stopping the loop.
 *
 * A literal address needs nobody. Names are looked up in /etc/hosts and with the name servers of
 * /etc/resolv.conf, which is read again for each lookup.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "io/loop.h"

enum { LOOKUP_ADDRESSES_MAX = 8 };

struct lookup; /* heap: one question */

struct lookup_address {
	struct sockaddr_storage socket; /* with the port */
	socklen_t len;
};

struct lookup_answer {
	size_t count; /* 0: see problem */
	struct lookup_address addresses[LOOKUP_ADDRESSES_MAX];
	const char *problem; /* static; valid when count is 0 */
};

/* Once, from the loop, never from inside lookup_new(). answer is borrowed during the call. */
typedef void lookup_done(void *owner, const struct lookup_answer *answer);

struct lookup *lookup_new(
	struct loop *loop, const char *host, uint16_t port, lookup_done *done, void *owner);
void lookup_free(struct lookup *lookup); /* done runs no more; also right from inside done */
