/* add -> gather -> send -> (commit) -> next batch -> answer. Read downwards: the functions stand in
 * the order in which a fact meets them. */
#include "flow/batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "flow/ingest.h"

enum {
	BATCH_MAGIC = 0x42415443,
	BATCH_BYTES_MAX = 4 * 1024 * 1024, /* bodies of one transaction, but for a first one */
	BATCH_REST_MS = 25,                /* before a fact that was not taken is offered again */
	BATCH_REST_DOUBLINGS_MAX = 4,      /* while a connection is refused again and again */
	BATCH_NAME_MAX = 64,
};

static const char notify_on[] = "select set_config('orderd.notify', 'on', false)";

enum member_place {
	MEMBER_WAITING, /* in its shard's list of that name */
	MEMBER_FLYING,
	MEMBER_RESTING,
};

TAILQ_HEAD(member_list, member);

/* A fact between batch_add() and its done. */
struct member {
	TAILQ_ENTRY(member) entry;  /* of the list that place says */
	TAILQ_ENTRY(member) by_age; /* of batch->all */
	struct shard *shard;
	enum member_place place;
	struct fact fact; /* its body is ours, behind this struct */
	int64_t deadline_ms;
	int64_t rested_ms; /* valid while resting: when it is offered again */
	size_t batch_max;  /* facts of a batch that it may be part of */
	bool retried;      /* an operator's error was met once */
	bool each;         /* the database objected to a batch with it */
	char objection[sizeof("database_") + STORE_SQLSTATE_MAX]; /* to it alone: fact.unusable */
	enum outcome outcome; /* valid once its transaction has committed */
	batch_done *done;
	void *tag;
};

/* One connection, and the facts whose orders fall to it. */
struct shard {
	struct batch *batch;
	struct store *store;
	bool connected;
	struct member_list waiting; /* oldest first */
	struct member_list flying;  /* in the order in which they were sent */
	struct member_list resting; /* the first to be offered again first */
	size_t flying_count;
	unsigned refusals; /* of transactions in a row, none of them for its data */
	int64_t sent_us;   /* valid while facts fly */
	struct ingest ingest;
};

struct batch {
	unsigned magic;
	struct loop *loop;
	int64_t keep_ms;
	unsigned shards_count;
	struct shard shards[BATCH_CONNECTIONS_MAX];
	struct member_list all; /* by age, and so by deadline */
	size_t count;
	size_t bytes;
	struct loop_task *sending;
	struct loop_timer *timer; /* rests that end, deadlines that pass */
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
	struct shard *shard = owner;

	assert(shard->batch->magic == BATCH_MAGIC);
	shard->connected = true;
	loop_task_post(shard->batch->sending);
}

static void disconnected(void *owner)
{
	struct shard *shard = owner;

	assert(shard->batch->magic == BATCH_MAGIC);
	shard->connected = false;
	/* What waits for this connection may go by another one. */
	loop_task_post(shard->batch->sending);
}

static void open_shard(struct batch *batch, unsigned index, const struct batch_options *options)
{
	static const struct store_events events = {
		.connected = connected,
		.disconnected = disconnected,
	};
	struct shard *shard = &batch->shards[index];
	struct store_options store = options->store;
	char name[BATCH_NAME_MAX];

	shard->batch = batch;
	TAILQ_INIT(&shard->waiting);
	TAILQ_INIT(&shard->flying);
	TAILQ_INIT(&shard->resting);
	ingest_init(&shard->ingest);
	snprintf(name, sizeof(name), "%s %u/%u",
		store.application_name ? store.application_name : "orderd", index + 1,
		batch->shards_count);
	store.application_name = name;
	store.setup = options->notify ? notify_on : NULL;
	shard->store = store_new(batch->loop, &store, &events, shard);
}

struct batch *batch_new(struct loop *loop, const struct batch_options *options)
{
	struct batch *batch = memory_new(sizeof(*batch));

	assert(options->connections > 0 && options->connections <= BATCH_CONNECTIONS_MAX);
	batch->magic = BATCH_MAGIC;
	batch->loop = loop;
	batch->keep_ms = options->keep_ms;
	batch->shards_count = options->connections;
	batch->sending = loop_task_new(loop, send_ready, batch);
	batch->timer = loop_timer_new(loop, time_passed, batch);
	TAILQ_INIT(&batch->all);
	for (unsigned i = 0; i < batch->shards_count; i++) {
		open_shard(batch, i, options);
	}
	return batch;
}

