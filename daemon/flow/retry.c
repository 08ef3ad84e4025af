/* The ways in which facts come back: deferred, in halves, isolated, as bytes for the quarantine. */
#include "flow/retry.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/metrics.h"

enum {
	RETRY_AFTER_MS = 25,     /* before facts that were not taken are offered again */
	RETRY_DOUBLINGS_MAX = 4, /* while a connection is refused again and again */
};

static void defer(struct queue *queue, struct queue_list *facts, int64_t after_ms)
{
	queue_defer(queue, facts, clock_mono_ms() + after_ms);
}

void retry_committed(struct queue *queue, struct queue_list *facts)
{
	struct queue_list busy;
	struct queue_fact *fact, *next;

	queue->refusals = 0;
	TAILQ_INIT(&busy);
	for (fact = TAILQ_FIRST(facts); fact; fact = next) {
		next = TAILQ_NEXT(fact, entry);
		if (fact->outcome == OUTCOME_BUSY) {
			TAILQ_REMOVE(facts, fact, entry);
			TAILQ_INSERT_TAIL(&busy, fact, entry);
		}
	}
	if (!TAILQ_EMPTY(&busy)) {
		metrics_add(METRIC_BATCHES_RETRIED, 1);
		defer(queue, &busy, RETRY_AFTER_MS);
	}
}

void retry_later(struct queue *queue, struct queue_list *facts)
{
	defer(queue, facts, RETRY_AFTER_MS);
}

static size_t count_of(const struct queue_list *facts)
{
	const struct queue_fact *fact;
	size_t count = 0;

	TAILQ_FOREACH(fact, facts, entry)
	{
		count++;
	}
	return count;
}

/* Until the one that is to blame is in flight alone. */
static void halve_limit(struct queue_list *facts, size_t count)
{
	struct queue_fact *fact;

	TAILQ_FOREACH(fact, facts, entry)
	{
		fact->batch_limit = count > 1 ? count / 2 : 1;
	}
}

static void requeue_halves(struct queue *queue, struct queue_list *facts, size_t count)
{
	metrics_add(METRIC_BATCHES_ISOLATED, 1);
	halve_limit(facts, count);
	queue_requeue(queue, facts);
}

static void requeue_isolated(struct queue *queue, struct queue_list *facts)
{
	struct queue_fact *fact;

	metrics_add(METRIC_BATCHES_ISOLATED, 1);
	TAILQ_FOREACH(fact, facts, entry)
	{
		fact->isolated = true;
	}
	queue_requeue(queue, facts);
}

static void retry_data(struct queue *queue, struct queue_list *facts, const char *sqlstate)
{
	struct queue_fact *first = TAILQ_FIRST(facts);
	size_t count = count_of(facts);

	assert(first);
	if (!first->isolated) {
		requeue_isolated(queue, facts);
	} else if (count > 1) {
		requeue_halves(queue, facts, count);
	} else if (!first->fact.unusable) {
		/* Even alone and in a subtransaction of its own it is refused, as by a constraint
		 * that is checked at the commit. Its bytes are kept without being read. */
		snprintf(first->reason, sizeof(first->reason), "database_%s", sqlstate);
		first->fact.unusable = first->reason;
		queue_requeue(queue, facts);
	}
}

/* Whoever replaces a function while it runs makes one transaction fail, which is no alarm: an
 * operator's error has to be met twice. */
static void retry_operator(struct queue *queue, struct queue_list *facts, size_t count)
{
	struct queue_list first_time;
	struct queue_fact *fact, *next;

	TAILQ_INIT(&first_time);
	for (fact = TAILQ_FIRST(facts); fact; fact = next) {
		next = TAILQ_NEXT(fact, entry);
		if (!fact->retried) {
			fact->retried = true;
			TAILQ_REMOVE(facts, fact, entry);
			TAILQ_INSERT_TAIL(&first_time, fact, entry);
		}
	}
	defer(queue, &first_time, RETRY_AFTER_MS);
	if (count > 1 && !TAILQ_EMPTY(facts)) {
		requeue_halves(queue, facts, count);
	}
}

/* PostgreSQL writes each refusal into its log, which may be on the disk that is full. */
static int64_t back_off_ms(struct queue *queue)
{
	int64_t after_ms = (int64_t)RETRY_AFTER_MS << queue->refusals;

	if (queue->refusals < RETRY_DOUBLINGS_MAX) {
		queue->refusals++;
	}
	return after_ms;
}

void retry_refused(
	struct queue *queue, struct queue_list *facts, enum refusal refusal, const char *sqlstate)
{
	size_t count = count_of(facts);

	switch (refusal) {
	case REFUSAL_DATA:
		retry_data(queue, facts, sqlstate);
		break;
	case REFUSAL_RAISED:
		requeue_isolated(queue, facts);
		break;
	case REFUSAL_OTHER:
		if (count > 1) {
			requeue_halves(queue, facts, count);
		}
		break;
	case REFUSAL_OPERATOR:
		retry_operator(queue, facts, count);
		break;
	case REFUSAL_SIZE:
	case REFUSAL_TRANSIENT:
		halve_limit(facts, count);
		defer(queue, facts, back_off_ms(queue));
		break;
	}
	if (TAILQ_EMPTY(facts)) {
		metrics_add(METRIC_BATCHES_RETRIED, 1);
	}
}
