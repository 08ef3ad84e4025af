/* The addresses of a host: itself when it is one, or what evdns finds. */
#include "io/dns.h"

#include <assert.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { QUERY_MAGIC = 0x51555259 };

/* What libevent holds while it asks. It may call back even after it was told to stop, so that this
 * outlives its lookup until then. */
struct query {
	unsigned magic;
	struct dns *lookup; /* NULL once that has gone */
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *request; /* NULL once answered */
	struct loop_task *disposal;
};

struct dns {
	struct query *query; /* NULL: the host is a literal address, or the query has ended */
	struct loop_task *answering;
	struct dns_answer answer;
	dns_done *done;
	void *owner;
};

static void dispose_query(void *owner)
{
	struct query *query = owner;

	assert(query->magic == QUERY_MAGIC);
	if (query->dns) {
		evdns_base_free(query->dns, 0);
	}
	loop_task_free(query->disposal);
	query->magic = 0;
	free(query);
}

/* What is of neither version of IP is not there to be connected to. */
static void add_address(struct dns_answer *answer, const struct sockaddr *socket, size_t len)
{
	struct address *next = &answer->addresses[answer->count];

	if (answer->count == DNS_ADDRESSES_MAX || len > sizeof(next->ip6)) {
		return;
	}
	memcpy(&next->ip6, socket, len);
	next->len = (socklen_t)len;
	answer->count++;
}

static void query_answered(int error, struct evutil_addrinfo *found, void *owner)
{
	struct query *query = owner;
	struct dns *lookup = query->lookup;

	assert(query->magic == QUERY_MAGIC);
	query->request = NULL;
	/* Not from here: libevent still works on what would be freed. */
	loop_task_post(query->disposal);
	if (lookup) {
		lookup->query = NULL;
		for (struct evutil_addrinfo *i = error ? NULL : found; i; i = i->ai_next) {
			add_address(&lookup->answer, i->ai_addr, (size_t)i->ai_addrlen);
		}
		if (lookup->answer.count == 0) {
			lookup->answer.problem = error ? evutil_gai_strerror(error) : "no address";
		}
		loop_task_post(lookup->answering);
	}
	if (found) {
		evutil_freeaddrinfo(found);
	}
}

/* Two tries of two seconds with each name server. Some servers do not give names back in the mixed
 * case libevent would send; whoever forges an answer still has no certificate. */
static struct evdns_base *servers_new(struct loop *loop)
{
	struct evdns_base *dns = evdns_base_new(loop_base(loop), EVDNS_BASE_INITIALIZE_NAMESERVERS);

	if (dns && (evdns_base_set_option(dns, "timeout:", "2") != 0 ||
			   evdns_base_set_option(dns, "attempts:", "2") != 0 ||
			   evdns_base_set_option(dns, "randomize-case:", "0") != 0)) {
		evdns_base_free(dns, 0);
		return NULL;
	}
	return dns;
}

static void ask(struct dns *lookup, struct loop *loop, const char *host, uint16_t port)
{
	static const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
	};
	struct query *query = memory_new(sizeof(*query));
	char service[8];

	query->magic = QUERY_MAGIC;
	query->lookup = lookup;
	query->disposal = loop_task_new(loop, dispose_query, query);
	query->dns = servers_new(loop);
	if (!query->dns) {
		lookup->answer.problem = "no name server can be used";
		loop_task_post(query->disposal);
		loop_task_post(lookup->answering);
		return;
	}
	lookup->query = query;
	snprintf(service, sizeof(service), "%u", port);

	struct evdns_getaddrinfo_request *request =
		evdns_getaddrinfo(query->dns, host, service, &hints, query_answered, query);

	/* NULL: answered already, from inside the call. */
	if (lookup->query) {
		query->request = request;
	}
}

static void give_answer(void *owner)
{
	struct dns *lookup = owner;

	lookup->done(lookup->owner, &lookup->answer);
}

struct dns *dns_new(struct loop *loop, const char *host, uint16_t port, dns_done *done, void *owner)
{
	struct dns *lookup = memory_new(sizeof(*lookup));

	lookup->done = done;
	lookup->owner = owner;
	lookup->answering = loop_task_new(loop, give_answer, lookup);
	if (address_read_host(text_of(host), port, &lookup->answer.addresses[0])) {
		lookup->answer.count = 1;
		loop_task_post(lookup->answering);
	} else {
		ask(lookup, loop, host, port);
	}
	return lookup;
}

void dns_free(struct dns *lookup)
{
	if (!lookup) {
		return;
	}
	if (lookup->query) {
		lookup->query->lookup = NULL;
		evdns_getaddrinfo_cancel(lookup->query->request);
	}
	loop_task_free(lookup->answering);
	free(lookup);
}
