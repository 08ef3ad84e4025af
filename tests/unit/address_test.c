#include "base/address.h"

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

int main(void)
{
	check_addresses();
	check_split();
	check_hosts();
	return check_done();
}
