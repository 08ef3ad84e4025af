#include "http/url.h"

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *url;
	bool tls;
	bool literal;
	const char *host;
	uint16_t port;
	const char *authority;
	const char *prefix;
} good[] = {
	{ "https://api.torque.fi/v1", true, false, "api.torque.fi", 443, "api.torque.fi", "/v1" },
	{ "https://api.torque.fi", true, false, "api.torque.fi", 443, "api.torque.fi", "" },
	{ "https://api.torque.fi/", true, false, "api.torque.fi", 443, "api.torque.fi", "" },
	{ "https://api.torque.fi/v1//", true, false, "api.torque.fi", 443, "api.torque.fi", "/v1" },
	{ "https://h:443", true, false, "h", 443, "h", "" },
	{ "https://h:8443/a/b", true, false, "h", 8443, "h:8443", "/a/b" },
	{ "https://192.0.2.1:65535", true, true, "192.0.2.1", 65535, "192.0.2.1:65535", "" },
	{ "https://[2001:db8::1]/x", true, true, "2001:db8::1", 443, "[2001:db8::1]", "/x" },
	{ "https://[::1]:8443", true, true, "::1", 8443, "[::1]:8443", "" },
	{ "http://127.0.0.1", false, true, "127.0.0.1", 80, "127.0.0.1", "" },
	{ "http://127.9.9.9:8080/p", false, true, "127.9.9.9", 8080, "127.9.9.9:8080", "/p" },
	{ "http://[::1]:80/p%20q", false, true, "::1", 80, "[::1]", "/p%20q" },
};

static const struct {
	const char *promise;
	struct text url;
} bad[] = {
	{ "nothing", TEXT_INIT("") },
	{ "no scheme", TEXT_INIT("api.torque.fi") },
	{ "another scheme", TEXT_INIT("ftp://127.0.0.1") },
	{ "a scheme in upper case", TEXT_INIT("HTTPS://h") },
	{ "a scheme alone", TEXT_INIT("https://") },
	{ "a path alone", TEXT_INIT("https:///v1") },
	{ "http to a name", TEXT_INIT("http://localhost") },
	{ "http to a name that begins like an address",
		TEXT_INIT("http://127.0.0.1.example.test") },
	{ "http to another address", TEXT_INIT("http://192.0.2.1") },
	{ "http to any address", TEXT_INIT("http://0.0.0.0") },
	{ "http to a mapped address", TEXT_INIT("http://[::ffff:192.0.2.1]") },
	{ "a password", TEXT_INIT("https://user:hunter2@h") },
	{ "a user that looks like the host", TEXT_INIT("https://api.torque.fi@evil.test") },
	{ "a query", TEXT_INIT("https://h/p?q") },
	{ "a query on the host", TEXT_INIT("https://h?q") },
	{ "a fragment", TEXT_INIT("https://h/p#f") },
	{ "a space in the path", TEXT_INIT("https://h/a b") },
	{ "a line end in the path", TEXT_INIT("https://h/a\r\nX: y") },
	{ "a NUL in the path", TEXT_INIT("https://h/a\0b") },
	{ "a NUL in the host", TEXT_INIT("https://h\0.test/") },
	{ "a space in the host", TEXT_INIT("https://a b/") },
	{ "a backslash in the host", TEXT_INIT("https://h\\@evil.test/") },
	{ "a percent sign in the host", TEXT_INIT("https://%68/") },
	{ "a host beyond ASCII", TEXT_INIT("https://h\xc3\xa4st.test/") },
	{ "a path beyond ASCII", TEXT_INIT("https://h/\xc3\xa4") },
	{ "a host that begins with a dot", TEXT_INIT("https://.test") },
	{ "an empty port", TEXT_INIT("https://h:") },
	{ "port 0", TEXT_INIT("https://h:0") },
	{ "port 65536", TEXT_INIT("https://h:65536") },
	{ "a negative port", TEXT_INIT("https://h:-1") },
	{ "two ports", TEXT_INIT("https://h:1:2") },
	{ "an address of version 6 without brackets", TEXT_INIT("https://::1") },
	{ "an address of version 4 in brackets", TEXT_INIT("https://[192.0.2.1]") },
	{ "a bracket that is not closed", TEXT_INIT("https://[::1") },
	{ "a bracket that is not opened", TEXT_INIT("https://::1]") },
	{ "a name in brackets", TEXT_INIT("https://[h]") },
	{ "nothing in brackets", TEXT_INIT("https://[]") },
	{ "something behind a bracket", TEXT_INIT("https://[::1]x:1") },
	{ "a zone", TEXT_INIT("https://[fe80::1%eth0]") },
};

