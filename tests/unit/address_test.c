#include "base/address.h"

#include <unistd.h>

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *text;
	uint16_t port;
	bool loopback;
	const char *reached;
} good[] = {
	{ "127.0.0.1:8480", 8480, true, "127.0.0.1:8480" },
	{ "127.255.0.1:1", 1, true, "127.255.0.1:1" },
	{ "128.0.0.1:1", 1, false, "128.0.0.1:1" },
	{ "10.0.0.127:65535", 65535, false, "10.0.0.127:65535" },
	{ "0.0.0.0:0", 0, false, "127.0.0.1:0" },
	{ "[::1]:8480", 8480, true, "[::1]:8480" },
	{ "[::]:80", 80, false, "[::1]:80" },
	{ "[::2]:80", 80, false, "[::2]:80" },
	{ "[2001:db8::1]:443", 443, false, "[2001:db8::1]:443" },
	{ "[::ffff:127.0.0.1]:443", 443, false, "[::ffff:127.0.0.1]:443" },
};

static const char *const bad[] = {
	"",
	":",
	":80",
	"127.0.0.1",
	"127.0.0.1:",
	"127.0.0.1:65536",
	"127.0.0.1:000080",
	"127.0.0.1:-1",
	"127.0.0.1:+1",
	"127.0.0.1: 1",
	"127.0.0.1:80:",
	"127.1:80",
	"256.0.0.1:80",
	"0127.0.0.1:80",
	"localhost:80",
	"[127.0.0.1]:80",
	"::1:8480",
	"[::1]",
	"[::1]:",
	"[::1]80",
	"[::1:80",
	"::1]:80",
	"[]:80",
	"[[::1]]:80",
	"[::1]x:80",
	"[fe80::1%eth0]:80",
	"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
};

static void check_addresses(void)
{
	struct address address;
	char written[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < COUNT(good); i++) {
		if (!CHECK(address_read(text_of(good[i].text), &address), "%s is an address",
			    good[i].text)) {
			continue;
		}
		address_write(&address, written);
		CHECK(strcmp(written, good[i].text) == 0, "it is written as it was read (%s)",
			written);
		CHECK(address_port(&address) == good[i].port, "its port is %u", good[i].port);
		CHECK(address_is_loopback(&address) == good[i].loopback, "it is one of this host%s",
			good[i].loopback ? "" : ", or not only");
		address_reach(&address);
		address_write(&address, written);
		CHECK(strcmp(written, good[i].reached) == 0, "it is reached at %s (%s)",
			good[i].reached, written);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct text none = text_of(bad[i]);

		CHECK(!address_read(none, &address), "\"%s\" is none", none.ptr);
	}
	CHECK(!address_read(TEXT("127.0.0.1\0:80"), &address), "nor is one with a NUL");
	CHECK(!address_read((struct text){ NULL, 0 }, &address), "nor is nothing");
}

static const struct {
	const char *whole;
	const char *host; /* NULL: it cannot be cut */
	const char *port;
} split[] = {
	{ "api.example:443", "api.example", "443" },
	{ "api.example", "api.example", "" },
	{ "[::1]:443", "::1", "443" },
	{ "[::1]", "::1", "" },
	{ "api.example:", NULL, NULL },
	{ ":443", NULL, NULL },
	{ "", NULL, NULL },
	{ "[]", NULL, NULL },
	{ "[::1", NULL, NULL },
	{ "[::1]443", NULL, NULL },
};

static void check_split(void)
{
	for (size_t i = 0; i < COUNT(split); i++) {
		struct text host = { "", 0 }, port = { "", 0 };
		bool cut = address_split(text_of(split[i].whole), &host, &port);

		CHECK(cut == (split[i].host != NULL) &&
				(!cut || (text_equal(host, text_of(split[i].host)) &&
						 text_equal(port, text_of(split[i].port)))),
			"\"%s\" is cut into \"%s\" and \"%s\"", split[i].whole,
			cut ? split[i].host : "nothing", cut ? split[i].port : "nothing");
	}
}

static void check_hosts(void)
{
	struct address address;
	char written[ADDRESS_TEXT_MAX];

	CHECK(address_read_host(TEXT("::1"), 7, &address), "a host of IPv6 needs no brackets");
	address_write(&address, written);
	CHECK(strcmp(written, "[::1]:7") == 0 && address.len == sizeof(struct sockaddr_in6),
		"and has the port that is given (%s)", written);
	CHECK(!address_read_host(TEXT("[::1]"), 7, &address), "nor has it any");
	CHECK(!address_read_host(TEXT("shop.example"), 7, &address), "a name is no address");
}

