/* Events as Torque sends them are made up, signed, sent one after the other, and answered. */
#include "command/trigger.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/stamp.h"
#include "command/input.h"
#include "command/option.h"
#include "command/print.h"
#include "command/sign.h"
#include "http/client.h"
#include "order/fact.h"

enum {
	TRIGGER_COUNT_MAX = 100000,
	TRIGGER_BODY_MAX = 4096,
	TRIGGER_WORD_MAX = 200, /* bytes of a status, or of what is shown of an answer */
	TRIGGER_URL_MAX = 1024,
	TEST_ID_DIGITS = 12,
};

#define TEST_ID "orderd-test."

static const struct kind {
	const char *event;
	const char *status;
	const char *payment; /* NULL: the event carries none */
} kinds[] = {
	{ "order.created", "pending", NULL },
	{ "order.paid", "processing", "confirmed" },
	{ "order.completed", "completed", "confirmed" },
	{ "order.cancelled", "cancelled", NULL },
	{ "order.refunded", "refunded", "refunded" },
	{ "payment.failed", "pending", "failed" },
};

/* Money as text: it is never computed here. */
static const struct cart {
	const char *items;
	const char *total;
} carts[] = {
	{ "{\"productId\":\"prod_1\",\"quantity\":2,\"price\":29.99,\"total\":59.98}", "59.98" },
	{ "{\"productId\":\"prod_2\",\"quantity\":1,\"price\":49.99,\"total\":49.99}", "49.99" },
	{ "{\"productId\":\"prod_1\",\"quantity\":1,\"price\":29.99,\"total\":29.99},"
	  "{\"productId\":\"prod_3\",\"quantity\":3,\"price\":0.10,\"total\":0.30}",
		"30.29" },
	{ "{\"productId\":\"prod_4\",\"quantity\":1,\"price\":1250.00,\"total\":1250.00,"
	  "\"variant\":\"large\"}",
		"1250.00" },
};

static const struct {
	const char *first, *last;
} customers[] = { { "Aino", "Virtanen" }, { "John", "Doe" }, { "Zo\u00eb", "M\u00fcller" } };

struct trigger {
	const struct command *command;
	const struct secrets *secrets;
	struct loop *loop;
	struct client *client;
	const struct kind *kind;
	const char *status;                   /* as JSON, with its quotes; new */
	const char *business;                 /* as JSON, with its quotes; new */
	uint64_t left;                        /* events not sent yet */
	char order_id[FACT_ORDER_ID_MAX + 1]; /* of the event under way */
	int64_t at_us;                        /* its time; each later than the one before */
	int64_t sent_ms;
	int code;
};

/* The same order has the same cart and customer in each of its events. */
static uint64_t hash(const char *id)
{
	uint64_t sum = UINT64_C(14695981039346656037); /* FNV-1a */

	for (; *id; id++) {
		sum = (sum ^ (unsigned char)*id) * UINT64_C(1099511628211);
	}
	return sum;
}

static size_t write_body(const struct trigger *trigger, char out[TRIGGER_BODY_MAX])
{
	uint64_t sum = hash(trigger->order_id);
	const struct cart *cart = &carts[sum % (sizeof(carts) / sizeof(carts[0]))];
	unsigned who = (unsigned)(sum >> 32) % (sizeof(customers) / sizeof(customers[0]));
	const struct kind *kind = trigger->kind;
	char at[STAMP_TEXT_MAX], created[64] = "", payment[256] = "";
	int len;

	stamp_format(trigger->at_us, at);
	if (kind == &kinds[0]) {
		snprintf(created, sizeof(created), "\"createdAt\":\"%s\",", at);
	}
	if (kind->payment) {
		snprintf(payment, sizeof(payment),
			",\"payment\":{\"method\":\"crypto\",\"transactionId\":\"tx_%016" PRIx64
			"\",\"amount\":%s,\"status\":\"%s\"}",
			sum, cart->total, kind->payment);
	}
	len = snprintf(out, TRIGGER_BODY_MAX,
		"{\"event\":\"%s\",\"timestamp\":\"%s\",\"data\":{\"orderId\":\"%s\","
		"\"sessionId\":\"session_%016" PRIx64 "\",\"businessId\":%s,\"status\":%s,%s"
		"\"updatedAt\":\"%s\",\"customerData\":{\"email\":\"customer%u@example.com\","
		"\"firstName\":\"%s\",\"lastName\":\"%s\"},\"cart\":{\"items\":[%s],"
		"\"subtotal\":%s,\"total\":%s,\"currency\":\"USD\"}%s}}",
		kind->event, at, trigger->order_id, sum, trigger->business, trigger->status,
		created, at, who, customers[who].first, customers[who].last, cart->items,
		cart->total, cart->total, payment);
	return len > 0 && len < TRIGGER_BODY_MAX ? (size_t)len : 0;
}

