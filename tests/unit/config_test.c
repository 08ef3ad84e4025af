#include "settings/config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "check.h"
#include "flow/intake.h"
#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One thing is wrong, and one sentence says so, all of it. */
static const struct {
	const char *promise;
	const char *text;
	const char *fault;
} faulty[] = {
	{ "a line that is nothing is a fault", "[log]\nlevel\n",
		"f:2: is neither [section] nor key = value nor a # comment; a value stands on one "
		"line" },
	{ "a value does not continue on the next line", "[database]\nconninfo = host=a\n  port\n",
		"f:3: is neither [section] nor key = value nor a # comment; a value stands on one "
		"line" },
	{ "a section needs its bracket", "[log\n",
		"f:1: a section is [name], with nothing behind the bracket" },
	{ "nothing stands behind the bracket", "[log] # x\n",
		"f:1: a section is [name], with nothing behind the bracket" },
	{ "a bracket alone is no section", "[\n",
		"f:1: a section is [name], with nothing behind the bracket" },
	{ "a section has a name", "[]\n",
		"f:1: a section's name is lower-case letters, as in [listen]" },
	{ "a section's name is lower case", "[Log]\n",
		"f:1: a section's name is lower-case letters, as in [listen]" },
	{ "a key is lower case", "[log]\nLevel = info\n",
		"f:2: a key is lower-case letters and _, as in max_body = 1MiB" },
	{ "a key has a name", "[log]\n= info\n",
		"f:2: a key is lower-case letters and _, as in max_body = 1MiB" },
	{ "an unknown section is guessed at", "[listn]\naddress = x\n",
		"f:1: [listn] is no section; did you mean [listen]?" },
	{ "a section like no other is not guessed at", "[spool]\n",
		"f:1: [spool] is no section; see orderd config --example" },
	{ "an unknown key is guessed at", "[listen]\nadress = 127.0.0.1:1\n",
		"f:2: [listen] adress is no key; did you mean address?" },
	{ "swapped letters are one slip", "[log]\nfromat = json\n",
		"f:2: [log] fromat is no key; did you mean format?" },
	{ "a key like no other is not guessed at", "[log]\ncolour = red\n",
		"f:2: [log] colour is no key; see orderd config --example" },
	{ "a key of another section is sent there", "[listen]\nsecret = credential:a\n",
		"f:2: [listen] secret is no key here; it belongs to [webhook]" },
	{ "a key before any section is a fault", "level = info\n",
		"f:1: level stands before any [section]; write the section first" },
	{ "a key is given once", "[log]\nlevel = info\nlevel = debug\n",
		"f:3: [log] level is given again, first on line 2; keep one of them" },
	{ "a section stands once", "[log]\n\n[admin]\n[log]\n",
		"f:4: [log] stands here again, first on line 1; put its keys together" },
	{ "an empty value is a fault where one is needed", "[log]\nlevel =\n",
		"f:2: [log] level is empty; it should be error, warning, info or debug" },
	{ "a choice is one of its words", "[log]\nlevel = verbose\n",
		"f:2: [log] level is \"verbose\"; it should be error, warning, info or debug" },
	{ "a choice is written as the manual writes it", "[log]\nlevel = Info\n",
		"f:2: [log] level is \"Info\"; it should be error, warning, info or debug" },
	{ "a comment behind a value is pointed out", "[log]\nlevel = info # chatty\n",
		"f:2: [log] level is \"info # chatty\"; a comment needs a line of its own; it "
		"should be error, warning, info or debug" },
	{ "quotes are pointed out", "[log]\nlevel = \"info\"\n",
		"f:2: [log] level is \"\"info\"\"; values stand without quotes; it should be "
		"error, warning, info or debug" },
	{ "yes is not true", "[database]\nnotify = true\n",
		"f:2: [database] notify is \"true\"; it should be yes or no" },
	{ "a count is a number", "[listen]\nmax_connections = many\n",
		"f:2: [listen] max_connections is \"many\"; it should be a number from 1 to "
		"1000000" },
	{ "a count has no sign", "[database]\nconnections = +2\n",
		"f:2: [database] connections is \"+2\"; it should be a number from 1 to 16" },
	{ "a count is not below its least", "[database]\nconnections = 0\n",
		"f:2: [database] connections is \"0\"; it should be a number from 1 to 16" },
	{ "a count is not above its most", "[database]\nconnections = 17\n",
		"f:2: [database] connections is \"17\"; it should be a number from 1 to 16" },
	{ "a count does not overflow", "[database]\nconnections = 18446744073709551618\n",
		"f:2: [database] connections is \"18446744073709551618\"; it should be a number "
		"from 1 to 16" },
	{ "a duration needs a unit", "[webhook]\ntolerance = 300\n",
		"f:2: [webhook] tolerance is \"300\"; it needs a unit: ms, s, min, h or d; it "
		"should be a duration from 1s to 1d" },
	{ "a minute is not a metre", "[webhook]\ntolerance = 5m\n",
		"f:2: [webhook] tolerance is \"5m\"; it should be a duration from 1s to 1d" },
	{ "a duration has no fraction", "[webhook]\ntolerance = 1.5min\n",
		"f:2: [webhook] tolerance is \"1.5min\"; it should be a duration from 1s to 1d" },
	{ "a duration does not overflow", "[webhook]\ntolerance = 9223372036854775807d\n",
		"f:2: [webhook] tolerance is \"9223372036854775807d\"; it should be a duration "
		"from 1s to 1d" },
	{ "a duration that overflows is not what is left of it",
		"[webhook]\ntolerance = 2305843009213694012s\n",
		"f:2: [webhook] tolerance is \"2305843009213694012s\"; it should be a duration "
		"from 1s to 1d" },
	{ "between digits and unit there is nothing", "[webhook]\ntolerance = 5 min\n",
		"f:2: [webhook] tolerance is \"5 min\"; it should be a duration from 1s to 1d" },
	{ "a unit alone is no duration", "[webhook]\ntolerance = min\n",
		"f:2: [webhook] tolerance is \"min\"; it should be a duration from 1s to 1d" },
	{ "answer_deadline is at most 2500ms", "[webhook]\nanswer_deadline = 2501ms\n",
		"f:2: [webhook] answer_deadline is \"2501ms\"; it should be a duration from 200ms "
		"to 2500ms" },
	{ "a size needs a unit", "[webhook]\nmax_body = 1048576\n",
		"f:2: [webhook] max_body is \"1048576\"; it needs a unit: B, KiB or MiB; it should "
		"be a size from 1KiB to 16MiB" },
	{ "a size has binary units", "[webhook]\nmax_body = 1MB\n",
		"f:2: [webhook] max_body is \"1MB\"; it should be a size from 1KiB to 16MiB" },
	{ "a size is not above its most", "[webhook]\nmax_body = 17MiB\n",
		"f:2: [webhook] max_body is \"17MiB\"; it should be a size from 1KiB to 16MiB" },
	{ "an address has a port", "[listen]\naddress = 127.0.0.1\n",
		"f:2: [listen] address is \"127.0.0.1\"; it should be a numeric address and a "
		"port, as 127.0.0.1:8480 or [::1]:8480" },
	{ "a port has 16 bits", "[listen]\naddress = 127.0.0.1:65536\n",
		"f:2: [listen] address is \"127.0.0.1:65536\"; it should be a numeric address and "
		"a port, as 127.0.0.1:8480 or [::1]:8480" },
	{ "an address is no name", "[listen]\naddress = localhost:8480\n",
		"f:2: [listen] address is \"localhost:8480\"; names are not looked up; it should "
		"be a numeric address and a port, as 127.0.0.1:8480 or [::1]:8480" },
	{ "IPv6 stands in brackets", "[listen]\naddress = ::1:8480\n",
		"f:2: [listen] address is \"::1:8480\"; it should be a numeric address and a port, "
		"as 127.0.0.1:8480 or [::1]:8480" },
	{ "IPv4 does not", "[listen]\naddress = [127.0.0.1]:8480\n",
		"f:2: [listen] address is \"[127.0.0.1]:8480\"; it should be a numeric address and "
		"a port, as 127.0.0.1:8480 or [::1]:8480" },
	{ "a file is absolute", "[listen]\ntls_certificate = cert.pem\ntls_key = /k\n",
		"f:2: [listen] tls_certificate is \"cert.pem\"; it should be /an/absolute/path or "
		"credential:NAME" },
	{ "a certificate needs its key", "[listen]\ntls_certificate = /c\n",
		"f:2: [listen] tls_certificate needs tls_key; set both or none" },
	{ "a key needs its certificate", "[listen]\ntls_key = /k\n",
		"f:2: [listen] tls_key needs tls_certificate; set both or none" },
	{ "a path starts with a slash", "[listen]\npath = webhooks\n",
		"f:2: [listen] path is \"webhooks\"; it should be the path of a URL, from its "
		"first / on, without ? # % and spaces" },
	{ "a path has no query", "[listen]\npath = /a?b=c\n",
		"f:2: [listen] path is \"/a?b=c\"; it should be the path of a URL, from its first "
		"/ on, without ? # % and spaces" },
	{ "a URL has a scheme", "[listen]\npublic_url = shop.example/hook\n",
		"f:2: [listen] public_url is \"shop.example/hook\"; it should be a URL, as "
		"https://shop.example/webhooks/torque" },
	{ "a URL has a host", "[listen]\npublic_url = https:///hook\n",
		"f:2: [listen] public_url is \"https:///hook\"; it should be a URL, as "
		"https://shop.example/webhooks/torque" },
	{ "a header is a name, not a line", "[webhook]\nheader = X-Sig: yes\n",
		"f:2: [webhook] header is \"X-Sig: yes\"; it should be the name of an HTTP header, "
		"as X-Torque-Signature" },
	{ "a secret is not written here", "[webhook]\nsecret = whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2\n",
		"f:2: [webhook] secret does not name a secret; put the secret into a file that "
		"only its owner can read, and write credential:NAME or file:/an/absolute/path "
		"here" },
	{ "a credential is no way out of its directory", "[webhook]\nsecret = credential:../a\n",
		"f:2: [webhook] secret does not name a secret; put the secret into a file that "
		"only its owner can read, and write credential:NAME or file:/an/absolute/path "
		"here" },
	{ "nor into one of another", "[webhook]\nsecret = credential:a/../../b\n",
		"f:2: [webhook] secret does not name a secret; put the secret into a file that "
		"only its owner can read, and write credential:NAME or file:/an/absolute/path "
		"here" },
	{ "a secret's file is absolute", "[webhook]\nsecret = file:webhook\n",
		"f:2: [webhook] secret does not name a secret; put the secret into a file that "
		"only its owner can read, and write credential:NAME or file:/an/absolute/path "
		"here" },
	{ "the previous secret is another one",
		"[webhook]\nsecret = credential:a\nsecret_previous = credential:a\n",
		"f:3: [webhook] secret_previous names the same secret as secret; name the one "
		"before it, or leave it empty" },
	{ "a conninfo holds no password", "[database]\nconninfo = host=a password = hunter2\n",
		"f:2: [database] conninfo holds a password; use peer authentication, or "
		"passfile=/path to a file of passwords" },
	{ "nor one of a key", "[database]\nconninfo = sslpassword=hunter2\n",
		"f:2: [database] conninfo holds a password; use peer authentication, or "
		"passfile=/path to a file of passwords" },
	{ "nor one behind a quoted word", "[database]\nconninfo = host='a'password=hunter2\n",
		"f:2: [database] conninfo holds a password; use peer authentication, or "
		"passfile=/path to a file of passwords" },
	{ "nor one in a URI", "[database]\nconninfo = postgresql://u:hunter2@h/d\n",
		"f:2: [database] conninfo holds a password; use peer authentication, or "
		"passfile=/path to a file of passwords" },
	{ "nor one as a parameter", "[database]\nconninfo = postgres://h/d?password=hunter2\n",
		"f:2: [database] conninfo holds a password; use peer authentication, or "
		"passfile=/path to a file of passwords" },
	{ "nor one whose word is spelled in percents",
		"[database]\nconninfo = postgresql:///db?p%61ssword=hunter2\n",
		"f:2: [database] conninfo holds a password; use peer authentication, or "
		"passfile=/path to a file of passwords" },
	{ "a word that libpq does not know is named", "[database]\nconninfo = hots=a dbname=b\n",
		"f:2: [database] conninfo cannot be read: invalid connection option \"hots\"" },
	{ "and so is a parameter of a URI", "[database]\nconninfo = postgresql:///db?hots=a\n",
		"f:2: [database] conninfo cannot be read: invalid URI query parameter: \"hots\"" },
	{ "but never what may be a password's end",
		"[database]\nconninfo = password=correct horse=battery\n",
		"f:2: [database] conninfo cannot be read: it is keyword=value pairs, or a URI" },
	{ "a conninfo says its hosts itself", "[database]\nconninfo = service=x\n",
		"f:2: [database] conninfo names a service; it has to say host as well" },
	{ "and as many ports as hosts, or one", "[database]\nconninfo = host=/a,/b,/c port=1,2\n",
		"f:2: [database] conninfo has not as many ports as hosts" },
	{ "a conninfo is one that libpq reads", "[database]\nconninfo = dbname\n",
		"f:2: [database] conninfo cannot be read: it is keyword=value pairs, or a URI" },
	{ "the API is not asked in the clear over a network",
		"[torque]\nbase_url = http://api.example/v1\n",
		"f:2: [torque] base_url: http:// is for a loopback address (127.0.0.1, [::1]) "
		"only" },
	{ "a name for this host may be another's", "[torque]\nbase_url = http://localhost/v1\n",
		"f:2: [torque] base_url: http:// is for a loopback address (127.0.0.1, [::1]) "
		"only" },
	{ "the API's URL has no query", "[torque]\nbase_url = https://api.example/v1?x=1\n",
		"f:2: [torque] base_url: the URL's path has a query, a fragment, or bytes that "
		"would have to be escaped" },
	{ "the API's key is not written here", "[torque]\napi_key = sk_live_0123456789abcdef\n",
		"f:2: [torque] api_key does not name a secret; put the secret into a file that "
		"only its owner can read, and write credential:NAME or file:/an/absolute/path "
		"here" },
	{ "without any calls there is no polling", "[torque]\nrequests_per_minute = 0\n",
		"f:2: [torque] requests_per_minute is \"0\"; it should be a number from 1 to "
		"10000" },
	{ "a sweep takes time", "[reconcile]\nsweep_every = 999ms\n",
		"f:2: [reconcile] sweep_every is \"999ms\"; it should be a duration from 1s to "
		"1d" },
	{ "history is not for ever", "[reconcile]\nhistory = 3651d\n",
		"f:2: [reconcile] history is \"3651d\"; it should be a duration from 1h to "
		"3650d" },
	{ "bytes that are no UTF-8 are a fault", "[log]\nlevel = inf\xc3\n",
		"f:2: is not UTF-8; write it in UTF-8" },
	{ "an overlong form is no UTF-8", "# \xc0\xaf\n", "f:1: is not UTF-8; write it in UTF-8" },
	{ "half of a surrogate pair is no UTF-8", "# \xed\xa0\x80\n",
		"f:1: is not UTF-8; write it in UTF-8" },
	{ "DEL is one too",
		"[log]\nlevel = in\x7f"
		"fo\n",
		"f:2: holds a control character; take it out" },
	{ "a control character is a fault", "[log]\nlevel = in\x1b[1mfo\n",
		"f:2: holds a control character; take it out" },
};

