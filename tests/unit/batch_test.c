/* The batch over connections that a test moves by hand. */
#include "flow/batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "check.h"
#include "flow/ingest.h"
#include "flow/queue.h"

enum {
	STORES_MAX = 2,
	FACTS_MAX = BATCH_QUEUE_FACTS_MAX + 8,
	KEEP_MS = 120,
	LATE_MS = 1000, /* long enough to send a fact, under valgrind too */
	LONG_MS = 60000,
	GUARD_MS = 20000,
	STORY_MAX = 4096,
};

/* A connection. */
struct store {
	const struct store_events *events;
	void *owner;
	bool connected, running;
	const char *statement; /* of the last transaction */
	size_t facts;          /* in it: usable ones */
	size_t bodies;         /* in it: unusable ones */
	unsigned transactions;
	store_done *done;
	void *tag;
	char setup[128];
	char name[64];
};

static struct store stores[STORES_MAX];
static unsigned stores_count;
static struct loop *loop;
static struct batch *batch;
static bool adding;           /* inside batch_add() */
static char story[STORY_MAX]; /* what happened, in order */

static void tell(const char *what)
{
	size_t len = strlen(story);

	snprintf(story + len, sizeof(story) - len, "%s ", what);
}

/* The number of elements stands behind dimensions, nulls and type. */
static size_t elements(const struct store_param *param)
{
	const unsigned char *bytes = (const unsigned char *)param->bytes;

	return (size_t)bytes[12] << 24 | (size_t)bytes[13] << 16 | (size_t)bytes[14] << 8 |
	       bytes[15];
}

struct store *__wrap_store_new(struct loop *of, const struct store_options *options,
	const struct store_events *events, void *owner);
void __wrap_store_free(struct store *store);
bool __wrap_store_ready(const struct store *store);
const char *__wrap_store_problem(const struct store *store);
bool __wrap_store_run(struct store *store, const struct store_call *calls, size_t count,
	store_done *done, void *tag);

struct store *__wrap_store_new(struct loop *of, const struct store_options *options,
	const struct store_events *events, void *owner)
{
	struct store *store = &stores[stores_count++];

	(void)of;
	*store = (struct store){ .events = events, .owner = owner };
	snprintf(store->name, sizeof(store->name), "%s", options->application_name);
	snprintf(store->setup, sizeof(store->setup), "%s", options->setup ? options->setup : "");
	return store;
}

void __wrap_store_free(struct store *store)
{
	store->connected = false;
}

bool __wrap_store_ready(const struct store *store)
{
	return store->connected && !store->running;
}

const char *__wrap_store_problem(const struct store *store)
{
	return store->connected ? "" : "nobody there";
}

bool __wrap_store_run(struct store *store, const struct store_call *calls, size_t count,
	store_done *done, void *tag)
{
	if (!__wrap_store_ready(store)) {
		return false;
	}
	store->running = true;
	store->transactions++;
	store->statement = calls[count - 1].statement;
	store->facts = 0;
	store->bodies = 0;
	for (size_t i = 0; i < count; i++) {
		if (calls[i].param_count == INGEST_UNUSABLE_COLUMNS) {
			store->bodies = elements(&calls[i].params[0]);
		} else if (calls[i].param_count % FACTS_SCALARS == 0) {
			store->facts = calls[i].param_count / FACTS_SCALARS;
		} else {
			store->facts = elements(&calls[i].params[0]);
		}
	}
	store->done = done;
	store->tag = tag;
	tell("sent");
	return true;
}

/* What has become of each fact, by number. */
static struct {
	unsigned ends;
	enum batch_end end;
	enum outcome outcome;
} facts[FACTS_MAX];
static unsigned added, ended, reentered;

static void fact_ended(void *tag, enum batch_end end, enum outcome outcome)
{
	size_t number = (size_t)(uintptr_t)tag;

	reentered += adding;
	facts[number].ends++;
	facts[number].end = end;
	facts[number].outcome = outcome;
	ended++;
	tell(end == BATCH_LOST ? "lost" : "answered");
}

