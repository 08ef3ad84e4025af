/* The poller: next_due -> next_planned -> call_answered -> answer_recorded -> next_due; without a
 * call, next_planned -> orders_refolded -> next_due. Read downwards. */
#include "flow/reconcile.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/stamp.h"
#include "flow/call_record.h"
#include "flow/refusal.h"
#include "flow/standing.h"

enum {
	RECONCILE_WAIT_MIN_MS = 10,
	RECONCILE_WAIT_MAX_MS = 60000, /* the plan is asked again at least so often */
	RECONCILE_AGAIN_MS = 1000,     /* after the database refused a step; doubles */
	RECONCILE_AGAIN_MAX_MS = 30000,
	RECONCILE_SHOP_MS = 5000,   /* another shop's database may become ours */
	RECONCILE_RECORD_TRIES = 5, /* an answer that is refused so often is given up */
	RECONCILE_WORD_MAX = 16,
};

/* The columns of torque.reconcile_next(), in their order. */
enum plan_column {
	PLAN_ACTION,
	PLAN_CALL_ID,
	PLAN_WAIT_MS,
	PLAN_ORDER_ID,
	PLAN_DETAILS,
	PLAN_FROM,
	PLAN_TO,
	PLAN_STATUS,
	PLAN_LIMIT,
	PLAN_OFFSET,
	PLAN_PRIORITY,
	PLAN_BEHIND,
	PLAN_ALARMS,
	PLAN_BLIND,
	PLAN_CLOCK_AHEAD,
	PLAN_COLUMNS,
};

struct reconcile {
	struct loop *loop;
	struct store *store;
	char setup[SCHEDULE_SETUP_MAX]; /* of its sessions */
	struct torque *torque;
	struct reconcile_options options; /* taken before the next call, as is the next one; */
	struct torque *changed;           /* NULL: nothing has changed */
	bool access_told;                 /* the database knows what we ask with */
	struct loop_timer *next;
	bool admitted; /* this session has seen that the database is our shop's */
	bool foreign;  /* it is another's, and problem says so */
	bool busy;     /* a call or a transaction is under way */
	struct standing standing;
	unsigned refusals; /* by the database, one after the other */
	int64_t wait_ms;   /* valid while orders are folded anew: until the next plan */
	int64_t limit,
		limit_told;    /* the API's, as it told it last, and the database of it; 0: none */
	enum torque_kind kind; /* of the last call, as are the next two */
	char priority[RECONCILE_WORD_MAX];
	bool unrecorded; /* it has ended and the database does not know; then the rest is valid */
	enum torque_end end;
	struct call_record call_record; /* valid, but for its call_id, while unrecorded */
	char *body;                     /* of a good answer */
	size_t body_len;
	char order_id[FACT_ORDER_ID_MAX + 1]; /* of the last lookup */
	struct call_record_facts facts;

	loop_fired *drained; /* NULL: not draining */
	void *drained_owner;
	bool ended;             /* drained has been called */
	struct problem problem; /* of the last call or the last step that failed; or "" */
};

static void open_store(struct reconcile *reconcile);
static bool ask_in(struct reconcile *reconcile);
static void next_planned(void *tag, const struct store_result *result);
static void orders_refolded(void *tag, const struct store_result *result);
static void call_answered(void *tag, const struct torque_answer *answer);
static void answer_recorded(void *tag, const struct store_result *result);

static struct store_param text_param(const char *text)
{
	return (struct store_param){ .bytes = text, .len = strlen(text) };
}

struct store_call reconcile_shop(const struct reconcile_options *options, bool claims)
{
	return (struct store_call){
		.statement = "select torque.poll_for($1, $2, $3)",
		.param_count = 3,
		.params = { text_param(options->base_url), text_param(options->business_id),
			text_param(claims ? "true" : "false") },
	};
}

/* One round: what the last call brought is recorded, then the next one is planned. */