static void check_faults(void)
{
	for (size_t i = 0; i < COUNT(faulty); i++) {
		struct faults faults = { .count = 0 };
		struct config *config = config_new();

		config_read_text(config, "f", text_of(faulty[i].text), &faults);
		config_judge(config, &faults);
		CHECK(faults.count == 1 && faults.errors == 1 &&
				strcmp(faults.list[0].text, faulty[i].fault) == 0,
			"%s (%zu: %s)", faulty[i].promise, faults.count,
			faults.count > 0 ? faults.list[0].text : "");
		config_free(config);
		fault_fini(&faults);
	}
}

static const struct {
	const char *promise;
	const char *text;
	enum config_key key;
	const char *value;
	int64_t number;
} taken[] = {
	{ "a value is trimmed", "[log]\n\tlevel \t=  debug \n", CONFIG_LOG_LEVEL, "debug",
		LOG_DEBUG },
	{ "lines may end in CR LF", "[log]\r\nlevel = debug\r\n", CONFIG_LOG_LEVEL, "debug",
		LOG_DEBUG },
	{ "the last line needs no end", "[log]\nlevel = debug", CONFIG_LOG_LEVEL, "debug",
		LOG_DEBUG },
	{ "a byte order mark is passed over", "\xef\xbb\xbf[log]\nlevel = debug\n",
		CONFIG_LOG_LEVEL, "debug", LOG_DEBUG },
	{ "comments begin with # or ;", "# a = b\n ; [x]\n[log]\nlevel = debug\n", CONFIG_LOG_LEVEL,
		"debug", LOG_DEBUG },
	{ "a value may hold =", "[database]\nconninfo = host=/x dbname=y\n",
		CONFIG_DATABASE_CONNINFO, "host=/x dbname=y", 0 },
	{ "a conninfo may name a file of passwords", "[database]\nconninfo = passfile=/p\n",
		CONFIG_DATABASE_CONNINFO, "passfile=/p", 0 },
	{ "a user without a password is no password", "[database]\nconninfo = postgres://u@h/d\n",
		CONFIG_DATABASE_CONNINFO, "postgres://u@h/d", 0 },
	{ "nor is a realm", "[database]\nconninfo = postgresql://h/db?user=me@realm\n",
		CONFIG_DATABASE_CONNINFO, "postgresql://h/db?user=me@realm", 0 },
	{ "nor a name with a port before a realm",
		"[database]\nconninfo = postgresql://h:5432/db?user=me@realm\n",
		CONFIG_DATABASE_CONNINFO, "postgresql://h:5432/db?user=me@realm", 0 },
	{ "nor the word in another's value",
		"[database]\nconninfo = application_name='my password=none'\n",
		CONFIG_DATABASE_CONNINFO, "application_name='my password=none'", 0 },
	{ "a value may be empty where none is needed", "[admin]\naddress =\n", CONFIG_ADMIN_ADDRESS,
		"", 0 },
	{ "IPv6 in brackets is an address", "[listen]\naddress = [::1]:0\n", CONFIG_LISTEN_ADDRESS,
		"[::1]:0", 0 },
	{ "milliseconds", "[webhook]\ntolerance = 1000ms\n", CONFIG_WEBHOOK_TOLERANCE, "1000ms",
		1000 },
	{ "seconds", "[webhook]\ntolerance = 30s\n", CONFIG_WEBHOOK_TOLERANCE, "30s", 30000 },
	{ "minutes", "[webhook]\ntolerance = 5min\n", CONFIG_WEBHOOK_TOLERANCE, "5min", 300000 },
	{ "hours", "[webhook]\ntolerance = 2h\n", CONFIG_WEBHOOK_TOLERANCE, "2h", 7200000 },
	{ "days", "[webhook]\ntolerance = 1d\n", CONFIG_WEBHOOK_TOLERANCE, "1d", 86400000 },
	{ "bytes", "[webhook]\nmax_body = 2048B\n", CONFIG_WEBHOOK_MAX_BODY, "2048B", 2048 },
	{ "kibibytes", "[webhook]\nmax_body = 64KiB\n", CONFIG_WEBHOOK_MAX_BODY, "64KiB", 65536 },
	{ "mebibytes", "[webhook]\nmax_body = 16MiB\n", CONFIG_WEBHOOK_MAX_BODY, "16MiB",
		16777216 },
	{ "yes is 1", "[database]\nallow_unsafe_fsync = yes\n", CONFIG_DATABASE_ALLOW_UNSAFE_FSYNC,
		"yes", 1 },
	{ "no is 0", "[database]\nnotify = no\n", CONFIG_DATABASE_NOTIFY, "no", 0 },
	{ "the API may be on this host", "[torque]\nbase_url = http://127.0.0.1:8080/v1\n",
		CONFIG_TORQUE_BASE_URL, "http://127.0.0.1:8080/v1", 0 },
	{ "a floor may be nothing", "[torque]\nfloor = 0\n", CONFIG_TORQUE_FLOOR, "0", 0 },
	{ "history is days", "[reconcile]\nhistory = 90d\n", CONFIG_RECONCILE_HISTORY, "90d",
		INT64_C(7776000000) },
	{ "UTF-8 is taken", "[torque]\nbusiness_id = b\xc3\xa4r\n", CONFIG_TORQUE_BUSINESS_ID,
		"b\xc3\xa4r", 0 },
};

