#include "command/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/stamp.h"
#include "command/keys.h"
#include "io/https.h"
#include "io/store.h"
#include "io/stream.h"

enum {
	CHECK_PROBLEM_MAX = 512,
	CHECK_OTHER_FDS = 64,    /* descriptors that are no webhook connections */
	CHECK_ONLINE_MS = 3000,  /* for the database to be reached and asked */
	CHECK_EXPIRES_DAYS = 14, /* a certificate that ends earlier is warned about */
	CHECK_ORIGIN_MAX = 256,
};

#define DAY_US INT64_C(86400000000)

static void copy_faults(struct faults *to, const struct faults *from)
{
	for (size_t i = 0; i < from->count; i++) {
		if (from->list[i].warning) {
			fault_warn(to, "%s", from->list[i].text);
		} else {
			fault_add(to, "%s", from->list[i].text);
		}
	}
}

/* "FILE:LINE: [section] key", where a sentence about a setting begins. */
static void name_setting(const struct config *config, enum config_key key, char *out, size_t size)
{
	char origin[CHECK_ORIGIN_MAX];

	config_say_origin(config, key, origin, sizeof(origin));
	snprintf(out, size, "%s: [%s] %s", origin, config_rules[key].section,
		config_rules[key].name);
}

/* Who can write the file decides what is taken for genuine. */
static void check_file(const struct command *command, struct faults *faults)
{
	const char *file = command->config_file ? command->config_file : CONFIG_FILE;
	struct stat status;

	if (stat(file, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IWOTH)) {
		fault_add(faults, "%s: everybody may write it; chmod o-w %s", file, file);
	}
}

/* Where there is only a receiver, nobody has made the file that the default names. */
static void check_api_key(const struct config *config, struct faults *faults)
{
	bool chosen = config_origin(config, CONFIG_TORQUE_API_KEY) != CONFIG_DEFAULT;
	struct faults found = { .count = 0 };
	struct secret *key = keys_load_api_key(config, &found);

	for (size_t i = 0; i < found.count; i++) {
		if (found.list[i].warning || !chosen) {
			fault_warn(faults, "%s%s", found.list[i].text,
				key ? "" : "; only orderd receive does without");
		} else {
			fault_add(faults, "%s", found.list[i].text);
		}
	}
	secret_free(key);
	faults_fini(&found);
}

static void check_secrets(const struct config *config, struct faults *faults)
{
	keys_free(keys_load(config, faults));
	check_api_key(config, faults);
}

static void check_ca_file(const struct config *config, struct faults *faults)
{
	char ca_file[CONFIG_PATH_MAX], problem[HTTPS_PROBLEM_MAX];
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];
	struct loop *loop;
	struct https *https;

	if (!config_path(config, CONFIG_TORQUE_CA_FILE, ca_file)) {
		return;
	}
	loop = loop_new();
	https = https_new(loop, "https://localhost", ca_file, problem);
	if (!https) {
		name_setting(config, CONFIG_TORQUE_CA_FILE, setting, sizeof(setting));
		fault_add(faults, "%s: %s", setting, problem);
	}
	https_free(https);
	loop_free(loop);
}

static void check_validity(
	const struct stream_tls *tls, const char *setting, const char *file, struct faults *faults)
{
	int64_t now_us = clock_wall_us(), begin_us, end_us;
	char begin[STAMP_TEXT_MAX], end[STAMP_TEXT_MAX];

	stream_tls_validity(tls, &begin_us, &end_us);
	stamp_format(begin_us, begin);
	stamp_format(end_us, end);
	if (begin_us > end_us) {
		fault_add(faults, "%s = %s: the certificate has no dates; get another one", setting,
			file);
	} else if (now_us < begin_us) {
		fault_add(faults, "%s = %s: not valid before %s; is the clock of this host right?",
			setting, file, begin);
	} else if (now_us > end_us) {
		fault_add(faults, "%s = %s: expired at %s; renew it, then reload", setting, file,
			end);
	} else if (end_us - now_us < CHECK_EXPIRES_DAYS * DAY_US) {
		fault_warn(faults, "%s = %s: expires at %s; renew it, then reload", setting, file,
			end);
	}
}

static void check_certificate(const struct config *config, struct faults *faults)
{
	char certificate[CONFIG_PATH_MAX], key[CONFIG_PATH_MAX];
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX], problem[CHECK_PROBLEM_MAX];
	struct stream_tls *tls;

	if (!config_path(config, CONFIG_LISTEN_TLS_CERTIFICATE, certificate) ||
		!config_path(config, CONFIG_LISTEN_TLS_KEY, key)) {
		return; /* plain, or one of them missing: that has been said */
	}
	name_setting(config, CONFIG_LISTEN_TLS_CERTIFICATE, setting, sizeof(setting));
	tls = stream_tls_new(certificate, key, problem, sizeof(problem));
	if (!tls) {
		fault_add(faults, "%s: %s", setting, problem);
		return;
	}
	check_validity(tls, setting, certificate, faults);
	stream_tls_free(tls);
}