static bool add_fact(const char *order, const char *unusable, size_t body_len)
{
	struct fact fact = { .event_type = "order.paid", .unusable = unusable };
	char *body = calloc(1, body_len + 1);
	bool taken;

	snprintf(fact.order_id, sizeof(fact.order_id), "%s", order);
	fact.body = (struct text){ body, body_len };
	adding = true;
	taken = batch_add(batch, &fact, fact_ended, (void *)(uintptr_t)added);
	adding = false;
	free(body);
	added += taken;
	return taken;
}

static void add_orders(const char *prefix, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char order[16];

		snprintf(order, sizeof(order), "%s%u", prefix, i);
		add_fact(order, NULL, 2);
	}
}

static void add_facts(unsigned count)
{
	add_orders("o", count);
}

static void stop(void *owner)
{
	(void)owner;
	loop_stop(loop);
}

/* Memory that is not to be had. */
static bool no_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return no_memory ? NULL : __real_realloc(old, size);
}

/* Everything that is due now, and no more. */
static void turn(void)
{
	struct loop_task *task = loop_task_new(loop, stop, NULL);

	for (int i = 0; i < 3; i++) {
		loop_task_post(task);
		loop_run(loop);
	}
	loop_task_free(task);
}

static bool met;
static bool (*condition)(void);
static struct loop_timer *looking;

static void look(void *owner)
{
	(void)owner;
	met = condition();
	if (met) {
		loop_stop(loop);
	} else {
		loop_timer_start(looking, 1);
	}
}

static bool wait_for(bool (*is_met)(void))
{
	struct loop_timer *guard = loop_timer_new(loop, stop, NULL);

	condition = is_met;
	looking = loop_timer_new(loop, look, NULL);
	loop_timer_start(looking, 0);
	loop_timer_start(guard, GUARD_MS);
	loop_run(loop);
	loop_timer_free(looking);
	loop_timer_free(guard);
	return met;
}

static bool is_running(void)
{
	return stores[0].running;
}

static bool is_second_running(void)
{
	return stores[1].running;
}

static bool all_ended(void)
{
	return ended == added;
}

static void open_batch(unsigned connections, int64_t keep_ms)
{
	struct batch_options options = {
		.store = { .conninfo = "", .application_name = "orderd receive" },
		.connections = connections,
		.keep_ms = keep_ms,
		.notify = connections == 1,
	};

	memset(facts, 0, sizeof(facts));
	added = ended = stores_count = 0;
	story[0] = '\0';
	batch = batch_new(loop, &options);
}

static void connect_store(unsigned index)
{
	stores[index].connected = true;
	stores[index].events->connected(stores[index].owner);
	turn();
}

static bool raises_inside; /* what is refused, a function has raised */

static void end_run(unsigned index, enum store_end end, const char *sqlstate, const char *value)
{
	struct store_result result = { .end = end,
		.raised_inside = raises_inside,
		.value = text_of(value),
		.message = TEXT("as told by a test") };
	struct store *store = &stores[index];

	snprintf(result.sqlstate, sizeof(result.sqlstate), "%s", sqlstate);
	store->running = false;
	store->done(store->tag, &result);
}

/* "{word,word}" for every fact of the transaction. */
static void commit(unsigned index, const char *word)
{
	static char value[BATCH_FACTS_MAX * 16];
	size_t len = 0;

	for (size_t i = 0; i < stores[index].facts; i++) {
		len += (size_t)snprintf(
			value + len, sizeof(value) - len, "%s%s", i == 0 ? "{" : ",", word);
	}
	snprintf(value + len, sizeof(value) - len, "%s", stores[index].facts > 0 ? "}" : "");
	end_run(index, STORE_COMMITTED, "", value);
}

static void refuse(unsigned index, const char *sqlstate)
{
	end_run(index, STORE_REFUSED, sqlstate, "");
}

static void lose_connection(unsigned index)
{
	stores[index].connected = false;
	if (stores[index].running) {
		end_run(index, STORE_UNSURE, "", "");
	}
	stores[index].events->disconnected(stores[index].owner);
	turn();
}

static bool all_are(enum batch_end end, enum outcome outcome)
{
	for (unsigned i = 0; i < added; i++) {
		if (facts[i].ends != 1 || facts[i].end != end ||
			(end == BATCH_COMMITTED && facts[i].outcome != outcome)) {
			return false;
		}
	}
	return ended == added;
}

