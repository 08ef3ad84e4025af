/* accept -> verify -> parse -> batch -> (commit) -> answer. Read downwards: the functions stand in
 * the order in which a delivery meets them. */
#include "flow/intake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "flow/facts.h"
#include "flow/sender.h"
#include "order/event.h"

enum { INTAKE_RETRY_AFTER_S = 1, INTAKE_ANSWER_BODY_MAX = 64 };

#define DELIVERY_MAGIC 0x64656c69U

struct intake {
	struct server *server;
	struct batch *batch; /* borrowed */
	char *path;
	char *signature_header;
	char *business;
	char *trusted_proxies;
	struct signature_rules rules; /* secrets borrowed */
	struct log_limit refusals;
	struct log_limit shortages;
	struct json_room room; /* of the delivery that is being read */
};

/* One POST between its arrival and its answer. */
struct delivery {
	unsigned magic;
	struct exchange *exchange; /* borrowed from the server; NULL once the peer has gone */
	int64_t arrived_us;
};

static void note_shortage(struct intake *intake)
{
	int64_t count = log_limit(&intake->shortages);

	if (count > 0) {
		log_event(LOG_ERROR, "no_memory", LOG_FIELDS(LOG_INT("facts", count)));
	}
}

/* The cheap questions, before the body is read: is it for us, and is there room? A target that is
 * no path ("OPTIONS *", "CONNECT host:1") is wrong for its method, not for its path. */
static unsigned head_arrived(void *owner, const struct http_request *request, struct answer *answer)
{
	struct intake *intake = owner;
	bool is_post = text_equal(request->method, TEXT("POST"));
	struct text path = request->path;

	if (!text_equal(path, text_of(intake->path)) &&
		(is_post || text_has_prefix(path, TEXT("/")))) {
		return 404;
	}
	if (!is_post) {
		answer->allow = "POST";
		return 405;
	}
	if (memory_is_short()) {
		note_shortage(intake);
		answer->retry_after_s = INTAKE_RETRY_AFTER_S;
		metrics_add(METRIC_DELIVERIES_UNAVAILABLE, 1);
		return 503;
	}
	if (batch_full(intake->batch)) {
		answer->retry_after_s = INTAKE_RETRY_AFTER_S;
		metrics_add(METRIC_QUEUE_REFUSED, 1);
		metrics_add(METRIC_DELIVERIES_UNAVAILABLE, 1);
		return 503;
	}
	return 0;
}

static struct text field_once(const struct http_request *request, struct text name, bool *repeated)
{
	size_t count = 0;
	struct text value = request_field(request, name, &count);

	*repeated = *repeated || count > 1;
	return value;
}

/* What the request says of its own signature, in the words of the configured scheme. */
static struct signature_claim claim_of(
	const struct intake *intake, const struct http_request *request)
{
	struct signature_claim claim = { .repeated = false };
	bool *repeated = &claim.repeated;

	if (intake->rules.scheme != SIGNATURE_STANDARD) {
		struct text name = text_of(intake->signature_header);

		claim.signature = field_once(request, name, repeated);
		return claim;
	}
	claim.signature = field_once(request, TEXT("webhook-signature"), repeated);
	if (claim.signature.len > 0) {
		claim.id = field_once(request, TEXT("webhook-id"), repeated);
		claim.timestamp = field_once(request, TEXT("webhook-timestamp"), repeated);
	} else {
		claim.signature = field_once(request, TEXT("svix-signature"), repeated);
		claim.id = field_once(request, TEXT("svix-id"), repeated);
		claim.timestamp = field_once(request, TEXT("svix-timestamp"), repeated);
	}
	return claim;
}

static void answer_unavailable(struct exchange *exchange)
{
	struct answer answer = { .status = 503, .retry_after_s = INTAKE_RETRY_AFTER_S };

	metrics_add(METRIC_DELIVERIES_UNAVAILABLE, 1);
	exchange_answer(exchange, &answer);
}

/* Whose it was, and what its sender was told: this is where a wrong secret is looked for. */
static void log_refusal(struct intake *intake, struct exchange *exchange,
	const struct http_request *request, enum signature_verdict verdict)
{
	int64_t count = log_limit(&intake->refusals);
	char id[EXCHANGE_ID_MAX];
	struct sender sender;

	if (count == 0) {
		return;
	}
	exchange_name(exchange, id);
	sender_find(exchange_peer(exchange), request, text_of(intake->trusted_proxies), &sender);

	struct log_field client = LOG_STRING("client", sender.client);

	if (sender.client[0] == '\0') {
		client.kind = LOG_KIND_END;
	}
	log_event(LOG_INFO, "delivery_refused",
		LOG_FIELDS(LOG_STRING("signature", signature_verdict_name(verdict)),
			LOG_STRING("peer", sender.peer), LOG_STRING("request", id),
			LOG_INT("count", count), client));
}

static void answer_refused(struct intake *intake, struct exchange *exchange,
	const struct http_request *request, enum signature_verdict verdict)
{
	struct answer answer = { .status = 401 };

	log_refusal(intake, exchange, request, verdict);
	if (verdict == SIGNATURE_UNCHECKED) {
		answer_unavailable(exchange);
		return;
	}
	metrics_add(METRIC_DELIVERIES_UNSIGNED, 1);
	exchange_answer(exchange, &answer);
}

static void delivery_ended(void *tag, enum batch_end end, enum outcome outcome);

