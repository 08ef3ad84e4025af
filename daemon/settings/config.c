#include "settings/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "flow/batch.h"
#include "flow/intake.h"
#include "http/server.h"
#include "http/url.h"
#include "order/signature.h"
#include "pg/resolve.h"
#include "settings/ini.h"

enum { SECTIONS_MAX = CONFIG_KEY_COUNT };

#define KIB       INT64_C(1024)
#define SECOND_MS INT64_C(1000)
#define DAY_MS    (24 * 3600 * SECOND_MS)

/* clang-format off */
const struct config_rule config_rules[CONFIG_KEY_COUNT] = {
	[CONFIG_LISTEN_ADDRESS] = { "listen", "address", "127.0.0.1:8480", false,
		"Where webhooks are received. A socket handed over by the service manager wins over it.",
		{ .type = VALUE_ADDRESS } },
	[CONFIG_LISTEN_PATH] = { "listen", "path", "/webhooks/torque", true,
		"The only path that is answered, compared byte for byte.",
		{ .type = VALUE_PATH, .max = INTAKE_PATH_MAX - 1 } },
	[CONFIG_LISTEN_TLS_CERTIFICATE] = { "listen", "tls_certificate", "", false,
		"Certificate chain in PEM. Empty: plain HTTP, for a proxy on this host. A reload reads "
		"the file again; another file needs a restart.",
		{ .type = VALUE_FILE, .optional = true } },
	[CONFIG_LISTEN_TLS_KEY] = { "listen", "tls_key", "", false,
		"The private key of tls_certificate, in PEM. Read again with the certificate.",
		{ .type = VALUE_FILE, .optional = true } },
	[CONFIG_LISTEN_PUBLIC_URL] = { "listen", "public_url", "", true,
		"The URL under which Torque reaches this receiver: what is given as webhookUrl.",
		{ .type = VALUE_URL, .optional = true } },
	[CONFIG_LISTEN_MAX_CONNECTIONS] = { "listen", "max_connections", "10000", false,
		"Connections at one time; beyond them accepting pauses. Each takes a descriptor.",
		{ .type = VALUE_COUNT, .min = 1, .max = 1000000 } },
	[CONFIG_ADMIN_ADDRESS] = { "admin", "address", "127.0.0.1:8481", false,
		"Where /livez, /readyz and /metrics are answered. Empty: nowhere.",
		{ .type = VALUE_ADDRESS, .optional = true } },
	[CONFIG_ADMIN_RECONCILE_ADDRESS] = { "admin", "reconcile_address", "127.0.0.1:8482", false,
		"The same for a poller that runs as a process of its own. Empty: nowhere.",
		{ .type = VALUE_ADDRESS, .optional = true } },
	[CONFIG_DATABASE_CONNINFO] = { "database", "conninfo", "host=/run/postgresql dbname=orderd", false,
		"How PostgreSQL is reached, in the words of libpq; several hosts for failover. Never "
		"with a password: peer authentication, or passfile=/path.",
		{ .type = VALUE_CONNINFO } },
	[CONFIG_DATABASE_CONNECTIONS] = { "database", "connections", "2", false,
		"How many connections commit deliveries. More pay only when the disk is slow.",
		{ .type = VALUE_COUNT, .min = 1, .max = BATCH_CONNECTIONS_MAX } },
	[CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC] = { "database", "allow_unsafe_fsync", "no", false,
		"Accept a server with fsync=off, which loses acknowledged deliveries in a crash. For tests.",
		{ .type = VALUE_YES_NO } },
	[CONFIG_DATABASE_NOTIFY] = { "database", "notify", "yes", false,
		"NOTIFY torque_orders with the id of each order that changed.",
		{ .type = VALUE_YES_NO } },
	[CONFIG_TORQUE_BASE_URL] = { "torque", "base_url", "https://api.torque.fi/v1", true,
		"Where the Checkout API is. http:// for an address of this host only.",
		{ .type = VALUE_URL } },
	[CONFIG_TORQUE_BUSINESS_ID] = { "torque", "business_id", "", true,
		"Deliveries that name another business are quarantined. Empty: any is taken.",
		{ .type = VALUE_TEXT, .optional = true, .min = 1, .max = 255 } },
	[CONFIG_TORQUE_API_KEY] = { "torque", "api_key", "credential:api-key", true,
		"Names the API key, which the receiver does not need; never the key itself.",
		{ .type = VALUE_SECRET } },
	[CONFIG_TORQUE_CA_FILE] = { "torque", "ca_file", "", true,
		"Certificates in PEM that the API's must come from. Empty: those the system trusts.",
		{ .type = VALUE_FILE, .optional = true } },
	[CONFIG_TORQUE_REQUESTS_PER_MINUTE] = { "torque", "requests_per_minute", "30", true,
		"The most calls to the API in any 60 s, whoever of orderd makes them.",
		{ .type = VALUE_COUNT, .min = 1, .max = 10000 } },
	[CONFIG_TORQUE_FLOOR] = { "torque", "floor", "20", true,
		"What is left of the API's own limit for the merchant's other programs: below it polling "
		"waits.",
		{ .type = VALUE_COUNT, .min = 0, .max = 10000 } },
	[CONFIG_WEBHOOK_SCHEME] = { "webhook", "scheme", "torque", true,
		"How deliveries are signed. torque: HMAC-SHA-256 of the body as hex, sha256=hex or "
		"base64. standard: Standard Webhooks. timestamped: t=,v1= over the time and the body.",
		{ .type = VALUE_CHOICE, .words = { "torque", "standard", "timestamped" } } },
	[CONFIG_WEBHOOK_SECRET] = { "webhook", "secret", "credential:webhook-secret", true,
		"Names the webhook secret; never the secret itself.",
		{ .type = VALUE_SECRET } },
	[CONFIG_WEBHOOK_SECRET_PREVIOUS] = { "webhook", "secret_previous", "", true,
		"Names the secret before it, which still counts while the secret is being changed.",
		{ .type = VALUE_SECRET, .optional = true } },
	[CONFIG_WEBHOOK_KEY] = { "webhook", "key", "auto", true,
		"What the signing key is. text: the whole secret. base64: what follows whsec_, decoded. "
		"auto: base64 for the scheme standard, else text.",
		{ .type = VALUE_CHOICE, .words = { "auto", "text", "base64" } } },
	[CONFIG_WEBHOOK_HEADER] = { "webhook", "header", "X-Torque-Signature", true,
		"The header that carries the signature. The scheme standard has its own headers.",
		{ .type = VALUE_HEADER } },
	[CONFIG_WEBHOOK_TOLERANCE] = { "webhook", "tolerance", "5min", true,
		"How far the time of an attempt may be from ours, in both directions, where the scheme "
		"signs that time.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = DAY_MS } },
	[CONFIG_WEBHOOK_MAX_BODY] = { "webhook", "max_body", "1MiB", false,
		"Bytes of the longest delivery; a longer one is answered 413.",
		{ .type = VALUE_SIZE, .min = KIB, .max = BATCH_QUEUE_BYTES_MAX } },
	[CONFIG_WEBHOOK_ANSWER_DEADLINE] = { "webhook", "answer_deadline", "2500ms", false,
		"The longest a delivery waits for its commit; then it is answered 503, to come again.",
		{ .type = VALUE_DURATION, .min = 200, .max = SERVER_ANSWER_MS } },
	[CONFIG_RECONCILE_SWEEP_EVERY] = { "reconcile", "sweep_every", "1min", true,
		"How often the newest orders are listed.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = DAY_MS } },
	[CONFIG_RECONCILE_LOOKBACK] = { "reconcile", "lookback", "15min", true,
		"How far back each of these lists reaches: orders may show up late. What no webhook told "
		"in this time is drift.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = 7 * DAY_MS } },
	[CONFIG_RECONCILE_OPEN_EVERY] = { "reconcile", "open_every", "5min", true,
		"How often the orders that are not finished are compared with the API's.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = DAY_MS } },
	[CONFIG_RECONCILE_HISTORY] = { "reconcile", "history", "90d", true,
		"How old an order may be and still be looked after.",
		{ .type = VALUE_DURATION, .min = 3600 * SECOND_MS, .max = 3650 * DAY_MS } },
	[CONFIG_LOG_LEVEL] = { "log", "level", "info", true,
		"Events below this are not logged.",
		{ .type = VALUE_CHOICE, .words = { "error", "warning", "notice", "info", "debug" } } },
	[CONFIG_LOG_FORMAT] = { "log", "format", "auto", true,
		"auto: journal under systemd, else logfmt.",
		{ .type = VALUE_CHOICE, .words = { "auto", "journal", "logfmt", "json" } } },
};
/* clang-format on */

_Static_assert(SIGNATURE_TORQUE == 0 && SIGNATURE_STANDARD == 1 && SIGNATURE_TIMESTAMPED == 2,
	"the words of [webhook] scheme stand in the order of enum signature_scheme");
_Static_assert(
	LOG_ERROR == 0 && LOG_WARNING == 1 && LOG_NOTICE == 2 && LOG_INFO == 3 && LOG_DEBUG == 4,
	"the words of [log] level stand in the order of enum log_level");
_Static_assert(LOG_AUTO == 0 && LOG_JOURNAL == 1 && LOG_LOGFMT == 2 && LOG_JSON == 3,
	"the words of [log] format stand in the order of enum log_format");

struct setting {
	char *text;
	int64_t number;
	enum config_origin origin;
	unsigned line; /* CONFIG_FROM_FILE */
	bool faulty;   /* another value was given and refused */
};

struct config {
	struct setting settings[CONFIG_KEY_COUNT];
	char *file; /* the one that was read; NULL: none */
};

static void keep_value(struct setting *setting, struct text value, int64_t number)
{
	char *copy = memory_copy_text(value);

	free(setting->text);
	setting->text = copy;
	setting->number = number;
}

struct config *config_new(void)
{
	struct config *config = memory_new(sizeof(*config));
	struct problem problem;

	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const struct config_rule *rule = &config_rules[key];
		struct text value = text_of(rule->initial);
		int64_t number;

		if (!value_parse(&rule->value, value, &number, &problem)) {
			die("the default of [%s] %s %s", rule->section, rule->name, problem.text);
		}
		keep_value(&config->settings[key], value, number);
	}
	return config;
}

void config_free(struct config *config)
{
	if (!config) {
		return;
	}
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		free(config->settings[key].text);
	}
	free(config->file);
	free(config);
}

bool config_is_secret(enum config_key key)
{
	return config_rules[key].value.type == VALUE_SECRET;
}

/* Where a value stands, as the start of a sentence about it. */
struct place {
	const char *file; /* or the name of a flag or a variable */
	unsigned line;    /* 0: not a file */
};

static void set(struct config *config, enum config_key key, struct text value,
	enum config_origin origin, const struct place *place, struct faults *faults)
{
	const struct config_rule *rule = &config_rules[key];
	struct setting *setting = &config->settings[key];
	struct problem problem;
	int64_t number;

	if (!value_parse(&rule->value, value, &number, &problem)) {
		if (place->line > 0) {
			fault_add(faults, "%s:%u: [%s] %s %s", place->file, place->line,
				rule->section, rule->name, problem.text);
		} else {
			fault_add(faults, "%s: [%s] %s %s", place->file, rule->section, rule->name,
				problem.text);
		}
		setting->faulty = true;
		return;
	}
	keep_value(setting, value, number);
	setting->origin = origin;
	setting->line = place->line;
}

/* The file: sections and keys have to be known, once each. */

struct reading {
	struct config *config;
	const char *file;
	struct faults *faults;
	const char *section;                 /* of the table; NULL: unknown, or none yet */
	bool in_section;                     /* a [section] has been read, known or not */
	unsigned key_line[CONFIG_KEY_COUNT]; /* 0: not seen */
	unsigned section_line[SECTIONS_MAX]; /* indexed by the first key of the section */
};

static size_t section_names(const char *names[SECTIONS_MAX])
{
	size_t count = 0;

	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		if (count == 0 || strcmp(names[count - 1], config_rules[key].section) != 0) {
			names[count++] = config_rules[key].section;
		}
	}
	return count;
}

static size_t key_names(const char *section, const char *names[CONFIG_KEY_COUNT])
{
	size_t count = 0;

	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		if (strcmp(config_rules[key].section, section) == 0) {
			names[count++] = config_rules[key].name;
		}
	}
	return count;
}