static void check_taken(void)
{
	for (size_t i = 0; i < COUNT(taken); i++) {
		struct faults faults = { .count = 0 };
		struct config *config = config_new();

		config_read_text(config, "f", text_of(taken[i].text), &faults);
		config_judge(config, &faults);
		CHECK(faults.count == 0 &&
				strcmp(config_text(config, taken[i].key), taken[i].value) == 0 &&
				setting_number(config, taken[i].key) == taken[i].number &&
				config_origin(config, taken[i].key) == CONFIG_FROM_FILE,
			"%s", taken[i].promise);
		config_free(config);
		fault_fini(&faults);
	}
}

/* Each key has another value than by default, and another one than its neighbours. */
static const char other_values[] =
	"[listen]\naddress = 127.0.0.1:1\npath = /p\ntls_certificate = /c\n"
	"tls_key = credential:k\npublic_url = https://u\ntrusted_proxy = ::1 10.0.0.0/8\n"
	"max_connections = 77\n"
	"[admin]\naddress = 127.0.0.1:2\nreconcile_address = 127.0.0.1:3\n"
	"[database]\nconninfo = dbname=d\nconnections = 5\nallow_unsafe_fsync = yes\n"
	"notify = no\n"
	"[torque]\nbase_url = https://b\nbusiness_id = i\napi_key = credential:a\n"
	"ca_file = credential:f\nrequests_per_minute = 11\nfloor = 12\n"
	"[webhook]\nscheme = timestamped\nsecret = file:/s\nsecret_previous = file:/t\n"
	"key = base64\nheader = H\ntolerance = 13s\nmax_body = 14KiB\n"
	"answer_deadline = 1500ms\n"
	"[reconcile]\nsweep_every = 16s\nlookback = 17s\nopen_every = 18s\nhistory = 19h\n"
	"[log]\nlevel = debug\nformat = json\n";

