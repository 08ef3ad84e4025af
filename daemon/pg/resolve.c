/* A conninfo taken apart, its names looked up, and its addresses handed out one by one. */
#include "pg/resolve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/problem.h"
#include "base/text.h"
#include "io/dns.h"
#include "pg/conninfo.h"

enum {
	SCOPED_ADDRESS_MAX = 64, /* of IPv6 with a scope */
	LOOKUP_EVERY_MS = 1000,
};

static const char *const defaults[][2] = {
	{ "target_session_attrs", "primary" },
	{ "gssencmode", "disable" }, /* a ticket server that is away would stop the loop */
	{ "keepalives_idle", "10" },
	{ "keepalives_interval", "3" },
	{ "keepalives_count", "3" },
	{ "tcp_user_timeout", "10000" },
};

/* One element of the list. */
struct host {
	struct resolve *resolve;
	char *name;     /* NULL: libpq's default */
	char *hostaddr; /* NULL: none was given */
	char *port;     /* NULL: libpq's default */
	bool is_name;   /* needs a lookup */
	struct dns *lookup;
	int64_t asked_ms; /* when, last; 0 = never */
	size_t count;     /* addresses found */
	char addresses[DNS_ADDRESSES_MAX][SCOPED_ADDRESS_MAX];
	const char *problem; /* static; NULL: none */
};

struct resolve {
	struct loop *loop;
	PQconninfoOption *options; /* NULL: conninfo is no conninfo */
	char *application_name;
	resolve_found *found;
	void *owner;
	size_t count;
	struct host list[RESOLVE_MAX];
	size_t current; /* in list */
	size_t tried;   /* places of the current host in this round */
	size_t untried; /* hosts of this round, the current one included */
	struct problem problem;
};

static const char *option(const struct resolve *resolve, const char *keyword)
{
	for (const PQconninfoOption *i = resolve->options; i && i->keyword; i++) {
		if (strcmp(i->keyword, keyword) == 0) {
			return i->val && i->val[0] != '\0' ? i->val : NULL;
		}
	}
	return NULL;
}

static const char *option_or(
	const struct resolve *resolve, const char *keyword, const char *environment)
{
	const char *value = option(resolve, keyword);

	if (!value) {
		value = getenv(environment);
	}
	return value && value[0] != '\0' ? value : NULL;
}

static size_t elements(const char *list)
{
	size_t count = list ? 1 : 0;

	for (; list && *list != '\0'; list++) {
		count += *list == ',';
	}
	return count;
}

/* NULL: there is no such element, or it is empty. */
static char *element(const char *list, size_t index)
{
	size_t len;

	if (!list) {
		return NULL;
	}
	while (index > 0) {
		list = strchr(list, ',');
		if (!list) {
			return NULL;
		}
		list++;
		index--;
	}
	len = strcspn(list, ",");
	if (len == 0) {
		return NULL;
	}
	return memory_copy_text((struct text){ list, len });
}

/* What is neither a socket's path nor an address. An address with a scope ("fe80::1%eth0") is none
 * that inet_pton takes, but libpq reads it without asking anybody. */
static bool is_name(const char *host)
{
	struct in_addr ip4;

	return host[0] != '/' && host[0] != '@' && !strchr(host, ':') &&
	       inet_pton(AF_INET, host, &ip4) != 1;
}

static bool take_list(struct resolve *resolve)
{
	const char *names = option_or(resolve, "host", "PGHOST");
	const char *hostaddrs = option_or(resolve, "hostaddr", "PGHOSTADDR");
	const char *ports = option_or(resolve, "port", "PGPORT");
	size_t count = elements(hostaddrs ? hostaddrs : names);
	size_t ports_count = elements(ports);

	if (!names && !hostaddrs && (option(resolve, "service") || getenv("PGSERVICE"))) {
		return problem_say(
			&resolve->problem, "conninfo names a service; it has to say host as well");
	}
	if (names && hostaddrs && elements(names) != count) {
		return problem_say(
			&resolve->problem, "conninfo has not as many hosts as addresses");
	}
	count = count > 0 ? count : 1;
	if (count > RESOLVE_MAX) {
		return problem_say(&resolve->problem, "conninfo has too many hosts");
	}
	if (ports_count > 1 && ports_count != count) {
		return problem_say(&resolve->problem, "conninfo has not as many ports as hosts");
	}
	for (size_t i = 0; i < count; i++) {
		struct host *host = &resolve->list[i];

		host->resolve = resolve;
		host->name = element(names, i);
		host->hostaddr = element(hostaddrs, i);
		host->port = element(ports, ports_count > 1 ? i : 0);
		host->is_name = host->name && !host->hostaddr && is_name(host->name);
	}
	resolve->count = count;
	return true;
}