static void read_section(struct reading *reading, const struct ini_item *item)
{
	const char *names[SECTIONS_MAX];
	size_t count = section_names(names);
	const char *nearest;

	reading->in_section = true;
	reading->section = NULL;
	for (size_t i = 0; i < count; i++) {
		if (!text_equal(item->name, text_of(names[i]))) {
			continue;
		}
		reading->section = names[i];
		if (reading->section_line[i] > 0) {
			fault_add(reading->faults,
				"%s:%u: [%s] stands here again, first on line %u; put its keys "
				"together",
				reading->file, item->line, names[i], reading->section_line[i]);
			return;
		}
		reading->section_line[i] = item->line;
		return;
	}
	nearest = fault_nearest_word(item->name, names, count);
	fault_add(reading->faults, "%s:%u: [%.*s] is no section; %s%s%s", reading->file, item->line,
		(int)text_cut_utf8(item->name, CONFIG_NAME_MAX).len, item->name.ptr,
		nearest ? "did you mean [" : "see orderd config --example", nearest ? nearest : "",
		nearest ? "]?" : "");
}

static bool find_key(const char *section, struct text name, enum config_key *ret_key)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		if ((!section || strcmp(config_rules[key].section, section) == 0) &&
			text_equal(name, text_of(config_rules[key].name))) {
			*ret_key = (enum config_key)key;
			return true;
		}
	}
	return false;
}