static void check_members(void)
{
	struct faults faults = { .count = 0 };
	struct config *config = config_new();
	const struct settings *is = config_settings(config);

	setenv("CREDENTIALS_DIRECTORY", "/d", 1);
	config_read_text(config, "f", text_of(other_values), &faults);
	config_judge(config, &faults);
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		CHECK(config_origin(config, (enum config_key)key) == CONFIG_FROM_FILE,
			"[%s] %s is given", config_rules[key].section, config_rules[key].name);
	}
	CHECK(faults.count == 0 && strcmp(is->listen.address, "127.0.0.1:1") == 0 &&
			strcmp(is->listen.path, "/p") == 0 &&
			strcmp(is->listen.tls_certificate, "/c") == 0 &&
			strcmp(is->listen.tls_key, "/d/k") == 0 &&
			strcmp(is->listen.public_url, "https://u") == 0 &&
			strcmp(is->listen.trusted_proxy, "::1 10.0.0.0/8") == 0 &&
			is->listen.connections_max == 77,
		"[listen] fills its members, and a credential is where it lies");
	CHECK(strcmp(is->admin.address, "127.0.0.1:2") == 0 &&
			strcmp(is->admin.reconcile_address, "127.0.0.1:3") == 0,
		"[admin] fills its members");
	CHECK(strcmp(is->database.conninfo, "dbname=d") == 0 &&
			is->database.connection_count == 5 && is->database.allow_unsafe_fsync &&
			!is->database.notify,
		"[database] fills its members");
	CHECK(strcmp(is->torque.base_url, "https://b") == 0 &&
			strcmp(is->torque.business_id, "i") == 0 &&
			strcmp(is->torque.api_key, "credential:a") == 0 &&
			strcmp(is->torque.ca_file, "/d/f") == 0 &&
			is->torque.requests_per_minute == 11 && is->torque.floor == 12,
		"[torque] fills its members");
	CHECK(is->webhook.scheme == SIGNATURE_TIMESTAMPED &&
			strcmp(is->webhook.secret, "file:/s") == 0 &&
			strcmp(is->webhook.secret_previous, "file:/t") == 0 &&
			is->webhook.key == SETTINGS_KEY_BASE64 &&
			strcmp(is->webhook.header, "H") == 0 && is->webhook.tolerance_ms == 13000 &&
			is->webhook.body_max_bytes == 14336 &&
			is->webhook.answer_deadline_ms == 1500,
		"[webhook] fills its members");
	CHECK(is->reconcile.sweep_every_ms == 16000 && is->reconcile.lookback_ms == 17000 &&
			is->reconcile.open_every_ms == 18000 &&
			is->reconcile.history_ms == 68400000,
		"[reconcile] fills its members");
	CHECK(is->log.level == LOG_DEBUG && is->log.format == LOG_JSON, "[log] fills its members");
	CHECK(strcmp(config_text(config, CONFIG_LISTEN_TLS_KEY), "credential:k") == 0,
		"people see what was written");
	config_free(config);
	fault_fini(&faults);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void check_lengths(void)
{
	char text[VALUE_TEXT_MAX + 64];

	for (size_t len = VALUE_TEXT_MAX; len <= VALUE_TEXT_MAX + 1; len++) {
		struct faults faults = { .count = 0 };
		struct config *config = config_new();

		snprintf(text, sizeof(text), "[listen]\npublic_url = https://%0*d\n",
			(int)(len - strlen("https://")), 0);
		config_read_text(config, "f", text_of(text), &faults);
		CHECK(faults.count == (len > VALUE_TEXT_MAX ? 1 : 0) &&
				(faults.count == 0 || strstr(faults.list[0].text,
							      "public_url is 1025 bytes long")),
			"a value of %zu bytes is %s", len,
			len > VALUE_TEXT_MAX ? "too long" : "taken");
		config_free(config);
		fault_fini(&faults);
	}
}

