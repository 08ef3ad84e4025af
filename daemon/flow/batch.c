/* Many facts, one transaction: add -> gather -> send -> (commit) -> next batch -> end. Read
 * downwards: the functions stand in the order in which a fact meets them. */
#include "flow/batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "flow/ingest.h"
#include "flow/retry.h"

enum {
	BATCH_MAGIC = 0x42415443,
	BATCH_NAME_MAX = 64,
	/* A transaction takes long when it takes longer than a quick disk and a processor do, */
	BATCH_LONG_MS = 2,
	BATCH_FACTS_PER_MS = 12,
	/* and is stuck when it takes longer than to the farthest standby. */
	BATCH_STUCK_MS = 250,
};

static const char notify_on[] = "select set_config('orderd.notify', 'on', false)";

/* A fact between batch_add() and its done. */
struct batch_fact {
	struct queue_fact queued; /* first: queues know nothing but this */
	TAILQ_ENTRY(batch_fact) by_age;
	struct batch *batch;
	batch_done *done;
	void *tag;
};

TAILQ_HEAD(age_list, batch_fact);

struct connection {
	struct batch *batch;
	struct store *store;
	bool connected;
	struct flight flight;
	int64_t sent_us; /* valid while facts are in flight */
	int64_t sent_ms; /* likewise, monotonic */
	struct ingest ingest;
};

struct batch {
	unsigned magic;
	struct loop *loop;
	int64_t keep_ms;
	struct queue queue;
	unsigned connections_count;
	struct connection connections[BATCH_CONNECTIONS_MAX];
	struct age_list by_age; /* and so by deadline */
	size_t count;
	size_t bytes;
	struct loop_task *sending;
	struct loop_timer *timer; /* deferred facts, and deadlines that pass */
	int64_t wake_ms;          /* when the timer fires; 0 = it is stopped */
	bool closing;
	struct log_limit refused;
	struct log_limit lost;
};

/* Begin and end. */

static void send_ready(void *owner);
static void time_passed(void *owner);

static void connected(void *owner)
{
	struct connection *connection = owner;

	assert(connection->batch->magic == BATCH_MAGIC);
	connection->connected = true;
	loop_task_post(connection->batch->sending);
}

static void disconnected(void *owner)
{
	struct connection *connection = owner;

	assert(connection->batch->magic == BATCH_MAGIC);
	connection->connected = false;
	/* What waits for this connection may go by another one. */
	loop_task_post(connection->batch->sending);
}

static void open_connection(
	struct batch *batch, unsigned index, const struct batch_options *options)
{
	static const struct store_events events = {
		.connected = connected,
		.disconnected = disconnected,
	};
	struct connection *connection = &batch->connections[index];
	struct store_options store = options->store;
	char name[BATCH_NAME_MAX];

	connection->batch = batch;
	queue_join(&batch->queue, &connection->flight);
	ingest_init(&connection->ingest);
	snprintf(name, sizeof(name), "%s %u/%u",
		store.application_name ? store.application_name : "orderd", index + 1,
		batch->connections_count);
	store.application_name = name;
	store.setup = options->notify ? notify_on : NULL;
	connection->store = store_new(batch->loop, &store, &events, connection);
}

struct batch *batch_new(struct loop *loop, const struct batch_options *options)
{
	struct batch *batch = memory_new(sizeof(*batch));

	assert(options->connections > 0 && options->connections <= BATCH_CONNECTIONS_MAX);
	batch->magic = BATCH_MAGIC;
	batch->loop = loop;
	batch->keep_ms = options->keep_ms;
	batch->connections_count = options->connections;
	batch->sending = loop_task_new(loop, send_ready, batch);
	batch->timer = loop_timer_new(loop, time_passed, batch);
	TAILQ_INIT(&batch->by_age);
	queue_init(&batch->queue);
	for (unsigned i = 0; i < batch->connections_count; i++) {
		open_connection(batch, i, options);
	}
	return batch;
}

static void close_connection(struct connection *connection)
{
	store_free(connection->store);
	ingest_fini(&connection->ingest);
}

static void end_fact(struct batch_fact *fact, enum batch_end end);