static void unknown_key(struct reading *reading, const struct ini_item *item)
{
	const char *names[CONFIG_KEY_COUNT];
	const char *nearest =
		fault_nearest_word(item->name, names, key_names(reading->section, names));
	int shown = (int)text_cut_utf8(item->name, CONFIG_NAME_MAX).len;
	enum config_key elsewhere;

	if (find_key(NULL, item->name, &elsewhere)) {
		fault_add(reading->faults, "%s:%u: [%s] %.*s is no key here; it belongs to [%s]",
			reading->file, item->line, reading->section, shown, item->name.ptr,
			config_rules[elsewhere].section);
	} else if (nearest) {
		fault_add(reading->faults, "%s:%u: [%s] %.*s is no key; did you mean %s?",
			reading->file, item->line, reading->section, shown, item->name.ptr,
			nearest);
	} else {
		fault_add(reading->faults,
			"%s:%u: [%s] %.*s is no key; see orderd config --example", reading->file,
			item->line, reading->section, shown, item->name.ptr);
	}
}

static void read_value(struct reading *reading, const struct ini_item *item)
{
	struct place place = { reading->file, item->line };
	enum config_key key;

	if (!reading->in_section) {
		fault_add(reading->faults,
			"%s:%u: %.*s stands before any [section]; write the section first",
			reading->file, item->line,
			(int)text_cut_utf8(item->name, CONFIG_NAME_MAX).len, item->name.ptr);
		return;
	}
	if (!reading->section) {
		return; /* the section is the fault; it has been said */
	}
	if (!find_key(reading->section, item->name, &key)) {
		unknown_key(reading, item);
		return;
	}
	if (reading->key_line[key] > 0) {
		fault_add(reading->faults,
			"%s:%u: [%s] %s is given again, first on line %u; keep one of them",
			reading->file, item->line, reading->section, config_rules[key].name,
			reading->key_line[key]);
		return;
	}
	reading->key_line[key] = item->line;
	set(reading->config, key, item->value, CONFIG_FROM_FILE, &place, reading->faults);
}