static bool calls(unsigned index, const char *function)
{
	char call[64];

	snprintf(call, sizeof(call), "torque.%s", function);
	return strstr(stores[index].statement, call) != NULL;
}

static void check_group_commit(void)
{
	open_batch(1, LONG_MS);
	CHECK(!batch_connected(batch) && strcmp(batch_problem(batch), "nobody there") == 0,
		"without a connection the batch says why");
	CHECK(strcmp(stores[0].name, "orderd receive 1/1") == 0, "each connection has a name");
	CHECK(strstr(stores[0].setup, "orderd.notify") != NULL, "notify is a session's setting");
	add_facts(3);
	turn();
	CHECK(stores[0].transactions == 0 && batch_waiting(batch) == 3,
		"without a connection facts wait");
	connect_store(0);
	CHECK(stores[0].running && stores[0].facts == 3 && calls(0, "take("),
		"a connection that comes takes them all at once");
	CHECK(batch_connected(batch) && batch_problem(batch)[0] == '\0', "and all is well");
	add_facts(300);
	turn();
	CHECK(stores[0].transactions == 1 && ended == 0, "while it works the next batch gathers");
	story[0] = '\0';
	commit(0, "applied");
	CHECK(strncmp(story, "sent answered answered answered ", 32) == 0,
		"the next batch is sent before the old one is answered (%.40s)", story);
	CHECK(stores[0].facts == BATCH_FACTS_MAX, "a batch has its limit (%zu)", stores[0].facts);
	commit(0, "applied");
	CHECK(stores[0].facts == 303 - 3 - BATCH_FACTS_MAX, "the rest goes with the one after");
	commit(0, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED), "each is answered once");
	CHECK(batch_waiting(batch) == 0 && metrics_get(METRIC_FACTS_QUEUED) == 0,
		"then none waits");
	batch_free(batch);
}

static void check_outcomes(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_fact("o1", NULL, 2);
	add_fact("", "json", 2);
	add_fact("o2", NULL, 2);
	turn();
	CHECK(stores[0].facts == 2 && stores[0].bodies == 1 && calls(0, "take"),
		"usable and unusable go in one transaction");
	end_run(0, STORE_COMMITTED, "", "{duplicate,held}");
	CHECK(facts[0].outcome == OUTCOME_DUPLICATE && facts[1].outcome == OUTCOME_QUARANTINED &&
			facts[2].outcome == OUTCOME_HELD,
		"each learns its own outcome");
	add_fact("", "json", 2);
	turn();
	commit(0, "");
	CHECK(facts[3].ends == 1 && facts[3].outcome == OUTCOME_QUARANTINED,
		"an unusable body alone is kept, too");
	add_facts(2);
	turn();
	end_run(0, STORE_COMMITTED, "", "{applied}");
	CHECK(facts[4].end == BATCH_LOST && facts[5].end == BATCH_LOST,
		"an answer that cannot be read is nobody's success");
	batch_free(batch);
}

static void check_busy(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(3);
	turn();
	end_run(0, STORE_COMMITTED, "", "{applied,busy,applied}");
	CHECK(ended == 2 && facts[1].ends == 0 && !stores[0].running,
		"a busy fact holds up no other, and is deferred");
	CHECK(wait_for(is_running) && stores[0].facts == 1, "then it is offered again");
	commit(0, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED), "until it is taken");
	batch_free(batch);
}

static void check_unsure(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(2);
	turn();
	lose_connection(0);
	CHECK(ended == 0 && !batch_connected(batch), "a lost connection answers nothing");
	stores[0].connected = true;
	stores[0].events->connected(stores[0].owner);
	CHECK(wait_for(is_running) && stores[0].facts == 2, "its facts are offered again");
	end_run(0, STORE_UNSURE, "", "");
	CHECK(ended == 0, "a commit that is unsure answers nothing");
	CHECK(wait_for(is_running), "and is tried again");
	commit(0, "duplicate");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_DUPLICATE), "until it is sure");
	batch_free(batch);
}

