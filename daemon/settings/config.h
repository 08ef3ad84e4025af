/* config.h - the settings as they are read, and for each value where it came from.
 *
 * A flag wins over the environment, the environment over the file, the file over the default; all
 * go through the same parser. What they come to is struct settings.
 */
#pragma once

#include "settings/config_rules.h"
#include "settings/fault.h"

#define CONFIG_FILE "/etc/orderd/orderd.conf"

enum {
	CONFIG_BYTES_MAX = 64 * 1024,
	CONFIG_NAME_MAX = 64,
	CONFIG_ORIGIN_MAX = 512, /* a longer name of a file is cut, its line is told */
};

enum config_origin { CONFIG_DEFAULT, CONFIG_FROM_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

struct config; /* heap */

struct config *config_new(void); /* every key at its default */
void config_free(struct config *config);

/* file NULL = CONFIG_FILE, which may be missing. Faults are added, and the keys they are about keep
 * the value they had. Negative errno when the file cannot be read; that too is a fault. */
int config_read_file(struct config *config, const char *file, struct faults *faults);
void config_read_text(
	struct config *config, const char *file, struct text whole, struct faults *faults);

/* ORDERD_SECTION_KEY. environment: as environ(7). */
void config_read_environment(
	struct config *config, char *const *environment, struct faults *faults);
void config_set_flag(
	struct config *config, enum config_key key, const char *value, struct faults *faults);

/* What is wrong between keys: one that needs another. */
void config_judge(const struct config *config, struct faults *faults);

/* Borrowed while the config lives; changed by all that reads into it. */
const struct settings *config_settings(const struct config *config);

/* A value as it was written, for people; "" = none. Borrowed until it changes. */
const char *config_text(const struct config *config, enum config_key key);

/* The file that was read; NULL: none. */
const char *config_file(const struct config *config);

/* A value was given for it and refused; it has another one now. */
bool config_is_faulty(const struct config *config, enum config_key key);

/* A sentence about a setting: "FILE:LINE: [section] key" and what format makes, which begins with a
 * space or a colon. */
void config_fault(const struct config *config, enum config_key key, struct faults *faults,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
void config_warn(const struct config *config, enum config_key key, struct faults *faults,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

enum config_origin config_origin(const struct config *config, enum config_key key);
/* "default", "FILE:LINE", "ORDERD_LISTEN_ADDRESS" or "--listen-address". */
void config_say_origin(
	const struct config *config, enum config_key key, char out[CONFIG_ORIGIN_MAX]);

/* "ORDERD_LISTEN_ADDRESS" and "listen-address". */
void config_environment_name(enum config_key key, char out[CONFIG_NAME_MAX]);
void config_flag_name(enum config_key key, char out[CONFIG_NAME_MAX]);
bool config_is_secret(enum config_key key);

/* For a reload: give the keys that it does not apply the values they have in running. *ret_changed
 * gets true for each that had another value. */
void config_keep(
	struct config *config, const struct config *running, bool ret_changed[CONFIG_KEY_COUNT]);