static void delivery_arrived(
	void *owner, struct exchange *exchange, const struct http_request *request)
{
	struct intake *intake = owner;
	struct signature_claim claim = claim_of(intake, request);
	struct text body = request->body;
	size_t secret = 0;
	struct fact fact;

	enum signature_verdict verdict =
		signature_verify(&intake->rules, &claim, body, clock_wall_us(), &secret);
	if (verdict != SIGNATURE_GENUINE) {
		answer_refused(intake, exchange, request, verdict);
		return;
	}
	metrics_add(secret == 0 ? METRIC_SIGNATURE_CURRENT : METRIC_SIGNATURE_PREVIOUS, 1);

	/* Room may have gone while the body was on its way; a shed delivery costs no parsing. */
	if (batch_full(intake->batch)) {
		metrics_add(METRIC_QUEUE_REFUSED, 1);
		answer_unavailable(exchange);
		return;
	}

	struct delivery *delivery = memory_try(sizeof(*delivery));

	/* A body we cannot use is a fact for the quarantine, and is kept like any other; what we
	 * have no means to read comes again. */
	if (!delivery || !event_parse(body, request->arrived_us, text_of(intake->business),
				 &intake->room, &fact)) {
		free(delivery);
		note_shortage(intake);
		answer_unavailable(exchange);
		return;
	}
	*delivery = (struct delivery){
		.magic = DELIVERY_MAGIC, .exchange = exchange, .arrived_us = request->arrived_us
	};
	if (!batch_add(intake->batch, &fact, delivery_ended, delivery)) {
		free(delivery);
		metrics_add(METRIC_QUEUE_REFUSED, 1);
		answer_unavailable(exchange);
		return;
	}
	facts_count_odd(&fact);
	exchange_hold(exchange, delivery);
}

static enum metric metric_of(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_APPLIED:
		return METRIC_DELIVERIES_APPLIED;
	case OUTCOME_DUPLICATE:
		return METRIC_DELIVERIES_DUPLICATE;
	case OUTCOME_RECORDED:
		return METRIC_DELIVERIES_RECORDED;
	case OUTCOME_HELD:
		return METRIC_DELIVERIES_HELD;
	case OUTCOME_IGNORED:
		return METRIC_DELIVERIES_IGNORED;
	case OUTCOME_QUARANTINED:
		return METRIC_DELIVERIES_QUARANTINED;
	case OUTCOME_BUSY: /* the batch offers it again; it never comes out */
		break;
	}
	die("a busy fact was called committed");
}

static void answer_taken(const struct delivery *delivery, enum outcome outcome)
{
	char body[INTAKE_ANSWER_BODY_MAX];
	int len = snprintf(body, sizeof(body), "{\"success\":true,\"outcome\":\"%s\"}",
		fact_outcome_name(outcome));
	struct answer answer = { .status = 200, .body = { body, (size_t)len } };
	int64_t waited_us = clock_wall_us() - delivery->arrived_us;

	metrics_observe(HISTOGRAM_ANSWER_SECONDS, (double)waited_us / 1e6);
	exchange_answer(delivery->exchange, &answer);
}

/* The transaction has ended, well or badly. Only here is a delivery answered 200. */
static void delivery_ended(void *tag, enum batch_end end, enum outcome outcome)
{
	struct delivery *delivery = tag;

	assert(delivery->magic == DELIVERY_MAGIC);
	if (end == BATCH_COMMITTED) {
		metrics_add(metric_of(outcome), 1);
	}
	if (delivery->exchange && end == BATCH_COMMITTED) {
		answer_taken(delivery, outcome); /* a duplicate is as welcome as a new one */
	} else if (delivery->exchange) {
		answer_unavailable(delivery->exchange);
	}
	delivery->magic = 0;
	free(delivery);
}

/* The peer hung up, or has had its 503; its fact is still on its way into the database. */
static void exchange_gone(void *owner, void *tag)
{
	struct delivery *delivery = tag;

	(void)owner;
	assert(delivery->magic == DELIVERY_MAGIC);
	delivery->exchange = NULL;
}

static void set_options(struct intake *intake, const struct intake_options *options)
{
	free(intake->path);
	free(intake->signature_header);
	free(intake->business);
	free(intake->trusted_proxies);
	intake->path = memory_copy(options->path);
	intake->signature_header = memory_copy(options->signature_header);
	intake->business = memory_copy(options->business);
	intake->trusted_proxies = memory_copy(options->trusted_proxies);
	intake->rules = options->rules;
}

struct intake *intake_new(struct loop *loop, struct batch *batch,
	const struct intake_options *options, struct problem *problem)
{
	static const struct exchange_events events = {
		.head_arrived = head_arrived,
		.request_arrived = delivery_arrived,
		.exchange_gone = exchange_gone,
	};
	struct intake *intake = memory_new(sizeof(*intake));

	intake->batch = batch;
	intake->room.size = json_room_size(options->server.body_max);
	intake->room.memory = memory_new(intake->room.size);
	set_options(intake, options);
	intake->server = server_new(loop, &options->server, &events, intake, problem);
	if (!intake->server) {
		intake_free(intake);
		return NULL;
	}
	return intake;
}

void intake_free(struct intake *intake)
{
	if (!intake) {
		return;
	}
	server_free(intake->server);
	free(intake->path);
	free(intake->signature_header);
	free(intake->business);
	free(intake->trusted_proxies);
	free(intake->room.memory);
	free(intake);
}

bool intake_change(
	struct intake *intake, const struct intake_options *options, struct problem *problem)
{
	if (options->server.tls_certificate && !server_reload_tls(intake->server, problem)) {
		return false;
	}
	set_options(intake, options);
	return true;
}

const char *intake_address(const struct intake *intake)
{
	return server_address(intake->server);
}

void intake_drain(struct intake *intake, loop_fired *drained, void *owner)
{
	server_drain(intake->server, drained, owner);
}
