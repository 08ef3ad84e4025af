/* url.h - read "https://host:port/prefix", strictly.
 *
 * Pure. No user information, query or fragment; the host is a name in ASCII or a literal address.
 * http:// only for a literal loopback address, where nobody can listen in.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"

enum {
	URL_HOST_MAX = 256,
	URL_PREFIX_MAX = 1024,
	URL_AUTHORITY_MAX = URL_HOST_MAX + 8,
};

struct url {
	bool tls;
	bool literal;            /* host is an address, not a name */
	char host[URL_HOST_MAX]; /* an IPv6 address without its brackets */
	uint16_t port;
	char authority[URL_AUTHORITY_MAX]; /* for the Host field: no default port */
	char prefix[URL_PREFIX_MAX];       /* "" or "/v1": no slash at its end */
};

/* False with a sentence, which does not repeat the URL: it may hold a password. */
bool url_parse(struct text whole, struct url *ret_url, struct problem *problem);

/* "host:port" of "https://name@host:port/…" or "//host:port/…"; borrowed. len 0: the reference
 * stays on its host. */
struct text url_reference_host(struct text reference);

/* Visible ASCII only: nothing that would end the line of a request. */
bool url_is_target(struct text target);