static void check_deadline(void)
{
	open_batch(1, KEEP_MS);
	add_facts(2);
	CHECK(wait_for(all_ended) && all_are(BATCH_LOST, 0),
		"facts that find no database are lost");
	CHECK(stores[0].transactions == 0, "without being sent");
	connect_store(0);
	add_facts(1);
	turn();
	lose_connection(0);
	CHECK(wait_for(all_ended) && all_are(BATCH_LOST, 0),
		"so are those whose commit stays unsure");
	stores[0].connected = true;
	stores[0].events->connected(stores[0].owner);
	turn();
	CHECK(stores[0].transactions == 1, "nor are they sent again");
	batch_free(batch);
}

/* What is in flight when its time is up is not given up: its transaction knows how it ends. */
static void check_late_commit(void)
{
	static struct loop_timer *after;

	open_batch(1, LATE_MS);
	connect_store(0);
	add_facts(1);
	turn();
	CHECK(stores[0].running, "a fact with little time is sent at once");
	after = loop_timer_new(loop, stop, NULL);
	loop_timer_start(after, LATE_MS + 20);
	loop_run(loop);
	loop_timer_free(after);
	CHECK(ended == 0, "its deadline passes while it is in flight");
	commit(0, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED), "and it is committed all the same");
	batch_free(batch);
}

static void check_isolation(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(64);
	turn();
	refuse(0, "22P02");
	CHECK(stores[0].running && calls(0, "take_each(") && stores[0].facts == 64,
		"an objection to data: the same facts, one by one");
	add_facts(1);
	turn();
	commit(0, "quarantined");
	CHECK(ended == 64 && calls(0, "take") && stores[0].facts == 1,
		"those after them go together again");
	commit(0, "applied");
	CHECK(ended == 65, "all end");
	batch_free(batch);
}

/* The poison is fact 5: what holds it is refused, however it is cut. */
static void check_halving(const char *sqlstate, bool each)
{
	unsigned transactions = 0;

	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(64);
	turn();
	while (ended < added && transactions++ < 64 && wait_for(is_running)) {
		if (facts[5].ends == 0 && ended <= 5 && ended + stores[0].facts > 5) {
			refuse(0, sqlstate);
		} else {
			commit(0, "applied");
		}
	}
	CHECK(ended == 64 && facts[5].end == (each ? BATCH_COMMITTED : BATCH_LOST) &&
			facts[4].end == BATCH_COMMITTED && facts[63].end == BATCH_COMMITTED,
		"%s: one fact is found and %s, the 63 others are kept (%u transactions)", sqlstate,
		each ? "set aside" : "lost", transactions);
	CHECK(!each || facts[5].outcome == OUTCOME_QUARANTINED, "%s: what was set aside is told so",
		sqlstate);
	CHECK(transactions <= 16 && calls(0, "take_each(") == each, "%s: with few transactions",
		sqlstate);
	batch_free(batch);
}

static void check_raised(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(8);
	turn();
	raises_inside = true;
	refuse(0, "0A000");
	CHECK(stores[0].running && calls(0, "take_each(") && stores[0].facts == 8,
		"what a function raised is looked for by each fact on its own");
	refuse(0, "0A000");
	raises_inside = false;
	CHECK(ended == 0 && wait_for(is_running) && stores[0].facts == 4,
		"raised there, too, it is no fact's fault, and its code is believed");
	batch_free(batch);
}

static void check_quarantine_refused(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(1);
	turn();
	refuse(0, "22P02");
	refuse(0, "22P02");
	CHECK(stores[0].running && stores[0].facts == 0 && stores[0].bodies == 1,
		"what is refused even alone goes to quarantine, unread");
	refuse(0, "23514");
	CHECK(!stores[0].running && all_are(BATCH_LOST, 0), "and is lost if that is refused, too");
	batch_free(batch);
}