void batch_free(struct batch *batch)
{
	struct batch_fact *fact;

	if (!batch) {
		return;
	}
	batch->closing = true;
	for (unsigned i = 0; i < batch->connections_count; i++) {
		close_connection(&batch->connections[i]);
	}
	while ((fact = TAILQ_FIRST(&batch->by_age))) {
		end_fact(fact, BATCH_LOST);
	}
	loop_task_free(batch->sending);
	loop_timer_free(batch->timer);
	batch->magic = 0;
	free(batch);
}

bool batch_full(const struct batch *batch)
{
	return batch->closing || batch->count >= BATCH_QUEUE_FACTS_MAX ||
	       batch->bytes >= BATCH_QUEUE_BYTES_MAX;
}

size_t batch_waiting(const struct batch *batch)
{
	return batch->count;
}

bool batch_connected(const struct batch *batch)
{
	for (unsigned i = 0; i < batch->connections_count; i++) {
		if (batch->connections[i].connected) {
			return true;
		}
	}
	return false;
}

const char *batch_problem(const struct batch *batch)
{
	return batch_connected(batch) ? "" : store_problem(batch->connections[0].store);
}

/* Adding. */

/* NULL: no memory. */
static struct batch_fact *copy_fact(struct batch *batch, const struct fact *fact)
{
	struct batch_fact *copy = malloc(sizeof(*copy) + fact_borrowed_bytes(fact));

	if (!copy) {
		return NULL;
	}
	*copy = (struct batch_fact){
		.batch = batch,
		.queued = {
			.deadline_ms = clock_mono_ms() + batch->keep_ms,
			.batch_limit = BATCH_FACTS_MAX,
		},
	};
	fact_copy(fact, (char *)(copy + 1), &copy->queued.fact);
	return copy;
}

/* The timer fires at the earliest time it was asked for. */
static void wake_at(struct batch *batch, int64_t at_ms)
{
	int64_t after_ms = at_ms - clock_mono_ms();

	if (batch->wake_ms == 0 || at_ms < batch->wake_ms) {
		batch->wake_ms = at_ms;
		loop_timer_start(batch->timer, after_ms > 0 ? after_ms : 0);
	}
}

bool batch_add(struct batch *batch, const struct fact *fact, batch_done *done, void *tag)
{
	if (batch_full(batch) || fact->body.len > BATCH_QUEUE_BYTES_MAX - batch->bytes) {
		return false;
	}
	struct batch_fact *copy = copy_fact(batch, fact);

	if (!copy) {
		return false;
	}
	copy->done = done;
	copy->tag = tag;
	queue_add(&batch->queue, &copy->queued);
	TAILQ_INSERT_TAIL(&batch->by_age, copy, by_age);
	batch->count++;
	batch->bytes += fact->body.len;
	metrics_set(METRIC_FACTS_QUEUED, (int64_t)batch->count);
	wake_at(batch, copy->queued.deadline_ms);
	loop_task_post(batch->sending);
	return true;
}

/* The last thing that happens to a fact; the caller has taken it out of its queue. */
static void end_fact(struct batch_fact *fact, enum batch_end end)
{
	struct batch *batch = fact->batch;
	batch_done *done = fact->done;
	void *tag = fact->tag;
	enum outcome outcome = fact->queued.outcome;

	TAILQ_REMOVE(&batch->by_age, fact, by_age);
	batch->count--;
	batch->bytes -= fact->queued.fact.body.len;
	metrics_set(METRIC_FACTS_QUEUED, (int64_t)batch->count);
	free(fact);
	done(tag, end, outcome);
}

static void log_lost(struct batch *batch)
{
	int64_t count = log_limit(&batch->lost);

	if (count > 0) {
		log_event(LOG_WARNING, "facts_lost",
			LOG_FIELDS(LOG_INT("count", count),
				LOG_STRING("database", batch_problem(batch))));
	}
}

/* Those in flight are past losing: their transaction says how they end. */
static struct batch_fact *oldest_not_in_flight(const struct batch *batch)
{
	struct batch_fact *fact;

	TAILQ_FOREACH(fact, &batch->by_age, by_age)
	{
		if (fact->queued.place != QUEUE_IN_FLIGHT) {
			return fact;
		}
	}
	return NULL;
}

