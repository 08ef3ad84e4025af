/* The words of the command line find their verb and its options; then it runs. */
#include "command/verb.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/die.h"
#include "base/memory.h"

/* The words of the command line, from the left. */
struct reading {
	struct command *command;
	char *const *words;  /* the ones not read yet */
	bool only_arguments; /* "--" has been read */
	bool asks_help;
	bool asks_version;
};

const struct verb *verb_find(const struct verb *verbs, struct text name)
{
	for (; verbs->name; verbs++) {
		if (text_equal(name, text_of(verbs->name))) {
			return verbs;
		}
	}
	return NULL;
}

int verb_usage(const struct command *command, const char *format, ...)
{
	const char *verb = command->verb ? command->verb->name : "";
	va_list arguments;

	fputs("orderd: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nTry: orderd help%s%s\n", verb[0] ? " " : "", verb);
	return EX_USAGE;
}

static int unknown_verb(const struct command *command, const char *word)
{
	const char *names[64];
	size_t count = 0;

	for (const struct verb *verb = command->verbs; verb->name && count < 64; verb++) {
		names[count++] = verb->name;
	}
	const char *nearest = fault_nearest_word(text_of(word), names, count);

	return verb_usage(command, "%.40s is no verb%s%s%s", word, nearest ? "; did you mean " : "",
		nearest ? nearest : "", nearest ? "?" : "");
}

static int unknown_option(const struct command *command, struct text name)
{
	char spelled[CONFIG_KEY_COUNT][CONFIG_NAME_MAX];
	const char *names[VERB_OPTIONS_MAX + CONFIG_KEY_COUNT + 2] = { "config", "help" };
	size_t count = 2;
	const struct verb *verb = command->verb;

	for (unsigned i = 0; verb && verb->options[i].name; i++) {
		names[count++] = verb->options[i].name;
	}
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		config_flag_name((enum config_key)key, spelled[key]);
		names[count++] = spelled[key];
	}
	const char *nearest = fault_nearest_word(name, names, count);

	return verb_usage(command, "%s%s has no option --%.*s%s%s%s", verb ? "orderd " : "orderd",
		verb ? verb->name : "", (int)text_cut_utf8(name, CONFIG_NAME_MAX).len, name.ptr,
		nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
}

static bool find_flag(struct text name, enum config_key *ret_key)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		char flag[CONFIG_NAME_MAX];

		config_flag_name((enum config_key)key, flag);
		if (text_equal(name, text_of(flag))) {
			*ret_key = (enum config_key)key;
			return true;
		}
	}
	return false;
}

/* The value behind "=", or else the next word. NULL: there is none. */
static const char *take_value(struct reading *reading, const char *equals)
{
	if (equals) {
		return equals + 1;
	}
	return *reading->words ? *reading->words++ : NULL;
}

static int read_config_flag(
	struct reading *reading, enum config_key key, struct text name, const char *equals)
{
	struct command *command = reading->command;

	if (config_is_secret(key)) {
		return verb_usage(command,
			"--%.*s: secrets do not come from the command line, which others may read; "
			"name a credential or a file in the configuration file",
			(int)name.len, name.ptr);
	}
	command->flags[key] = take_value(reading, equals);
	if (!command->flags[key]) {
		return verb_usage(command, "--%.*s needs a value", (int)name.len, name.ptr);
	}
	return EX_OK;
}

static int read_verb_option(
	struct reading *reading, unsigned index, struct text name, const char *equals)
{
	struct command *command = reading->command;
	const struct verb_option *option = &command->verb->options[index];

	if (!option->argument) {
		command->values[index] = "";
		return equals ? verb_usage(command, "--%s takes no value", option->name) : EX_OK;
	}
	command->values[index] = take_value(reading, equals);
	if (!command->values[index]) {
		return verb_usage(command, "--%.*s needs a value: %s", (int)name.len, name.ptr,
			option->argument);
	}
	return EX_OK;
}

static int read_config_file(struct reading *reading, const char *value)
{
	reading->command->config_file = value;
	return value && value[0] ? EX_OK
				 : verb_usage(reading->command, "-c needs the name of a file");
}

static int read_long_option(struct reading *reading, const char *word)
{
	const char *equals = strchr(word, '=');
	struct text name = { word, equals ? (size_t)(equals - word) : strlen(word) };
	const struct verb *verb = reading->command->verb;
	enum config_key key;

	for (unsigned i = 0; verb && verb->options[i].name; i++) {
		if (text_equal(name, text_of(verb->options[i].name))) {
			return read_verb_option(reading, i, name, equals);
		}
	}
	if (text_equal(name, TEXT("config"))) {
		return read_config_file(reading, take_value(reading, equals));
	}
	if (text_equal(name, TEXT("help")) && !equals) {
		reading->asks_help = true;
		return EX_OK;
	}
	if (text_equal(name, TEXT("version")) && !equals) {
		reading->asks_version = true;
		return EX_OK;
	}
	if (find_flag(name, &key)) {
		return read_config_flag(reading, key, name, equals);
	}
	return unknown_option(reading->command, name);
}

