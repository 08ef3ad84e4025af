#include "io/hosts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/text.h"
#include "io/lookup.h"

enum {
	ADDRESS_TEXT_MAX = 64, /* of IPv6 with a scope */
	LOOKUP_EVERY_MS = 1000,
};

static const char *const defaults[][2] = {
	{ "target_session_attrs", "read-write" },
	{ "gssencmode", "disable" }, /* a ticket server that is away would stop the loop */
	{ "keepalives_idle", "10" },
	{ "keepalives_interval", "3" },
	{ "keepalives_count", "3" },
	{ "tcp_user_timeout", "10000" },
};

/* One element of the list. */
struct host {
	struct hosts *hosts;
	char *name;     /* NULL: libpq's default */
	char *hostaddr; /* NULL: none was given */
	char *port;     /* NULL: libpq's default */
	bool is_name;   /* needs a lookup */
	struct lookup *lookup;
	int64_t asked_ms; /* when, last; 0 = never */
	size_t count;     /* addresses found */
	char addresses[LOOKUP_ADDRESSES_MAX][ADDRESS_TEXT_MAX];
	const char *problem; /* static; NULL: none */
};

struct hosts {
	struct loop *loop;
	PQconninfoOption *options; /* NULL: conninfo is no conninfo */
	char *application_name;
	hosts_found *found;
	void *owner;
	size_t count;
	struct host list[HOSTS_MAX];
	size_t current; /* in list */
	size_t tried;   /* places of the current host in this round */
	size_t untried; /* hosts of this round, the current one included */
	char problem[HOSTS_PROBLEM_MAX];
};

static const char *option(const struct hosts *hosts, const char *keyword)
{
	for (const PQconninfoOption *i = hosts->options; i && i->keyword; i++) {
		if (strcmp(i->keyword, keyword) == 0) {
			return i->val && i->val[0] != '\0' ? i->val : NULL;
		}
	}
	return NULL;
}

static const char *option_or(
	const struct hosts *hosts, const char *keyword, const char *environment)
{
	const char *value = option(hosts, keyword);

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
	return copy_text_or_die((struct text){ list, len });
}

/* What is neither a socket's path nor an address. An address with a scope ("fe80::1%eth0") is none
 * that inet_pton takes, but libpq reads it without asking anybody. */
static bool is_name(const char *host)
{
	struct in_addr ip4;

	return host[0] != '/' && host[0] != '@' && !strchr(host, ':') &&
	       inet_pton(AF_INET, host, &ip4) != 1;
}

static bool complain(struct hosts *hosts, const char *sentence)
{
	snprintf(hosts->problem, sizeof(hosts->problem), "%s", sentence);
	return false;
}

static bool take_list(struct hosts *hosts)
{
	const char *names = option_or(hosts, "host", "PGHOST");
	const char *hostaddrs = option_or(hosts, "hostaddr", "PGHOSTADDR");
	const char *ports = option_or(hosts, "port", "PGPORT");
	size_t count = elements(hostaddrs ? hostaddrs : names);
	size_t ports_count = elements(ports);

	if (!names && !hostaddrs && (option(hosts, "service") || getenv("PGSERVICE"))) {
		return complain(hosts, "conninfo names a service; it has to say host as well");
	}
	if (names && hostaddrs && elements(names) != count) {
		return complain(hosts, "conninfo has not as many hosts as addresses");
	}
	count = count > 0 ? count : 1;
	if (count > HOSTS_MAX) {
		return complain(hosts, "conninfo has too many hosts");
	}
	if (ports_count > 1 && ports_count != count) {
		return complain(hosts, "conninfo has not as many ports as hosts");
	}
	for (size_t i = 0; i < count; i++) {
		struct host *host = &hosts->list[i];

		host->hosts = hosts;
		host->name = element(names, i);
		host->hostaddr = element(hostaddrs, i);
		host->port = element(ports, ports_count > 1 ? i : 0);
		host->is_name = host->name && !host->hostaddr && is_name(host->name);
	}
	hosts->count = count;
	return true;
}

struct hosts *hosts_new(struct loop *loop, const char *conninfo, const char *application_name,
	hosts_found *found, void *owner)
{
	struct hosts *hosts = new_or_die(sizeof(*hosts));

	hosts->loop = loop;
	hosts->application_name = copy_or_die(application_name);
	hosts->found = found;
	hosts->owner = owner;
	/* libpq's sentence about what is wrong repeats conninfo, which may hold a password. */
	hosts->options = PQconninfoParse(conninfo, NULL);
	if (!hosts->options) {
		complain(hosts, "conninfo cannot be read: it is keyword=value pairs, or a URI");
	} else if (!take_list(hosts)) {
		hosts->count = 0;
	}
	return hosts;
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts) {
		return;
	}
	for (size_t i = 0; i < HOSTS_MAX; i++) {
		lookup_free(hosts->list[i].lookup);
		free(hosts->list[i].name);
		free(hosts->list[i].hostaddr);
		free(hosts->list[i].port);
	}
	PQconninfoFree(hosts->options);
	free(hosts->application_name);
	free(hosts);
}