static void lose_too_old(struct batch *batch)
{
	int64_t now_ms = clock_mono_ms();
	struct batch_fact *fact;

	while ((fact = oldest_not_in_flight(batch)) && fact->queued.deadline_ms <= now_ms) {
		queue_remove(&batch->queue, &fact->queued);
		log_lost(batch);
		end_fact(fact, BATCH_LOST);
	}
}

/* Sending. */

static void batch_ended(void *tag, const struct store_result *result);

/* False: no memory. */
static bool send_gathered(struct connection *connection)
{
	struct flight *flight = &connection->flight;
	struct store_call calls[INGEST_CALLS_MAX];
	struct queue_fact *fact;
	size_t count;

	ingest_clear(&connection->ingest);
	TAILQ_FOREACH(fact, &flight->facts, entry)
	{
		ingest_add(&connection->ingest, &fact->fact);
	}
	if (!ingest_calls(
		    &connection->ingest, TAILQ_FIRST(&flight->facts)->isolated, calls, &count)) {
		return false;
	}
	metrics_observe(HISTOGRAM_BATCH_FACTS, (double)flight->count);
	connection->sent_us = clock_wall_us();
	connection->sent_ms = clock_mono_ms();
	return store_run(connection->store, calls, count, batch_ended, connection);
}

static void set_timer(struct batch *batch)
{
	const struct batch_fact *oldest = oldest_not_in_flight(batch);
	int64_t retry_ms = queue_next_retry_ms(&batch->queue);

	if (oldest) {
		wake_at(batch, oldest->queued.deadline_ms);
	}
	if (retry_ms > 0) {
		wake_at(batch, retry_ms);
	}
}

static void send_next(struct connection *connection)
{
	struct batch *batch = connection->batch;
	struct flight *flight = &connection->flight;

	lose_too_old(batch); /* the loop may be late */
	queue_gather(&batch->queue, flight);
	if (flight->count > 0 && !send_gathered(connection)) {
		struct queue_list unsent;

		log_event(LOG_ERROR, "no_memory",
			LOG_FIELDS(LOG_INT("facts", (int64_t)flight->count)));
		queue_take_batch(flight, &unsent);
		retry_later(&batch->queue, &unsent);
		set_timer(batch);
	}
}

/* When another transaction may begin beside the one that this connection has out: when that takes
 * long, as until then the next batch grows; and then with no fewer facts, as small ones cost more
 * than they save, unless it is stuck. 0: at once. */
static int64_t next_ms(const struct connection *connection)
{
	size_t count = connection->flight.count;

	if (count == 0) {
		return 0;
	}
	if (connection->batch->queue.count < count) {
		return connection->sent_ms + BATCH_STUCK_MS;
	}
	return connection->sent_ms + BATCH_LONG_MS + (int64_t)count / BATCH_FACTS_PER_MS;
}

/* Whether another transaction may begin now; false: it is looked at again when time allows. */
static bool may_begin(struct batch *batch)
{
	int64_t at_ms = 0;

	if (queue_full(&batch->queue)) {
		return true;
	}
	for (unsigned i = 0; i < batch->connections_count; i++) {
		int64_t this_ms = next_ms(&batch->connections[i]);

		at_ms = this_ms > at_ms ? this_ms : at_ms;
	}
	if (at_ms <= clock_mono_ms()) {
		return true;
	}
	wake_at(batch, at_ms);
	return false;
}

/* By the first connections that are there and free. */
static void send_ready(void *owner)
{
	struct batch *batch = owner;

	assert(batch->magic == BATCH_MAGIC);
	for (unsigned i = 0; i < batch->connections_count && batch->queue.count > 0; i++) {
		if (store_ready(batch->connections[i].store) && may_begin(batch)) {
			send_next(&batch->connections[i]);
		}
	}
}

/* The transaction has ended. */

static bool read_outcomes(struct queue_list *facts, struct text value)
{
	enum outcome outcomes[BATCH_FACTS_MAX];
	struct queue_fact *fact;
	size_t usable = 0;
	size_t i = 0;

	TAILQ_FOREACH(fact, facts, entry)
	{
		usable += !fact->fact.unusable;
	}
	if (!ingest_outcomes(value, usable, outcomes)) {
		return false;
	}
	TAILQ_FOREACH(fact, facts, entry)
	{
		fact->outcome = fact->fact.unusable ? OUTCOME_QUARANTINED : outcomes[i++];
	}
	return true;
}

