#include "settings/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "order/api_target.h"
#include "sql.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SETTINGS_MAX = 512 };

/* The settings of a text, which is without fault. */
static struct config *config_of(const char *text)
{
	struct faults faults = { .count = 0 };
	struct config *config = config_new();

	config_read_text(config, "f", text_of(text), &faults);
	CHECK(faults.count == 0, "the test's own settings are good");
	fault_fini(&faults);
	return config;
}

/* The body of the SQL function that knows the defaults. */
static struct text defaults_of_sql(void)
{
	for (const struct sql_file *file = sql_files; file->name; file++) {
		const char *start = strstr(file->text, "function torque_internal.setting(");

		if (start) {
			return (struct text){ start, (size_t)(strstr(start, "\n$$;") - start) };
		}
	}
	return text_of("");
}

static size_t occurrences(struct text text, const char *of)
{
	size_t count = 0;
	const char *found = text.ptr;

	while ((found = memmem(found, text.len - (size_t)(found - text.ptr), of, strlen(of)))) {
		found += strlen(of);
		count++;
	}
	return count;
}

/* A session that no orderd has set up, an analyst's say, plans by the same numbers. */
static void check_defaults(void)
{
	struct config *config = config_of("");
	struct schedule is = options_reconcile(config_settings(config)).schedule;
	const struct {
		const char *name;
		int64_t value;
	} defaults[] = {
		{ "requests_per_minute", is.requests_per_minute }, { "floor", is.floor },
		{ "sweep_every", is.sweep_every_s }, { "lookback", is.lookback_s },
		{ "open_every", is.open_every_s }, { "history", is.history_s },
		{ "call_ms", TORQUE_CALL_MS },
		{ "page_size", API_TARGET_PAGE_MAX }, /* nobody sets it but tests */
	};
	char setup[SCHEDULE_SETUP_MAX], line[SETTINGS_MAX];

	schedule_setup(&is, setup);
	for (size_t i = 0; i < COUNT(defaults); i++) {
		snprintf(line, sizeof(line), "when '%s' then %" PRId64 "\n", defaults[i].name,
			defaults[i].value);
		CHECK(occurrences(defaults_of_sql(), line) == 1, "SQL has %.*s too",
			(int)strcspn(line, "\n"), line);
		snprintf(line, sizeof(line), "set_config('orderd.%s', '%" PRId64 "', false)",
			defaults[i].name, defaults[i].value);
		CHECK((strstr(setup, line) != NULL) == (i + 1 < COUNT(defaults)),
			"and the poller's sessions are told, but for the size of a page");
	}
	CHECK(occurrences(defaults_of_sql(), "when '") == COUNT(defaults),
		"SQL has no other default");
	config_free(config);
}

static void check_receiver(void)
{
	struct config *config = config_of("[listen]\nmax_connections = 7\n"
					  "[database]\nnotify = no\nconnections = 3\n"
					  "[webhook]\nanswer_deadline = 1s\nmax_body = 2KiB\n");
	struct config *tls =
		config_of("[listen]\ntls_certificate = /c\ntls_key = /k\n[admin]\naddress =\n");
	const struct settings *settings = config_settings(config);
	struct secrets *secrets;
	struct faults faults = { .count = 0 };
	char name[] = "/tmp/options_test.XXXXXX";
	char text[SETTINGS_MAX];
	int fd = mkstemp(name);

	snprintf(text, sizeof(text), "[webhook]\nsecret = file:%s\n", name);
	CHECK(write(fd, "0123456789abcdef01234567", 24) == 24 && close(fd) == 0,
		"the test has a secret");

	struct config *with_secret = config_of(text);

	secrets = secrets_load(with_secret, &faults);
	CHECK(secrets && faults.count == 0, "and it is good");

	struct intake_options plain = options_intake(settings, secrets, -1);
	struct intake_options secure = options_intake(config_settings(tls), secrets, 3);
	struct batch_options batch = options_batch(settings);

	CHECK(plain.server.answer_ms == 900 && batch.keep_ms == 1000,
		"a 503 sets out 100 ms before it has to be there");
	CHECK(plain.server.body_max == 2048 && plain.server.connections_max == 7 &&
			plain.server.listen_fd == -1 && secure.server.listen_fd == 3,
		"the server has its limits and its socket");
	CHECK(!plain.server.tls_certificate && !plain.server.tls_key,
		"without a certificate it speaks plain HTTP");
	CHECK(strcmp(secure.server.tls_certificate, "/c") == 0 &&
			strcmp(secure.server.tls_key, "/k") == 0,
		"with one it does not");
	CHECK(batch.connections == 3 && !batch.notify &&
			strcmp(batch.store.application_name, "orderd receive") == 0,
		"the batch has its connections");
	CHECK(options_descriptors(settings) == 7 + 64 + 64,
		"a receiver needs a descriptor for each connection, one for each of the admin "
		"listener, and some more");
	CHECK(options_connections(settings, 1000) == 7 &&
			options_connections(settings, 7 + 128) == 7 &&
			options_connections(settings, 6 + 128) == 6 &&
			options_connections(settings, 128) == 1 &&
			options_connections(settings, 10) == 1,
		"with fewer it has fewer connections, one at least");
	CHECK(strcmp(options_health(settings, true).address, "127.0.0.1:8481") == 0 &&
			strcmp(options_health(settings, false).address, "127.0.0.1:8482") == 0 &&
			options_health(config_settings(tls), true).address[0] == '\0',
		"each half has an admin address of its own, or none");
	unlink(name);
	secrets_free(secrets);
	fault_fini(&faults);
	config_free(with_secret);
	config_free(tls);
	config_free(config);
}

static void check_poller(void)
{
	struct config *config = config_of("[reconcile]\nsweep_every = 1001ms\nhistory = 2h\n"
					  "[database]\nallow_unsafe_fsync = yes\n");
	struct reconcile_options options = options_reconcile(config_settings(config));

	CHECK(options.schedule.sweep_every_s == 2, "a second that has begun counts");
	CHECK(options.schedule.history_s == 7200, "and nothing is added to whole ones");
	CHECK(options.store.allow_unsafe_fsync, "the poller may use what the receiver may");
	config_free(config);
}

int main(void)
{
	check_defaults();
	check_receiver();
	check_poller();
	return check_done();
}
