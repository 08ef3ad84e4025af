/* A signature is judged; when it fails, other readings are tried and the nearest is named. */
#include "command/verify.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/memory.h"
#include "base/secret.h"
#include "command/input.h"
#include "command/print.h"
#include "settings/secrets.h"

enum {
	READINGS_MAX = 12,
	SIGNATURE_BYTES_MAX = 4096,
};

/* One way to read something: as it is, or changed in a way that people and programs change it. */
struct reading {
	const char *change; /* NULL: as it is; else what it would be called */
	struct text text;
	char *owned; /* NULL: text is borrowed */
};

struct readings {
	size_t count;
	struct reading list[READINGS_MAX];
};

enum {
	SCHEMES = SIGNATURE_TIMESTAMPED + 1,
	KEYS = 2,  /* text and base64 */
	FORMS = 2, /* of the secret: as it was read, and cleaned */
	CHANGES = 5,
	RULINGS = SCHEMES * KEYS * FORMS,
};

/* The keys that one secret can make, each in a page of its own; NULL: it makes none. */
struct keys {
	struct secret *made[FORMS][KEYS];
};

/* One way to read the settings and the secrets, and what it would take; NULL: nothing. */
struct ruling {
	const char *scheme, *key, *secret;
	struct signature_rules rules;
};

struct case_to_judge {
	const struct input_delivery *delivery;
	struct signature_claim claim;
};

static void readings_fini(struct readings *readings)
{
	for (size_t i = 0; i < readings->count; i++) {
		free(readings->list[i].owned);
	}
}

/* What changes nothing is no other reading. */
static void add_borrowed(struct readings *readings, const char *change, struct text text)
{
	if (change && text_equal(text, readings->list[0].text)) {
		return;
	}
	assert(readings->count < READINGS_MAX);
	readings->list[readings->count++] = (struct reading){ .change = change, .text = text };
}

static void add_owned(struct readings *readings, const char *change, char *owned, size_t len)
{
	size_t before = readings->count;

	add_borrowed(readings, change, (struct text){ owned, len });
	if (readings->count > before) {
		readings->list[before].owned = owned;
	} else {
		free(owned);
	}
}

/* With every line ended by LF or by CR LF; NULL when that changes nothing. */
static char *with_line_ends(struct text text, bool crlf, size_t *len)
{
	char *changed = memory_new(2 * text.len + 1);

	*len = 0;
	for (size_t i = 0; i < text.len; i++) {
		bool pair = text.ptr[i] == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n';

		if (pair) {
			continue;
		}
		if (text.ptr[i] == '\n' && crlf) {
			changed[(*len)++] = '\r';
		}
		changed[(*len)++] = text.ptr[i];
	}
	if (*len == text.len && memcmp(changed, text.ptr, text.len) == 0) {
		free(changed);
		return NULL;
	}
	return changed;
}

static void add_appended(
	struct readings *readings, const char *change, struct text text, const char *tail)
{
	char *changed = memory_new(text.len + strlen(tail) + 1);

	memcpy(changed, text.ptr, text.len);
	memcpy(changed + text.len, tail, strlen(tail) + 1);
	add_owned(readings, change, changed, text.len + strlen(tail));
}

static void add_json(
	struct readings *readings, const char *change, const json_t *document, size_t flags)
{
	char *dumped = document ? json_dumps(document, flags | JSON_REAL_PRECISION(15)) : NULL;

	if (dumped) {
		add_owned(readings, change, dumped, strlen(dumped));
	}
}

static struct text without_end(struct text text, const char *end)
{
	size_t len = strlen(end);

	if (text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0) {
		text.len -= len;
	}
	return text;
}

