/* The headers of a delivery are made as Torque makes them, by the scheme of the settings. */
#include "command/sign.h"

#include <inttypes.h>
#include <jansson.h>
#include <sys/random.h>

#include "command/input.h"
#include "command/print.h"

enum { ID_DIGITS = 20, RANDOM_BYTES_MAX = 16, US_PER_SECOND = 1000000 };

bool sign_random_hex(char *out, size_t digits)
{
	unsigned char bytes[RANDOM_BYTES_MAX];
	char hex[2 * RANDOM_BYTES_MAX + 1];

	if (digits > 2 * sizeof(bytes) ||
		getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
		return false;
	}
	text_to_hex(bytes, sizeof(bytes), hex);
	memcpy(out, hex, digits);
	out[digits] = '\0';
	return true;
}

static void add(struct signed_headers *headers, const char *name, const char *value)
{
	snprintf(headers->list[headers->count].name, SIGN_NAME_MAX, "%s", name);
	snprintf(headers->list[headers->count].value, SIGN_VALUE_MAX, "%s", value);
	headers->count++;
}

bool sign_headers(const struct settings *settings, const struct secrets *secrets, struct text id,
	int64_t at_us, struct text body, struct signed_headers *ret_headers)
{
	struct signature_rules rules = secrets_rules(secrets);
	struct signed_headers headers = { .count = 0 };
	char signature[SIGNATURE_TEXT_MAX];
	char made_id[sizeof("msg_") + ID_DIGITS] = "msg_";
	char seconds[24];

	if (id.len == 0) {
		if (!sign_random_hex(made_id + strlen("msg_"), ID_DIGITS)) {
			return false;
		}
		id = text_of(made_id);
	}
	if (!signature_make(&rules, id, at_us, body, signature)) {
		return false;
	}
	if (rules.scheme == SIGNATURE_STANDARD) {
		char own_id[SIGN_VALUE_MAX];

		snprintf(own_id, sizeof(own_id), "%.*s", (int)id.len, id.ptr);
		snprintf(seconds, sizeof(seconds), "%" PRId64, at_us / US_PER_SECOND);
		add(&headers, "webhook-id", own_id);
		add(&headers, "webhook-timestamp", seconds);
		add(&headers, "webhook-signature", signature);
	} else {
		add(&headers, settings->webhook.header, signature);
	}
	*ret_headers = headers;
	return true;
}

static void print_headers(const struct signed_headers *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		printf("%s: %s\n", headers->list[i].name, headers->list[i].value);
	}
}

static void print_as_json(const struct signed_headers *headers)
{
	json_t *object = json_object();

	for (size_t i = 0; i < headers->count; i++) {
		json_object_set_new(
			object, headers->list[i].name, json_string(headers->list[i].value));
	}
	print_packed(PRINT_INDENTED, "o", object);
}

/* An id becomes part of what is signed and of a header line. */
static bool id_is_usable(struct text id)
{
	for (size_t i = 0; i < id.len; i++) {
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~' || id.ptr[i] == '.') {
			return false;
		}
	}
	return id.len < SIGN_VALUE_MAX;
}

static int sign_delivery(const struct input_delivery *delivery)
{
	const struct command *command = delivery->command;
	struct text id = text_of(verb_value(command, "id"));
	struct signed_headers headers;

	if (!id_is_usable(id)) {
		return verb_usage(command,
			"--id takes at most %d visible ASCII characters without a dot",
			SIGN_VALUE_MAX - 1);
	}
	if (!sign_headers(command->settings, delivery->secrets, id, delivery->at_us, delivery->body,
		    &headers)) {
		fprintf(stderr, "orderd: OpenSSL cannot sign\n");
		return EX_SOFTWARE;
	}
	(verb_has(command, "json") ? print_as_json : print_headers)(&headers);
	return EX_OK;
}

int sign_run(const struct command *command)
{
	return input_with_delivery(command, secrets_load, sign_delivery);
}
