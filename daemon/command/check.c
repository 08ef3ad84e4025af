/* Everything that is wrong is said in one go: of the settings, and of what they lead to. */
#include "command/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/stamp.h"
#include "command/api_session.h"
#include "command/print.h"
#include "http/client.h"
#include "http/stream.h"
#include "pg/store.h"
#include "settings/options.h"
#include "sql.h"

enum {
	CHECK_ONLINE_MS = 3000,  /* for the database to be reached and asked */
	CHECK_EXPIRES_DAYS = 14, /* a certificate that ends earlier is warned about */
	CHECK_CLOCK_S = 5,       /* two clocks may be so far from each other */
};

#define DAY_US    INT64_C(86400000000)
#define SECOND_US INT64_C(1000000)

static void copy_faults(struct faults *to, const struct faults *from)
{
	for (size_t i = 0; i < from->count; i++) {
		(from->list[i].warning ? fault_warn : fault_add)(to, "%s", from->list[i].text);
	}
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
	struct secret *key = secrets_load_api_key(config, &found);

	for (size_t i = 0; i < found.count; i++) {
		(key || !chosen ? fault_warn : fault_add)(faults, "%s%s", found.list[i].text,
			key || chosen ? "" : "; only orderd receive does without");
	}
	secret_free(key);
	fault_fini(&found);
}

static void check_ca_file(const struct config *config, struct faults *faults)
{
	const char *ca_file = config_settings(config)->torque.ca_file;
	struct problem problem;
	struct loop *loop;
	struct client *client;

	if (!ca_file[0]) {
		return;
	}
	loop = loop_new();
	client = client_new(loop, "https://localhost", ca_file, &problem);
	if (!client) {
		config_fault(config, CONFIG_TORQUE_CA_FILE, faults, ": %s", problem.text);
	}
	client_free(client);
	loop_free(loop);
}

static void check_validity(
	const struct config *config, const struct stream_tls *tls, struct faults *faults)
{
	const enum config_key key = CONFIG_LISTEN_TLS_CERTIFICATE;
	const char *file = config_settings(config)->listen.tls_certificate;
	int64_t now_us = clock_wall_us(), begin_us, end_us;
	char begin[STAMP_TEXT_MAX], end[STAMP_TEXT_MAX];

	stream_tls_validity(tls, &begin_us, &end_us);
	stamp_format(begin_us, begin);
	stamp_format(end_us, end);
	if (begin_us > end_us) {
		config_fault(config, key, faults,
			" = %s: the certificate has no dates; get another one", file);
	} else if (now_us < begin_us) {
		config_fault(config, key, faults,
			" = %s: not valid before %s; is the clock of this host right?", file,
			begin);
	} else if (now_us > end_us) {
		config_fault(config, key, faults, " = %s: expired at %s; renew it, then reload",
			file, end);
	} else if (end_us - now_us < CHECK_EXPIRES_DAYS * DAY_US) {
		config_warn(config, key, faults, " = %s: expires at %s; renew it, then reload",
			file, end);
	}
}

static void check_certificate(const struct config *config, struct faults *faults)
{
	const struct settings *settings = config_settings(config);
	struct problem problem;
	struct stream_tls *tls;

	if (!settings->listen.tls_certificate[0] || !settings->listen.tls_key[0]) {
		return; /* plain, or one of them missing: that has been said */
	}
	tls = stream_tls_new(settings->listen.tls_certificate, settings->listen.tls_key, &problem);
	if (tls) {
		check_validity(config, tls, faults);
	} else {
		config_fault(config, CONFIG_LISTEN_TLS_CERTIFICATE, faults, ": %s", problem.text);
	}
	stream_tls_free(tls);
}

/* Nothing, or what only this host reaches. */
static bool is_private(const char *text)
{
	struct address address;

	return !address_read(text_of(text), &address) || address_is_loopback(&address);
}

