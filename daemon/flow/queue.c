/* The lists of one connection's facts, and which facts may share a batch. */
#include "flow/queue.h"

#include <assert.h>

void queue_init(struct queue *queue)
{
	*queue = (struct queue){ .limit = SIZE_MAX };
	TAILQ_INIT(&queue->waiting);
	TAILQ_INIT(&queue->in_flight);
	TAILQ_INIT(&queue->deferred);
}

void queue_add(struct queue *queue, struct queue_fact *fact)
{
	fact->queue = queue;
	fact->place = QUEUE_WAITING;
	TAILQ_INSERT_TAIL(&queue->waiting, fact, entry);
}

void queue_remove(struct queue_fact *fact)
{
	struct queue *queue = fact->queue;

	assert(fact->place != QUEUE_IN_FLIGHT);
	TAILQ_REMOVE(
		fact->place == QUEUE_WAITING ? &queue->waiting : &queue->deferred, fact, entry);
}

static bool fits(const struct queue *queue, const struct queue_fact *fact)
{
	const struct queue_fact *first = TAILQ_FIRST(&queue->in_flight);

	return !first || (queue->count < queue->limit && queue->count < fact->batch_limit &&
				 fact->isolated == first->isolated &&
				 queue->bytes + fact->fact.body.len <= QUEUE_BATCH_BYTES_MAX);
}

void queue_gather(struct queue *queue, struct queue *from)
{
	struct queue_fact *fact;

	while ((fact = TAILQ_FIRST(&from->waiting)) && fits(queue, fact)) {
		TAILQ_REMOVE(&from->waiting, fact, entry);
		TAILQ_INSERT_TAIL(&queue->in_flight, fact, entry);
		fact->queue = queue;
		fact->place = QUEUE_IN_FLIGHT;
		queue->count++;
		queue->bytes += fact->fact.body.len;
		if (fact->batch_limit < queue->limit) {
			queue->limit = fact->batch_limit;
		}
	}
}

void queue_take_batch(struct queue *queue, struct queue_list *facts)
{
	TAILQ_INIT(facts);
	TAILQ_CONCAT(facts, &queue->in_flight, entry);
	queue->count = 0;
	queue->bytes = 0;
	queue->limit = SIZE_MAX;
}

void queue_requeue(struct queue *queue, struct queue_list *facts)
{
	struct queue_fact *fact;

	TAILQ_FOREACH(fact, facts, entry)
	{
		fact->place = QUEUE_WAITING;
	}
	TAILQ_CONCAT(facts, &queue->waiting, entry);
	TAILQ_CONCAT(&queue->waiting, facts, entry);
}

static void insert_deferred(struct queue_list *deferred, struct queue_fact *fact)
{
	struct queue_fact *before = TAILQ_LAST(deferred, queue_list);

	while (before && before->retry_ms > fact->retry_ms) {
		before = TAILQ_PREV(before, queue_list, entry);
	}
	if (before) {
		TAILQ_INSERT_AFTER(deferred, before, fact, entry);
	} else {
		TAILQ_INSERT_HEAD(deferred, fact, entry);
	}
}

void queue_defer(struct queue *queue, struct queue_list *facts, int64_t retry_ms)
{
	struct queue_fact *fact;

	while ((fact = TAILQ_FIRST(facts))) {
		TAILQ_REMOVE(facts, fact, entry);
		fact->place = QUEUE_DEFERRED;
		fact->retry_ms = retry_ms;
		insert_deferred(&queue->deferred, fact);
	}
}

void queue_requeue_due(struct queue *queue, int64_t now_ms)
{
	struct queue_list due;
	struct queue_fact *fact;

	TAILQ_INIT(&due);
	while ((fact = TAILQ_FIRST(&queue->deferred)) && fact->retry_ms <= now_ms) {
		TAILQ_REMOVE(&queue->deferred, fact, entry);
		TAILQ_INSERT_TAIL(&due, fact, entry);
	}
	queue_requeue(queue, &due);
}

int64_t queue_next_retry_ms(const struct queue *queue)
{
	const struct queue_fact *first = TAILQ_FIRST(&queue->deferred);

	return first ? first->retry_ms : 0;
}