static void check_one_go(void)
{
	struct faults faults = { .count = 0 };
	struct config *config = config_new();

	config_read_text(config, "f",
		text_of("[listen]\naddress = 1\nport = 2\n[lgo]\nlevel = x\n[log]\nlevel = x\n"),
		&faults);
	CHECK(faults.count == 4, "every fault is reported in one go");
	CHECK(strcmp(config_text(config, CONFIG_LISTEN_ADDRESS), "127.0.0.1:8480") == 0,
		"a faulty key keeps the value it had");
	config_free(config);
	fault_fini(&faults);

	char *many = malloc(CONFIG_BYTES_MAX);

	memset(many, '=', CONFIG_BYTES_MAX);
	for (size_t i = 1; i < CONFIG_BYTES_MAX; i += 2) {
		many[i] = '\n';
	}
	config = config_new();
	config_read_text(config, "f", (struct text){ many, CONFIG_BYTES_MAX }, &faults);
	CHECK(faults.count == FAULTS_MAX && faults.errors == CONFIG_BYTES_MAX / 2 &&
			faults.dropped == CONFIG_BYTES_MAX / 2 - FAULTS_MAX,
		"what is too much to report is counted");
	config_free(config);
	fault_fini(&faults);
	free(many);
}

static void check_precedence(void)
{
	char *const environment[] = { (char[]){ "ORDERD_LOG_LEVEL=warning" },
		(char[]){ "ORDERD_LOG_FORMAT=json" }, (char[]){ "PATH=/bin" }, NULL };
	struct faults faults = { .count = 0 };
	struct config *config = config_new();
	char origin[CONFIG_ORIGIN_MAX], long_name[4096];

	config_read_text(config, "f", text_of("[log]\nlevel = error\nformat = logfmt\n"), &faults);
	config_read_environment(config, environment, &faults);
	config_set_flag(config, CONFIG_LOG_LEVEL, "debug", &faults);
	CHECK(faults.count == 0, "three sources go together");
	CHECK(strcmp(config_text(config, CONFIG_LOG_LEVEL), "debug") == 0,
		"a flag wins over environment and file");
	config_say_origin(config, CONFIG_LOG_LEVEL, origin);
	CHECK(strcmp(origin, "--log-level") == 0, "a flag says that it was one (%s)", origin);
	CHECK(strcmp(config_text(config, CONFIG_LOG_FORMAT), "json") == 0,
		"the environment wins over the file");
	config_say_origin(config, CONFIG_LOG_FORMAT, origin);
	CHECK(strcmp(origin, "ORDERD_LOG_FORMAT") == 0, "a variable is named (%s)", origin);
	config_say_origin(config, CONFIG_LISTEN_PATH, origin);
	CHECK(strcmp(origin, "default") == 0, "a default says that it is one");
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	config_read_text(config, long_name, text_of("\n[webhook]\nkey = text\n"), &faults);
	config_say_origin(config, CONFIG_WEBHOOK_KEY, origin);
	CHECK(strlen(origin) > 500 && strcmp(strrchr(origin, 'n'), "n:3") == 0,
		"the line is told whatever the file is called");
	config_free(config);
	fault_fini(&faults);
}

