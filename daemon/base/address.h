/* address.h - numeric addresses: 127.0.0.1:8480, [::1]:8480. Names are looked up by others. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.h"

enum {
	ADDRESS_HOST_MAX = INET6_ADDRSTRLEN,
	ADDRESS_TEXT_MAX = ADDRESS_HOST_MAX + sizeof("[]:65535"),
};

/* Of IPv4 or IPv6. */
struct address {
	union {
		struct sockaddr any; /* with len as bind(2) and connect(2) take it */
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
	};
	socklen_t len;
};

/* host:port, [host]:port, or either without the port, whose len is then 0; host loses its brackets.
 * It may be a name. False: brackets that are not a pair around it, or a colon with no port. */
bool address_split(struct text whole, struct text *ret_host, struct text *ret_port);

/* One to five digits, up to 65535. */
bool address_read_port(struct text digits, uint16_t *ret_port);

/* Of IPv4, or of IPv6 without brackets; a scope (%eth0) is not taken. */
bool address_read_host(struct text host, uint16_t port, struct address *ret_address);

/* With its port, which may be 0, and IPv6 in brackets. */
bool address_read(struct text whole, struct address *ret_address);

uint16_t address_port(const struct address *address);
bool address_is_loopback(const struct address *address);

/* How this host reaches a listener there: 0.0.0.0 and :: become the loopback address. */
void address_reach(struct address *address);

/* As address_read() takes it. */
void address_write(const struct address *address, char out[ADDRESS_TEXT_MAX]);
/* Without the port, and without brackets. */
void address_write_host(const struct address *address, char out[ADDRESS_HOST_MAX]);

/* Of whoever is at the other end of the socket; IPv4 in IPv6's clothes is IPv4. len 0: neither. */
void address_of_peer(int fd, struct address *ret_address);

/* Addresses and prefixes with spaces between: "127.0.0.1 10.0.0.0/8 2001:db8::/32". A prefix has no
 * bit set behind its length. */
bool address_is_list(struct text list);
bool address_is_listed(const struct address *address, struct text list);
