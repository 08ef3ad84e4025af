/* verb.h - what a verb of the command line is, and how one is found and given its options.
 *
 * The table of verbs is in main.c; it drives dispatch, help, completion, and the test that compares
 * them with the manual. Data goes to stdout, talk to stderr. Exit codes are those of sysexits.h
 * with the meanings of orderd(8), and VERB_FOUND.
 */
#pragma once

#include <sysexits.h>

#include "settings/config.h"

enum {
	VERB_FOUND = 1, /* exit code: the check found something */
	VERB_OPTIONS_MAX = 8,
	VERB_ARGUMENTS_MAX = 1000,
};

struct verb_option {
	const char *name;     /* without the dashes; NULL ends the list */
	const char *argument; /* "URL"; NULL: a switch */
	const char *help;
};

enum verb_config {
	VERB_NO_CONFIG,
	VERB_CONFIG, /* faults are printed, and end the program with EX_CONFIG or EX_NOPERM */
	VERB_FAULTY_CONFIG, /* the verb tells of the faults itself */
};

struct command;

struct verb {
	const char *name;
	const char *arguments;                 /* "FILE", "[VERB]"; "" = none */
	unsigned arguments_min, arguments_max; /* at most VERB_ARGUMENTS_MAX */
	const char *help;
	enum verb_config config;
	struct verb_option options[VERB_OPTIONS_MAX + 1];
	int (*run)(const struct command *command); /* an exit code */
};

/* All borrowed for the time of run. */
struct command {
	const struct verb *verbs; /* the whole table, up to a name of NULL */
	const struct verb *verb;
	const struct config *config; /* NULL with VERB_NO_CONFIG, as settings */
	const struct settings *settings;
	const struct faults *faults; /* of the config: warnings, or all with VERB_FAULTY_CONFIG */
	const char *config_file;     /* of -c; NULL: not given */
	const char *flags[CONFIG_KEY_COUNT]; /* --SECTION-KEY; NULL: not given */
	const char *argument;                /* the first; NULL: none was given */
	const char *arguments[VERB_ARGUMENTS_MAX];
	unsigned arguments_count;
	const char *values[VERB_OPTIONS_MAX]; /* of verb->options; "" for a switch, NULL: absent */
};

/* Find the verb, read its options and the config, run it. An exit code. */
int verb_main(const struct verb *verbs, char *const *argv);

/* NULL when it was not given; "" for a switch that was. The name must be one of the verb's. */
const char *verb_value(const struct command *command, const char *name);
bool verb_has(const struct command *command, const char *name);

/* Say on stderr what is wrong with the command line. Returns EX_USAGE. */
int verb_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The exit code of a statement that the database refused, or that it did not answer. */
int verb_database_code(const char *sqlstate);

/* The config from file, environment and flags, again for a reload. Never NULL: what is at fault
 * keeps its default. Negative errno in *ret_error when the file cannot be read, else 0. */
struct config *verb_read_config(
	const struct command *command, struct faults *faults, int *ret_error);

const struct verb *verb_find(const struct verb *verbs, struct text name);