static bool choose_order(struct trigger *trigger)
{
	const char *given = verb_value(trigger->command, "order");
	char digits[TEST_ID_DIGITS + 1];

	if (given) {
		snprintf(trigger->order_id, sizeof(trigger->order_id), "%s", given);
		return true;
	}
	if (!sign_random_hex(digits, TEST_ID_DIGITS)) {
		return false;
	}
	snprintf(trigger->order_id, sizeof(trigger->order_id), TEST_ID "%s", digits);
	return true;
}

static void answer_arrived(void *tag, const struct client_answer *answer);

static void stop(struct trigger *trigger, int code)
{
	trigger->code = code;
	loop_stop(trigger->loop);
}

static void send_next(struct trigger *trigger)
{
	struct client_request request = { .method = "POST", .target = "" };
	struct signed_headers headers;
	char body[TRIGGER_BODY_MAX];
	int64_t now_us = clock_wall_us();

	trigger->left--;
	trigger->at_us = now_us > trigger->at_us ? now_us : trigger->at_us + 1;
	if (!choose_order(trigger)) {
		fprintf(stderr, "orderd: the kernel gives no random bytes\n");
		stop(trigger, EX_SOFTWARE);
		return;
	}
	request.body = (struct text){ body, write_body(trigger, body) };
	if (request.body.len == 0 || !sign_headers(trigger->command->settings, trigger->secrets,
					     text_of(""), now_us, request.body, &headers)) {
		fprintf(stderr, "orderd: the event cannot be signed\n");
		stop(trigger, EX_SOFTWARE);
		return;
	}
	request.fields[0] = (struct client_field){ "Content-Type", "application/json" };
	for (size_t i = 0; i < headers.count; i++) {
		request.fields[i + 1] =
			(struct client_field){ headers.list[i].name, headers.list[i].value };
	}
	trigger->sent_ms = clock_mono_ms();
	if (!client_send(trigger->client, &request, answer_arrived, trigger)) {
		die("a request is sent while another one runs");
	}
}

/* A word of an answer that may be shown: the peer chooses no control characters on a terminal. */
static const char *shown(const json_t *answer, const char *name, char out[TRIGGER_WORD_MAX])
{
	const char *value = json_string_value(json_object_get(answer, name));
	size_t len = 0;

	for (; value && *value && len < TRIGGER_WORD_MAX - 1; value++) {
		out[len++] = (char)(*value >= ' ' && *value <= '~' ? *value : '?');
	}
	out[len] = '\0';
	return out;
}

static void print_answer(const struct trigger *trigger, const struct client_answer *answer)
{
	int64_t took_ms = clock_mono_ms() - trigger->sent_ms;
	json_t *body = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
	char outcome[TRIGGER_WORD_MAX], error[TRIGGER_WORD_MAX];

	shown(body, "outcome", outcome);
	shown(body, "error", error);
	json_decref(body);
	if (verb_has(trigger->command, "json")) {
		print_packed(PRINT_LINE, "{s:s, s:s, s:i, s:s, s:s, s:I}", "event",
			trigger->kind->event, "order", trigger->order_id, "status",
			(int)answer->status, "outcome", outcome, "error", error, "took_ms",
			(json_int_t)took_ms);
	} else {
		printf("%u %-12s %s %s (%" PRId64 " ms)\n", answer->status,
			outcome[0] ? outcome : error, trigger->kind->event, trigger->order_id,
			took_ms);
	}
	fflush(stdout);
}

static void answer_arrived(void *tag, const struct client_answer *answer)
{
	struct trigger *trigger = tag;

	if (answer->end != CLIENT_ANSWERED) {
		fprintf(stderr, "orderd: %s %s: %s\n", trigger->kind->event, trigger->order_id,
			answer->problem);
		stop(trigger, EX_UNAVAILABLE);
		return;
	}
	print_answer(trigger, answer);
	if (answer->status != 200 && trigger->code != VERB_FOUND) {
		trigger->code = answer->status == 503 ? EX_TEMPFAIL : VERB_FOUND;
	}
	if (trigger->left > 0) {
		send_next(trigger);
	} else {
		loop_stop(trigger->loop);
	}
}

