#include "io/dns.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static struct loop *loop;
static struct dns *lookup;
static struct dns_answer got;
static int answer_count;

static void answered(void *owner, const struct dns_answer *answer)
{
	(void)owner;
	got = *answer;
	answer_count++;
	dns_free(lookup);
	lookup = NULL;
	loop_stop(loop);
}

static void too_late(void *owner)
{
	(void)owner;
	loop_stop(loop);
}

static void run_for(int64_t ms)
{
	struct loop_timer *guard = loop_timer_new(loop, too_late, NULL);

	loop_timer_start(guard, ms);
	loop_run(loop);
	loop_timer_free(guard);
}

static void look_up(const char *host, uint16_t port)
{
	memset(&got, 0, sizeof(got));
	answer_count = 0;
	lookup = dns_new(loop, host, port, answered, NULL);
	CHECK(answer_count == 0, "%s: nothing is answered from inside the question", host);
	run_for(20000);
	CHECK(answer_count == 1, "%s: it is answered once (%d)", host, answer_count);
}

static void check_literals(void)
{
	char shown[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;

	look_up("127.0.0.9", 8480);
	memcpy(&ip4, &got.addresses[0], sizeof(ip4));
	inet_ntop(AF_INET, &ip4.sin_addr, shown, sizeof(shown));
	CHECK(got.count == 1 && got.addresses[0].len == sizeof(ip4) && ip4.sin_family == AF_INET &&
			ntohs(ip4.sin_port) == 8480 && strcmp(shown, "127.0.0.9") == 0,
		"an address of version 4 is itself (got %s)", shown);

	look_up("2001:db8::1", 443);
	memcpy(&ip6, &got.addresses[0], sizeof(ip6));
	inet_ntop(AF_INET6, &ip6.sin6_addr, shown, sizeof(shown));
	CHECK(got.count == 1 && got.addresses[0].len == sizeof(ip6) &&
			ip6.sin6_family == AF_INET6 && ntohs(ip6.sin6_port) == 443 &&
			strcmp(shown, "2001:db8::1") == 0,
		"an address of version 6 is itself (got %s)", shown);
}

/* Of /etc/hosts. Which versions it has is the machine's affair. */
static void check_name(void)
{
	int wrong = 0;

	look_up("localhost", 80);
	for (size_t i = 0; i < got.count; i++) {
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;

		memcpy(&ip4, &got.addresses[i], sizeof(ip4));
		memcpy(&ip6, &got.addresses[i], sizeof(ip6));
		wrong += ip4.sin_family == AF_INET ? ntohl(ip4.sin_addr.s_addr) >> 24 != 127
						   : !IN6_IS_ADDR_LOOPBACK(&ip6.sin6_addr);
		wrong += ntohs(ip4.sin_port) != 80;
	}
	CHECK(got.count > 0 && wrong == 0, "localhost is found, with its port (%zu, %d wrong)",
		got.count, wrong);
}

static void check_freed(void)
{
	answer_count = 0;
	dns_free(dns_new(loop, "127.0.0.1", 80, answered, NULL));
	dns_free(dns_new(loop, "localhost", 80, answered, NULL));
	run_for(50);
	CHECK(answer_count == 0, "a question that was withdrawn is not answered");
	dns_free(NULL);
	/* And once more, with no round of the loop to tidy up in. */
	dns_free(dns_new(loop, "localhost", 80, answered, NULL));
}

/* libevent's, for a while: it answers when it is told to. */
static bool is_ours;
static evdns_getaddrinfo_cb found;
static void *found_owner;
static int cancelled_count;

struct evdns_getaddrinfo_request *evdns_getaddrinfo(struct evdns_base *base, const char *host,
	const char *service, const struct evutil_addrinfo *hints, evdns_getaddrinfo_cb callback,
	void *owner)
{
	__typeof__(evdns_getaddrinfo) *real;

	*(void **)&real = dlsym(RTLD_NEXT, "evdns_getaddrinfo");
	if (!is_ours) {
		return real(base, host, service, hints, callback, owner);
	}
	found = callback;
	found_owner = owner;
	return (struct evdns_getaddrinfo_request *)&found;
}

void evdns_getaddrinfo_cancel(struct evdns_getaddrinfo_request *request)
{
	__typeof__(evdns_getaddrinfo_cancel) *real;

	*(void **)&real = dlsym(RTLD_NEXT, "evdns_getaddrinfo_cancel");
	if (request == (struct evdns_getaddrinfo_request *)&found) {
		cancelled_count++;
	} else {
		real(request);
	}
}

static struct evutil_addrinfo *many(int count)
{
	struct evutil_addrinfo *list = NULL;

	for (int i = 0; i < count; i++) {
		struct evutil_addrinfo *one = NULL;

		if (getaddrinfo("127.0.0.1", "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM },
			    &one) != 0) {
			return list;
		}
		one->ai_next = list;
		list = one;
	}
	return list;
}

static void check_many_addresses(void)
{
	is_ours = true;
	answer_count = 0;
	lookup = dns_new(loop, "many.example", 80, answered, NULL);
	found(0, many(DNS_ADDRESSES_MAX + 1), found_owner);
	run_for(1000);
	CHECK(answer_count == 1 && got.count == DNS_ADDRESSES_MAX,
		"of many addresses the first are taken (%zu)", got.count);
	is_ours = false;
}

static void check_freed_while_asked(void)
{
	struct evutil_addrinfo *one = many(1);

	is_ours = true;
	answer_count = 0;
	lookup = dns_new(loop, "slow.example", 80, answered, NULL);

	/* Its memory is soon somebody else's. */
	size_t size = malloc_usable_size(lookup);

	dns_free(lookup);
	lookup = NULL;

	char *others = malloc(size);

	memset(others, 'x', size);
	others[size - 1] = '\0';
	CHECK(cancelled_count == 1, "who asks no more says so");
	/* As libevent does: later, and in spite of it. */
	found(0, one, found_owner);
	run_for(50);
	CHECK(answer_count == 0, "an answer that comes in spite of it reaches nobody");
	CHECK(strspn(others, "x") == size - 1, "and is written into nobody's memory");
	free(others);
	is_ours = false;
}

int main(void)
{
	loop = loop_new();
	check_literals();
	check_name();
	check_freed();
	check_many_addresses();
	check_freed_while_asked();
	loop_free(loop);
	return check_done();
}