static void check_refused_changes_nothing(void)
{
	char *const environment[] = { (char[]){ "ORDERD_LOG_LEVEL=loud" }, NULL };
	struct faults faults = { .count = 0 };
	struct config *config = config_new();
	char origin[CONFIG_ORIGIN_MAX];

	config_read_text(config, "f", text_of("[log]\nlevel = error\n"), &faults);
	config_read_environment(config, environment, &faults);
	config_say_origin(config, CONFIG_LOG_LEVEL, origin);
	CHECK(faults.errors == 1 && strcmp(config_text(config, CONFIG_LOG_LEVEL), "error") == 0 &&
			config_settings(config)->log.level == LOG_ERROR &&
			strcmp(origin, "f:2") == 0,
		"a value that is refused changes neither the one before it nor its origin (%s)",
		origin);
	config_free(config);
	fault_fini(&faults);
}

static void check_one_line(void)
{
	struct faults faults = { .count = 0 };

	fault_add(&faults, "a\nb\x1b[2J\x7f");
	CHECK(strcmp(faults.list[0].text, "a b [2J ") == 0,
		"a fault is one line that no terminal acts on (%s)", faults.list[0].text);
	fault_fini(&faults);
}

static const struct {
	const char *promise;
	const char *variable;
	bool warning;
	const char *said; /* NULL: nothing */
} variables[] = {
	{ "a secret does not come from the environment", "ORDERD_WEBHOOK_SECRET=credential:a",
		false,
		"ORDERD_WEBHOOK_SECRET: secrets do not come from the environment, which others may "
		"read; name a credential or a file in the configuration file" },
	{ "a faulty variable is named", "ORDERD_LOG_LEVEL=loud", false,
		"ORDERD_LOG_LEVEL: [log] level is \"loud\"; it should be error, warning, info or "
		"debug" },
	{ "a slip in a variable's name is a warning", "ORDERD_LISTEN_ADRESS=x", true,
		"ORDERD_LISTEN_ADRESS in the environment sets nothing; did you mean "
		"ORDERD_LISTEN_ADDRESS?" },
	{ "a variable of a container platform is none of ours", "ORDERD_PORT=tcp://10.0.0.1:80",
		false, NULL },
	{ "a variable is checked for control characters", "ORDERD_TORQUE_BUSINESS_ID=a\x1b", false,
		"ORDERD_TORQUE_BUSINESS_ID: [torque] business_id holds a control character; take "
		"it out" },
};

