/* A file, the environment and flags fill the settings, through the table of keys. */
#include "settings/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/secret.h"
#include "http/url.h"
#include "pg/resolve.h"
#include "settings/ini.h"

enum { SECTIONS_MAX = CONFIG_KEY_COUNT };

struct setting {
	char *text;
	char *path; /* of a VALUE_FILE that names a credential */
	enum config_origin origin;
	unsigned line; /* CONFIG_FROM_FILE */
	bool faulty;   /* another value was given and refused */
};

struct config {
	struct settings settings; /* its texts are those of list */
	struct setting list[CONFIG_KEY_COUNT];
	char *file; /* the one that was read; NULL: none */
};

static void store(
	struct config *config, const struct config_field *field, const char *text, int64_t number)
{
	void *member = (char *)&config->settings + field->offset;

	switch (field->type) {
	case CONFIG_TYPE_TEXT:
		*(const char **)member = text;
		return;
	case CONFIG_TYPE_BOOL:
		*(bool *)member = number != 0;
		return;
	case CONFIG_TYPE_UNSIGNED:
		*(unsigned *)member = (unsigned)number;
		return;
	case CONFIG_TYPE_SIZE:
		*(size_t *)member = (size_t)number;
		return;
	case CONFIG_TYPE_INT64:
		*(int64_t *)member = number;
		return;
	}
}

static void keep_value(
	struct config *config, enum config_key key, struct text value, int64_t number)
{
	const struct config_rule *rule = &config_rules[key];
	struct setting *setting = &config->list[key];
	struct text credential = text_without_prefix(value, TEXT("credential:"));

	free(setting->text);
	free(setting->path);
	setting->text = memory_copy_text(value);
	setting->path = NULL;
	if (rule->value.type == VALUE_FILE && credential.len < value.len) {
		setting->path = secret_credential_path(credential);
	}
	store(config, &rule->field, setting->path ? setting->path : setting->text, number);
}

/* False, with nothing changed, when the table does not take the value. */
static bool set_value(
	struct config *config, enum config_key key, struct text value, struct problem *problem)
{
	int64_t number;

	if (!value_parse(&config_rules[key].value, value, &number, problem)) {
		return false;
	}
	keep_value(config, key, value, number);
	return true;
}

struct config *config_new(void)
{
	struct config *config = memory_new(sizeof(*config));
	struct problem problem;

	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const struct config_rule *rule = &config_rules[key];

		if (rule->value.type == VALUE_CONNINFO) {
			/* Judged by libpq, which may have no memory for it: a reload goes on. */
			keep_value(config, key, text_of(rule->initial), 0);
		} else if (!set_value(config, key, text_of(rule->initial), &problem)) {
			die("the default of [%s] %s %s", rule->section, rule->name, problem.text);
		}
	}
	return config;
}

void config_free(struct config *config)
{
	if (!config) {
		return;
	}
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		free(config->list[key].text);
		free(config->list[key].path);
	}
	free(config->file);
	free(config);
}

bool config_is_secret(enum config_key key)
{
	return config_rules[key].value.type == VALUE_SECRET;
}

static void set(struct config *config, enum config_key key, struct text value,
	enum config_origin origin, unsigned line, struct faults *faults)
{
	struct setting *setting = &config->list[key];
	const struct setting kept = *setting;
	struct problem problem;