static void check_exposure(const struct config *config, struct faults *faults)
{
	static const enum config_key admin[] = { CONFIG_ADMIN_ADDRESS,
		CONFIG_ADMIN_RECONCILE_ADDRESS };
	const struct settings *settings = config_settings(config);

	if (!is_private(settings->listen.address) && !settings->listen.tls_certificate[0]) {
		config_warn(config, CONFIG_LISTEN_ADDRESS, faults,
			": customers' data would cross the network in the clear; set "
			"tls_certificate, or listen on 127.0.0.1 behind a proxy");
	}
	for (size_t i = 0; i < sizeof(admin) / sizeof(admin[0]); i++) {
		if (!is_private(config_text(config, admin[i]))) {
			config_warn(config, admin[i], faults,
				": anybody who reaches it reads the metrics; a loopback address "
				"keeps them here");
		}
	}
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
	const char *url = config_settings(config)->listen.public_url;
	const char *path = config_settings(config)->listen.path;

	if (!url[0]) {
		return;
	}
	if (!text_equal(url_path(url), text_of(path))) {
		config_warn(config, CONFIG_LISTEN_PUBLIC_URL, faults,
			": its path is not [listen] path = %s; a delivery to it is answered 404 "
			"unless a proxy rewrites it",
			path);
	}
	if (strncmp(url, "http://", strlen("http://")) == 0) {
		config_warn(config, CONFIG_LISTEN_PUBLIC_URL, faults,
			": without TLS customers' data would cross the network in the clear; use "
			"https://");
	}
}

static void warn_if_chosen(
	const struct config *config, enum config_key key, const char *scheme, struct faults *faults)
{
	if (config_origin(config, key) != CONFIG_DEFAULT) {
		config_warn(config, key, faults, ": not used by scheme = %s; take it out", scheme);
	}
}

static void check_scheme(const struct config *config, struct faults *faults)
{
	switch (config_settings(config)->webhook.scheme) {
	case SIGNATURE_TORQUE:
		warn_if_chosen(config, CONFIG_WEBHOOK_TOLERANCE, "torque", faults);
		return;
	case SIGNATURE_STANDARD:
		warn_if_chosen(config, CONFIG_WEBHOOK_HEADER, "standard", faults);
		return;
	case SIGNATURE_TIMESTAMPED:
		return;
	}
}

static void check_descriptors(const struct config *config, struct faults *faults)
{
	size_t wanted = options_descriptors(config_settings(config));
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < wanted) {
		config_warn(config, CONFIG_LISTEN_MAX_CONNECTIONS, faults,
			": needs %zu descriptors, and a process started here may have %" PRIuMAX
			"; raise LimitNOFILE=",
			wanted, (uintmax_t)limit.rlim_max);
	}
}

static void check_offline(const struct command *command, struct faults *faults)
{
	const struct config *config = command->config;

	copy_faults(faults, command->faults);
	check_file(command, faults);
	secrets_free(secrets_load(config, faults));
	check_api_key(config, faults);
	check_certificate(config, faults);
	check_ca_file(config, faults);
	check_exposure(config, faults);
	check_public_url(config, faults);
	check_scheme(config, faults);
	check_descriptors(config, faults);
}

/* The database: the connection that the receiver would make, and a few questions, each answered by
 * nothing or by what is wrong. */

/* Of the functions that migrations grant to the daemon, those that this role may not execute. */
#define RIGHTS_QUESTION                                                                            \
	"select coalesce(string_agg(f, ', '), '') from unnest($1::text[]) f "                      \
	"where not coalesce(has_function_privilege(to_regproc(f), 'execute'), false)"

/* How far the clock of this host is off, when it is by more than so many seconds. */
#define CLOCK_QUESTION                                                                             \
	"select format('%s s %s', abs(s.ahead)::bigint, "                                          \
	"case when s.ahead > 0 then 'ahead of' else 'behind' end) "                                \
	"from (select extract(epoch from $1::timestamptz - clock_timestamp()) as ahead) as s "     \
	"where abs(s.ahead) > $2::integer"

/* What everybody may do with the database, as what takes it away. */
#define OPEN_QUESTION                                                                              \
	"select 'revoke ' || string_agg(lower(a.privilege_type), ', ' order by a.privilege_type) " \
	"|| ' on database ' || quote_ident(d.datname) || ' from public' "                          \
	"from pg_database d "                                                                      \
	"cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "                  \
	"where d.datname = current_database() and a.grantee = 0 group by d.datname"

struct online {
	const struct config *config;
	struct faults *faults;
	struct loop *loop;
	struct store *store;
	size_t question; /* that is asked */
};

static struct store_call rights_call(const struct config *config)
{
	(void)config;
	return (struct store_call){
		.statement = RIGHTS_QUESTION,
		.param_count = 1,
		.params = { { .bytes = sql_granted, .len = strlen(sql_granted) } },
	};
}