static void check_good(void)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct problem problem = { "" };
		struct url origin;

		if (!CHECK(url_parse(text_of(good[i].url), &origin, &problem), "%s is taken (%s)",
			    good[i].url, problem.text)) {
			continue;
		}
		CHECK(origin.tls == good[i].tls && origin.literal == good[i].literal &&
				origin.port == good[i].port,
			"%s: scheme, kind of host and port", good[i].url);
		CHECK(strcmp(origin.host, good[i].host) == 0, "%s: host (got %s)", good[i].url,
			origin.host);
		CHECK(strcmp(origin.authority, good[i].authority) == 0, "%s: authority (got %s)",
			good[i].url, origin.authority);
		CHECK(strcmp(origin.prefix, good[i].prefix) == 0, "%s: prefix (got %s)",
			good[i].url, origin.prefix);
	}
}

static void check_bad(void)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct problem problem = { "" };
		struct url origin = { .port = 42 };

		CHECK(!url_parse(bad[i].url, &origin, &problem) && problem.text[0],
			"%s is refused with a sentence", bad[i].promise);
		CHECK(origin.port == 42 && !strstr(problem.text, "hunter2"),
			"%s: nothing is touched, nothing repeated", bad[i].promise);
	}
}

static void check_lengths(void)
{
	char url[2048];
	struct problem problem;
	struct url origin;

	memset(url, 'a', sizeof(url));
	memcpy(url, "https://", 8);
	CHECK(url_parse((struct text){ url, 8 + URL_HOST_MAX - 1 }, &origin, &problem),
		"the longest host is taken");
	CHECK(!url_parse((struct text){ url, 8 + URL_HOST_MAX }, &origin, &problem),
		"one byte more is refused");
	url[9] = '/';
	CHECK(url_parse((struct text){ url, 9 + URL_PREFIX_MAX - 1 }, &origin, &problem),
		"the longest path is taken");
	CHECK(!url_parse((struct text){ url, 9 + URL_PREFIX_MAX }, &origin, &problem),
		"one byte more is refused");
	CHECK(url_is_target(TEXT("/orders?limit=1&q=%20")), "an escaped target is a target");
	CHECK(!url_is_target(TEXT("/a b")) && !url_is_target(TEXT("/a\nb")) &&
			!url_is_target(TEXT("/\x7f")) && !url_is_target(TEXT("/\xc3\xa4")),
		"what has to be escaped is none");
}

static void check_references(void)
{
	static const struct {
		char reference[40], host[20];
	} cases[] = {
		{ "https://other.example/v1?x=1", "other.example" },
		{ "http://other.example:8080", "other.example:8080" },
		{ "//other.example/", "other.example" },
		{ "https://name:hunter2@other.example#x", "other.example" },
		{ "https://a@b@other.example?x", "other.example" },
		{ "https://[::1]:8443/", "[::1]:8443" },
		{ "/elsewhere", "" },
		{ "elsewhere//x", "" },
		{ "?next=https://other.example/", "" },
		{ "https:/one.slash", "" },
		{ "://other.example/", "" },
		{ "https://", "" },
		{ "https:", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(text_equal(url_reference_host(text_of(cases[i].reference)),
			      text_of(cases[i].host)),
			"'%s' leads to '%s'", cases[i].reference, cases[i].host);
	}
}

int main(void)
{
	check_references();
	check_good();
	check_bad();
	check_lengths();
	return check_done();
}
