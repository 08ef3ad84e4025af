/* Which facts share a batch, and which of them wait, by lists. */
#include "flow/queue.h"

#include <assert.h>

enum { MARK_BITS = 64 };

void queue_init(struct queue *queue)
{
	*queue = (struct queue){ .flights = NULL };
	TAILQ_INIT(&queue->waiting);
	TAILQ_INIT(&queue->deferred);
}

void queue_join(struct queue *queue, struct flight *flight)
{
	*flight = (struct flight){ .next = queue->flights, .limit = SIZE_MAX };
	TAILQ_INIT(&flight->facts);
	queue->flights = flight;
}

/* FNV-1a. Equal bodies without an order have one as well. */
static uint32_t mark_of(const struct fact *fact)
{
	const unsigned char *byte =
		fact->unusable ? fact->key : (const unsigned char *)fact->order_id;
	size_t len = fact->unusable ? sizeof(fact->key) : strlen(fact->order_id);
	uint32_t value = 2166136261U;

	for (size_t i = 0; i < len; i++) {
		value = (value ^ byte[i]) * 16777619U;
	}
	return value % QUEUE_MARKS;
}

static void count_waiting(struct queue *queue, struct queue_fact *fact)
{
	fact->place = QUEUE_WAITING;
	queue->count++;
	queue->bytes += fact->fact.body.len;
}

static void take_waiting(struct queue *queue, struct queue_fact *fact)
{
	TAILQ_REMOVE(&queue->waiting, fact, entry);
	queue->count--;
	queue->bytes -= fact->fact.body.len;
}

void queue_add(struct queue *queue, struct queue_fact *fact)
{
	fact->mark = mark_of(&fact->fact);
	TAILQ_INSERT_TAIL(&queue->waiting, fact, entry);
	count_waiting(queue, fact);
}

void queue_remove(struct queue *queue, struct queue_fact *fact)
{
	assert(fact->place != QUEUE_IN_FLIGHT);
	if (fact->place == QUEUE_WAITING) {
		take_waiting(queue, fact);
	} else {
		TAILQ_REMOVE(&queue->deferred, fact, entry);
	}
}

bool queue_full(const struct queue *queue)
{
	const struct queue_fact *first = TAILQ_FIRST(&queue->waiting);

	return first && (queue->count >= first->batch_limit || queue->count >= QUEUE_FULL ||
				queue->bytes >= QUEUE_BATCH_BYTES_MAX);
}

static bool fits(const struct flight *flight, const struct queue_fact *fact)
{
	const struct queue_fact *first = TAILQ_FIRST(&flight->facts);

	return !first || (flight->count < flight->limit && flight->count < fact->batch_limit &&
				 fact->isolated == first->isolated &&
				 flight->bytes + fact->fact.body.len <= QUEUE_BATCH_BYTES_MAX);
}

static bool is_marked(const struct flight *flight, const struct queue_fact *fact)
{
	return flight->marks[fact->mark / MARK_BITS] >> fact->mark % MARK_BITS & 1;
}

static bool flies_elsewhere(
	const struct queue *queue, const struct flight *flight, const struct queue_fact *fact)
{
	for (const struct flight *other = queue->flights; other; other = other->next) {
		if (other != flight && is_marked(other, fact)) {
			return true;
		}
	}
	return false;
}

static void put_in_flight(struct flight *flight, struct queue_fact *fact)
{
	TAILQ_INSERT_TAIL(&flight->facts, fact, entry);
	fact->place = QUEUE_IN_FLIGHT;
	flight->count++;
	flight->bytes += fact->fact.body.len;
	flight->marks[fact->mark / MARK_BITS] |= (uint64_t)1 << fact->mark % MARK_BITS;
	if (fact->batch_limit < flight->limit) {
		flight->limit = fact->batch_limit;
	}
}

void queue_gather(struct queue *queue, struct flight *flight)
{
	struct queue_fact *fact, *next;

	for (fact = TAILQ_FIRST(&queue->waiting); fact && fits(flight, fact); fact = next) {
		next = TAILQ_NEXT(fact, entry);
		if (!flies_elsewhere(queue, flight, fact)) {
			take_waiting(queue, fact);
			put_in_flight(flight, fact);
		}
	}
}

void queue_take_batch(struct flight *flight, struct queue_list *facts)
{
	TAILQ_INIT(facts);
	TAILQ_CONCAT(facts, &flight->facts, entry);
	flight->count = 0;
	flight->bytes = 0;
	flight->limit = SIZE_MAX;
	memset(flight->marks, 0, sizeof(flight->marks));
}

void queue_requeue(struct queue *queue, struct queue_list *facts)
{
	struct queue_fact *fact;

	TAILQ_FOREACH(fact, facts, entry)
	{
		count_waiting(queue, fact);
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