static struct store_call shop_call(const struct config *config)
{
	const struct reconcile_options options = options_reconcile(config_settings(config));

	return reconcile_shop(&options, false);
}

static struct store_call open_call(const struct config *config)
{
	(void)config;
	return (struct store_call){ .statement = OPEN_QUESTION };
}

/* The database's clock bounds the time of what the API says without a Date. */
static struct store_call clock_call(const struct config *config)
{
	static char now[STAMP_TEXT_MAX], most_s[8];

	(void)config;
	stamp_format(clock_wall_us(), now);
	snprintf(most_s, sizeof(most_s), "%d", CHECK_CLOCK_S);
	return (struct store_call){
		.statement = CLOCK_QUESTION,
		.param_count = 2,
		.params = { { .bytes = now, .len = strlen(now) },
			{ .bytes = most_s, .len = strlen(most_s) } },
	};
}

static const struct question {
	struct store_call (*call)(const struct config *config);
	const char *before, *after; /* what is wrong */
	bool warns;
} questions[] = {
	{ rights_call, "the role may not execute ", "; run orderd migrate, which grants it",
		false },
	{ shop_call, "", "", false },
	{ clock_call, "the clock of this host is ", " the database's; have both set by NTP", true },
	{ open_call,
		"whoever may log in to this server gets into the database; unless that is "
		"meant, run there: ",
		"", true },
};

static void ask(struct online *online);

static void answered(void *tag, const struct store_result *result)
{
	struct online *online = tag;
	const struct question *question = &questions[online->question++];

	if (result->end != STORE_COMMITTED) {
		config_fault(online->config, CONFIG_DATABASE_CONNINFO, online->faults,
			": the database would not say how it stands: %.*s",
			(int)result->message.len, result->message.ptr);
		loop_stop(online->loop);
		return;
	}
	if (result->value.len > 0) {
		(question->warns ? config_warn : config_fault)(online->config,
			CONFIG_DATABASE_CONNINFO, online->faults, ": %s%.*s%s", question->before,
			(int)result->value.len, result->value.ptr, question->after);
	}
	ask(online);
}

static void ask(struct online *online)
{
	struct store_call call;

	if (online->question == sizeof(questions) / sizeof(questions[0])) {
		loop_stop(online->loop);
		return;
	}
	call = questions[online->question].call(online->config);
	if (!store_run(online->store, &call, 1, answered, online)) {
		loop_stop(online->loop);
	}
}

static void connected(void *owner)
{
	struct online *online = owner;

	online->question = 0;
	ask(online);
}

static void disconnected(void *owner)
{
	(void)owner; /* it tries again until the time is up */
}

static void time_is_up(void *owner)
{
	struct online *online = owner;
	const char *problem = store_problem(online->store);

	config_fault(online->config, CONFIG_DATABASE_CONNINFO, online->faults, ": %s",
		problem[0] ? problem : "the database does not answer");
	loop_stop(online->loop);
}

static void check_database(const struct config *config, struct faults *faults)
{
	static const struct store_events events = {
		.connected = connected,
		.disconnected = disconnected,
	};
	struct store_options options = options_store(config_settings(config), "orderd check");
	struct online online = { .config = config, .faults = faults, .loop = loop_new() };
	struct loop_timer *timer = loop_timer_new(online.loop, time_is_up, &online);

	options.quiet = true;
	online.store = store_new(online.loop, &options, &events, &online);
	loop_timer_start(timer, CHECK_ONLINE_MS);
	loop_run(online.loop);
	store_free(online.store);
	loop_timer_free(timer);
	loop_free(online.loop);
}

/* The API: one call, which takes its place in the budget as every other. */

static void judge_answer(
	const struct config *config, const struct torque_answer *answer, struct faults *faults)
{
	const char *said = "";

	switch (answer->end) {
	case TORQUE_GOOD:
		return;
	case TORQUE_UNAUTHORIZED:
		config_fault(config, CONFIG_TORQUE_API_KEY, faults, ": the API refuses the key: %s",
			answer->problem.text);
		return;
	case TORQUE_RATE_LIMITED:
		config_warn(config, CONFIG_TORQUE_BASE_URL, faults,
			": the API has no call left for us at present: %s", answer->problem.text);
		return;
	case TORQUE_NOT_FOUND:
		said = "there are no orders to list";
		break;
	case TORQUE_UNTRUSTED:
		said = "it cannot be trusted";
		break;
	case TORQUE_UNREACHABLE:
	case TORQUE_LATE:
		said = "it cannot be reached";
		break;
	case TORQUE_REFUSED:
	case TORQUE_SERVER_ERROR:
	case TORQUE_MALFORMED:
	case TORQUE_DROPPED:
		said = "the API does not answer as it should";
		break;
	}
	config_fault(
		config, CONFIG_TORQUE_BASE_URL, faults, ": %s: %s", said, answer->problem.text);
}