static void check_variables(void)
{
	for (size_t i = 0; i < COUNT(variables); i++) {
		char *copy = strdup(variables[i].variable);
		char *const environment[] = { copy, NULL };
		struct faults faults = { .count = 0 };
		struct config *config = config_new();
		const char *said;

		config_read_environment(config, environment, &faults);
		said = faults.count == 1 ? faults.list[0].text : "";
		CHECK(faults.count == (variables[i].said ? 1 : 0) &&
				strcmp(said, variables[i].said ? variables[i].said : "") == 0 &&
				(faults.count == 0 ||
					faults.list[0].warning == variables[i].warning),
			"%s (%s)", variables[i].promise, said);
		config_free(config);
		fault_fini(&faults);
		free(copy);
	}
}

static void check_reload(void)
{
	struct faults faults = { .count = 0 };
	struct config *running = config_new(), *config = config_new();
	bool changed[CONFIG_KEY_COUNT];

	config_read_text(running, "f", text_of("[listen]\naddress = 127.0.0.1:1\n"), &faults);
	config_read_text(config, "f",
		text_of("[listen]\naddress = 127.0.0.1:2\npath = /new\n[log]\nlevel = debug\n"),
		&faults);
	config_keep(config, running, changed);
	CHECK(changed[CONFIG_LISTEN_ADDRESS] && !changed[CONFIG_LISTEN_PATH] &&
			!changed[CONFIG_LOG_LEVEL] && !changed[CONFIG_ADMIN_ADDRESS],
		"a reload names the changed keys that need a restart, and no others");
	CHECK(strcmp(config_text(config, CONFIG_LISTEN_ADDRESS), "127.0.0.1:1") == 0 &&
			strcmp(config_settings(config)->listen.address, "127.0.0.1:1") == 0,
		"they keep their value");
	CHECK(strcmp(config_text(config, CONFIG_LISTEN_PATH), "/new") == 0,
		"the others have the new one");
	config_free(running);
	config_free(config);
	fault_fini(&faults);
}