void config_read_text(
	struct config *config, const char *file, struct text whole, struct faults *faults)
{
	struct reading reading = { .config = config, .file = file, .faults = faults };
	struct ini ini = ini_start(whole);

	if (whole.len > CONFIG_BYTES_MAX) {
		fault_add(faults, "%s: is longer than %d KiB; that is no configuration of orderd",
			file, CONFIG_BYTES_MAX / 1024);
		return;
	}
	free(config->file);
	config->file = memory_copy(file);
	for (struct ini_item item = ini_next(&ini); item.kind != INI_END; item = ini_next(&ini)) {
		if (item.kind == INI_SECTION) {
			read_section(&reading, &item);
		} else if (item.kind == INI_VALUE) {
			read_value(&reading, &item);
		} else {
			fault_add(faults, "%s:%u: %s", file, item.line, item.fault);
		}
	}
}

/* Up to size bytes of a file. Negative errno. */
static ssize_t read_whole(const char *file, char *buffer, size_t size)
{
	CLEANUP(cleanup_close) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t used = 0;

	if (fd < 0) {
		return -errno;
	}
	while (used < size) {
		ssize_t got = read(fd, buffer + used, size - used);

		if (got < 0 && errno != EINTR) {
			return -errno;
		}
		if (got == 0) {
			break;
		}
		used += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)used;
}

