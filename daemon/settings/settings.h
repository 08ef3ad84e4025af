/* settings.h - what is configured, in the types and units of those who use it.
 *
 * The table in config.c fills it; options.c makes the options of the modules below from it. Only
 * settings/ and command/ see this. Texts live as long as the config does; "" = none.
 */
#pragma once

#include <stdint.h>

#include "base/log.h"
#include "order/signature.h"

enum settings_webhook_key { SETTINGS_KEY_AUTO, SETTINGS_KEY_TEXT, SETTINGS_KEY_BASE64 };

struct settings {
	struct {
		const char *address;
		const char *path;
		const char *tls_certificate; /* a path, as are tls_key and ca_file */
		const char *tls_key;
		const char *public_url;
		const char *trusted_proxy; /* as address_is_list() takes it */
		size_t connections_max;
	} listen;
	struct {
		const char *address;
		const char *reconcile_address;
	} admin;
	struct {
		const char *conninfo;
		unsigned connection_count;
		bool allow_unsafe_fsync;
		bool notify;
	} database;
	struct {
		const char *base_url;
		const char *business_id;
		const char *api_key; /* where it is, as secret_load() takes it */
		const char *ca_file;
		int64_t requests_per_minute;
		int64_t floor;
	} torque;
	struct {
		enum signature_scheme scheme;
		const char *secret; /* where they are, as secret_load() takes it */
		const char *secret_previous;
		enum settings_webhook_key key;
		const char *header;
		int64_t tolerance_ms;
		size_t body_max_bytes;
		int64_t answer_deadline_ms;
	} webhook;
	struct {
		int64_t sweep_every_ms;
		int64_t lookback_ms;
		int64_t open_every_ms;
		int64_t history_ms;
	} reconcile;
	struct {
		enum log_level level;
		enum log_format format;
	} log;
};
