/* Numeric addresses: read, written, and asked whether they lead out of this host. */
#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { PORT_DIGITS_MAX = 5 };

/* Up to the first such byte; all of it when there is none. */
static size_t len_before(struct text text, char byte)
{
	const char *found = text.len > 0 ? memchr(text.ptr, byte, text.len) : NULL;

	return found ? (size_t)(found - text.ptr) : text.len;
}

bool address_split(struct text whole, struct text *ret_host, struct text *ret_port)
{
	bool bracketed = text_has_prefix(whole, TEXT("["));
	struct text host = text_without_prefix(whole, TEXT("["));
	size_t len = len_before(host, bracketed ? ']' : ':');
	struct text rest = { host.ptr + len, host.len - len };

	if (len == 0 || (bracketed && rest.len == 0)) {
		return false;
	}
	if (bracketed) {
		rest = text_without_prefix(rest, TEXT("]"));
	}
	if (rest.len > 0 && (rest.ptr[0] != ':' || rest.len == 1)) {
		return false; /* no colon behind the bracket, or nothing behind the colon */
	}
	*ret_host = (struct text){ host.ptr, len };
	*ret_port = text_without_prefix(rest, TEXT(":"));
	return true;
}

bool address_read_port(struct text digits, uint16_t *ret_port)
{
	uint64_t port;

	if (digits.len > PORT_DIGITS_MAX || !text_to_u64(digits, &port) || port > UINT16_MAX) {
		return false;
	}
	*ret_port = (uint16_t)port;
	return true;
}

bool address_read_host(struct text host, uint16_t port, struct address *ret_address)
{
	struct address address = { .len = 0 };
	char string[ADDRESS_HOST_MAX];

	if (host.len == 0 || host.len >= sizeof(string) || memchr(host.ptr, '\0', host.len)) {
		return false;
	}
	memcpy(string, host.ptr, host.len);
	string[host.len] = '\0';
	if (inet_pton(AF_INET, string, &address.ip4.sin_addr) == 1) {
		address.ip4.sin_family = AF_INET;
		address.ip4.sin_port = htons(port);
		address.len = sizeof(address.ip4);
	} else if (inet_pton(AF_INET6, string, &address.ip6.sin6_addr) == 1) {
		address.ip6.sin6_family = AF_INET6;
		address.ip6.sin6_port = htons(port);
		address.len = sizeof(address.ip6);
	} else {
		return false;
	}
	*ret_address = address;
	return true;
}

static bool is_ip6(const struct address *address)
{
	return address->any.sa_family == AF_INET6;
}

bool address_read(struct text whole, struct address *ret_address)
{
	struct text host, digits;
	struct address address;
	uint16_t port;

	if (!address_split(whole, &host, &digits) || !address_read_port(digits, &port) ||
		!address_read_host(host, port, &address) ||
		text_has_prefix(whole, TEXT("[")) != is_ip6(&address)) {
		return false;
	}
	*ret_address = address;
	return true;
}

uint16_t address_port(const struct address *address)
{
	return ntohs(is_ip6(address) ? address->ip6.sin6_port : address->ip4.sin_port);
}

bool address_is_loopback(const struct address *address)
{
	if (is_ip6(address)) {
		return IN6_IS_ADDR_LOOPBACK(&address->ip6.sin6_addr);
	}
	return ntohl(address->ip4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

void address_reach(struct address *address)
{
	if (!is_ip6(address) && address->ip4.sin_addr.s_addr == htonl(INADDR_ANY)) {
		address->ip4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (is_ip6(address) && IN6_IS_ADDR_UNSPECIFIED(&address->ip6.sin6_addr)) {
		address->ip6.sin6_addr = in6addr_loopback;
	}
}

void address_write_host(const struct address *address, char out[ADDRESS_HOST_MAX])
{
	out[0] = '\0';
	if (is_ip6(address)) {
		inet_ntop(AF_INET6, &address->ip6.sin6_addr, out, ADDRESS_HOST_MAX);
	} else {
		inet_ntop(AF_INET, &address->ip4.sin_addr, out, ADDRESS_HOST_MAX);
	}
}

void address_write(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
	char host[ADDRESS_HOST_MAX];

	address_write_host(address, host);
	snprintf(out, ADDRESS_TEXT_MAX, is_ip6(address) ? "[%s]:%u" : "%s:%u", host,
		address_port(address));
}

void address_of_peer(int fd, struct address *ret_address)
{
	struct address peer = { .len = sizeof(peer.ip6) };

	if (getpeername(fd, &peer.any, &peer.len) != 0 ||
		(peer.any.sa_family != AF_INET && !is_ip6(&peer))) {
		peer.len = 0;
	} else if (is_ip6(&peer) && IN6_IS_ADDR_V4MAPPED(&peer.ip6.sin6_addr)) {
		struct sockaddr_in ip4 = { .sin_family = AF_INET, .sin_port = peer.ip6.sin6_port };

		memcpy(&ip4.sin_addr, peer.ip6.sin6_addr.s6_addr + 12, sizeof(ip4.sin_addr));
		peer = (struct address){ .ip4 = ip4, .len = sizeof(ip4) };
	}
	*ret_address = peer;
}

/* The address as the network writes it. */
static struct text bytes_of(const struct address *address)
{
	return is_ip6(address) ? (struct text){ (const char *)&address->ip6.sin6_addr, 16 }
			       : (struct text){ (const char *)&address->ip4.sin_addr, 4 };
}

/* The bit at that place, the highest of the first byte being at 0. */
static bool bit(struct text bytes, size_t at)
{
	return ((unsigned char)bytes.ptr[at / 8] >> (7 - at % 8)) & 1;
}

struct prefix {
	struct address address;
	size_t bits;
};

static bool read_prefix(struct text whole, struct prefix *ret_prefix)
{
	size_t len = len_before(whole, '/');
	struct text digits = { whole.ptr + len, whole.len - len };
	struct prefix prefix;
	uint64_t bits;

	if (!address_read_host((struct text){ whole.ptr, len }, 0, &prefix.address)) {
		return false;
	}

	struct text bytes = bytes_of(&prefix.address);

	bits = 8 * bytes.len;
	if (digits.len > 0 &&
		(!text_to_u64((struct text){ digits.ptr + 1, digits.len - 1 }, &bits) ||
			bits > 8 * bytes.len)) {
		return false;
	}
	prefix.bits = (size_t)bits;
	for (size_t i = prefix.bits; i < 8 * bytes.len; i++) {
		if (bit(bytes, i)) {
			return false;
		}
	}
	*ret_prefix = prefix;
	return true;
}

static bool is_in(const struct address *address, const struct prefix *prefix)
{
	struct text bytes = bytes_of(address);
	struct text base = bytes_of(&prefix->address);

	if (bytes.len != base.len) {
		return false;
	}
	for (size_t i = 0; i < prefix->bits; i++) {
		if (bit(bytes, i) != bit(base, i)) {
			return false;
		}
	}
	return true;
}

bool address_is_list(struct text list)
{
	struct text part;
	struct prefix ignored;

	while (text_next(&list, ' ', &part)) {
		if (part.len > 0 && !read_prefix(part, &ignored)) {
			return false;
		}
	}
	return true;
}

bool address_is_listed(const struct address *address, struct text list)
{
	struct text part;
	struct prefix prefix;

	while (text_next(&list, ' ', &part)) {
		if (read_prefix(part, &prefix) && is_in(address, &prefix)) {
			return true;
		}
	}
	return false;
}