static void read_body(struct readings *readings, struct text body)
{
	struct text bare = text_without_prefix(body, TEXT("\xef\xbb\xbf"));
	struct text cut = without_end(without_end(body, "\n"), "\r");
	json_t *document = json_loadb(body.ptr, body.len, JSON_DECODE_ANY, NULL);
	size_t len;

	add_borrowed(readings, NULL, body);
	if (cut.len != body.len) {
		add_borrowed(readings, "the body without the newline at the end of the file", cut);
	}
	add_appended(readings, "the body with a newline at the end of the file", body, "\n");
	add_appended(readings, "the body with CR LF at the end of the file", body, "\r\n");
	if (bare.len != body.len) {
		add_borrowed(readings, "the body without the byte order mark", bare);
	}
	for (int crlf = 0; crlf <= 1; crlf++) {
		char *changed = with_line_ends(body, crlf, &len);

		if (changed) {
			add_owned(readings,
				crlf ? "the body with CR LF line ends"
				     : "the body with LF line ends",
				changed, len);
		}
	}
	add_json(readings, "the body written again as compact JSON", document, JSON_COMPACT);
	add_json(readings, "the body written again as JSON with spaces", document, 0);
	add_json(readings, "the body written again as JSON with an indent of 2", document,
		JSON_INDENT(2));
	json_decref(document);
}

/* What is between the outermost quotes; the text itself when there are none. */
static struct text unquoted(struct text text)
{
	bool quoted = text.len >= 2 && (text.ptr[0] == '"' || text.ptr[0] == '\'') &&
		      text.ptr[text.len - 1] == text.ptr[0];

	return quoted ? (struct text){ text.ptr + 1, text.len - 2 } : text;
}

/* Standard base64, padded, from base64url or from what lost its padding. */
static char *as_standard_base64(struct text text, size_t *len)
{
	char *changed = memory_new(text.len + 4);

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		changed[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
	}
	*len = text.len;
	while (*len % 4 != 0) {
		changed[(*len)++] = '=';
	}
	return changed;
}

static void read_signature(struct readings *readings, struct text signature)
{
	const char *colon = memchr(signature.ptr, ':', signature.len);
	struct text trimmed = text_trim(without_end(without_end(signature, "\n"), "\r"));
	size_t len;
	char *standard;

	add_borrowed(readings, NULL, signature);
	if (colon) {
		size_t name = (size_t)(colon - signature.ptr) + 1;

		add_borrowed(readings, "the signature without the name of the header",
			text_trim((struct text){ colon + 1, signature.len - name }));
	}
	add_borrowed(readings, "the signature without white space around it", trimmed);
	add_borrowed(readings, "the signature without quotes", unquoted(trimmed));
	add_borrowed(readings, "the signature without a prefix",
		text_without_prefix(
			text_without_prefix(trimmed, TEXT("sha256:")), TEXT("SHA256=")));
	standard = as_standard_base64(trimmed, &len);
	add_owned(readings, "the signature as standard base64 with its padding", standard, len);
}

static void make_keys(const struct secret *secret, struct keys *keys)
{
	struct secret *clean = secret ? secret_clean(secret) : NULL;
	const struct secret *forms[FORMS] = { secret, clean };
	struct problem ignored;

	for (unsigned form = 0; form < FORMS; form++) {
		for (unsigned key = 0; key < KEYS; key++) {
			keys->made[form][key] = forms[form]
							? secrets_make_key(secret_text(forms[form]),
								  key != 0, &ignored)
							: NULL;
		}
	}
	secret_free(clean);
}

static void free_keys(struct keys *keys)
{
	for (unsigned form = 0; form < FORMS; form++) {
		for (unsigned key = 0; key < KEYS; key++) {
			secret_free(keys->made[form][key]);
		}
	}
}