static const struct {
	const char *list;
	const char *in, *out; /* NULL: it is no list */
} lists[] = {
	{ "127.0.0.1", "127.0.0.1", "127.0.0.2" },
	{ "10.0.0.0/8", "10.255.0.1", "11.0.0.0" },
	{ "10.0.0.0/8 192.0.2.128/25", "192.0.2.129", "192.0.2.127" },
	{ "  ::1   fe80::/10 ", "febf::1", "fec0::1" },
	{ "::/0", "2001:db8::1", "127.0.0.1" },
	{ "0.0.0.0/0", "203.0.113.5", "::1" },
	{ "192.0.2.7/32", "192.0.2.7", "192.0.2.6" },
	{ "2001:db8::7/128", "2001:db8::7", "2001:db8::6" },
	{ "", NULL, "127.0.0.1" },
	{ "10.0.0.1/8", NULL, NULL },
	{ "10.128.0.0/8", NULL, NULL },
	{ "10.0.0.0/33", NULL, NULL },
	{ "::/129", NULL, NULL },
	{ "10.0.0.0/", NULL, NULL },
	{ "10.0.0.0/-1", NULL, NULL },
	{ "10.0.0.0/8/8", NULL, NULL },
	{ "127.0.0.1:80", NULL, NULL },
	{ "[::1]", NULL, NULL },
	{ "proxy.example", NULL, NULL },
	{ "127.0.0.1,::1", NULL, NULL },
	{ "127.0.0.1 x", NULL, NULL },
};

static void check_lists(void)
{
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct text list = text_of(lists[i].list);
		struct address in, out;

		CHECK(address_is_list(list) == (lists[i].in || lists[i].out), "\"%s\" is %s list",
			lists[i].list, lists[i].in || lists[i].out ? "a" : "no");
		if (lists[i].in && address_read_host(text_of(lists[i].in), 0, &in)) {
			CHECK(address_is_listed(&in, list), "%s is in it", lists[i].in);
		}
		if (lists[i].out && address_read_host(text_of(lists[i].out), 0, &out)) {
			CHECK(!address_is_listed(&out, list), "%s is not in it", lists[i].out);
		}
	}
}

/* The address of the peer, as it is written; "" when there is none. False: this host has no such
 * address. */
static bool peer_of(const char *listening, const char *reached, char out[ADDRESS_TEXT_MAX])
{
	struct address address, to, peer;
	int listener, client, server = -1;

	address_read(text_of(listening), &address);
	listener = socket(address.any.sa_family, SOCK_STREAM, 0);
	if (bind(listener, &address.any, address.len) != 0 || listen(listener, 1) != 0 ||
		getsockname(listener, &address.any, &address.len) != 0) {
		close(listener);
		return false;
	}
	address_read_host(text_of(reached), address_port(&address), &to);
	client = socket(to.any.sa_family, SOCK_STREAM, 0);
	if (connect(client, &to.any, to.len) == 0) {
		server = accept(listener, NULL, NULL);
		address_of_peer(server, &peer);
		if (peer.len > 0) {
			address_write(&peer, out);
		}
	}
	close(server);
	close(client);
	close(listener);
	return true;
}

static void check_peers(void)
{
	static const struct {
		const char *listening, *reached, *prefix;
	} ways[] = {
		{ "127.0.0.1:0", "127.0.0.1", "127.0.0.1:" },
		{ "[::1]:0", "::1", "[::1]:" },
		{ "[::]:0", "127.0.0.1", "127.0.0.1:" },
	};
	struct address none;
	int ends[2];

	for (size_t i = 0; i < COUNT(ways); i++) {
		char peer[ADDRESS_TEXT_MAX] = "";

		bool listens = peer_of(ways[i].listening, ways[i].reached, peer);

		CHECK(!listens || strncmp(peer, ways[i].prefix, strlen(ways[i].prefix)) == 0,
			"who comes to %s by %s is known by that (%s)", ways[i].listening,
			ways[i].reached, peer);
	}
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "there is a local socket");
	address_of_peer(ends[0], &none);
	CHECK(none.len == 0, "whose peer has no address");
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	check_lists();
	check_peers();
	check_addresses();
	check_split();
	check_hosts();
	return check_done();
}
