/* config.h - the settings: one table of keys, and for each value where it came from.
 *
 * A flag wins over the environment, the environment over the file, the file over the default; all
 * go through the same parser. No module reads this: receive.c and its like fill the options struct
 * of each module from it.
 */
#pragma once

#include "settings/fault.h"
#include "settings/value.h"

#define CONFIG_FILE "/etc/orderd/orderd.conf"

enum {
	CONFIG_BYTES_MAX = 64 * 1024,
	CONFIG_NAME_MAX = 64,
	CONFIG_PATH_MAX = 4096, /* bytes of a resolved path with its NUL */
};

enum config_key {
	CONFIG_LISTEN_ADDRESS,
	CONFIG_LISTEN_PATH,
	CONFIG_LISTEN_TLS_CERTIFICATE,
	CONFIG_LISTEN_TLS_KEY,
	CONFIG_LISTEN_PUBLIC_URL,
	CONFIG_LISTEN_MAX_CONNECTIONS,
	CONFIG_ADMIN_ADDRESS,
	CONFIG_ADMIN_RECONCILE_ADDRESS,
	CONFIG_DATABASE_CONNINFO,
	CONFIG_DATABASE_CONNECTIONS,
	CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC,
	CONFIG_DATABASE_NOTIFY,
	CONFIG_TORQUE_BASE_URL,
	CONFIG_TORQUE_BUSINESS_ID,
	CONFIG_TORQUE_API_KEY,
	CONFIG_TORQUE_CA_FILE,
	CONFIG_TORQUE_REQUESTS_PER_MINUTE,
	CONFIG_TORQUE_FLOOR,
	CONFIG_WEBHOOK_SCHEME,
	CONFIG_WEBHOOK_SECRET,
	CONFIG_WEBHOOK_SECRET_PREVIOUS,
	CONFIG_WEBHOOK_KEY,
	CONFIG_WEBHOOK_HEADER,
	CONFIG_WEBHOOK_TOLERANCE,
	CONFIG_WEBHOOK_MAX_BODY,
	CONFIG_WEBHOOK_ANSWER_DEADLINE,
	CONFIG_RECONCILE_SWEEP_EVERY,
	CONFIG_RECONCILE_LOOKBACK,
	CONFIG_RECONCILE_OPEN_EVERY,
	CONFIG_RECONCILE_HISTORY,
	CONFIG_LOG_LEVEL,
	CONFIG_LOG_FORMAT,
	CONFIG_KEY_COUNT,
};

/* The words of [webhook] key, in the order of the table. */
enum config_webhook_key { CONFIG_KEY_AUTO, CONFIG_KEY_TEXT, CONFIG_KEY_BASE64 };

struct config_rule {
	const char *section;
	const char *name;
	const char *initial; /* the default, in the words of the file */
	bool reload;         /* SIGHUP applies it */
	const char *help;    /* a sentence or two */
	struct value_rule value;
};

/* Indexed by enum config_key; keys of one section stand together. */
extern const struct config_rule config_rules[CONFIG_KEY_COUNT];

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

/* Borrowed while the config lives; "" = none. */
const char *config_text(const struct config *config, enum config_key key);
int64_t config_number(const struct config *config, enum config_key key);

/* The file that was read; NULL: none. */
const char *config_file(const struct config *config);

/* A value was given for it and refused; it has another one now. */
bool config_is_faulty(const struct config *config, enum config_key key);

/* The path that a file's setting means: "credential:NAME" is looked up where secrets are
 * (secret.h). False: the setting is empty, or the path too long. */
bool config_path(const struct config *config, enum config_key key, char out[CONFIG_PATH_MAX]);

enum config_origin config_origin(const struct config *config, enum config_key key);
/* "default", "FILE:LINE", "ORDERD_LISTEN_ADDRESS" or "--listen-address". */
void config_say_origin(const struct config *config, enum config_key key, char *out, size_t size);

/* "ORDERD_LISTEN_ADDRESS" and "listen-address". */
void config_environment_name(enum config_key key, char out[CONFIG_NAME_MAX]);
void config_flag_name(enum config_key key, char out[CONFIG_NAME_MAX]);
bool config_is_secret(enum config_key key);

/* For a reload: give the keys that it does not apply the values they have in running. *ret_changed
 * gets true for each that had another value. */
void config_keep(
	struct config *config, const struct config *running, bool ret_changed[CONFIG_KEY_COUNT]);