static struct ruling make_ruling(const struct case_to_judge *it,
	const struct keys keys[SIGNATURE_SECRETS_MAX], enum signature_scheme scheme, unsigned key,
	unsigned form)
{
	static const char *const schemes[SCHEMES] = { "[webhook] scheme = torque",
		"[webhook] scheme = standard", "[webhook] scheme = timestamped" };
	static const char *const kinds[KEYS] = { "[webhook] key = text", "[webhook] key = base64" };
	const struct settings *settings = it->delivery->command->settings;
	struct ruling ruling = {
		.scheme = scheme == settings->webhook.scheme ? NULL : schemes[scheme],
		.key = secrets_are_base64(settings, scheme) == (key != 0) ? NULL : kinds[key],
		.secret = form == 0 ? NULL : "the secret without the bytes that nobody sees",
		.rules = secrets_rules(it->delivery->secrets),
	};

	ruling.rules.scheme = scheme;
	for (unsigned i = 0; i < SIGNATURE_SECRETS_MAX; i++) {
		const struct secret *made = keys[i].made[form][key];

		ruling.rules.secret[i] = made ? secret_text(made) : text_of("");
	}
	return ruling;
}

/* Is it genuine, whatever the time of the attempt? */
static bool matches(const struct case_to_judge *it, const struct ruling *ruling,
	struct text signature, struct text body)
{
	struct signature_claim claim = it->claim;
	size_t secret;
	enum signature_verdict verdict;

	claim.signature = signature;
	verdict = signature_verify(&ruling->rules, &claim, body, it->delivery->at_us, &secret);
	if (verdict == SIGNATURE_UNCHECKED) {
		die("OpenSSL failed; nothing can be said");
	}
	return verdict == SIGNATURE_GENUINE || verdict == SIGNATURE_STALE;
}

/* The reading that changes the least and is genuine. */
struct match {
	size_t count; /* 0: none was found */
	const char *change[CHANGES];
};

/* What it would take, in the order in which a person would look at it. */
static struct match changes_of(
	const struct ruling *ruling, const struct reading *signature, const struct reading *body)
{
	const char *const all[CHANGES] = { ruling->secret, ruling->scheme, ruling->key,
		signature->change, body->change };
	struct match match = { .count = 0 };

	for (size_t i = 0; i < CHANGES; i++) {
		if (all[i]) {
			match.change[match.count++] = all[i];
		}
	}
	return match;
}

static void try_ruling(const struct case_to_judge *it, const struct ruling *ruling,
	const struct readings *bodies, const struct readings *signatures, struct match *best)
{
	for (size_t i = 0; i < bodies->count; i++) {
		for (size_t j = 0; j < signatures->count; j++) {
			const struct reading *body = &bodies->list[i];
			const struct reading *signature = &signatures->list[j];
			struct match match = changes_of(ruling, signature, body);

			if (match.count > 0 && (best->count == 0 || match.count < best->count) &&
				matches(it, ruling, signature->text, body->text)) {
				*best = match;
			}
		}
	}
}

static struct match find_match(const struct case_to_judge *it)
{
	struct readings bodies = { .count = 0 }, signatures = { .count = 0 };
	struct keys keys[SIGNATURE_SECRETS_MAX];
	struct match best = { .count = 0 };

	read_body(&bodies, it->delivery->body);
	read_signature(&signatures, it->claim.signature);
	for (unsigned i = 0; i < SIGNATURE_SECRETS_MAX; i++) {
		make_keys(secrets_doubted(it->delivery->secrets, i), &keys[i]);
	}
	for (unsigned i = 0; i < RULINGS; i++) {
		struct ruling ruling = make_ruling(it, keys,
			(enum signature_scheme)(i / KEYS / FORMS), i % KEYS, i / KEYS % FORMS);

		try_ruling(it, &ruling, &bodies, &signatures, &best);
	}
	for (unsigned i = 0; i < SIGNATURE_SECRETS_MAX; i++) {
		free_keys(&keys[i]);
	}
	readings_fini(&bodies);
	readings_fini(&signatures);
	return best;
}

