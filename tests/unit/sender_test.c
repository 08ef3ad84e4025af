/* Whom a request is said to come from. */
#include "flow/sender.h"

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PROXY        "192.0.2.1"
#define FORWARDED    "X-Forwarded-For: "
#define END          "\r\n"

static const struct {
	const char *promise;
	const char *peer;
	const char *trusted;
	const char *fields;
	const char *client;
} cases[] = {
	{ "nobody is believed where nobody is trusted", PROXY ":80", "",
		FORWARDED "203.0.113.5" END, "" },
	{ "a peer that is no proxy is not believed", "192.0.2.2:80", PROXY,
		FORWARDED "203.0.113.5" END, "" },
	{ "a proxy without the field says nothing", PROXY ":80", PROXY, "", "" },
	{ "an empty field says nothing", PROXY ":80", PROXY, FORWARDED END, "" },
	{ "a proxy is believed", PROXY ":80", PROXY, FORWARDED "203.0.113.5" END, "203.0.113.5" },
	{ "what the client wrote itself is not", PROXY ":80", PROXY,
		FORWARDED "10.9.9.9, 203.0.113.5" END, "203.0.113.5" },
	{ "not in a field of its own either", PROXY ":80", PROXY,
		FORWARDED "10.9.9.9" END FORWARDED "203.0.113.5" END, "203.0.113.5" },
	{ "a chain of proxies is followed", PROXY ":80", PROXY " 10.0.0.0/8",
		FORWARDED "1.1.1.1, 203.0.113.5, 10.0.0.7, 10.1.2.3" END, "203.0.113.5" },
	{ "through several fields", PROXY ":80", PROXY " 10.0.0.0/8",
		FORWARDED "1.1.1.1" END FORWARDED "203.0.113.5" END "Other: x" END FORWARDED
			  "10.1.2.3,10.0.0.7" END,
		"203.0.113.5" },
	{ "up to its last when all are trusted", PROXY ":80", PROXY " 10.0.0.0/8",
		FORWARDED "10.0.0.7, 10.1.2.3" END, "10.0.0.7" },
	{ "what is no address ends the search", PROXY ":80", PROXY " 10.0.0.0/8",
		FORWARDED "203.0.113.5, unknown, 10.1.2.3" END, "10.1.2.3" },
	{ "a port is left out", PROXY ":80", PROXY, FORWARDED "203.0.113.5:4711" END,
		"203.0.113.5" },
	{ "IPv6 is an address", PROXY ":80", PROXY, FORWARDED "2001:db8::5" END, "2001:db8::5" },
	{ "with brackets and a port too", PROXY ":80", PROXY, FORWARDED "[2001:db8::5]:4711" END,
		"2001:db8::5" },
	{ "a proxy may be one of IPv6", "[2001:db8::1]:80", "2001:db8::/32",
		FORWARDED "203.0.113.5" END, "203.0.113.5" },
};

static void check_case(size_t i)
{
	struct request_reader *reader = request_reader_new(1024);
	struct address peer;
	struct sender sender;
	char head[512];
	size_t used;

	snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].fields);
	if (!address_read(text_of(cases[i].peer), &peer) ||
		request_read(reader, text_of(head), &used) != REQUEST_HEAD) {
		CHECK(false, "%s: the test is wrong", cases[i].promise);
	} else {
		sender_find(&peer, request_of(reader), text_of(cases[i].trusted), &sender);
		CHECK(strcmp(sender.client, cases[i].client) == 0 &&
				strcmp(sender.peer, cases[i].peer) == 0,
			"%s (%s, %s)", cases[i].promise, sender.peer, sender.client);
	}
	request_reader_free(reader);
}

int main(void)
{
	static const struct address nobody = { .len = 0 };
	struct sender sender;

	for (size_t i = 0; i < COUNT(cases); i++) {
		check_case(i);
	}
	sender_find(&nobody, NULL, TEXT("0.0.0.0/0"), &sender);
	CHECK(sender.peer[0] == '\0' && sender.client[0] == '\0',
		"a socket that is not of the internet has no peer");
	return check_done();
}
