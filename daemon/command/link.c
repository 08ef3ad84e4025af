/* cart -> request -> call -> checkoutUrl -> note. The cart's own bytes are sent: amounts keep their
 * digits.
 */
#include "command/link.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "base/memory.h"
#include "base/stamp.h"
#include "command/api_session.h"
#include "command/input.h"
#include "command/pick.h"
#include "command/print.h"

/* A cart, and what is put into it. */
struct cart {
	const struct command *command;
	const char *file;
	struct text bytes; /* borrowed */
	json_t *document;
	struct text options; /* in bytes; len 0: it has none */
};

static int refuse(const struct cart *cart, const char *why)
{
	fprintf(stderr, "orderd: %s: %s\n", cart->file, why);
	return EX_DATAERR;
}

static int parse_cart(struct cart *cart)
{
	json_error_t error;
	struct problem why;
	json_t *options;

	cart->document = json_loadb(cart->bytes.ptr, cart->bytes.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
	if (!cart->document) {
		problem_say(&why, "line %d is not JSON: %s", error.line, error.text);
		return refuse(cart, why.text);
	}
	if (!json_is_object(cart->document)) {
		return refuse(cart, "a cart is an object, as generate-link takes it");
	}
	options = json_object_get(cart->document, "options");
	cart->options = pick_member(cart->bytes, "options");
	if (options && (!json_is_object(options) || !pick_is_object(cart->options))) {
		return refuse(cart, "options is not an object");
	}
	return EX_OK;
}

static bool is_given(const json_t *object, const char *name)
{
	return json_object_get(object, name) != NULL;
}

static int check_business(const struct cart *cart)
{
	const char *ours = cart->command->settings->torque.business_id;
	const char *given = json_string_value(json_object_get(cart->document, "businessId"));

	if (!is_given(cart->document, "businessId") && !ours[0]) {
		return refuse(cart, "it has no businessId, and [torque] business_id is not set");
	}
	if (ours[0] && given && strcmp(ours, given) != 0) {
		fputs("orderd: warning: businessId is another one than [torque] business_id: the "
		      "webhooks of this order will be quarantined\n",
			stderr);
	}
	return EX_OK;
}

static void put_member(FILE *out, const char *name, const char *value, bool more)
{
	json_t *string = json_string(value);

	fprintf(out, "\"%s\":", name);
	json_dumpf(string, out, JSON_ENCODE_ANY);
	fputs(more ? "," : "", out);
	json_decref(string);
}

/* The bytes from "{" to before until, with a member put first. */
static void put_with_member(FILE *out, struct text object, const char *name, const char *value)
{
	fputc('{', out);
	put_member(out, name, value, pick_content(object).len > 0);
	fwrite(object.ptr + 1, 1, object.len - 1, out);
}

/* The options, from where they stand in the cart to the cart's end. */
static void put_options(const struct cart *cart, FILE *out, const char *webhook_url)
{
	const char *start = cart->options.ptr, *end = start + cart->options.len;

	put_with_member(out, cart->options, "webhookUrl", webhook_url);
	fwrite(end, 1, (size_t)(cart->bytes.ptr + cart->bytes.len - end), out);
}

static void put_request(const struct cart *cart, FILE *out)
{
	const struct settings *settings = cart->command->settings;
	const char *webhook_url = settings->listen.public_url;
	const json_t *options = json_object_get(cart->document, "options");
	bool adds_url = webhook_url[0] && !is_given(options, "webhookUrl");
	const char *brace = memchr(cart->bytes.ptr, '{', cart->bytes.len);
	const char *rest = brace + 1;
	bool more = json_object_size(cart->document) > 0;

	fputc('{', out);
	if (!is_given(cart->document, "businessId")) {
		put_member(out, "businessId", settings->torque.business_id, more || adds_url);
	}
	if (adds_url && !options) {
		fputs("\"options\":{", out);
		put_member(out, "webhookUrl", webhook_url, false);
		fputs(more ? "}," : "}", out);
	}
	if (adds_url && options) {
		fwrite(rest, 1, (size_t)(cart->options.ptr - rest), out);
		put_options(cart, out, webhook_url);
	} else {
		fwrite(rest, 1, (size_t)(cart->bytes.ptr + cart->bytes.len - rest), out);
	}
	if (!webhook_url[0] && !is_given(options, "webhookUrl")) {
		fputs("orderd: warning: no webhookUrl: [listen] public_url is not set, and the "
		      "cart "
		      "has none; only polling will tell of this order\n",
			stderr);
	}
}

static void print_link(const struct command *command, struct text answer)
{
	static const char *const names[] = { "checkoutUrl", "sessionId", "expiresAt" };

	if (verb_has(command, "json")) {
		print_json(stdout, answer);
		putchar('\n');
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CLEANUP(cleanup_free)
		char *value = print_value(pick_member(answer, names[i]), PRINT_VALUE_MAX);

		printf("%s: %s\n", names[i], value);
	}
}

static bool is_string(struct text json)
{
	return json.len >= 2 && json.ptr[0] == '"';
}

/* The link exists, whatever becomes of our own note of it. */
static void note(struct api_session *ask, struct text answer)
{
	static const char made[] = "select torque.link_made($1::text, $2::timestamptz)";
	struct text id = pick_member(answer, "sessionId"), end = pick_member(answer, "expiresAt");
	CLEANUP(cleanup_free)
	char *session = is_string(id) ? print_value(id, PRINT_VALUE_MAX) : NULL;
	char expires[STAMP_TEXT_MAX];
	const char *values[] = { session, expires };
	int64_t expires_us;

	/* What the API does not say, or not as a time, is not known there, and that is no fault. */
	if (!session || !is_string(end) ||
		!stamp_parse((struct text){ end.ptr + 1, end.len - 2 }, &expires_us)) {
		return;
	}
	stamp_format(expires_us, expires);
	if (!blocking_ask(api_session_database(ask), made, values, 2)) {
		api_session_database_failed(ask);
		fputs("orderd: the link is good all the same; the database does not know when it "
		      "expires\n",
			stderr);
	}
}

static int send_cart(const struct cart *cart)
{
	struct torque_call call = { .kind = TORQUE_LINK };
	const struct torque_answer *answer;
	CLEANUP(cleanup_free) char *request = NULL;
	size_t request_len = 0;
	FILE *stream;
	int code;
	struct api_session *ask = api_session_new(cart->command, &code);

	if (!ask) {
		return code;
	}
	stream = open_memstream(&request, &request_len);
	if (!stream) {
		die("no memory for a cart");
	}
	put_request(cart, stream);
	fclose(stream);
	call.body = (struct text){ request, request_len };
	code = api_session_call(ask, &call, "link", &answer);
	if (code == EX_OK) {
		print_link(cart->command, answer->body);
		fflush(stdout);
		note(ask, answer->body);
	}
	api_session_free(ask);
	return code;
}

int link_run(const struct command *command)
{
	struct cart cart = { .command = command, .file = command->argument };
	CLEANUP(cleanup_free) char *bytes = NULL;
	size_t len = 0;
	int code = input_read(command->argument, &bytes, &len);

	if (code != EX_OK) {
		return code;
	}
	cart.bytes = (struct text){ bytes, len };
	code = parse_cart(&cart);
	if (code == EX_OK) {
		code = check_business(&cart);
	}
	if (code == EX_OK) {
		code = send_cart(&cart);
	}
	json_decref(cart.document);
	return code;
}
