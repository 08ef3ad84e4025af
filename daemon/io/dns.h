/* dns.h - the addresses of a host name, without stopping the loop.
 *
 * A literal address needs nobody. Names are looked up in /etc/hosts and with the name servers of
 * /etc/resolv.conf, which is read again for each lookup.
 */
#pragma once

#include "base/address.h"
#include "io/loop.h"

enum { DNS_ADDRESSES_MAX = 8 };

struct dns; /* heap: one question */

struct dns_answer {
	size_t count;                                /* 0: see problem */
	struct address addresses[DNS_ADDRESSES_MAX]; /* with the port */
	const char *problem;                         /* static; valid when count is 0 */
};

/* Once, from the loop, never from inside dns_new(). answer is borrowed during the call. */
typedef void dns_done(void *owner, const struct dns_answer *answer);

struct dns *dns_new(
	struct loop *loop, const char *host, uint16_t port, dns_done *done, void *owner);
void dns_free(struct dns *lookup); /* done runs no more; also right from inside done */