static void take_addresses(struct host *host, const struct lookup_answer *answer)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct lookup_address *address = &answer->addresses[i];

		if (getnameinfo((const struct sockaddr *)&address->socket, address->len,
			    host->addresses[count], ADDRESS_TEXT_MAX, NULL, 0,
			    NI_NUMERICHOST) == 0) {
			count++;
		}
	}
	host->count = count > 0 ? count : host->count;
}

static void judge_names(struct hosts *hosts)
{
	hosts->problem[0] = '\0';
	for (size_t i = 0; i < hosts->count; i++) {
		const struct host *host = &hosts->list[i];

		if (host->is_name && host->count == 0) {
			snprintf(hosts->problem, sizeof(hosts->problem), "cannot look up %s: %s",
				host->name, host->problem ? host->problem : "no answer yet");
		}
	}
}

static void name_looked_up(void *owner, const struct lookup_answer *answer)
{
	struct host *host = owner;
	struct hosts *hosts = host->hosts;
	bool was_unknown = host->count == 0;

	host->problem = answer->count > 0 ? NULL : answer->problem;
	take_addresses(host, answer);
	lookup_free(host->lookup);
	host->lookup = NULL;
	judge_names(hosts);
	if (was_unknown && host->count > 0) {
		hosts->found(hosts->owner);
	}
}

static void look_up(struct hosts *hosts, struct host *host)
{
	int64_t now_ms = clock_mono_ms();

	if (!host->is_name || host->lookup ||
		(host->asked_ms != 0 && now_ms - host->asked_ms < LOOKUP_EVERY_MS)) {
		return;
	}
	host->asked_ms = now_ms;
	host->lookup = lookup_new(hosts->loop, host->name, 0, name_looked_up, host);
}

void hosts_begin(struct hosts *hosts)
{
	hosts->untried = hosts->count;
	hosts->tried = 0;
	for (size_t i = 0; i < hosts->count; i++) {
		look_up(hosts, &hosts->list[i]);
	}
	if (hosts->count > 0) {
		judge_names(hosts);
	}
}

static void add_word(
	struct hosts_words *words, size_t *count, const char *keyword, const char *value)
{
	if (!value) {
		return;
	}
	assert(*count < HOSTS_WORDS_MAX);
	words->keywords[*count] = keyword;
	words->values[*count] = value;
	(*count)++;
}

static bool is_place(const char *keyword)
{
	return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
	       strcmp(keyword, "port") == 0;
}

static void fill_words(const struct hosts *hosts, const struct host *host, const char *address,
	struct hosts_words *words)
{
	size_t count = 0;

	add_word(words, &count, "host", host->name);
	add_word(words, &count, "hostaddr", address);
	add_word(words, &count, "port", host->port);
	add_word(words, &count, "fallback_application_name", hosts->application_name);
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (!option(hosts, defaults[i][0])) {
			add_word(words, &count, defaults[i][0], defaults[i][1]);
		}
	}
	for (const PQconninfoOption *i = hosts->options; i->keyword; i++) {
		if (!is_place(i->keyword) && strcmp(i->keyword, "fallback_application_name") != 0) {
			add_word(words, &count, i->keyword, option(hosts, i->keyword));
		}
	}
	add_word(words, &count, "client_encoding", "UTF8"); /* the last one counts */
	words->keywords[count] = NULL;
	words->values[count] = NULL;
}

bool hosts_next(struct hosts *hosts, struct hosts_words *ret_words)
{
	while (hosts->untried > 0) {
		const struct host *host = &hosts->list[hosts->current];
		size_t places = host->is_name ? host->count : 1;

		if (hosts->tried < places) {
			const char *address =
				host->is_name ? host->addresses[hosts->tried] : host->hostaddr;

			hosts->tried++;
			fill_words(hosts, host, address, ret_words);
			return true;
		}
		hosts->current = (hosts->current + 1) % hosts->count;
		hosts->tried = 0;
		hosts->untried--;
	}
	return false;
}

const char *hosts_problem(const struct hosts *hosts)
{
	return hosts->problem;
}