int config_read_file(struct config *config, const char *file, struct faults *faults)
{
	const size_t size = CONFIG_BYTES_MAX + 1; /* one more shows that it is too long */
	CLEANUP(cleanup_free) char *buffer = memory_new(size);
	const char *name = file ? file : CONFIG_FILE;
	ssize_t len = read_whole(name, buffer, size);

	if (len == -ENOENT && !file) {
		return 0;
	}
	if (len < 0) {
		fault_add(faults, "%s: cannot be read: %s", name, strerror((int)-len));
		return (int)len;
	}
	config_read_text(config, name, (struct text){ buffer, (size_t)len }, faults);
	return 0;
}

static void derive_name(enum config_key key, const char *prefix, char between, bool upper,
	char out[CONFIG_NAME_MAX])
{
	const struct config_rule *rule = &config_rules[key];

	snprintf(out, CONFIG_NAME_MAX, "%s%s%c%s", prefix, rule->section, between, rule->name);
	for (char *c = out; *c; c++) {
		if (*c == '_' || *c == '-') {
			*c = between;
		} else if (upper && *c >= 'a' && *c <= 'z') {
			*c = (char)(*c - 'a' + 'A');
		}
	}
}

void config_environment_name(enum config_key key, char out[CONFIG_NAME_MAX])
{
	derive_name(key, "ORDERD_", '_', true, out);
}

void config_flag_name(enum config_key key, char out[CONFIG_NAME_MAX])
{
	derive_name(key, "", '-', false, out);
}

/* ORDERD_LISTEN_ADRESS is a slip; ORDERD_PORT belongs to somebody else (a container platform makes
 * such names for a service called orderd). */
static void doubt_variable(struct text name, struct faults *faults)
{
	char spelled[CONFIG_KEY_COUNT][CONFIG_NAME_MAX];
	const char *names[CONFIG_KEY_COUNT];
	const char *nearest;

	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		config_environment_name((enum config_key)key, spelled[key]);
		names[key] = spelled[key];
	}
	nearest = fault_nearest_word(name, names, CONFIG_KEY_COUNT);
	if (nearest) {
		fault_warn(faults, "%.*s in the environment sets nothing; did you mean %s?",
			(int)name.len, name.ptr, nearest);
	}
}

static void read_variable(
	struct config *config, struct text name, const char *value, struct faults *faults)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		char spelled[CONFIG_NAME_MAX];
		struct place place = { spelled, 0 };

		config_environment_name((enum config_key)key, spelled);
		if (!text_equal(name, text_of(spelled))) {
			continue;
		}
		if (config_is_secret((enum config_key)key)) {
			fault_add(faults,
				"%s: secrets do not come from the environment, which others may "
				"read; name a credential or a file in the configuration file",
				spelled);
			return;
		}
		set(config, (enum config_key)key, text_of(value), CONFIG_ENVIRONMENT, &place,
			faults);
		return;
	}
	doubt_variable(name, faults);
}

void config_read_environment(struct config *config, char *const *environment, struct faults *faults)
{
	for (; *environment; environment++) {
		const char *equals = strchr(*environment, '=');

		if (!equals || strncmp(*environment, "ORDERD_", strlen("ORDERD_")) != 0) {
			continue;
		}
		struct text name = { *environment, (size_t)(equals - *environment) };

		read_variable(config, name, equals + 1, faults);
	}
}

void config_set_flag(
	struct config *config, enum config_key key, const char *value, struct faults *faults)
{
	char flag[CONFIG_NAME_MAX], spelled[CONFIG_NAME_MAX + 2];
	struct place place = { spelled, 0 };

	config_flag_name(key, flag);
	snprintf(spelled, sizeof(spelled), "--%s", flag);
	set(config, key, text_of(value), CONFIG_FLAG, &place, faults);
}

static bool is_set(const struct config *config, enum config_key key)
{
	return config->settings[key].text[0] != '\0';
}

static void judge_pair(const struct config *config, enum config_key one, enum config_key other,
	struct faults *faults)
{
	char origin[FAULT_TEXT_MAX / 2];

	if (is_set(config, one) && !is_set(config, other) && !config->settings[other].faulty) {
		config_say_origin(config, one, origin, sizeof(origin));
		fault_add(faults, "%s: [%s] %s needs %s; set both or none", origin,
			config_rules[one].section, config_rules[one].name,
			config_rules[other].name);
	}
}