static void plan_after(struct reconcile *reconcile, int64_t wait_ms)
{
	int64_t bounded_ms = wait_ms < RECONCILE_WAIT_MIN_MS ? RECONCILE_WAIT_MIN_MS : wait_ms;

	if (bounded_ms > RECONCILE_WAIT_MAX_MS) {
		bounded_ms = RECONCILE_WAIT_MAX_MS;
	}
	reconcile->busy = false;
	loop_timer_start(reconcile->next, reconcile->drained ? 0 : bounded_ms);
}

static void forget_answer(struct reconcile *reconcile)
{
	free(reconcile->body);
	reconcile->body = NULL;
	reconcile->unrecorded = false;
}

static void record_call(struct reconcile *reconcile);

/* Other settings are those of another session. */
static void take_change(struct reconcile *reconcile)
{
	char setup[SCHEDULE_SETUP_MAX];

	if (!reconcile->changed) {
		return;
	}
	reconcile->access_told = false;
	torque_free(reconcile->torque);
	reconcile->torque = reconcile->changed;
	reconcile->changed = NULL;
	schedule_setup(&reconcile->options.schedule, setup);
	if (strcmp(setup, reconcile->setup) != 0) {
		store_free(reconcile->store);
		open_store(reconcile);
	}
}

/* One transaction; its result is that of the plan. By this host's clock, as all that is said of
 * answers: by a database's that is ahead of it every wait which the API asked for would be over. */
static bool plan_next(struct reconcile *reconcile)
{
	char now[STAMP_TEXT_MAX], uptime[CALL_RECORD_NUMBER_MAX];
	char limit[CALL_RECORD_NUMBER_MAX], access[TORQUE_ACCESS_MAX];
	struct store_call calls[3];
	size_t count = 0;

	call_record_now(now, uptime);
	snprintf(limit, sizeof(limit), "%" PRId64, reconcile->limit);
	if (!reconcile->access_told) {
		torque_access(reconcile->torque, access);
		calls[count++] =
			(struct store_call){ .statement = "select torque.access_is($1::text)",
				.param_count = 1,
				.params = { text_param(access) } };
	}
	if (reconcile->limit != reconcile->limit_told) {
		calls[count++] =
			(struct store_call){ .statement =
						     "select torque.rate_limit_told($1::integer)",
				.param_count = 1,
				.params = { text_param(limit) } };
	}
	calls[count++] = (struct store_call){
		.statement = "select action, call_id, wait_ms, order_id, details, created_from, "
			     "created_to, status, page_limit, page_offset, priority, "
			     "behind_s, alarms_open, blind, clock_ahead_s "
			     "from torque.reconcile_next($1::timestamptz, $2::bigint)",
		.param_count = 2,
		.params = { text_param(now), text_param(uptime) },
	};
	return store_run(reconcile->store, calls, count, next_planned, reconcile);
}

/* The timer, and every new connection. */
static void next_due(void *owner)
{
	struct reconcile *reconcile = owner;

	if (reconcile->busy || reconcile->ended) {
		return;
	}
	if (reconcile->unrecorded && store_ready(reconcile->store)) {
		record_call(reconcile);
	} else if (reconcile->drained) {
		reconcile->ended = true;
		reconcile->drained(reconcile->drained_owner);
	} else {
		take_change(reconcile);
		reconcile->busy = reconcile->admitted ? plan_next(reconcile) : ask_in(reconcile);
	}
}

static struct text redacted(const struct store_result *result)
{
	bool quotes = result->end == STORE_REFUSED &&
		      refusal_quotes_data(refusal_of(result->sqlstate, false));

	return quotes ? TEXT("its log says why") : result->message;
}

