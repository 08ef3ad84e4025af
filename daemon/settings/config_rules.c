/* The table of keys: what each is called and may be, and the member of the settings it fills. */
#include "settings/config_rules.h"

#include "flow/batch.h"
#include "flow/intake.h"
#include "http/server.h"

#define KIB       INT64_C(1024)
#define SECOND_MS INT64_C(1000)
#define DAY_MS    (24 * 3600 * SECOND_MS)

/* clang-format off */

/* A member that is not there, or has a type that is not listed, does not compile. */
#define FIELD(member) { \
	.offset = offsetof(struct settings, member), \
	.type = _Generic(((struct settings *)0)->member, \
		const char *: CONFIG_TYPE_TEXT, \
		bool: CONFIG_TYPE_BOOL, \
		unsigned: CONFIG_TYPE_UNSIGNED, \
		size_t: CONFIG_TYPE_SIZE, \
		int64_t: CONFIG_TYPE_INT64) \
}

const struct config_rule config_rules[CONFIG_KEY_COUNT] = {
	[CONFIG_LISTEN_ADDRESS] = { "listen", "address", "127.0.0.1:8480", false,
		"Where webhooks are received. A socket handed over by the service manager wins over it.",
		{ .type = VALUE_ADDRESS }, FIELD(listen.address) },
	[CONFIG_LISTEN_PATH] = { "listen", "path", "/webhooks/torque", true,
		"The only path that is answered, compared byte for byte.",
		{ .type = VALUE_PATH, .max = INTAKE_PATH_MAX - 1 }, FIELD(listen.path) },
	[CONFIG_LISTEN_TLS_CERTIFICATE] = { "listen", "tls_certificate", "", false,
		"Certificate chain in PEM. Empty: plain HTTP, for a proxy on this host. A reload reads "
		"the file again; another file needs a restart.",
		{ .type = VALUE_FILE, .optional = true }, FIELD(listen.tls_certificate) },
	[CONFIG_LISTEN_TLS_KEY] = { "listen", "tls_key", "", false,
		"The private key of tls_certificate, in PEM. Read again with the certificate.",
		{ .type = VALUE_FILE, .optional = true }, FIELD(listen.tls_key) },
	[CONFIG_LISTEN_PUBLIC_URL] = { "listen", "public_url", "", true,
		"The URL under which Torque reaches this receiver: what is given as webhookUrl.",
		{ .type = VALUE_URL, .optional = true }, FIELD(listen.public_url) },
	[CONFIG_LISTEN_TRUSTED_PROXY] = { "listen", "trusted_proxy", "", true,
		"Proxies before this receiver: the sender of which they tell in X-Forwarded-For is "
		"logged when a delivery is refused. Empty: none is believed.",
		{ .type = VALUE_NETWORKS, .optional = true }, FIELD(listen.trusted_proxy) },
	[CONFIG_LISTEN_MAX_CONNECTIONS] = { "listen", "max_connections", "10000", false,
		"Connections at one time; beyond them accepting pauses. Each takes a descriptor.",
		{ .type = VALUE_COUNT, .min = 1, .max = 1000000 }, FIELD(listen.connections_max) },
	[CONFIG_ADMIN_ADDRESS] = { "admin", "address", "127.0.0.1:8481", false,
		"Where /livez, /readyz and /metrics are answered. Empty: nowhere.",
		{ .type = VALUE_ADDRESS, .optional = true }, FIELD(admin.address) },
	[CONFIG_ADMIN_RECONCILE_ADDRESS] = { "admin", "reconcile_address", "127.0.0.1:8482", false,
		"The same for a poller that runs as a process of its own. Empty: nowhere.",
		{ .type = VALUE_ADDRESS, .optional = true }, FIELD(admin.reconcile_address) },
	[CONFIG_DATABASE_CONNINFO] = { "database", "conninfo", "host=/run/postgresql dbname=orderd", false,
		"How PostgreSQL is reached, in the words of libpq; several hosts for failover. Never "
		"with a password: peer authentication, or passfile=/path.",
		{ .type = VALUE_CONNINFO }, FIELD(database.conninfo) },
	[CONFIG_DATABASE_CONNECTIONS] = { "database", "connections", "2", false,
		"How many connections commit deliveries. One does but for bursts and slow commits.",
		{ .type = VALUE_COUNT, .min = 1, .max = BATCH_CONNECTIONS_MAX },
		FIELD(database.connection_count) },
	[CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC] = { "database", "allow_unsafe_fsync", "no", false,
		"Accept a server with fsync=off, which loses acknowledged deliveries in a crash. For tests.",
		{ .type = VALUE_YES_NO }, FIELD(database.allow_unsafe_fsync) },
	[CONFIG_DATABASE_NOTIFY] = { "database", "notify", "yes", false,
		"NOTIFY torque_orders with the id of each order that changed.",
		{ .type = VALUE_YES_NO }, FIELD(database.notify) },
	[CONFIG_TORQUE_BASE_URL] = { "torque", "base_url", "https://api.torque.fi/v1", true,
		"Where the Checkout API is. http:// for an address of this host only.",
		{ .type = VALUE_URL }, FIELD(torque.base_url) },
	[CONFIG_TORQUE_BUSINESS_ID] = { "torque", "business_id", "", true,
		"Deliveries that name another business are quarantined. Empty: any is taken.",
		{ .type = VALUE_TEXT, .optional = true, .min = 1, .max = 255 },
		FIELD(torque.business_id) },
	[CONFIG_TORQUE_API_KEY] = { "torque", "api_key", "credential:api-key", true,
		"Names the API key, which the receiver does not need; never the key itself.",
		{ .type = VALUE_SECRET }, FIELD(torque.api_key) },
	[CONFIG_TORQUE_CA_FILE] = { "torque", "ca_file", "", true,
		"Certificates in PEM that the API's must come from. Empty: those the system trusts.",
		{ .type = VALUE_FILE, .optional = true }, FIELD(torque.ca_file) },
	[CONFIG_TORQUE_REQUESTS_PER_MINUTE] = { "torque", "requests_per_minute", "30", true,
		"The most calls to the API in any 60 s, whoever of orderd makes them.",
		{ .type = VALUE_COUNT, .min = 1, .max = 10000 },
		FIELD(torque.requests_per_minute) },
	[CONFIG_TORQUE_FLOOR] = { "torque", "floor", "20", true,
		"What is left of the API's own limit for the merchant's other programs: below it polling "
		"waits.",
		{ .type = VALUE_COUNT, .min = 0, .max = 10000 }, FIELD(torque.floor) },
	[CONFIG_WEBHOOK_SCHEME] = { "webhook", "scheme", "torque", true,
		"How deliveries are signed. torque: HMAC-SHA-256 of the body as hex, sha256=hex or "
		"base64. standard: Standard Webhooks. timestamped: t=,v1= over the time and the body.",
		{ .type = VALUE_CHOICE, .words = {
			[SIGNATURE_TORQUE] = "torque",
			[SIGNATURE_STANDARD] = "standard",
			[SIGNATURE_TIMESTAMPED] = "timestamped" } }, FIELD(webhook.scheme) },
	[CONFIG_WEBHOOK_SECRET] = { "webhook", "secret", "credential:webhook-secret", true,
		"Names the webhook secret; never the secret itself.",
		{ .type = VALUE_SECRET }, FIELD(webhook.secret) },
	[CONFIG_WEBHOOK_SECRET_PREVIOUS] = { "webhook", "secret_previous", "", true,
		"Names the secret before it, which still counts while the secret is being changed.",
		{ .type = VALUE_SECRET, .optional = true }, FIELD(webhook.secret_previous) },
	[CONFIG_WEBHOOK_KEY] = { "webhook", "key", "auto", true,
		"What the signing key is. text: the whole secret. base64: what follows whsec_, decoded. "
		"auto: base64 for the scheme standard, else text.",
		{ .type = VALUE_CHOICE, .words = {
			[SETTINGS_KEY_AUTO] = "auto",
			[SETTINGS_KEY_TEXT] = "text",
			[SETTINGS_KEY_BASE64] = "base64" } }, FIELD(webhook.key) },
	[CONFIG_WEBHOOK_HEADER] = { "webhook", "header", "X-Torque-Signature", true,
		"The header that carries the signature. The scheme standard has its own headers.",
		{ .type = VALUE_HEADER }, FIELD(webhook.header) },
	[CONFIG_WEBHOOK_TOLERANCE] = { "webhook", "tolerance", "5min", true,
		"How far the time of an attempt may be from ours, in both directions, where the scheme "
		"signs that time.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = DAY_MS },
		FIELD(webhook.tolerance_ms) },
	[CONFIG_WEBHOOK_MAX_BODY] = { "webhook", "max_body", "1MiB", false,
		"Bytes of the longest delivery; a longer one is answered 413.",
		{ .type = VALUE_SIZE, .min = KIB, .max = BATCH_QUEUE_BYTES_MAX },
		FIELD(webhook.body_max_bytes) },
	[CONFIG_WEBHOOK_ANSWER_DEADLINE] = { "webhook", "answer_deadline", "2500ms", false,
		"The longest a delivery waits for its commit; then it is answered 503, to come again.",
		{ .type = VALUE_DURATION, .min = 200, .max = SERVER_ANSWER_MS },
		FIELD(webhook.answer_deadline_ms) },
	[CONFIG_RECONCILE_SWEEP_EVERY] = { "reconcile", "sweep_every", "1min", true,
		"How often the newest orders are listed.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = DAY_MS },
		FIELD(reconcile.sweep_every_ms) },
	[CONFIG_RECONCILE_LOOKBACK] = { "reconcile", "lookback", "15min", true,
		"How far back each of these lists reaches: orders may show up late. What no webhook told "
		"in this time is drift.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = 7 * DAY_MS },
		FIELD(reconcile.lookback_ms) },
	[CONFIG_RECONCILE_OPEN_EVERY] = { "reconcile", "open_every", "5min", true,
		"How often the orders that are not finished are compared with the API's.",
		{ .type = VALUE_DURATION, .min = SECOND_MS, .max = DAY_MS },
		FIELD(reconcile.open_every_ms) },
	[CONFIG_RECONCILE_HISTORY] = { "reconcile", "history", "90d", true,
		"How old an order may be and still be looked after.",
		{ .type = VALUE_DURATION, .min = 3600 * SECOND_MS, .max = 3650 * DAY_MS },
		FIELD(reconcile.history_ms) },
	[CONFIG_LOG_LEVEL] = { "log", "level", "info", true,
		"Events below this are not logged.",
		{ .type = VALUE_CHOICE, .words = {
			[LOG_ERROR] = "error",
			[LOG_WARNING] = "warning",
			[LOG_INFO] = "info",
			[LOG_DEBUG] = "debug" } }, FIELD(log.level) },
	[CONFIG_LOG_FORMAT] = { "log", "format", "auto", true,
		"auto: journal under systemd, else logfmt.",
		{ .type = VALUE_CHOICE, .words = {
			[LOG_AUTO] = "auto",
			[LOG_JOURNAL] = "journal",
			[LOG_LOGFMT] = "logfmt",
			[LOG_JSON] = "json" } }, FIELD(log.format) },
};
/* clang-format on */
