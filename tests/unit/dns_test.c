#include "io/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
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

int main(void)
{
	loop = loop_new();
	check_literals();
	check_name();
	check_freed();
	loop_free(loop);
	return check_done();
}