static void step_refused(struct reconcile *reconcile, const struct store_result *result)
{
	int64_t wait_ms = (int64_t)RECONCILE_AGAIN_MS
			  << (reconcile->refusals < 8 ? reconcile->refusals : 8);
	struct text message = redacted(result);

	reconcile->refusals++;
	problem_say(&reconcile->problem, "the database: %.*s", (int)message.len, message.ptr);
	log_event(LOG_ERROR, "reconcile_refused",
		LOG_FIELDS(LOG_STRING("sqlstate", result->sqlstate), LOG_TEXT("error", message)));
	plan_after(reconcile, wait_ms < RECONCILE_AGAIN_MAX_MS ? wait_ms : RECONCILE_AGAIN_MAX_MS);
}

/* What the database refused before is no problem any more. */
static void step_taken(struct reconcile *reconcile)
{
	if (reconcile->refusals > 0) {
		reconcile->refusals = 0;
		reconcile->problem.text[0] = '\0';
	}
}

/* The shop. */

static void shop_told(void *tag, const struct store_result *result)
{
	struct reconcile *reconcile = tag;

	if (result->end != STORE_COMMITTED) {
		step_refused(reconcile, result);
		return;
	}
	step_taken(reconcile);
	reconcile->admitted = result->value.len == 0;
	if (!reconcile->admitted) {
		problem_say(&reconcile->problem, "%.*s", (int)result->value.len, result->value.ptr);
		log_event(LOG_ERROR, "shop_differs",
			LOG_FIELDS(LOG_STRING("error", reconcile->problem.text)));
	} else if (reconcile->foreign) {
		reconcile->problem.text[0] = '\0';
	}
	reconcile->foreign = !reconcile->admitted;
	plan_after(reconcile, reconcile->admitted ? 0 : RECONCILE_SHOP_MS);
}

static bool ask_in(struct reconcile *reconcile)
{
	const struct store_call call = reconcile_shop(&reconcile->options, true);

	return store_run(reconcile->store, &call, 1, shop_told, reconcile);
}

/* The plan. */

static struct text column(const struct store_result *plan, enum plan_column index)
{
	assert(plan->column_count == PLAN_COLUMNS);
	return plan->columns[index];
}

static bool column_is(const struct store_result *plan, enum plan_column index, const char *word)
{
	return text_equal(column(plan, index), text_of(word));
}

static int64_t number(struct text digits, int64_t fallback)
{
	uint64_t value = 0;

	return text_to_u64(digits, &value) && value <= INT32_MAX ? (int64_t)value : fallback;
}

static void copy_text(struct text value, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)value.len, value.len > 0 ? value.ptr : "");
}

static bool read_list(const struct store_result *plan, struct api_target_list *list)
{
	int64_t offset = number(column(plan, PLAN_OFFSET), -1);

	list->limit = (unsigned)number(column(plan, PLAN_LIMIT), 0);
	list->offset = (unsigned)offset;
	list->status = column(plan, PLAN_STATUS);
	list->has_from = column(plan, PLAN_FROM).len > 0;
	list->has_to = column(plan, PLAN_TO).len > 0;
	return offset >= 0 &&
	       (!list->has_from || stamp_parse(column(plan, PLAN_FROM), &list->from_us)) &&
	       (!list->has_to || stamp_parse(column(plan, PLAN_TO), &list->to_us));
}

/* False: the call cannot be made. */
static bool ask(struct reconcile *reconcile, const struct store_result *plan)
{
	struct torque_call call = { .kind = reconcile->kind };

	if (reconcile->kind == TORQUE_SHOW) {
		call.order_id = column(plan, PLAN_ORDER_ID);
		copy_text(call.order_id, reconcile->order_id, sizeof(reconcile->order_id));
		call.details = column_is(plan, PLAN_DETAILS, "t");
	} else if (!read_list(plan, &call.list)) {
		return false;
	}
	return torque_ask(reconcile->torque, &call, call_answered, reconcile);
}

/* A plan that cannot be carried out has to end all the same, or it would be made again for ever. */
static void call_impossible(struct reconcile *reconcile)
{
	static const struct torque_answer none = {
		.remaining = -1,
		.problem = { "no request can be made of this plan" },
	};

	reconcile->end = TORQUE_REFUSED;
	call_record_answer(&reconcile->call_record, &none);
	reconcile->unrecorded = true;
	plan_after(reconcile, 0);
}