static const char *explain(enum signature_verdict verdict)
{
	switch (verdict) {
	case SIGNATURE_GENUINE:
		return "made with the webhook secret over these bytes";
	case SIGNATURE_ABSENT:
		return "there is no signature, or a header that the scheme needs is missing";
	case SIGNATURE_MALFORMED:
		return "the signature has not the form of the scheme";
	case SIGNATURE_STALE:
		return "made with the webhook secret, but the time of the attempt is further away "
		       "than [webhook] tolerance";
	case SIGNATURE_FORGED:
		return "well formed, but not made with the webhook secret over these bytes";
	case SIGNATURE_UNCHECKED:
		return "OpenSSL failed; nothing can be said";
	}
	die("a verdict that nobody has heard of");
}

static void say_hint(const struct match *match, char *out, size_t size)
{
	size_t used;

	if (match->count == 0) {
		snprintf(out, size,
			"no other reading of the file, the signature, the secret and the settings "
			"would match: it is another secret, or another body");
		return;
	}
	used = (size_t)snprintf(out, size, "it would match with ");
	for (size_t i = 0; i < match->count; i++) {
		used += (size_t)snprintf(
			out + used, size - used, "%s%s", i == 0 ? "" : ", and ", match->change[i]);
	}
}

static int print_verdict(const struct command *command, enum signature_verdict verdict,
	const char *secret, const char *hint)
{
	const char *word = signature_verdict_name(verdict);

	if (verb_has(command, "json")) {
		print_packed(PRINT_INDENTED, "{s:s, s:s, s:s?, s:s?}", "verdict", word, "why",
			explain(verdict), "secret", secret, "hint", hint);
	} else {
		printf("%s: %s\n", word, explain(verdict));
		if (secret) {
			printf("made with: %s\n", secret);
		}
		if (hint) {
			printf("hint: %s\n", hint);
		}
	}
	if (verdict == SIGNATURE_UNCHECKED) {
		return EX_SOFTWARE;
	}
	return verdict == SIGNATURE_GENUINE ? EX_OK : VERB_FOUND;
}

static int judge(const struct case_to_judge *it)
{
	struct signature_rules rules = secrets_rules(it->delivery->secrets);
	size_t index = 0;
	enum signature_verdict verdict = signature_verify(
		&rules, &it->claim, it->delivery->body, it->delivery->at_us, &index);
	char hint[512];

	if (verdict == SIGNATURE_GENUINE) {
		return print_verdict(it->delivery->command, verdict,
			index == 0 ? "secret" : "secret_previous", NULL);
	}
	if (verdict != SIGNATURE_FORGED && verdict != SIGNATURE_MALFORMED) {
		return print_verdict(it->delivery->command, verdict, NULL, NULL);
	}
	struct match match = find_match(it);

	say_hint(&match, hint, sizeof(hint));
	return print_verdict(it->delivery->command, verdict, NULL, hint);
}

static int verify_delivery(const struct input_delivery *delivery)
{
	const struct command *command = delivery->command;
	struct case_to_judge it = {
		.delivery = delivery,
		.claim = {
			.signature = text_of(verb_value(command, "signature")),
			.id = text_of(verb_value(command, "id")),
			.timestamp = text_of(verb_value(command, "timestamp")),
		},
	};

	if (command->settings->webhook.scheme == SIGNATURE_STANDARD &&
		(it.claim.id.len == 0 || it.claim.timestamp.len == 0)) {
		return verb_usage(command,
			"the scheme standard signs webhook-id and webhook-timestamp too: give --id "
			"and --timestamp");
	}
	if (it.claim.signature.len > SIGNATURE_BYTES_MAX) {
		return verb_usage(
			command, "no signature is longer than %d bytes", SIGNATURE_BYTES_MAX);
	}
	return judge(&it);
}

int verify_run(const struct command *command)
{
	if (!verb_has(command, "signature")) {
		return verb_usage(command, "orderd verify needs --signature");
	}
	return input_with_delivery(command, secrets_load_doubted, verify_delivery);
}