static void check_refusals(void)
{
	static const struct {
		const char *promise;
		const char *sqlstate;
		size_t again; /* facts of the next transaction */
	} cases[] = {
		{ "a function that was just replaced is tried again", "42883", 8 },
		{ "a deadlock is tried again, in halves", "40P01", 4 },
		{ "so is a serialization failure", "40001", 4 },
		{ "so is a lock timeout: it may be one order's", "55P03", 4 },
		{ "so is a full disk", "53100", 4 },
		{ "so is a statement that took too long", "57014", 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_batch(1, LONG_MS);
		connect_store(0);
		add_facts(8);
		turn();
		refuse(0, cases[i].sqlstate);
		CHECK(ended == 0 && wait_for(is_running) && stores[0].facts == cases[i].again, "%s",
			cases[i].promise);
		batch_free(batch);
	}
}

static void check_operator(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(8);
	turn();
	refuse(0, "42501");
	CHECK(wait_for(is_running) && stores[0].facts == 8, "an operator's error is met once");
	refuse(0, "42883");
	CHECK(stores[0].facts == 4 && ended == 0,
		"met twice it may be about one fact: a trigger of the merchant's");
	while (stores[0].running && stores[0].transactions < 40) {
		refuse(0, "42883");
	}
	CHECK(all_are(BATCH_LOST, 0) && ended == 8,
		"met by each alone it is for the operator to mend: 503 and no quarantine");
	batch_free(batch);
}

static void check_memory(void)
{
	open_batch(1, LONG_MS);
	no_memory = true;
	CHECK(!add_fact("o1", NULL, 2), "a fact there is no memory for is not taken");
	no_memory = false;
	CHECK(batch_waiting(batch) == 0 && add_fact("o1", NULL, 2), "one later is");
	add_facts(INGEST_FEW_MAX); /* a few need no memory */
	stores[0].connected = true;
	stores[0].events->connected(stores[0].owner);
	no_memory = true;
	turn();
	no_memory = false;
	CHECK(!stores[0].running && ended == 0, "what cannot be put into words is not sent");
	CHECK(wait_for(is_running) && stores[0].facts == 1 + INGEST_FEW_MAX, "but later");
	commit(0, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED), "and is committed");
	batch_free(batch);
	batch_free(NULL);
}

/* The loop may be late: what is too old by then is not sent. */
static void check_late_loop(void)
{
	int64_t begin_ms = clock_mono_ms();

	open_batch(1, 5);
	add_facts(3);
	while (clock_mono_ms() - begin_ms < 10) {
	}
	stores[0].connected = true;
	stores[0].events->connected(stores[0].owner);
	turn();
	CHECK(all_are(BATCH_LOST, 0) && ended == 3 && stores[0].transactions == 0,
		"facts that are too old are not sent when the loop comes late");
	batch_free(batch);
}

static void check_deferred(void)
{
	open_batch(1, LONG_MS);
	connect_store(0);
	add_facts(1);
	turn();
	commit(0, "busy");
	add_fact("other", NULL, 2);
	int64_t begin_ms = clock_mono_ms();

	turn();
	while (clock_mono_ms() - begin_ms < 15) {
	}
	commit(0, "busy");
	CHECK(wait_for(is_running) && stores[0].facts == 1,
		"each fact is deferred for its own time");
	commit(0, "applied");
	CHECK(wait_for(is_running) && stores[0].facts == 1, "and is offered again");
	commit(0, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED), "until it is taken");
	batch_free(batch);
}

static void check_problem(void)
{
	open_batch(2, LONG_MS);
	CHECK(!batch_connected(batch) && strcmp(batch_problem(batch), "nobody there") == 0,
		"why there is no connection is told");
	batch_free(batch);
}

static void check_connections(void)
{
	open_batch(2, LONG_MS);
	CHECK(strcmp(stores[1].name, "orderd receive 2/2") == 0 && stores[1].setup[0] == '\0',
		"there are two connections, without notify");
	add_facts(100);
	connect_store(1);
	CHECK(stores[1].facts == 100, "the second serves when the first is away");
	commit(1, "applied");
	connect_store(0);
	add_facts(QUEUE_FULL - 1);
	turn();
	CHECK(stores[0].facts == QUEUE_FULL - 1 && !stores[1].running,
		"else the first does, alone");
	add_orders("p", QUEUE_FULL - 2);
	turn();
	CHECK(!stores[1].running, "what comes meanwhile waits for it");
	add_orders("q", 2);
	turn();
	CHECK(stores[1].facts == QUEUE_FULL, "but for a batch that is full");
	commit(1, "applied");
	lose_connection(0);
	CHECK(wait_for(is_second_running) && stores[1].facts == QUEUE_FULL - 1,
		"what one lost the other takes over");
	commit(1, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED), "nothing is lost on the way");
	batch_free(batch);
}