static bool is_loopback(const struct config *config, enum config_key key)
{
	const char *address = config_text(config, key);
	char host[VALUE_HOST_MAX];
	unsigned port;

	return !value_address(text_of(address), host, &port) || value_is_loopback(host);
}

static void check_admin_exposure(
	const struct config *config, enum config_key key, struct faults *faults)
{
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];

	if (config_text(config, key)[0] && !is_loopback(config, key)) {
		name_setting(config, key, setting, sizeof(setting));
		fault_warn(faults,
			"%s: anybody who reaches it reads the metrics; a loopback address keeps "
			"them here",
			setting);
	}
}

static void check_exposure(const struct config *config, struct faults *faults)
{
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];

	if (!is_loopback(config, CONFIG_LISTEN_ADDRESS) &&
		!config_text(config, CONFIG_LISTEN_TLS_CERTIFICATE)[0]) {
		name_setting(config, CONFIG_LISTEN_ADDRESS, setting, sizeof(setting));
		fault_warn(faults,
			"%s: customers' data would cross the network in the clear; set "
			"tls_certificate, or listen on 127.0.0.1 behind a proxy",
			setting);
	}
	check_admin_exposure(config, CONFIG_ADMIN_ADDRESS, faults);
	check_admin_exposure(config, CONFIG_ADMIN_RECONCILE_ADDRESS, faults);
}

/* The path of a URL: from the first / behind the host up to ? or its end. */
static struct text url_path(const char *url)
{
	const char *host = strstr(url, "://") + strlen("://");
	const char *path = strchr(host, '/');

	return path ? (struct text){ path, strcspn(path, "?") } : TEXT("/");
}

static void check_public_url(const struct config *config, struct faults *faults)
{
	const char *url = config_text(config, CONFIG_LISTEN_PUBLIC_URL);
	const char *path = config_text(config, CONFIG_LISTEN_PATH);
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];

	if (!url[0]) {
		return;
	}
	name_setting(config, CONFIG_LISTEN_PUBLIC_URL, setting, sizeof(setting));
	if (!text_equal(url_path(url), text_of(path))) {
		fault_warn(faults,
			"%s: its path is not [listen] path = %s; a delivery to it is answered 404 "
			"unless a proxy rewrites it",
			setting, path);
	}
	if (strncmp(url, "http://", strlen("http://")) == 0) {
		fault_warn(faults,
			"%s: without TLS customers' data would cross the network in the clear; use "
			"https://",
			setting);
	}
}

static void check_scheme(const struct config *config, struct faults *faults)
{
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];

	if (config_number(config, CONFIG_WEBHOOK_SCHEME) == SIGNATURE_STANDARD &&
		config_origin(config, CONFIG_WEBHOOK_HEADER) != CONFIG_DEFAULT) {
		name_setting(config, CONFIG_WEBHOOK_HEADER, setting, sizeof(setting));
		fault_warn(faults, "%s: not used by scheme = standard; take it out", setting);
	}
	if (config_number(config, CONFIG_WEBHOOK_SCHEME) == SIGNATURE_TORQUE &&
		config_origin(config, CONFIG_WEBHOOK_TOLERANCE) != CONFIG_DEFAULT) {
		name_setting(config, CONFIG_WEBHOOK_TOLERANCE, setting, sizeof(setting));
		fault_warn(faults, "%s: not used by scheme = torque; take it out", setting);
	}
}

static void check_descriptors(const struct config *config, struct faults *faults)
{
	int64_t wanted = config_number(config, CONFIG_LISTEN_MAX_CONNECTIONS) + CHECK_OTHER_FDS;
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < (rlim_t)wanted) {
		name_setting(config, CONFIG_LISTEN_MAX_CONNECTIONS, setting, sizeof(setting));
		fault_warn(faults,
			"%s: needs %" PRId64 " descriptors, and a process started here may have "
			"%" PRIuMAX "; raise LimitNOFILE=",
			setting, wanted, (uintmax_t)limit.rlim_max);
	}
}

static void check_offline(const struct command *command, struct faults *faults)
{
	const struct config *config = command->config;

	copy_faults(faults, command->faults);
	check_file(command, faults);
	check_secrets(config, faults);
	check_certificate(config, faults);
	check_ca_file(config, faults);
	check_exposure(config, faults);
	check_public_url(config, faults);
	check_scheme(config, faults);
	check_descriptors(config, faults);
}