static void close_shard(struct shard *shard)
{
	store_free(shard->store);
	ingest_fini(&shard->ingest);
}

static void answer(struct member *member, enum batch_end end);

void batch_free(struct batch *batch)
{
	struct member *member;

	if (!batch) {
		return;
	}
	batch->closing = true;
	for (unsigned i = 0; i < batch->shards_count; i++) {
		close_shard(&batch->shards[i]);
	}
	while ((member = TAILQ_FIRST(&batch->all))) {
		answer(member, BATCH_LOST);
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
	for (unsigned i = 0; i < batch->shards_count; i++) {
		if (batch->shards[i].connected) {
			return true;
		}
	}
	return false;
}

const char *batch_problem(const struct batch *batch)
{
	return batch_connected(batch) ? "" : store_problem(batch->shards[0].store);
}

/* Adding. */

/* FNV-1a */
static uint32_t hash(const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;
	uint32_t value = 2166136261U;

	for (size_t i = 0; i < len; i++) {
		value = (value ^ byte[i]) * 16777619U;
	}
	return value;
}

static struct shard *shard_of(struct batch *batch, const struct fact *fact)
{
	uint32_t number = fact->unusable ? hash(fact->key, sizeof(fact->key))
					 : hash(fact->order_id, strlen(fact->order_id));

	return &batch->shards[number % batch->shards_count];
}

/* NULL: no memory. */
static struct member *member_new(struct batch *batch, const struct fact *fact)
{
	struct member *member = malloc(sizeof(*member) + fact->body.len);

	if (!member) {
		return NULL;
	}
	*member = (struct member){
		.shard = shard_of(batch, fact),
		.fact = *fact,
		.deadline_ms = clock_mono_ms() + batch->keep_ms,
		.batch_max = BATCH_FACTS_MAX,
	};
	if (fact->body.len > 0) {
		memcpy(member + 1, fact->body.ptr, fact->body.len);
	}
	member->fact.body.ptr = (const char *)(member + 1);
	return member;
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
	struct member *member = member_new(batch, fact);

	if (!member) {
		return false;
	}
	member->done = done;
	member->tag = tag;
	TAILQ_INSERT_TAIL(&member->shard->waiting, member, entry);
	TAILQ_INSERT_TAIL(&batch->all, member, by_age);
	batch->count++;
	batch->bytes += fact->body.len;
	metrics_set(METRIC_FACTS_QUEUED, (int64_t)batch->count);
	wake_at(batch, member->deadline_ms);
	loop_task_post(batch->sending);
	return true;
}

/* The last thing that happens to a member; the caller has taken it out of the list of its place. */
static void answer(struct member *member, enum batch_end end)
{
	struct batch *batch = member->shard->batch;
	batch_done *done = member->done;
	void *tag = member->tag;
	enum outcome outcome = member->outcome;

	TAILQ_REMOVE(&batch->all, member, by_age);
	batch->count--;
	batch->bytes -= member->fact.body.len;
	metrics_set(METRIC_FACTS_QUEUED, (int64_t)batch->count);
	free(member);
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

static void lose(struct member *member)
{
	struct shard *shard = member->shard;

	assert(member->place != MEMBER_FLYING);
	TAILQ_REMOVE(
		member->place == MEMBER_WAITING ? &shard->waiting : &shard->resting, member, entry);
	log_lost(shard->batch);
	answer(member, BATCH_LOST);
}

/* Gathering. */

/* May it fly with the count others that fly already, of so many bytes? */
static bool fits(
	const struct shard *shard, const struct member *member, size_t batch_max, size_t bytes)
{
	const struct member *first = TAILQ_FIRST(&shard->flying);

	return !first ||
	       (shard->flying_count < batch_max && shard->flying_count < member->batch_max &&
		       member->each == first->each &&
		       bytes + member->fact.body.len <= BATCH_BYTES_MAX);
}

/* From the front of waiting, as many as fit; what is too old to be sent ends here. */
static void gather_from(
	struct shard *shard, struct member_list *waiting, size_t *batch_max, size_t *bytes)
{
	int64_t now_ms = clock_mono_ms();
	struct member *member;

	while ((member = TAILQ_FIRST(waiting))) {
		if (member->deadline_ms <= now_ms) {
			lose(member);
			continue;
		}
		if (!fits(shard, member, *batch_max, *bytes)) {
			return;
		}
		TAILQ_REMOVE(waiting, member, entry);
		TAILQ_INSERT_TAIL(&shard->flying, member, entry);
		member->place = MEMBER_FLYING;
		member->shard = shard;
		shard->flying_count++;
		*bytes += member->fact.body.len;
		if (member->batch_max < *batch_max) {
			*batch_max = member->batch_max;
		}
	}
}

/* Also what waits for connections that there are not. */
static void gather(struct shard *shard)
{
	struct batch *batch = shard->batch;
	size_t batch_max = BATCH_FACTS_MAX;
	size_t bytes = 0;

	gather_from(shard, &shard->waiting, &batch_max, &bytes);
	for (unsigned i = 0; i < batch->shards_count; i++) {
		if (!batch->shards[i].connected) {
			gather_from(shard, &batch->shards[i].waiting, &batch_max, &bytes);
		}
	}
}

/* Sending. */

static void batch_ended(void *tag, const struct store_result *result);

static bool send_flying(struct shard *shard)
{
	struct store_call calls[INGEST_CALLS_MAX];
	struct member *member;
	size_t count;

	ingest_clear(&shard->ingest);
	TAILQ_FOREACH(member, &shard->flying, entry)
	{
		ingest_add(&shard->ingest, &member->fact);
	}
	if (!ingest_calls(&shard->ingest, TAILQ_FIRST(&shard->flying)->each, calls, &count)) {
		return false;
	}
	metrics_observe(HISTOGRAM_BATCH_FACTS, (double)shard->flying_count);
	shard->sent_us = clock_wall_us();
	return store_run(shard->store, calls, count, batch_ended, shard);
}

static void offer_again(struct shard *shard, struct member_list *members, int64_t rest_ms);

static void send_next(struct shard *shard)
{
	if (!store_ready(shard->store)) {
		return;
	}
	gather(shard);
	if (shard->flying_count > 0 && !send_flying(shard)) {
		struct member_list unsent;

		log_event(LOG_ERROR, "no_memory",
			LOG_FIELDS(LOG_INT("facts", (int64_t)shard->flying_count)));
		TAILQ_INIT(&unsent);
		TAILQ_CONCAT(&unsent, &shard->flying, entry);
		shard->flying_count = 0;
		offer_again(shard, &unsent, BATCH_REST_MS);
	}
}

static void send_ready(void *owner)
{
	struct batch *batch = owner;

	assert(batch->magic == BATCH_MAGIC);
	for (unsigned i = 0; i < batch->shards_count; i++) {
		send_next(&batch->shards[i]);
	}
}

/* The transaction has ended. */

static void insert_rested(struct member_list *resting, struct member *member)
{
	struct member *before = TAILQ_LAST(resting, member_list);

	while (before && before->rested_ms > member->rested_ms) {
		before = TAILQ_PREV(before, member_list, entry);
	}
	if (before) {
		TAILQ_INSERT_AFTER(resting, before, member, entry);
	} else {
		TAILQ_INSERT_HEAD(resting, member, entry);
	}
}

static void offer_again(struct shard *shard, struct member_list *members, int64_t rest_ms)
{
	int64_t rested_ms = clock_mono_ms() + rest_ms;
	struct member *member;

	while ((member = TAILQ_FIRST(members))) {
		TAILQ_REMOVE(members, member, entry);
		member->place = MEMBER_RESTING;
		member->rested_ms = rested_ms;
		insert_rested(&shard->resting, member);
		wake_at(shard->batch, member->deadline_ms);
	}
	wake_at(shard->batch, rested_ms);
}

/* PostgreSQL writes each refusal into its log, which may be on the disk that is full. */
static int64_t refused_rest_ms(struct shard *shard)
{
	int64_t rest_ms = (int64_t)BATCH_REST_MS << shard->refusals;

	if (shard->refusals < BATCH_REST_DOUBLINGS_MAX) {
		shard->refusals++;
	}
	return rest_ms;
}

static void offer_at_once(struct shard *shard, struct member_list *members)
{
	struct member *member;

	TAILQ_FOREACH(member, members, entry)
	{
		member->place = MEMBER_WAITING;
	}
	TAILQ_CONCAT(members, &shard->waiting, entry);
	TAILQ_CONCAT(&shard->waiting, members, entry);
}

static bool read_outcomes(struct member_list *members, struct text value)
{
	enum outcome outcomes[BATCH_FACTS_MAX];
	struct member *member;
	size_t usable = 0;
	size_t i = 0;

	TAILQ_FOREACH(member, members, entry)
	{
		usable += !member->fact.unusable;
	}
	if (!ingest_outcomes(value, usable, outcomes)) {
		return false;
	}
	TAILQ_FOREACH(member, members, entry)
	{
		member->outcome = member->fact.unusable ? OUTCOME_QUARANTINED : outcomes[i++];
	}
	return true;
}

/* How those end that are left in members. */
static enum batch_end take_outcomes(
	struct shard *shard, struct member_list *members, const struct store_result *result)
{
	struct member_list busy;
	struct member *member, *next;

	shard->refusals = 0;
	metrics_add(METRIC_BATCHES_COMMITTED, 1);
	metrics_observe(HISTOGRAM_COMMIT_SECONDS, (double)(clock_wall_us() - shard->sent_us) / 1e6);
	if (!read_outcomes(members, result->value)) {
		/* They are durable, but nobody can say what they became: let the senders ask. */
		log_event(LOG_ERROR, "ingest_unreadable", NULL);
		return BATCH_LOST;
	}
	TAILQ_INIT(&busy);
	for (member = TAILQ_FIRST(members); member; member = next) {
		next = TAILQ_NEXT(member, entry);
		if (member->outcome == OUTCOME_BUSY) {
			TAILQ_REMOVE(members, member, entry);
			TAILQ_INSERT_TAIL(&busy, member, entry);
		}
	}
	if (!TAILQ_EMPTY(&busy)) {
		metrics_add(METRIC_BATCHES_RETRIED, 1);
		offer_again(shard, &busy, BATCH_REST_MS);
	}
	return BATCH_COMMITTED;
}

/* The message of an objection to data may quote it. */
static void log_refused(
	struct batch *batch, enum objection objection, const struct store_result *result)
{
	bool quotes = objection == OBJECTION_DATA || objection == OBJECTION_OTHER;
	enum log_level level = objection == OBJECTION_OPERATOR ? LOG_ERROR : LOG_WARNING;
	int64_t count = log_limit(&batch->refused);

	if (count > 0) {
		log_event(level,
			objection == OBJECTION_OPERATOR ? "database_refuses" : "batch_refused",
			LOG_FIELDS(LOG_INT("count", count),
				LOG_STRING("sqlstate", result->sqlstate),
				LOG_TEXT("error", quotes ? TEXT("") : result->message)));
	}
}

/* Halves, until the one that is to blame flies alone. */
static void halve_batch_max(struct member_list *members, size_t count)
{
	struct member *member;

	TAILQ_FOREACH(member, members, entry)
	{
		member->batch_max = count > 1 ? count / 2 : 1;
	}
}

/* Whoever replaces a function while it runs makes one transaction fail, which is no alarm: an
 * operator's error has to be met twice. */
static void excuse_once(struct shard *shard, struct member_list *members)
{
	struct member_list retried;
	struct member *member, *next;

	TAILQ_INIT(&retried);
	for (member = TAILQ_FIRST(members); member; member = next) {
		next = TAILQ_NEXT(member, entry);
		if (!member->retried) {
			member->retried = true;
			TAILQ_REMOVE(members, member, entry);
			TAILQ_INSERT_TAIL(&retried, member, entry);
		}
	}
	offer_again(shard, &retried, BATCH_REST_MS);
}

static void offer_each(struct shard *shard, struct member_list *members)
{
	struct member *member;

	metrics_add(METRIC_BATCHES_ISOLATED, 1);
	TAILQ_FOREACH(member, members, entry)
	{
		member->each = true;
	}
	offer_at_once(shard, members);
}

/* Even alone and in a subtransaction of its own it is refused, as by a constraint that is checked
 * at the commit. Its bytes are kept without being read. */
static void offer_as_unusable(
	struct shard *shard, struct member_list *members, const char *sqlstate)
{
	struct member *member = TAILQ_FIRST(members);

	snprintf(member->objection, sizeof(member->objection), "database_%s", sqlstate);
	member->fact.unusable = member->objection;
	offer_at_once(shard, members);
}

static void offer_halves(struct shard *shard, struct member_list *members, size_t count)
{
	metrics_add(METRIC_BATCHES_ISOLATED, 1);
	halve_batch_max(members, count);
	offer_at_once(shard, members);
}

/* What is left in members is lost. Whatever the objection, it may be to one fact alone: a trigger
 * of the merchant's that waits for a lock, or names a column that is no more, may do so for one
 * order only. So nobody is refused twice in the same company. */
static void take_refusal(struct shard *shard, struct member_list *members, size_t count,
	const struct store_result *result)
{
	enum objection objection = ingest_objection(result->sqlstate);

	switch (objection) {
	case OBJECTION_DATA:
		if (!TAILQ_FIRST(members)->each) {
			offer_each(shard, members);
		} else if (count > 1) {
			offer_halves(shard, members, count);
		} else if (!TAILQ_FIRST(members)->fact.unusable) {
			offer_as_unusable(shard, members, result->sqlstate);
		}
		break;
	case OBJECTION_OTHER:
		if (count > 1) {
			offer_halves(shard, members, count);
		}
		break;
	case OBJECTION_OPERATOR:
		excuse_once(shard, members);
		if (count > 1 && !TAILQ_EMPTY(members)) {
			offer_halves(shard, members, count);
		}
		break;
	case OBJECTION_SIZE:
	case OBJECTION_PASSING:
		halve_batch_max(members, count);
		offer_again(shard, members, refused_rest_ms(shard));
		break;
	}
	if (TAILQ_EMPTY(members)) {
		metrics_add(METRIC_BATCHES_RETRIED, 1);
	}
	if (objection != OBJECTION_OPERATOR || !TAILQ_EMPTY(members)) {
		log_refused(shard->batch, objection, result);
	}
}

/* The next batch goes before this one is answered: the database has work while we talk. */
static void batch_ended(void *tag, const struct store_result *result)
{
	struct shard *shard = tag;
	struct batch *batch = shard->batch;
	struct member_list ended;
	struct member *member;
	size_t count = shard->flying_count;
	enum batch_end end = BATCH_LOST;

	assert(batch->magic == BATCH_MAGIC);
	TAILQ_INIT(&ended);
	TAILQ_CONCAT(&ended, &shard->flying, entry);
	shard->flying_count = 0;
	switch (result->end) {
	case STORE_COMMITTED:
		end = take_outcomes(shard, &ended, result);
		break;
	case STORE_REFUSED:
		take_refusal(shard, &ended, count, result);
		break;
	case STORE_UNSURE:
		log_event(LOG_WARNING, "commit_unsure",
			LOG_FIELDS(LOG_INT("facts", (int64_t)count),
				LOG_STRING("sqlstate", result->sqlstate),
				LOG_TEXT("error", result->message)));
		metrics_add(METRIC_BATCHES_RETRIED, 1);
		offer_again(shard, &ended, BATCH_REST_MS);
		break;
	}

	send_next(shard);
	while ((member = TAILQ_FIRST(&ended))) {
		TAILQ_REMOVE(&ended, member, entry);
		if (end == BATCH_LOST) {
			log_lost(batch);
		}
		answer(member, end);
	}
}

/* Time passes. */

/* What has rested goes before what came later. */
static void wake_rested(struct shard *shard, int64_t now_ms)
{
	struct member_list rested;
	struct member *member;

	TAILQ_INIT(&rested);
	while ((member = TAILQ_FIRST(&shard->resting)) && member->rested_ms <= now_ms) {
		TAILQ_REMOVE(&shard->resting, member, entry);
		TAILQ_INSERT_TAIL(&rested, member, entry);
	}
	if (member) {
		wake_at(shard->batch, member->rested_ms);
	}
	offer_at_once(shard, &rested);
}

/* Those that fly are past losing: their transaction says how they end. */
static struct member *first_grounded(const struct batch *batch)
{
	struct member *member;

	TAILQ_FOREACH(member, &batch->all, by_age)
	{
		if (member->place != MEMBER_FLYING) {
			return member;
		}
	}
	return NULL;
}

static void time_passed(void *owner)
{
	struct batch *batch = owner;
	int64_t now_ms = clock_mono_ms();
	struct member *member;

	assert(batch->magic == BATCH_MAGIC);
	batch->wake_ms = 0;
	while ((member = first_grounded(batch)) && member->deadline_ms <= now_ms) {
		lose(member);
	}
	if (member) {
		wake_at(batch, member->deadline_ms);
	}
	for (unsigned i = 0; i < batch->shards_count; i++) {
		wake_rested(&batch->shards[i], now_ms);
	}
	loop_task_post(batch->sending);
}
