/* Which facts share a batch, and when those come back that did not commit. */
#include "flow/retry.h"

#include <stdlib.h>

#include "base/clock.h"
#include "check.h"

enum { FACTS = 8 };

static struct queue queue;
static struct flight flight;
static struct queue_fact facts[FACTS];
static const char body[QUEUE_BATCH_BYTES_MAX];

/* So many facts wait, each with a body of so many bytes. */
static void fill(size_t count, size_t body_len)
{
	queue_init(&queue);
	queue_join(&queue, &flight);
	for (size_t i = 0; i < count; i++) {
		facts[i] = (struct queue_fact){ .batch_limit = FACTS,
			.fact = { .body = { body, body_len }, .order_id = { (char)('a' + i) } } };
		queue_add(&queue, &facts[i]);
	}
}

/* The places of the facts in a list, as "021". */
static const char *order_of(const struct queue_list *list)
{
	static char order[FACTS + 1];
	const struct queue_fact *fact;
	size_t len = 0;

	TAILQ_FOREACH(fact, list, entry)
	{
		order[len++] = (char)('0' + (fact - facts));
	}
	order[len] = '\0';
	return order;
}

/* What is sent as one batch, and is not in flight any more. */
static struct queue_list batch;

static const char *send_batch(void)
{
	queue_gather(&queue, &flight);
	queue_take_batch(&flight, &batch);
	return order_of(&batch);
}

static void check_company(void)
{
	fill(4, QUEUE_BATCH_BYTES_MAX / 2);
	CHECK(strcmp(send_batch(), "01") == 0, "bodies of a batch fill its room");
	fill(3, QUEUE_BATCH_BYTES_MAX / 2 + 1);
	CHECK(strcmp(send_batch(), "0") == 0, "and no more");
	fill(2, QUEUE_BATCH_BYTES_MAX);
	facts[0].fact.body.len++;
	CHECK(strcmp(send_batch(), "0") == 0, "but one that is larger goes by itself");
	fill(4, 1);
	facts[1].batch_limit = 2;
	CHECK(strcmp(send_batch(), "01") == 0, "the smallest limit in a batch counts");
	fill(4, 1);
	facts[2].batch_limit = 2;
	CHECK(strcmp(send_batch(), "01") == 0, "also of one that would join it");
	fill(4, 1);
	facts[2].isolated = true;
	CHECK(strcmp(send_batch(), "01") == 0 && strcmp(send_batch(), "2") == 0,
		"what is isolated goes with its like only");
}

static void check_order(void)
{
	struct queue_list some;

	fill(4, 1);
	facts[1].batch_limit = 2;
	send_batch();
	queue_requeue(&queue, &batch);
	CHECK(strcmp(order_of(&queue.waiting), "0123") == 0, "what comes back goes first");
	for (size_t i = 0; i < 3; i++) {
		static const int64_t retry_ms[] = { 30, 10, 20 };

		TAILQ_INIT(&some);
		queue_remove(&queue, &facts[i]);
		TAILQ_INSERT_TAIL(&some, &facts[i], entry);
		queue_defer(&queue, &some, retry_ms[i]);
	}
	CHECK(strcmp(order_of(&queue.deferred), "120") == 0 && queue_next_retry_ms(&queue) == 10,
		"deferred facts stand in the order of their times");
	queue_requeue_due(&queue, 9);
	CHECK(strcmp(order_of(&queue.waiting), "3") == 0, "before its time none is due");
	queue_requeue_due(&queue, 20);
	CHECK(strcmp(order_of(&queue.waiting), "123") == 0 && queue_next_retry_ms(&queue) == 30,
		"at its time it is, before those that came later");
}

/* A refusal of all that waits: how long until it is offered again, in ms. */
static int64_t refused(enum refusal refusal)
{
	int64_t now_ms = clock_mono_ms();

	send_batch();
	retry_refused(&queue, &batch, refusal, "40001");

	int64_t after_ms = queue_next_retry_ms(&queue) - now_ms;

	queue_requeue_due(&queue, INT64_MAX);
	return after_ms;
}

/* Not less, and not much more: the clock goes on between two looks at it. */
static bool is_about(int64_t after_ms, int64_t expected_ms)
{
	return after_ms >= expected_ms && after_ms < expected_ms + expected_ms / 2 + 10;
}

static void check_back_off(void)
{
	static const int64_t expected_ms[] = { 25, 50, 100, 200, 400, 400 };
	int wrong = 0;

	fill(2, 1);
	for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
		wrong += !is_about(refused(REFUSAL_TRANSIENT), expected_ms[i]);
	}
	CHECK(wrong == 0, "refusals in a row come ever more rarely, up to a bound (%d wrong)",
		wrong);
	facts[0].batch_limit = facts[1].batch_limit = FACTS; /* they were halved meanwhile */
	send_batch();
	facts[0].outcome = OUTCOME_APPLIED;
	facts[1].outcome = OUTCOME_BUSY;
	retry_committed(&queue, &batch);
	CHECK(strcmp(order_of(&batch), "0") == 0 && strcmp(order_of(&queue.deferred), "1") == 0,
		"of a commit the busy ones come back");
	queue_requeue_due(&queue, INT64_MAX);
	CHECK(is_about(refused(REFUSAL_TRANSIENT), 25), "and the row is over");
}

static void check_halves(void)
{
	fill(8, 1);
	send_batch();
	retry_refused(&queue, &batch, REFUSAL_OTHER, "P0001");
	CHECK(strcmp(send_batch(), "0123") == 0, "a batch that was refused goes in halves");
	retry_refused(&queue, &batch, REFUSAL_OTHER, "P0001");
	CHECK(strcmp(send_batch(), "01") == 0, "and in quarters");
	retry_refused(&queue, &batch, REFUSAL_OTHER, "P0001");
	CHECK(strcmp(send_batch(), "0") == 0, "until one is alone");
	retry_refused(&queue, &batch, REFUSAL_OTHER, "P0001");
	CHECK(strcmp(order_of(&batch), "0") == 0, "which is then lost");
	CHECK(strcmp(order_of(&queue.waiting), "1234567") == 0, "and costs the others nothing");
}

