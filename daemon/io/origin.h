/* origin.h - read "https://host:port/prefix", strictly.
 *
 * Pure. No user information, query or fragment; the host is a name in ASCII or a literal address.
 * http:// only for a literal loopback address, where nobody can listen in.
 */
#pragma once

#include "base/text.h"

enum {
	ORIGIN_HOST_MAX = 256,
	ORIGIN_PREFIX_MAX = 1024,
	ORIGIN_AUTHORITY_MAX = ORIGIN_HOST_MAX + 8,
	ORIGIN_PROBLEM_MAX = 256,
};

struct origin {
	bool tls;
	bool literal;               /* host is an address, not a name */
	char host[ORIGIN_HOST_MAX]; /* an IPv6 address without its brackets */
	uint16_t port;
	char authority[ORIGIN_AUTHORITY_MAX]; /* for the Host field: no default port */
	char prefix[ORIGIN_PREFIX_MAX];       /* "" or "/v1": no slash at its end */
};

/* False with a sentence, which does not repeat the URL: it may hold a password. */
bool origin_parse(struct text url, struct origin *ret_origin, char problem[ORIGIN_PROBLEM_MAX]);

/* Visible ASCII only: nothing that would end the line of a request. */
bool origin_is_target(struct text target);