struct resolve *resolve_new(struct loop *loop, const char *conninfo, const char *application_name,
	resolve_found *found, void *owner)
{
	struct resolve *resolve = memory_new(sizeof(*resolve));

	resolve->loop = loop;
	resolve->application_name = memory_copy(application_name);
	resolve->found = found;
	resolve->owner = owner;
	resolve->options = PQconninfoParse(conninfo, NULL);
	if (!resolve->options) {
		struct problem why;

		conninfo_judge(conninfo, &why);
		problem_say(&resolve->problem, "conninfo %s", why.text);
	} else if (!take_list(resolve)) {
		resolve->count = 0;
	}
	return resolve;
}

void resolve_free(struct resolve *resolve)
{
	if (!resolve) {
		return;
	}
	for (size_t i = 0; i < RESOLVE_MAX; i++) {
		dns_free(resolve->list[i].lookup);
		free(resolve->list[i].name);
		free(resolve->list[i].hostaddr);
		free(resolve->list[i].port);
	}
	PQconninfoFree(resolve->options);
	free(resolve->application_name);
	free(resolve);
}

static void take_addresses(struct host *host, const struct dns_answer *answer)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct address *address = &answer->addresses[i];

		if (getnameinfo(&address->any, address->len, host->addresses[count],
			    SCOPED_ADDRESS_MAX, NULL, 0, NI_NUMERICHOST) == 0) {
			count++;
		}
	}
	host->count = count > 0 ? count : host->count;
}

static void judge_names(struct resolve *resolve)
{
	resolve->problem.text[0] = '\0';
	for (size_t i = 0; i < resolve->count; i++) {
		const struct host *host = &resolve->list[i];

		if (host->is_name && host->count == 0) {
			problem_say(&resolve->problem, "cannot look up %s: %s", host->name,
				host->problem ? host->problem : "no answer yet");
		}
	}
}

static void name_looked_up(void *owner, const struct dns_answer *answer)
{
	struct host *host = owner;
	struct resolve *resolve = host->resolve;
	bool was_unknown = host->count == 0;

	host->problem = answer->count > 0 ? NULL : answer->problem;
	take_addresses(host, answer);
	dns_free(host->lookup);
	host->lookup = NULL;
	judge_names(resolve);
	if (was_unknown && host->count > 0) {
		resolve->found(resolve->owner);
	}
}

static void look_up(struct resolve *resolve, struct host *host)
{
	int64_t now_ms = clock_mono_ms();

	if (!host->is_name || host->lookup ||
		(host->asked_ms != 0 && now_ms - host->asked_ms < LOOKUP_EVERY_MS)) {
		return;
	}
	host->asked_ms = now_ms;
	host->lookup = dns_new(resolve->loop, host->name, 0, name_looked_up, host);
}

void resolve_begin(struct resolve *resolve)
{
	resolve->untried = resolve->count;
	resolve->tried = 0;
	for (size_t i = 0; i < resolve->count; i++) {
		look_up(resolve, &resolve->list[i]);
	}
	if (resolve->count > 0) {
		judge_names(resolve);
	}
}

static void add_word(
	struct resolve_words *words, size_t *count, const char *keyword, const char *value)
{
	if (!value) {
		return;
	}
	assert(*count < RESOLVE_WORDS_MAX);
	words->keywords[*count] = keyword;
	words->values[*count] = value;
	(*count)++;
}

static bool is_place(const char *keyword)
{
	return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
	       strcmp(keyword, "port") == 0;
}

static void fill_words(const struct resolve *resolve, const struct host *host, const char *address,
	struct resolve_words *words)
{
	size_t count = 0;

	add_word(words, &count, "host", host->name);
	add_word(words, &count, "hostaddr", address);
	add_word(words, &count, "port", host->port);
	add_word(words, &count, "fallback_application_name", resolve->application_name);
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (!option(resolve, defaults[i][0])) {
			add_word(words, &count, defaults[i][0], defaults[i][1]);
		}
	}
	for (const PQconninfoOption *i = resolve->options; i->keyword; i++) {
		if (!is_place(i->keyword) && strcmp(i->keyword, "fallback_application_name") != 0) {
			add_word(words, &count, i->keyword, option(resolve, i->keyword));
		}
	}
	add_word(words, &count, "client_encoding", "UTF8"); /* the last one counts */
	words->keywords[count] = NULL;
	words->values[count] = NULL;
}

bool resolve_next(struct resolve *resolve, struct resolve_words *ret_words)
{
	while (resolve->untried > 0) {
		const struct host *host = &resolve->list[resolve->current];
		size_t places = host->is_name ? host->count : 1;

		if (resolve->tried < places) {
			const char *address =
				host->is_name ? host->addresses[resolve->tried] : host->hostaddr;

			resolve->tried++;
			fill_words(resolve, host, address, ret_words);
			return true;
		}
		resolve->current = (resolve->current + 1) % resolve->count;
		resolve->tried = 0;
		resolve->untried--;
	}
	return false;
}

const char *resolve_problem(const struct resolve *resolve)
{
	return resolve->problem.text;
}