static void make_call(struct reconcile *reconcile, const struct store_result *plan)
{
	reconcile->kind = column_is(plan, PLAN_ACTION, "list") ? TORQUE_LIST : TORQUE_SHOW;
	copy_text(column(plan, PLAN_CALL_ID), reconcile->call_record.call_id,
		sizeof(reconcile->call_record.call_id));
	copy_text(column(plan, PLAN_PRIORITY), reconcile->priority, sizeof(reconcile->priority));
	if (!ask(reconcile, plan)) {
		call_impossible(reconcile);
	}
}

/* While there is nothing to ask: the orders that were made under older rules, some at a time, in a
 * transaction of their own. */
static void refold(struct reconcile *reconcile)
{
	const struct store_call call = { .statement = "select torque.refold_some()" };

	reconcile->busy = store_run(reconcile->store, &call, 1, orders_refolded, reconcile);
	if (!reconcile->busy) {
		plan_after(reconcile, reconcile->wait_ms);
	}
}

static void next_planned(void *tag, const struct store_result *result)
{
	struct reconcile *reconcile = tag;

	if (result->end != STORE_COMMITTED) {
		step_refused(reconcile, result);
		return;
	}
	reconcile->access_told = !column_is(result, PLAN_ACTION, "standby");
	reconcile->limit_told = reconcile->limit;
	step_taken(reconcile);
	standing_note_standby(&reconcile->standing, column_is(result, PLAN_ACTION, "standby"));
	standing_note_sight(&reconcile->standing, column(result, PLAN_BLIND),
		number(column(result, PLAN_BEHIND), 0), number(column(result, PLAN_ALARMS), 0));
	standing_note_clock(column(result, PLAN_CLOCK_AHEAD));
	if (column_is(result, PLAN_ACTION, "stopped")) {
		if (!reconcile->standing.stopped) { /* it was so before this process began */
			problem_say(&reconcile->problem, "the API refuses the key");
		}
		standing_note_stopped(&reconcile->standing, true, reconcile->problem.text);
	}
	reconcile->wait_ms = number(column(result, PLAN_WAIT_MS), RECONCILE_AGAIN_MS);
	if (reconcile->standing.standby || reconcile->drained) {
		plan_after(reconcile, reconcile->wait_ms);
	} else if (column(result, PLAN_CALL_ID).len > 0) {
		make_call(reconcile, result);
	} else {
		refold(reconcile);
	}
}

/* What the database refuses here keeps no call waiting. */
static void orders_refolded(void *tag, const struct store_result *result)
{
	struct reconcile *reconcile = tag;
	bool done = result->end != STORE_COMMITTED || text_equal(result->value, TEXT("0"));

	if (result->end == STORE_REFUSED) {
		log_event(LOG_ERROR, "refold_refused",
			LOG_FIELDS(LOG_STRING("sqlstate", result->sqlstate),
				LOG_TEXT("error", redacted(result))));
	}
	plan_after(reconcile, done ? reconcile->wait_ms : 0);
}

/* The answer. */

/* That is an answer like others; lists are there or the address is wrong. */
static bool is_unknown_order(const struct reconcile *reconcile, const struct torque_answer *answer)
{
	return reconcile->kind == TORQUE_SHOW && answer->end == TORQUE_NOT_FOUND;
}

static void log_call(const struct reconcile *reconcile, const struct torque_answer *answer)
{
	int64_t took_ms = (answer->answered_us - answer->asked_us) / 1000;

	if (answer->end == TORQUE_GOOD || is_unknown_order(reconcile, answer) ||
		answer->end == TORQUE_DROPPED) {
		log_event(LOG_DEBUG, answer->end == TORQUE_DROPPED ? "api_dropped" : "api_answered",
			LOG_FIELDS(LOG_STRING("priority", reconcile->priority),
				LOG_INT("status", answer->status), LOG_INT("ms", took_ms)));
	} else {
		log_event(LOG_WARNING, "api_failed",
			LOG_FIELDS(LOG_STRING("end", torque_end_name(answer->end)),
				LOG_STRING("priority", reconcile->priority),
				LOG_INT("status", answer->status), LOG_INT("ms", took_ms),
				LOG_STRING("error", answer->problem.text)));
	}
}