static void check_clock(
	const struct config *config, const struct torque_answer *answer, struct faults *faults)
{
	int64_t ahead_s = torque_clock_ahead_s(answer);
	int64_t tolerance_ms = config_settings(config)->webhook.tolerance_ms;
	int64_t apart_s = ahead_s > 0 ? ahead_s : -ahead_s;
	const char *side = ahead_s > 0 ? "ahead of" : "behind";

	if (answer->date_us == 0) {
		config_warn(config, CONFIG_TORQUE_BASE_URL, faults,
			": its answers have no Date; the clocks were not compared");
	} else if (apart_s * 1000 > tolerance_ms) {
		fault_add(faults,
			"the clock of this host is %" PRId64 " s %s the API's, more than [webhook] "
			"tolerance: deliveries that are signed with their time are refused; have "
			"the clock set by NTP",
			apart_s, side);
	} else if (apart_s > CHECK_CLOCK_S) {
		fault_warn(faults,
			"the clock of this host is %" PRId64 " s %s the API's; have it set by NTP",
			apart_s, side);
	}
}

/* What is wrong with the key, the URL and the CA file has been said. */
static void check_api(const struct config *config, struct faults *faults)
{
	const struct torque_call call = {
		.kind = TORQUE_LIST, .list = { .limit = 1 }, .whole = true
	};
	const struct torque_answer *answer = NULL;
	struct faults said = { .count = 0 };
	int code;
	struct api_session *ask = api_session_open(config, &said, &code);

	if (ask) {
		api_session_quietly(ask, &call, "check", &answer);
	}
	if (answer) {
		judge_answer(config, answer, faults);
	} else if (code != EX_CONFIG) {
		config_fault(config, CONFIG_DATABASE_CONNINFO, faults,
			": it gives no place in the API's budget; the API was not asked");
	}
	if (answer && answer->status > 0) {
		check_clock(config, answer, faults);
	}
	api_session_free(ask);
	fault_fini(&said);
}

static void check_online(const struct config *config, struct faults *faults)
{
	size_t errors = faults->errors;

	if (config_is_faulty(config, CONFIG_DATABASE_CONNINFO)) {
		return;
	}
	check_database(config, faults);
	if (faults->errors == errors) {
		check_api(config, faults);
	}
}

static void print_text(const struct faults *faults, bool online)
{
	for (size_t i = 0; i < faults->count; i++) {
		fputs(faults->list[i].warning ? "warning " : "fault   ", stdout);
		print_put(stdout, text_of(faults->list[i].text), FAULT_TEXT_MAX);
		putchar('\n');
	}
	if (faults->dropped > 0) {
		printf("and %zu more\n", faults->dropped);
	}
	if (faults->count == 0) {
		printf("everything is in order%s\n",
			online ? "" : " (the database and the API were not asked: --online)");
	}
}

static void print_as_json(const struct faults *faults)
{
	json_t *list[] = { json_array(), json_array() };

	for (size_t i = 0; i < faults->count; i++) {
		json_t *text = json_string(faults->list[i].text);

		json_array_append_new(list[faults->list[i].warning],
			text ? text : json_string("a finding that is not UTF-8"));
	}
	print_packed(PRINT_INDENTED, "{s:o, s:o, s:I}", "faults", list[0], "warnings", list[1],
		"dropped", (json_int_t)faults->dropped);
}

int check_run(const struct command *command)
{
	struct faults faults = { .count = 0 };
	bool online = verb_has(command, "online");
	int code;

	check_offline(command, &faults);
	if (online) {
		check_online(command->config, &faults);
	}
	if (verb_has(command, "json")) {
		print_as_json(&faults);
	} else {
		print_text(&faults, online);
	}
	code = faults.errors > 0 ? VERB_FOUND : EX_OK;
	fault_fini(&faults);
	return code;
}
