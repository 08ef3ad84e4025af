/* config_rules.h - the keys of the configuration: one table drives the reading, the help, the
 * example and the printing of them.
 */
#pragma once

#include <stddef.h>

#include "settings/settings.h"
#include "settings/value.h"

enum config_key {
	CONFIG_LISTEN_ADDRESS,
	CONFIG_LISTEN_PATH,
	CONFIG_LISTEN_TLS_CERTIFICATE,
	CONFIG_LISTEN_TLS_KEY,
	CONFIG_LISTEN_PUBLIC_URL,
	CONFIG_LISTEN_TRUSTED_PROXY,
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

enum config_type {
	CONFIG_TYPE_TEXT,
	CONFIG_TYPE_BOOL,
	CONFIG_TYPE_UNSIGNED, /* enums too */
	CONFIG_TYPE_SIZE,
	CONFIG_TYPE_INT64,
};

/* The member of struct settings that a key fills. */
struct config_field {
	size_t offset;
	enum config_type type;
};

struct config_rule {
	const char *section;
	const char *name;
	const char *initial; /* the default, in the words of the file */
	bool reload;         /* SIGHUP applies it */
	const char *help;    /* a sentence or two */
	struct value_rule value;
	struct config_field field;
};

/* Indexed by enum config_key; keys of one section stand together. */
extern const struct config_rule config_rules[CONFIG_KEY_COUNT];