/* Kept until the database has it. */
static void keep_answer(struct reconcile *reconcile, const struct torque_answer *answer)
{
	reconcile->unrecorded = true;
	reconcile->end = answer->end;
	call_record_answer(&reconcile->call_record, answer);
	if (reconcile->kind == TORQUE_LIST && answer->status == 404) {
		reconcile->end = TORQUE_NOT_FOUND;
		problem_say(&reconcile->call_record.problem,
			"HTTP 404 to a list of orders: is torque.base_url right?");
	}
	if (answer->end != TORQUE_GOOD) {
		return;
	}
	reconcile->body = malloc(answer->body.len);
	reconcile->body_len = answer->body.len;
	if (!reconcile->body) {
		reconcile->end = TORQUE_MALFORMED;
		problem_say(&reconcile->call_record.problem, "no memory for the answer");
		return;
	}
	memcpy(reconcile->body, answer->body.ptr, answer->body.len);
}

static void call_answered(void *tag, const struct torque_answer *answer)
{
	struct reconcile *reconcile = tag;

	log_call(reconcile, answer);
	reconcile->limit = answer->limit > 0 ? answer->limit : reconcile->limit;
	keep_answer(reconcile, answer);
	reconcile->problem = reconcile->call_record.problem;
	if (is_unknown_order(reconcile, answer) || answer->end == TORQUE_DROPPED) {
		reconcile->problem.text[0] = '\0';
	}
	if (torque_end_knows_key(answer->end)) {
		standing_note_stopped(&reconcile->standing, answer->end == TORQUE_UNAUTHORIZED,
			reconcile->problem.text);
	}
	record_call(reconcile);
}

/* The record: the answer and the end of its place in the budget, in one transaction. */

static bool answer_of(struct reconcile *reconcile, struct store_call *ret_call)
{
	struct text body = { reconcile->body, reconcile->body_len };

	return reconcile->kind == TORQUE_LIST
		       ? call_record_page(
				 &reconcile->call_record, body, &reconcile->facts, ret_call)
		       : call_record_lookup(&reconcile->call_record, body,
				 text_of(reconcile->order_id), &reconcile->facts, ret_call);
}

/* The shape of a good answer was looked at when it came: what is left is too large. */
static struct store_call record_of(struct reconcile *reconcile)
{
	struct store_call call;

	if (reconcile->end == TORQUE_GOOD && answer_of(reconcile, &call)) {
		return call;
	}
	if (reconcile->end == TORQUE_GOOD) {
		reconcile->end = TORQUE_MALFORMED;
		problem_say(&reconcile->call_record.problem, "no memory for what the answer says");
	}
	return call_record_failed(&reconcile->call_record, reconcile->end);
}

/* Without a connection it waits for the next one. */
static void record_call(struct reconcile *reconcile)
{
	const struct store_call call = record_of(reconcile);

	reconcile->busy = store_run(reconcile->store, &call, 1, answer_recorded, reconcile);
	if (!reconcile->busy) {
		plan_after(reconcile, RECONCILE_AGAIN_MS);
	}
}

/* What the database cannot take in is an answer that cannot be used. */
static void record_refused(struct reconcile *reconcile, const struct store_result *result)
{
	bool given_up = refusal_of(result->sqlstate, false) == REFUSAL_DATA ||
			reconcile->refusals + 1 >= RECONCILE_RECORD_TRIES;

	if (given_up && reconcile->end == TORQUE_GOOD) {
		reconcile->end = TORQUE_MALFORMED;
		problem_say(&reconcile->call_record.problem, "the database refused the answer (%s)",
			result->sqlstate);
		reconcile->refusals = 0;
	} else if (given_up) {
		forget_answer(reconcile);
	}
	step_refused(reconcile, result);
}