static int read_argument(struct reading *reading, const char *word)
{
	struct command *command = reading->command;

	if (!command->verb) {
		command->verb = verb_find(command->verbs, text_of(word));
		return command->verb ? EX_OK : unknown_verb(command, word);
	}
	if (command->arguments_count == command->verb->arguments_max) {
		return verb_usage(command, "%.40s is one argument too many", word);
	}
	command->arguments[command->arguments_count++] = word;
	command->argument = command->arguments[0];
	return EX_OK;
}

static int read_word(struct reading *reading)
{
	const char *word = *reading->words++;

	if (reading->only_arguments || word[0] != '-' || word[1] == '\0') {
		return read_argument(reading, word);
	}
	if (strcmp(word, "--") == 0) {
		reading->only_arguments = true;
		return EX_OK;
	}
	if (word[1] == '-') {
		return read_long_option(reading, word + 2);
	}
	if (word[1] == 'c') {
		return read_config_file(reading, word[2] ? word + 2 : take_value(reading, NULL));
	}
	if (strcmp(word, "-h") == 0) {
		reading->asks_help = true;
		return EX_OK;
	}
	return verb_usage(reading->command, "there is no option %.40s", word);
}

/* --help and --version are verbs in another dress. */
static void answer_questions(struct reading *reading)
{
	struct command *command = reading->command;

	if (reading->asks_help) {
		command->argument = command->verb ? command->verb->name : NULL;
		command->verb = verb_find(command->verbs, TEXT("help"));
	} else if (reading->asks_version) {
		command->verb = verb_find(command->verbs, TEXT("version"));
	}
}

static int judge_words(const struct reading *reading)
{
	const struct command *command = reading->command;

	if (!command->verb) {
		return verb_usage(command, "a verb is missing");
	}
	if (command->arguments_count < command->verb->arguments_min) {
		return verb_usage(command, "orderd %s needs %s", command->verb->name,
			command->verb->arguments);
	}
	return EX_OK;
}

static int read_words(struct command *command, char *const *words)
{
	struct reading reading = { .command = command, .words = words };

	while (*reading.words) {
		int code = read_word(&reading);

		if (code != EX_OK) {
			return code;
		}
	}
	if (reading.asks_help || reading.asks_version) {
		answer_questions(&reading);
		return EX_OK;
	}
	return judge_words(&reading);
}

struct config *verb_read_config(
	const struct command *command, struct faults *faults, int *ret_error)
{
	struct config *config = config_new();

	*ret_error = config_read_file(config, command->config_file, faults);
	config_read_environment(config, environ, faults);
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		if (command->flags[key]) {
			config_set_flag(config, (enum config_key)key, command->flags[key], faults);
		}
	}
	config_judge(config, faults);
	return config;
}

static int run_with_config(struct command *command)
{
	struct faults faults = { .count = 0 };
	int error = 0;
	struct config *config = verb_read_config(command, &faults, &error);
	int code;

	command->config = config;
	command->settings = config_settings(config);
	command->faults = &faults;
	if (command->verb->config == VERB_CONFIG) {
		fault_print(&faults, stderr);
	}
	if (command->verb->config == VERB_CONFIG && faults.errors > 0) {
		code = error == -EACCES ? EX_NOPERM : EX_CONFIG;
	} else {
		code = command->verb->run(command);
	}
	command->config = NULL;
	command->settings = NULL;
	command->faults = NULL;
	config_free(config);
	fault_fini(&faults);
	return code;
}

/* What was to be printed has to have been printed. */
static int flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout)) {
		return code;
	}
	fprintf(stderr, "orderd: stdout cannot be written: %s\n", strerror(errno));
	return code == EX_OK ? EX_TEMPFAIL : code;
}

int verb_main(const struct verb *verbs, char *const *argv)
{
	struct command command = { .verbs = verbs };
	int code = read_words(&command, argv[0] ? argv + 1 : argv);

	/* Where its buffer cannot grow, jansson leaves a byte out: rather no document at all. */
	json_set_alloc_funcs(memory_new, free);
	if (code != EX_OK) {
		return code;
	}
	assert(command.verb); /* the table has help and version */
	code = command.verb->config == VERB_NO_CONFIG ? command.verb->run(&command)
						      : run_with_config(&command);
	return flush(code);
}

int verb_database_code(const char *sqlstate)
{
	if (strcmp(sqlstate, "42501") == 0) { /* insufficient_privilege */
		return EX_NOPERM;
	}
	/* data_exception, integrity_constraint_violation */
	return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ? EX_DATAERR
										  : EX_UNAVAILABLE;
}

const char *verb_value(const struct command *command, const char *name)
{
	for (unsigned i = 0; command->verb->options[i].name; i++) {
		if (strcmp(command->verb->options[i].name, name) == 0) {
			return command->values[i];
		}
	}
	die("the table of verbs has no option --%s for %s", name, command->verb->name);
}

bool verb_has(const struct command *command, const char *name)
{
	return verb_value(command, name) != NULL;
}