/* How those end that are left in facts. */
static enum batch_end take_outcomes(
	struct connection *connection, struct queue_list *facts, struct text value)
{
	metrics_add(METRIC_BATCHES_COMMITTED, 1);
	metrics_observe(
		HISTOGRAM_COMMIT_SECONDS, (double)(clock_wall_us() - connection->sent_us) / 1e6);
	if (!read_outcomes(facts, value)) {
		/* They are durable, but nobody can say what they became: let the senders ask. */
		log_event(LOG_ERROR, "ingest_unreadable", NULL);
		return BATCH_LOST;
	}
	retry_committed(&connection->batch->queue, facts);
	return BATCH_COMMITTED;
}

static void log_refused(
	struct batch *batch, enum refusal refusal, const struct store_result *result)
{
	bool operators = refusal == REFUSAL_OPERATOR;
	int64_t count = log_limit(&batch->refused);

	if (count > 0) {
		log_event(operators ? LOG_ERROR : LOG_WARNING,
			operators ? "database_refuses" : "batch_refused",
			LOG_FIELDS(LOG_INT("count", count),
				LOG_STRING("sqlstate", result->sqlstate),
				LOG_TEXT("error", refusal_quotes_data(refusal) ? TEXT("")
									       : result->message)));
	}
}

/* What is left in facts is lost. An operator's error is told when it costs a fact. */
static void take_refusal(
	struct batch *batch, struct queue_list *facts, const struct store_result *result)
{
	bool isolated = TAILQ_FIRST(facts)->isolated;
	enum refusal refusal = refusal_of(result->sqlstate, result->raised_inside && !isolated);

	retry_refused(&batch->queue, facts, refusal, result->sqlstate);
	if (refusal != REFUSAL_OPERATOR || !TAILQ_EMPTY(facts)) {
		log_refused(batch, refusal, result);
	}
}

static void take_unsure(struct batch *batch, struct queue_list *facts, size_t count,
	const struct store_result *result)
{
	log_event(LOG_WARNING, "commit_unsure",
		LOG_FIELDS(LOG_INT("facts", (int64_t)count),
			LOG_STRING("sqlstate", result->sqlstate),
			LOG_TEXT("error", result->message)));
	metrics_add(METRIC_BATCHES_RETRIED, 1);
	retry_later(&batch->queue, facts);
}

static void end_all(struct batch *batch, struct queue_list *facts, enum batch_end end)
{
	struct queue_fact *fact;

	while ((fact = TAILQ_FIRST(facts))) {
		TAILQ_REMOVE(facts, fact, entry);
		if (end == BATCH_LOST) {
			log_lost(batch);
		}
		end_fact((struct batch_fact *)fact, end);
	}
}

/* The next batch goes before this one is answered: the database has work while we talk. */
static void batch_ended(void *tag, const struct store_result *result)
{
	struct connection *connection = tag;
	struct batch *batch = connection->batch;
	struct queue_list facts;
	size_t count = connection->flight.count;
	enum batch_end end = BATCH_LOST;

	assert(batch->magic == BATCH_MAGIC);
	queue_take_batch(&connection->flight, &facts);
	switch (result->end) {
	case STORE_COMMITTED:
		end = take_outcomes(connection, &facts, result->value);
		break;
	case STORE_REFUSED:
		take_refusal(batch, &facts, result);
		break;
	case STORE_UNSURE:
		take_unsure(batch, &facts, count, result);
		break;
	}
	set_timer(batch);
	send_ready(batch);
	end_all(batch, &facts, end);
}

/* Time passes. */

static void time_passed(void *owner)
{
	struct batch *batch = owner;
	int64_t now_ms = clock_mono_ms();

	assert(batch->magic == BATCH_MAGIC);
	batch->wake_ms = 0;
	lose_too_old(batch);
	queue_requeue_due(&batch->queue, now_ms);
	set_timer(batch);
	loop_task_post(batch->sending);
}