/* Online: the connection that the receiver would make, and one question. */

/* The functions that the service calls; the answer names those it may not. */
#define RIGHTS_QUESTION                                                                            \
	"select coalesce(string_agg(p.oid::regprocedure::text, ', '), '') "                        \
	"from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace "      \
	"where n.nspname = 'torque' and p.proname in ('ingest', 'ingest_each', "                   \
	"'ingest_unusable', 'schema_state', 'reconcile_next', 'reconcile_page', "                  \
	"'reconcile_lookup', 'reconcile_failed', 'claim_call', 'call_ended', "                     \
	"'api_access_changed') "                                                                   \
	"and not pg_catalog.has_function_privilege(p.oid, 'execute')"

struct online {
	struct loop *loop;
	struct store *store;
	struct faults *faults;
	const char *setting;
};

static void rights_told(void *tag, const struct store_result *result)
{
	struct online *online = tag;

	if (result->end != STORE_COMMITTED) {
		fault_add(online->faults, "%s: the database would not say what orderd may do: %.*s",
			online->setting, (int)result->message.len, result->message.ptr);
	} else if (result->value.len > 0) {
		fault_add(online->faults,
			"%s: the role may not execute %.*s; run orderd migrate, which grants it",
			online->setting, (int)result->value.len, result->value.ptr);
	}
	loop_stop(online->loop);
}

static void connected(void *owner)
{
	static const struct store_call question = { .statement = RIGHTS_QUESTION };
	struct online *online = owner;

	if (!store_run(online->store, &question, 1, rights_told, online)) {
		loop_stop(online->loop);
	}
}

static void disconnected(void *owner)
{
	(void)owner; /* it tries again until the time is up */
}

static void time_is_up(void *owner)
{
	struct online *online = owner;
	const char *problem = store_problem(online->store);

	fault_add(online->faults, "%s: %s", online->setting,
		problem[0] ? problem : "the database does not answer");
	loop_stop(online->loop);
}

static void check_online(const struct config *config, struct faults *faults)
{
	static const struct store_events events = {
		.connected = connected,
		.disconnected = disconnected,
	};
	const struct store_options options = {
		.conninfo = config_text(config, CONFIG_DATABASE_CONNINFO),
		.application_name = "orderd check",
		.allow_unsafe_fsync =
			config_number(config, CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC) != 0,
	};
	char setting[CHECK_ORIGIN_MAX + CONFIG_NAME_MAX];
	struct online online = { .loop = loop_new(), .faults = faults, .setting = setting };
	struct loop_timer *timer = loop_timer_new(online.loop, time_is_up, &online);

	name_setting(config, CONFIG_DATABASE_CONNINFO, setting, sizeof(setting));
	online.store = store_new(online.loop, &options, &events, &online);
	loop_timer_start(timer, CHECK_ONLINE_MS);
	loop_run(online.loop);
	store_free(online.store);
	loop_timer_free(timer);
	loop_free(online.loop);
}

static void print_text(const struct faults *faults, bool online)
{
	for (size_t i = 0; i < faults->count; i++) {
		printf("%s %s\n", faults->list[i].warning ? "warning" : "fault  ",
			faults->list[i].text);
	}
	if (faults->dropped > 0) {
		printf("and %zu more\n", faults->dropped);
	}
	if (faults->count == 0) {
		printf("everything is in order%s\n",
			online ? "" : " (the database was not asked: --online)");
	}
}

static void print_json(const struct faults *faults)
{
	json_t *list[] = { json_array(), json_array() };
	json_t *object;

	for (size_t i = 0; i < faults->count; i++) {
		json_t *text = json_string(faults->list[i].text);

		json_array_append_new(list[faults->list[i].warning],
			text ? text : json_string("a finding that is not UTF-8"));
	}
	object = json_pack("{s:o, s:o, s:I}", "faults", list[0], "warnings", list[1], "dropped",
		(json_int_t)faults->dropped);
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}

int check_run(const struct command *command)
{
	struct faults faults = { .count = 0 };
	bool online = command_has(command, "online");
	int code;

	check_offline(command, &faults);
	if (online && !config_is_faulty(command->config, CONFIG_DATABASE_CONNINFO)) {
		check_online(command->config, &faults);
	}
	if (command_has(command, "json")) {
		print_json(&faults);
	} else {
		print_text(&faults, online);
	}
	code = faults.errors > 0 ? VERB_FOUND : EX_OK;
	faults_fini(&faults);
	return code;
}