static void judge_conninfo(const struct config *config, struct faults *faults)
{
	const char *conninfo = config_text(config, CONFIG_DATABASE_CONNINFO);
	struct resolve *resolve = resolve_new(NULL, conninfo, "", NULL, NULL);
	char origin[FAULT_TEXT_MAX / 2];

	if (resolve_problem(resolve)[0]) {
		config_say_origin(config, CONFIG_DATABASE_CONNINFO, origin, sizeof(origin));
		fault_add(faults, "%s: [database] %s", origin, resolve_problem(resolve));
	}
	resolve_free(resolve);
}

static void judge_base_url(const struct config *config, struct faults *faults)
{
	const char *url = config_text(config, CONFIG_TORQUE_BASE_URL);
	char problem[URL_PROBLEM_MAX], origin[FAULT_TEXT_MAX / 2];
	struct url ignored;

	if (!url_parse(text_of(url), &ignored, problem)) {
		config_say_origin(config, CONFIG_TORQUE_BASE_URL, origin, sizeof(origin));
		fault_add(faults, "%s: [torque] base_url: %s", origin, problem);
	}
}

void config_judge(const struct config *config, struct faults *faults)
{
	const char *secret = config_text(config, CONFIG_WEBHOOK_SECRET);
	const char *previous = config_text(config, CONFIG_WEBHOOK_SECRET_PREVIOUS);

	judge_pair(config, CONFIG_LISTEN_TLS_CERTIFICATE, CONFIG_LISTEN_TLS_KEY, faults);
	judge_pair(config, CONFIG_LISTEN_TLS_KEY, CONFIG_LISTEN_TLS_CERTIFICATE, faults);
	judge_conninfo(config, faults);
	judge_base_url(config, faults);
	if (strcmp(secret, previous) == 0) {
		char origin[FAULT_TEXT_MAX / 2];

		config_say_origin(config, CONFIG_WEBHOOK_SECRET_PREVIOUS, origin, sizeof(origin));
		fault_add(faults,
			"%s: [webhook] secret_previous names the same secret as secret; name the "
			"one before it, or leave it empty",
			origin);
	}
}

const char *config_text(const struct config *config, enum config_key key)
{
	return config->settings[key].text;
}

int64_t config_number(const struct config *config, enum config_key key)
{
	return config->settings[key].number;
}

const char *config_file(const struct config *config)
{
	return config->file;
}

bool config_is_faulty(const struct config *config, enum config_key key)
{
	return config->settings[key].faulty;
}

bool config_path(const struct config *config, enum config_key key, char out[CONFIG_PATH_MAX])
{
	const char *value = config_text(config, key);
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	struct text credential = TEXT("credential:");
	int len;

	if (text_has_prefix(text_of(value), credential)) {
		len = snprintf(out, CONFIG_PATH_MAX, "%s/%s",
			directory ? directory : "/etc/orderd/credentials", value + credential.len);
	} else {
		len = snprintf(out, CONFIG_PATH_MAX, "%s", value);
	}
	return len > 0 && len < CONFIG_PATH_MAX;
}

enum config_origin config_origin(const struct config *config, enum config_key key)
{
	return config->settings[key].origin;
}

void config_say_origin(const struct config *config, enum config_key key, char *out, size_t size)
{
	const struct setting *setting = &config->settings[key];
	char name[CONFIG_NAME_MAX];

	switch (setting->origin) {
	case CONFIG_DEFAULT:
		snprintf(out, size, "default");
		return;
	case CONFIG_FROM_FILE:
		snprintf(out, size, "%s:%u", config->file, setting->line);
		return;
	case CONFIG_ENVIRONMENT:
		config_environment_name(key, name);
		snprintf(out, size, "%s", name);
		return;
	case CONFIG_FLAG:
		config_flag_name(key, name);
		snprintf(out, size, "--%s", name);
		return;
	}
}

void config_keep(
	struct config *config, const struct config *running, bool ret_changed[CONFIG_KEY_COUNT])
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		struct setting *setting = &config->settings[key];
		const struct setting *kept = &running->settings[key];

		ret_changed[key] =
			!config_rules[key].reload && strcmp(setting->text, kept->text) != 0;
		if (ret_changed[key]) {
			keep_value(setting, text_of(kept->text), kept->number);
			setting->origin = kept->origin;
			setting->line = kept->line;
		}
	}
}