static void log_verdict(struct text verdict)
{
	if (text_equal(verdict, TEXT("incomplete"))) {
		log_event(LOG_WARNING, "reconcile_doubtful",
			LOG_FIELDS(LOG_TEXT("verdict", verdict)));
	} else {
		log_event(
			LOG_DEBUG, "reconcile_recorded", LOG_FIELDS(LOG_TEXT("verdict", verdict)));
	}
}

static void answer_recorded(void *tag, const struct store_result *result)
{
	struct reconcile *reconcile = tag;

	switch (result->end) {
	case STORE_COMMITTED:
		step_taken(reconcile);
		forget_answer(reconcile);
		log_verdict(result->value);
		plan_after(reconcile, 0);
		return;
	case STORE_REFUSED:
		record_refused(reconcile, result);
		return;
	case STORE_UNSURE:
		/* A call that has been ended once is not ended again. */
		plan_after(reconcile, RECONCILE_AGAIN_MS);
		return;
	}
}

/* Begin and end. */

static void connected(void *owner)
{
	metrics_set(METRIC_RECONCILE_CONNECTED, 1);
	next_due(owner);
}

static void disconnected(void *owner)
{
	struct reconcile *reconcile = owner;

	reconcile->admitted = false;
	metrics_set(METRIC_RECONCILE_CONNECTED, 0);
}

static void open_store(struct reconcile *reconcile)
{
	static const struct store_events events = {
		.connected = connected,
		.disconnected = disconnected,
	};
	struct store_options store = reconcile->options.store;

	schedule_setup(&reconcile->options.schedule, reconcile->setup);
	store.setup = reconcile->setup;
	reconcile->store = store_new(reconcile->loop, &store, &events, reconcile);
}

struct reconcile *reconcile_new(
	struct loop *loop, const struct reconcile_options *options, struct torque *torque)
{
	struct reconcile *reconcile = memory_new(sizeof(*reconcile));

	reconcile->loop = loop;
	reconcile->options = *options;
	reconcile->torque = torque;
	reconcile->next = loop_timer_new(loop, next_due, reconcile);
	call_record_facts_init(&reconcile->facts);
	open_store(reconcile);
	return reconcile;
}

void reconcile_free(struct reconcile *reconcile)
{
	if (!reconcile) {
		return;
	}
	torque_free(reconcile->torque);
	torque_free(reconcile->changed);
	store_free(reconcile->store);
	loop_timer_free(reconcile->next);
	call_record_facts_fini(&reconcile->facts);
	free(reconcile->body);
	free(reconcile);
}

void reconcile_change(
	struct reconcile *reconcile, const struct reconcile_options *options, struct torque *torque)
{
	torque_free(reconcile->changed);
	reconcile->options = *options;
	reconcile->changed = torque;
	reconcile->admitted = false;
	if (!reconcile->busy) {
		loop_timer_start(reconcile->next, 0);
	}
}

void reconcile_drain(struct reconcile *reconcile, loop_fired *drained, void *owner)
{
	reconcile->drained = drained;
	reconcile->drained_owner = owner;
	if (!reconcile->busy) {
		loop_timer_start(reconcile->next, 0);
	}
}

bool reconcile_connected(const struct reconcile *reconcile)
{
	return store_problem(reconcile->store)[0] == '\0';
}

const char *reconcile_blind(const struct reconcile *reconcile)
{
	return reconcile->standing.blind.text;
}

bool reconcile_standby(const struct reconcile *reconcile)
{
	return reconcile->standing.standby;
}

const char *reconcile_problem(const struct reconcile *reconcile)
{
	return reconcile_connected(reconcile) ? reconcile->problem.text
					      : store_problem(reconcile->store);
}