/* The batch in flight is refused; how many of its facts are lost. */
static size_t refuse(enum refusal refusal)
{
	queue_gather(&queue, &flight);
	queue_take_batch(&flight, &batch);
	retry_refused(&queue, &batch, refusal, "23514");
	return strlen(order_of(&batch));
}

static void check_data(void)
{
	fill(4, 1);
	CHECK(refuse(REFUSAL_DATA) == 0 && facts[0].isolated && facts[3].isolated &&
			strcmp(order_of(&queue.waiting), "0123") == 0,
		"refused for its data, a batch goes again at once, each fact on its own");
	CHECK(refuse(REFUSAL_DATA) == 0 && facts[0].batch_limit == 2, "then in halves");
	CHECK(refuse(REFUSAL_DATA) == 0 && facts[0].batch_limit == 1, "until one is alone");
	CHECK(refuse(REFUSAL_DATA) == 0 && strcmp(facts[0].fact.unusable, "database_23514") == 0 &&
			strcmp(order_of(&queue.waiting), "0123") == 0,
		"which goes as bytes for the quarantine, with the reason");
	CHECK(refuse(REFUSAL_DATA) == 1 && strcmp(order_of(&queue.waiting), "123") == 0,
		"and is lost when that is refused, too");
}

static void check_raised(void)
{
	fill(4, 1);
	CHECK(refuse(REFUSAL_RAISED) == 0 && facts[0].isolated && facts[3].isolated &&
			strcmp(order_of(&queue.waiting), "0123") == 0,
		"what a function raised is looked for by each fact on its own");
}

static void check_operator(void)
{
	fill(4, 1);
	CHECK(refuse(REFUSAL_OPERATOR) == 0 && strcmp(order_of(&queue.deferred), "0123") == 0 &&
			facts[0].batch_limit == FACTS,
		"an operator's error is waited for once, by all together");
	queue_requeue_due(&queue, INT64_MAX);
	CHECK(refuse(REFUSAL_OPERATOR) == 0 && facts[0].batch_limit == 2 &&
			queue_next_retry_ms(&queue) == 0,
		"met twice it is looked for in halves");
	refuse(REFUSAL_OPERATOR);
	CHECK(refuse(REFUSAL_OPERATOR) == 1, "met alone it costs that fact");
}

/* What another connection gets of what waits. */
static const char *send_beside(struct flight *other)
{
	queue_gather(&queue, other);
	return order_of(&other->facts);
}

static void check_one_order(void)
{
	struct flight other;

	fill(5, 1);
	queue_join(&queue, &other);
	facts[3].mark = facts[0].mark;
	facts[1].batch_limit = facts[0].batch_limit = 2;
	queue_gather(&queue, &flight);
	CHECK(strcmp(order_of(&flight.facts), "01") == 0, "two facts go");
	CHECK(strcmp(send_beside(&other), "24") == 0 && strcmp(order_of(&queue.waiting), "3") == 0,
		"what goes beside them is of other orders, whoever waits before it");
	queue_gather(&queue, &other);
	CHECK(other.count == 2, "as long as they are out");
	queue_take_batch(&flight, &batch);
	CHECK(strcmp(send_beside(&other), "243") == 0, "and no longer");
	fill(3, 1);
	facts[0].mark = facts[1].mark = facts[2].mark;
	CHECK(strcmp(send_batch(), "012") == 0, "facts of an order go together");
}

static void check_marks(void)
{
	static const struct fact orders[] = { { .order_id = "o1" }, { .order_id = "o2" } };
	static const struct fact bodies[] = { { .unusable = "json", .key = { 1 } },
		{ .unusable = "json", .key = { 2 } } };

	fill(0, 1);
	for (size_t i = 0; i < 6; i++) {
		facts[i].fact = i < 4 ? orders[i / 2] : bodies[i - 4];
		queue_add(&queue, &facts[i]);
	}
	CHECK(facts[0].mark == facts[1].mark && facts[2].mark == facts[3].mark,
		"facts of an order have one mark");
	CHECK(facts[0].mark != facts[2].mark && facts[4].mark != facts[5].mark &&
			facts[0].mark != facts[4].mark,
		"other orders, and other bodies that say none, have others");
}

static void check_full(void)
{
	fill(FACTS - 1, 1);
	CHECK(!queue_full(&queue), "one less than a batch is not full");
	fill(FACTS, 1);
	CHECK(queue_full(&queue), "a batch is");
	send_batch();
	CHECK(!queue_full(&queue), "until it is sent");
	queue_requeue(&queue, &batch);
	CHECK(queue_full(&queue), "or comes back");
	queue_remove(&queue, &facts[FACTS - 1]);
	CHECK(!queue_full(&queue), "and no fact of it is too old");
	fill(2, QUEUE_BATCH_BYTES_MAX / 2);
	CHECK(queue_full(&queue), "large bodies fill one sooner");
	fill(2, 1);
	facts[0].batch_limit = 1;
	CHECK(queue_full(&queue), "as does a fact that is to go alone");
	fill(0, 1);
	CHECK(!queue_full(&queue), "nothing is no batch");
}

int main(void)
{
	check_company();
	check_order();
	check_back_off();
	check_halves();
	check_data();
	check_raised();
	check_operator();
	check_one_order();
	check_marks();
	check_full();
	return check_done();
}