static void check_long_commits(void)
{
	int64_t begin_ms = clock_mono_ms(), waited_ms;

	open_batch(2, LONG_MS);
	connect_store(0);
	connect_store(1);
	add_fact("a", NULL, 2);
	turn();
	add_fact("b", NULL, 2);
	CHECK(stores[0].facts == 1 && wait_for(is_second_running) && stores[1].facts == 1,
		"what waits for a long commit goes beside it");
	waited_ms = clock_mono_ms() - begin_ms;
	CHECK(waited_ms >= 2 && waited_ms < 250, "long is some milliseconds (%lld)",
		(long long)waited_ms);
	commit(0, "applied");
	commit(1, "applied");
	begin_ms = clock_mono_ms();
	add_orders("c", 2);
	turn();
	add_fact("d", NULL, 2);
	CHECK(stores[0].facts == 2 && wait_for(is_second_running) &&
			clock_mono_ms() - begin_ms >= 250,
		"a smaller batch than that which is out waits until that is stuck");
	commit(0, "applied");
	commit(1, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED) && ended == 5, "all are committed");
	batch_free(batch);
}

static void check_one_order(void)
{
	open_batch(2, LONG_MS);
	connect_store(0);
	connect_store(1);
	add_fact("a", NULL, 2);
	turn();
	add_fact("a", NULL, 2);
	add_fact("b", NULL, 2);
	CHECK(wait_for(is_second_running) && stores[1].facts == 1,
		"an order that is out does not go beside itself");
	commit(0, "applied");
	CHECK(wait_for(is_running) && stores[0].facts == 1, "but after it");
	commit(0, "applied");
	commit(1, "applied");
	CHECK(all_are(BATCH_COMMITTED, OUTCOME_APPLIED) && ended == 3, "none is busy");
	batch_free(batch);
}

static void check_limits(void)
{
	open_batch(1, LONG_MS);
	add_facts(BATCH_QUEUE_FACTS_MAX);
	CHECK(batch_full(batch) && !add_fact("one more", NULL, 1),
		"the queue has a limit of facts");
	batch_free(batch);
	CHECK(all_are(BATCH_LOST, 0) && ended == BATCH_QUEUE_FACTS_MAX,
		"what waits at the end is lost, each once");

	open_batch(1, LONG_MS);
	CHECK(add_fact("a", NULL, 10 * 1024 * 1024), "a large body is taken");
	CHECK(!batch_full(batch) && !add_fact("b", NULL, 7 * 1024 * 1024),
		"one that does not fit beside it is not");
	CHECK(add_fact("c", NULL, 6 * 1024 * 1024) && batch_full(batch), "one that fits is");
	connect_store(0);
	CHECK(stores[0].facts == 1, "large bodies do not share a transaction");
	commit(0, "applied");
	CHECK(stores[0].facts == 1 && !batch_full(batch), "they go one after the other");
	batch_free(batch);
	CHECK(facts[1].ends == 1 && facts[1].end == BATCH_LOST,
		"what is in flight at the end is lost, as nobody will hear how it ended");
}

int main(void)
{
	loop = loop_new();
	check_group_commit();
	check_outcomes();
	check_busy();
	check_unsure();
	check_deadline();
	check_late_commit();
	check_isolation();
	check_raised();
	check_quarantine_refused();
	check_halving("P0001", false);
	check_halving("XX000", false);
	check_halving("23514", true);
	check_halving("42703", false);
	check_refusals();
	check_operator();
	check_memory();
	check_late_loop();
	check_deferred();
	check_problem();
	check_connections();
	check_long_commits();
	check_one_order();
	check_limits();
	CHECK(reentered == 0, "nothing ever ends from inside batch_add()");
	loop_free(loop);
	return check_done();
}
