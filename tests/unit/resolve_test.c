#include "pg/resolve.h"

#include <stdlib.h>

#include "check.h"

enum { STORY_MAX = 1024 };

static struct loop *loop;
static char story[STORY_MAX];

static const char *word(const struct resolve_words *words, const char *keyword)
{
	const char *found = NULL; /* as with libpq the last one counts */

	for (size_t i = 0; words->keywords[i]; i++) {
		if (strcmp(words->keywords[i], keyword) == 0) {
			found = words->values[i];
		}
	}
	return found;
}

static const char *or_dash(const char *value)
{
	return value ? value : "-";
}

/* "host/hostaddr/port host/hostaddr/port" of one round. */
static const char *round_of(struct resolve *resolve)
{
	struct resolve_words words;
	size_t len = 0;

	story[0] = '\0';
	resolve_begin(resolve);
	while (resolve_next(resolve, &words) && len < sizeof(story) / 2) {
		len += (size_t)snprintf(story + len, sizeof(story) - len, "%s%s,%s,%s",
			len > 0 ? " " : "", or_dash(word(&words, "host")),
			or_dash(word(&words, "hostaddr")), or_dash(word(&words, "port")));
	}
	return story;
}

static void found_nothing(void *owner)
{
	(void)owner;
}

static struct resolve *hosts_of(const char *conninfo)
{
	return resolve_new(loop, conninfo, "test", found_nothing, NULL);
}

static const struct {
	const char *promise;
	const char *conninfo;
	const char *places;
	const char *problem;
} cases[] = {
	{ "nothing said: libpq's own default", "dbname=x", "-,-,-", "" },
	{ "a directory of sockets", "host=/run/postgresql", "/run/postgresql,-,-", "" },
	{ "an abstract socket", "host=@orderd", "@orderd,-,-", "" },
	{ "an address is no name", "host=127.0.0.1 port=5433", "127.0.0.1,-,5433", "" },
	{ "nor is one of IPv6", "host=::1", "::1,-,-", "" },
	{ "nor one with a scope", "host=fe80::1%eth0", "fe80::1%eth0,-,-", "" },
	{ "a name with an address is not looked up", "host=db.example hostaddr=10.0.0.1",
		"db.example,10.0.0.1,-", "" },
	{ "an address alone", "hostaddr=10.0.0.1", "-,10.0.0.1,-", "" },
	{ "a list is taken apart", "host=/a,/b port=1,2", "/a,-,1 /b,-,2", "" },
	{ "one port is for all", "host=/a,/b port=7", "/a,-,7 /b,-,7", "" },
	{ "an empty port is the default", "host=/a,/b port=1,", "/a,-,1 /b,-,-", "" },
	{ "a URI", "postgresql://u:p@127.0.0.1:5433,10.0.0.2:5434/db",
		"127.0.0.1,-,5433 10.0.0.2,-,5434", "" },
	{ "more ports than hosts", "host=/a port=1,2", "", "not as many ports" },
	{ "more addresses than hosts", "host=/a hostaddr=10.0.0.1,10.0.0.2", "",
		"not as many hosts" },
	{ "too many hosts", "host=/1,/2,/3,/4,/5,/6,/7,/8,/9,/10,/11,/12,/13,/14,/15,/16,/17", "",
		"too many hosts" },
	{ "a service without a host", "service=x", "", "names a service" },
	{ "a word that is none is named", "hots=/a", "", "invalid connection option \"hots\"" },
	{ "no conninfo, and its words are not repeated", "password='secret", "",
		"conninfo cannot be read" },
};

static void check_places(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct resolve *resolve = hosts_of(cases[i].conninfo);
		const char *places = round_of(resolve);
		const char *problem = resolve_problem(resolve);

		CHECK(strcmp(places, cases[i].places) == 0 && !strstr(problem, "secret") &&
				(cases[i].problem[0] != '\0'
						? strstr(problem, cases[i].problem) != NULL
						: problem[0] == '\0'),
			"%s (%s; %s)", cases[i].promise, places, problem);
		resolve_free(resolve);
	}
}