static void check_files(void)
{
	struct faults faults = { .count = 0 };
	struct config *config = config_new();
	char *large = malloc(CONFIG_BYTES_MAX + 1);

	CHECK(config_read_file(config, "/nonexistent/orderd.conf", &faults) == -ENOENT &&
			faults.errors == 1,
		"a missing file that was asked for is a fault");
	CHECK(config_read_file(config, "/", &faults) == -EISDIR && faults.errors == 2,
		"a directory is no configuration");
	memset(large, '#', CONFIG_BYTES_MAX + 1);
	config_read_text(config, "f", (struct text){ large, CONFIG_BYTES_MAX + 1 }, &faults);
	CHECK(faults.errors == 3, "a file of more than 64 KiB is refused");
	config_read_text(config, "f", (struct text){ large, CONFIG_BYTES_MAX }, &faults);
	CHECK(faults.errors == 3, "one of 64 KiB is not");
	config_free(config);
	fault_fini(&faults);
	free(large);
}

static bool is_text(enum value_type type)
{
	return type != VALUE_CHOICE && type != VALUE_YES_NO && type != VALUE_COUNT &&
	       type != VALUE_DURATION && type != VALUE_SIZE;
}

static void check_table(void)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const struct config_rule *rule = &config_rules[key];
		char flag[CONFIG_NAME_MAX], variable[CONFIG_NAME_MAX];

		config_flag_name((enum config_key)key, flag);
		config_environment_name((enum config_key)key, variable);
		CHECK(rule->section && rule->name && rule->help && strlen(flag) > 0 &&
				strlen(variable) == strlen(flag) + strlen("ORDERD_"),
			"[%s] %s is --%s and %s", rule->section, rule->name, flag, variable);
		CHECK(is_text(rule->value.type) == (rule->field.type == CONFIG_TYPE_TEXT),
			"it fills a member of its kind");
	}
}

int main(void)
{
	check_table();
	check_faults();
	check_taken();
	check_members();
	check_lengths();
	check_one_go();
	check_precedence();
	check_refused_changes_nothing();
	check_one_line();
	check_variables();
	check_reload();
	check_files();
	return check_done();
}
