/* Where requests are sent to: scheme, host, port and the beginning of each path. */
#include "http/url.h"

#include <stdio.h>

#include "base/address.h"
#include "http/grammar.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

bool url_is_target(struct text target)
{
	for (size_t i = 0; i < target.len; i++) {
		if (target.ptr[i] <= ' ' || target.ptr[i] >= 0x7F) {
			return false;
		}
	}
	return true;
}

static bool is_host_name(struct text host)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || (c == '.' && i > 0))) {
			return false;
		}
	}
	return host.len > 0;
}

/* Copies; false when it does not fit. */
static bool copy(struct text from, char *to, size_t size)
{
	if (from.len >= size) {
		return false;
	}
	memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
	return true;
}

/* In brackets stands an address of IPv6, without them a name or an address of IPv4. http:// is for
 * the host itself. */
static bool read_host(struct url *url, struct text host, bool bracketed, bool *ret_loopback)
{
	struct address address;

	url->literal = address_read_host(host, 0, &address);
	*ret_loopback = url->literal && address_is_loopback(&address);
	return copy(host, url->host, sizeof(url->host)) &&
	       (url->literal ? bracketed == (address.any.sa_family == AF_INET6)
			     : !bracketed && is_host_name(host));
}

static bool read_port(struct url *url, struct text digits)
{
	url->port = url->tls ? HTTPS_PORT : HTTP_PORT;
	return digits.len == 0 || (address_read_port(digits, &url->port) && url->port > 0);
}

static void write_authority(struct url *url, bool bracketed)
{
	int len = snprintf(
		url->authority, sizeof(url->authority), bracketed ? "[%s]" : "%s", url->host);

	if (url->port != (url->tls ? HTTPS_PORT : HTTP_PORT)) {
		snprintf(url->authority + len, sizeof(url->authority) - (size_t)len, ":%u",
			url->port);
	}
}

static bool read_prefix(struct url *url, struct text prefix)
{
	while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/') {
		prefix.len--;
	}
	return url_is_target(prefix) && !memchr(prefix.ptr, '?', prefix.len) &&
	       !memchr(prefix.ptr, '#', prefix.len) &&
	       copy(prefix, url->prefix, sizeof(url->prefix));
}

static bool read_scheme(struct url *url, struct text *rest)
{
	static const struct text http = TEXT_INIT("http://");
	static const struct text https = TEXT_INIT("https://");

	url->tls = text_has_prefix(*rest, https);
	if (!url->tls && !text_has_prefix(*rest, http)) {
		return false;
	}
	*rest = text_without_prefix(*rest, url->tls ? https : http);
	return true;
}

bool url_parse(struct text whole, struct url *ret_url, struct problem *problem)
{
	struct url url = { .tls = false };
	struct text rest = whole;
	struct text host;
	struct text port;
	bool loopback;

	if (!read_scheme(&url, &rest)) {
		return problem_say(problem, "a URL begins with https:// (or http:// on loopback)");
	}

	const char *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
	struct text authority = { rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len };
	struct text prefix = { rest.ptr + authority.len, rest.len - authority.len };

	if (memchr(authority.ptr, '@', authority.len)) {
		return problem_say(problem, "a URL here has no user name or password");
	}

	bool bracketed = text_has_prefix(authority, TEXT("["));

	if (!address_split(authority, &host, &port) ||
		!read_host(&url, host, bracketed, &loopback)) {
		return problem_say(problem, "the URL's host is no name in ASCII and no address");
	}
	if (!read_port(&url, port)) {
		return problem_say(problem, "the URL's port is no number from 1 to 65535");
	}
	if (!read_prefix(&url, prefix)) {
		return problem_say(problem,
			"the URL's path has a query, a fragment, or bytes that would "
			"have to be escaped");
	}
	if (!url.tls && !loopback) {
		return problem_say(
			problem, "http:// is for a loopback address (127.0.0.1, [::1]) only");
	}
	write_authority(&url, bracketed);
	*ret_url = url;
	return true;
}

struct text url_reference_host(struct text reference)
{
	struct text rest = reference, scheme = { "", 0 }, host = { "", 0 };

	text_next(&rest, '/', &scheme);
	if (scheme.len > 0 && scheme.ptr[scheme.len - 1] == ':') {
		scheme.len--;
		if (scheme.len == 0 || !grammar_all(scheme, GRAMMAR_TOKEN)) {
			return TEXT("");
		}
	} else if (scheme.len > 0) {
		return TEXT("");
	}
	if (!text_has_prefix(rest, TEXT("/"))) {
		return TEXT("");
	}
	rest = text_without_prefix(rest, TEXT("/"));
	for (size_t i = 0; i < rest.len && !memchr("/?#", rest.ptr[i], 3); i++) {
		host = (struct text){ rest.ptr, i + 1 };
	}
	for (const char *at; host.len > 0 && (at = memchr(host.ptr, '@', host.len));) {
		host = (struct text){ at + 1, (size_t)(host.ptr + host.len - at - 1) };
	}
	return host;
}