	setting->origin = origin; /* where a fault is said to be, too */
	setting->line = line;
	if (!set_value(config, key, value, &problem)) {
		config_fault(config, key, faults, " %s", problem.text);
		*setting = kept;
		setting->faulty = true;
	}
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
	set(reading->config, key, item->value, CONFIG_FROM_FILE, item->line, reading->faults);
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

int config_read_file(struct config *config, const char *file, struct faults *faults)
{
	const size_t size = CONFIG_BYTES_MAX + 1; /* one more shows that it is too long */
	CLEANUP(cleanup_free) char *buffer = memory_new(size);
	const char *name = file ? file : CONFIG_FILE;
	CLEANUP(cleanup_close) int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t len = fd < 0 ? -errno : file_read(fd, buffer, size);

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
		set(config, (enum config_key)key, text_of(value), CONFIG_ENVIRONMENT, 0, faults);
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
	set(config, key, text_of(value), CONFIG_FLAG, 0, faults);
}

static void say(const struct config *config, enum config_key key, struct faults *faults,
	bool warning, const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

static void say(const struct config *config, enum config_key key, struct faults *faults,
	bool warning, const char *format, va_list arguments)
{
	char origin[CONFIG_ORIGIN_MAX], sentence[FAULT_TEXT_MAX];

	config_say_origin(config, key, origin);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	(warning ? fault_warn : fault_add)(faults, "%s: [%s] %s%s", origin,
		config_rules[key].section, config_rules[key].name, sentence);
}

void config_fault(const struct config *config, enum config_key key, struct faults *faults,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(config, key, faults, false, format, arguments);
	va_end(arguments);
}

void config_warn(const struct config *config, enum config_key key, struct faults *faults,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(config, key, faults, true, format, arguments);
	va_end(arguments);
}

static void judge_pair(const struct config *config, enum config_key one, enum config_key other,
	struct faults *faults)
{
	if (config_text(config, one)[0] && !config_text(config, other)[0] &&
		!config->list[other].faulty) {
		config_fault(config, one, faults, " needs %s; set both or none",
			config_rules[other].name);
	}
}

static void judge_hosts(const struct config *config, struct faults *faults)
{
	const char *conninfo = config->settings.database.conninfo;
	struct resolve *resolve = resolve_new(NULL, conninfo, "", NULL, NULL);
	struct text problem = text_of(resolve_problem(resolve));

	if (problem.len > 0) {
		problem = text_without_prefix(problem, TEXT("conninfo")); /* has been said */
		config_fault(config, CONFIG_DATABASE_CONNINFO, faults, "%.*s", (int)problem.len,
			problem.ptr);
	}
	resolve_free(resolve);
}

static void judge_base_url(const struct config *config, struct faults *faults)
{
	struct problem problem;
	struct url ignored;

	if (!url_parse(text_of(config->settings.torque.base_url), &ignored, &problem)) {
		config_fault(config, CONFIG_TORQUE_BASE_URL, faults, ": %s", problem.text);
	}
}

void config_judge(const struct config *config, struct faults *faults)
{
	judge_pair(config, CONFIG_LISTEN_TLS_CERTIFICATE, CONFIG_LISTEN_TLS_KEY, faults);
	judge_pair(config, CONFIG_LISTEN_TLS_KEY, CONFIG_LISTEN_TLS_CERTIFICATE, faults);
	judge_hosts(config, faults);
	judge_base_url(config, faults);
	if (strcmp(config->settings.webhook.secret, config->settings.webhook.secret_previous) ==
		0) {
		config_fault(config, CONFIG_WEBHOOK_SECRET_PREVIOUS, faults,
			" names the same secret as secret; name the one before it, or leave it "
			"empty");
	}
}

const struct settings *config_settings(const struct config *config)
{
	return &config->settings;
}

const char *config_text(const struct config *config, enum config_key key)
{
	return config->list[key].text;
}

const char *config_file(const struct config *config)
{
	return config->file;
}

bool config_is_faulty(const struct config *config, enum config_key key)
{
	return config->list[key].faulty;
}

enum config_origin config_origin(const struct config *config, enum config_key key)
{
	return config->list[key].origin;
}

void config_say_origin(
	const struct config *config, enum config_key key, char out[CONFIG_ORIGIN_MAX])
{
	const struct setting *setting = &config->list[key];
	struct text file = text_cut_utf8(text_of(config->file), CONFIG_ORIGIN_MAX - 12);
	char name[CONFIG_NAME_MAX];

	switch (setting->origin) {
	case CONFIG_DEFAULT:
		snprintf(out, CONFIG_ORIGIN_MAX, "default");
		return;
	case CONFIG_FROM_FILE:
		snprintf(out, CONFIG_ORIGIN_MAX, "%.*s:%u", (int)file.len, file.ptr, setting->line);
		return;
	case CONFIG_ENVIRONMENT:
		config_environment_name(key, out);
		return;
	case CONFIG_FLAG:
		config_flag_name(key, name);
		snprintf(out, CONFIG_ORIGIN_MAX, "--%s", name);
		return;
	}
}

void config_keep(
	struct config *config, const struct config *running, bool ret_changed[CONFIG_KEY_COUNT])
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const struct setting *kept = &running->list[key];
		struct setting *setting = &config->list[key];
		struct problem ignored; /* it was taken before */

		ret_changed[key] =
			!config_rules[key].reload && strcmp(setting->text, kept->text) != 0;
		if (ret_changed[key] && set_value(config, key, text_of(kept->text), &ignored)) {
			setting->origin = kept->origin;
			setting->line = kept->line;
		}
	}
}