static void check_rotation(void)
{
	struct resolve *resolve = hosts_of("host=/a,/b,/c");
	struct resolve_words words;

	resolve_begin(resolve);
	CHECK(resolve_next(resolve, &words) && resolve_next(resolve, &words) &&
			strcmp(word(&words, "host"), "/b") == 0,
		"hosts come in the order of the list");
	CHECK(strcmp(round_of(resolve), "/b,-,- /c,-,- /a,-,-") == 0,
		"a new round begins with the host that was tried last (%s)", story);
	CHECK(!resolve_next(resolve, &words), "a round ends");
	resolve_free(resolve);
}

static void check_words(void)
{
	struct resolve *resolve =
		hosts_of("host=/a dbname=d user=u tcp_user_timeout=5 client_encoding=LATIN1");
	struct resolve_words words;

	resolve_begin(resolve);
	resolve_next(resolve, &words);
	CHECK(strcmp(word(&words, "dbname"), "d") == 0 && strcmp(word(&words, "user"), "u") == 0,
		"what conninfo says is passed on");
	CHECK(strcmp(word(&words, "target_session_attrs"), "primary") == 0 &&
			strcmp(word(&words, "gssencmode"), "disable") == 0 &&
			strcmp(word(&words, "keepalives_idle"), "10") == 0,
		"what it leaves open is set for a daemon");
	CHECK(strcmp(word(&words, "tcp_user_timeout"), "5") == 0, "what it says stays");
	CHECK(strcmp(word(&words, "client_encoding"), "UTF8") == 0, "but the encoding is ours");
	CHECK(strcmp(word(&words, "fallback_application_name"), "test") == 0,
		"the server is told who we are");
	resolve_free(resolve);
}

static void check_environment(void)
{
	setenv("PGHOST", "/env", 1);
	setenv("PGPORT", "9", 1);

	struct resolve *resolve = hosts_of("dbname=x");
	struct resolve *other = hosts_of("host=/a port=1");

	CHECK(strcmp(round_of(resolve), "/env,-,9") == 0, "PGHOST and PGPORT count (%s)", story);
	CHECK(strcmp(round_of(other), "/a,-,1") == 0, "but conninfo wins (%s)", story);
	resolve_free(resolve);
	resolve_free(other);
	unsetenv("PGHOST");
	unsetenv("PGPORT");
}

static void stop(void *owner)
{
	(void)owner;
	loop_stop(loop);
}

/* localhost stands in the file of hosts: no name server is asked. */
static void check_names(void)
{
	struct resolve *resolve =
		resolve_new(loop, "host=/a,localhost port=5432", "test", stop, NULL);
	struct loop_timer *guard = loop_timer_new(loop, stop, NULL);

	CHECK(strcmp(round_of(resolve), "/a,-,5432") == 0,
		"a name that nobody has looked up yet holds up no other host");
	CHECK(strstr(resolve_problem(resolve), "localhost") != NULL, "and is told (%s)",
		resolve_problem(resolve));
	loop_timer_start(guard, 10000);
	loop_run(loop);
	loop_timer_free(guard);
	round_of(resolve);
	CHECK(strstr(story, "localhost,127.0.0.1,5432") != NULL,
		"once it is known its address is given to libpq (%s)", story);
	CHECK(resolve_problem(resolve)[0] == '\0', "and all is well");
	resolve_free(resolve);
}

int main(void)
{
	unsetenv("PGHOST");
	unsetenv("PGHOSTADDR");
	unsetenv("PGPORT");
	unsetenv("PGSERVICE");
	loop = loop_new();
	check_places();
	check_rotation();
	check_words();
	check_environment();
	check_names();
	loop_free(loop);
	return check_done();
}
