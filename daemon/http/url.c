#include "http/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

static bool refuse(char problem[URL_PROBLEM_MAX], const char *sentence)
{
	snprintf(problem, URL_PROBLEM_MAX, "%s", sentence);
	return false;
}

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

static bool is_loopback(const char *host)
{
	struct in_addr ip4;
	struct in6_addr ip6;

	if (inet_pton(AF_INET, host, &ip4) == 1) {
		return ntohl(ip4.s_addr) >> 24 == 127;
	}
	return inet_pton(AF_INET6, host, &ip6) == 1 && IN6_IS_ADDR_LOOPBACK(&ip6);
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

/* "[::1]:8443" or "host:8443"; *ret_port is what stands behind the last colon, len 0 = nothing. */
static bool split_authority(struct text authority, struct text *ret_host, struct text *ret_port)
{
	const char *bracket = memchr(authority.ptr, ']', authority.len);
	size_t host_len = authority.len;
	bool braced = authority.len > 0 && authority.ptr[0] == '[';

	if (braced != (bracket != NULL)) {
		return false;
	}

	size_t searched = braced ? (size_t)(bracket - authority.ptr) + 1 : 0;
	const char *colon = memchr(authority.ptr + searched, ':', authority.len - searched);

	*ret_port = (struct text){ "", 0 };
	if (colon) {
		host_len = (size_t)(colon - authority.ptr);
		*ret_port = (struct text){ colon + 1, authority.len - host_len - 1 };
		if (ret_port->len == 0) {
			return false;
		}
	}
	*ret_host = (struct text){ authority.ptr, host_len };
	if (!braced) {
		return true;
	}
	*ret_host = (struct text){ authority.ptr + 1, searched - 2 };
	return host_len == searched; /* nothing between bracket and colon */
}

static bool read_host(struct url *url, struct text host, bool braced)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (!copy(host, url->host, sizeof(url->host))) {
		return false;
	}
	if (braced) {
		url->literal = true;
		return inet_pton(AF_INET6, url->host, address) == 1;
	}
	url->literal = inet_pton(AF_INET, url->host, address) == 1;
	return url->literal || is_host_name(host);
}

static bool read_port(struct url *url, struct text digits)
{
	uint64_t port = url->tls ? HTTPS_PORT : HTTP_PORT;

	if (digits.len > 0 && (!text_to_u64(digits, &port) || port == 0 || port > UINT16_MAX)) {
		return false;
	}
	url->port = (uint16_t)port;
	return true;
}

static void write_authority(struct url *url, bool braced)
{
	int len =
		snprintf(url->authority, sizeof(url->authority), braced ? "[%s]" : "%s", url->host);

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

bool url_parse(struct text whole, struct url *ret_url, char problem[URL_PROBLEM_MAX])
{
	struct url url = { .tls = false };
	struct text rest = whole;
	struct text host;
	struct text port;

	if (!read_scheme(&url, &rest)) {
		return refuse(problem, "a URL begins with https:// (or http:// on loopback)");
	}

	const char *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
	struct text authority = { rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len };
	struct text prefix = { rest.ptr + authority.len, rest.len - authority.len };

	if (memchr(authority.ptr, '@', authority.len)) {
		return refuse(problem, "a URL here has no user name or password");
	}

	bool braced = authority.len > 0 && authority.ptr[0] == '[';

	if (!split_authority(authority, &host, &port) || !read_host(&url, host, braced)) {
		return refuse(problem, "the URL's host is no name in ASCII and no address");
	}
	if (!read_port(&url, port)) {
		return refuse(problem, "the URL's port is no number from 1 to 65535");
	}
	if (!read_prefix(&url, prefix)) {
		return refuse(problem,
			"the URL's path has a query, a fragment, or bytes that would "
			"have to be escaped");
	}
	if (!url.tls && !is_loopback(url.host)) {
		return refuse(problem, "http:// is for a loopback address (127.0.0.1, [::1]) only");
	}
	write_authority(&url, braced);
	*ret_url = url;
	return true;
}