/* Our own listener, as this host reaches it. A certificate is for the public name. */
static bool own_url(const struct settings *settings, char out[TRIGGER_URL_MAX])
{
	const char *public_url = settings->listen.public_url;
	bool tls = settings->listen.tls_certificate[0] != '\0';
	struct address address;
	char written[ADDRESS_TEXT_MAX];

	if (tls && public_url[0]) {
		return snprintf(out, TRIGGER_URL_MAX, "%s", public_url) < TRIGGER_URL_MAX;
	}
	if (!address_read(text_of(settings->listen.address), &address) ||
		address_port(&address) == 0) {
		return false;
	}
	address_reach(&address);
	address_write(&address, written);
	return snprintf(out, TRIGGER_URL_MAX, "http%s://%s%s", tls ? "s" : "", written,
		       settings->listen.path) < TRIGGER_URL_MAX;
}

static int send_all(struct trigger *trigger, const char *url)
{
	const char *ca_file = verb_value(trigger->command, "ca-file");
	struct problem problem;

	trigger->loop = loop_new();
	trigger->client = client_new(trigger->loop, url, ca_file, &problem);
	if (!trigger->client) {
		fprintf(stderr, "orderd: %s: %s\n", url, problem.text);
		loop_free(trigger->loop);
		return EX_USAGE;
	}
	send_next(trigger);
	loop_run(trigger->loop);
	client_free(trigger->client);
	loop_free(trigger->loop);
	return trigger->code;
}

static char *as_json(const char *word)
{
	json_t *string = json_string(word);
	char *json = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;

	json_decref(string);
	return json;
}

static int send_as_asked(struct trigger *trigger)
{
	const struct settings *settings = trigger->command->settings;
	const char *status = verb_value(trigger->command, "status");
	const char *business = settings->torque.business_id;
	const char *url = verb_value(trigger->command, "to");
	char own[TRIGGER_URL_MAX];
	CLEANUP(cleanup_free)
	char *status_json = as_json(status ? status : trigger->kind->status);
	CLEANUP(cleanup_free)
	char *business_json = as_json(business[0] ? business : "business_123");

	if (!status_json || strlen(status_json) > TRIGGER_WORD_MAX) {
		return verb_usage(trigger->command, "--status takes a word in UTF-8");
	}
	if (!url && !own_url(settings, own)) {
		return verb_usage(trigger->command,
			"[listen] address has no port of its own; give the receiver with --to");
	}
	trigger->status = status_json;
	trigger->business = business_json;
	return send_all(trigger, url ? url : own);
}

static int run_with_keys(struct trigger *trigger)
{
	struct secrets *secrets = input_secrets(trigger->command, secrets_load);
	int code;

	if (!secrets) {
		return EX_CONFIG;
	}
	trigger->secrets = secrets;
	code = send_as_asked(trigger);
	secrets_free(secrets);
	return code;
}

static int unknown_event(const struct command *command)
{
	const size_t count = sizeof(kinds) / sizeof(kinds[0]);
	const char *names[sizeof(kinds) / sizeof(kinds[0])];

	for (size_t i = 0; i < count; i++) {
		names[i] = kinds[i].event;
	}
	const char *nearest = fault_nearest_word(text_of(command->argument), names, count);

	return verb_usage(command,
		"%.40s is no event%s%s%s (order.created, order.paid, order.completed, "
		"order.cancelled, order.refunded, payment.failed)",
		command->argument, nearest ? "; did you mean " : "", nearest ? nearest : "",
		nearest ? "?" : "");
}

int trigger_run(const struct command *command)
{
	struct trigger trigger = { .command = command, .left = 1 };
	const char *order = verb_value(command, "order");
	int code = option_number(command, "count", 1, TRIGGER_COUNT_MAX, &trigger.left);

	if (code != EX_OK) {
		return code;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(command->argument, kinds[i].event) == 0) {
			trigger.kind = &kinds[i];
		}
	}
	if (!trigger.kind) {
		return unknown_event(command);
	}
	if (order && !fact_order_id_valid(text_of(order))) {
		return verb_usage(command,
			"--order takes 1 to %d characters of letters, digits and _.:-",
			FACT_ORDER_ID_MAX);
	}
	return run_with_keys(&trigger);
}
