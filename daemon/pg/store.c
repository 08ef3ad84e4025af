/* waiting -> connecting -> checking -> idle <-> running, and from everywhere back to waiting. Read
 * downwards: the functions stand in the order in which a connection meets them. */
#include "pg/store.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "pg/resolve.h"
#include "pg/session.h"

enum {
	STORE_MAGIC = 0x53544f52,
	STORE_RESULTS_MAX = 2 * STORE_CALLS_MAX, /* a prepare and an execute for each call */
	STORE_NAME_MAX = 16,
	/* A host that is only slow must get in some time. */
	STORE_PATIENT_EVERY = 8,
	STORE_PATIENT_MS = 2000,
};

enum phase {
	PHASE_WAITING,    /* for the timer: no connection */
	PHASE_CONNECTING, /* libpq's handshake */
	PHASE_CHECKING,   /* is this a server to trust with facts? */
	PHASE_IDLE,
	PHASE_RUNNING,
};

/* The answers that one transaction still owes us. */
struct run {
	size_t expected; /* results before the SYNC */
	size_t seen;
	int prepares[STORE_RESULTS_MAX]; /* index of the statement that it prepares, or -1 */
	PGresult *last;                  /* of the last call; NULL until it came */
	bool failed;
	bool raised_inside; /* valid once failed: by a function */
	bool warned;        /* a commit that came with a warning is none */
	char sqlstate[STORE_SQLSTATE_MAX];
	struct problem message;
	store_done *done;
	void *tag;
};

struct statement {
	const char *text; /* static */
	bool prepared;    /* on this connection: the server has said so */
};

struct store {
	unsigned magic;
	struct loop *loop;
	struct resolve *resolve;
	bool allow_unsafe_fsync;
	char *setup; /* NULL: none */
	const struct store_events *events;
	void *owner;
	enum phase phase;
	PGconn *conn;             /* NULL while waiting */
	struct loop_watch *watch; /* NULL while waiting, and inside PQconnectPoll() */
	struct loop_timer *timer; /* the back-off, or the deadline of what goes on; idle: stopped */
	struct loop_task *breaking; /* gives the connection up when sending has failed */
	int64_t round_ms;           /* when this round of hosts began */
	int64_t attempt_ms;         /* when this attempt began */
	unsigned attempts;          /* since it was connected last */
	unsigned rounds;            /* likewise */
	enum session_step check;    /* valid while checking */
	struct run run;             /* valid while checking and running */
	size_t statements_count;
	struct statement statements[STORE_STATEMENTS_MAX]; /* the index is part of their names */
	bool broken;                                       /* sending has failed */
	bool server_ends;       /* the server has said on an idle connection that it ends it */
	bool calling_out;       /* with more to do then: the memory stays until it is back */
	bool freed;             /* meanwhile; nothing else is valid then */
	struct problem reason;  /* of this attempt, or why the connection was lost */
	struct problem reasons; /* those of this round */
	struct problem problem; /* those of the last round */
};

static void set_reason(struct store *store, const char *message)
{
	session_one_line(&store->reason, message);
}

/* Begin and end. */

static void timer_fired(void *owner);
static void sending_failed(void *owner);
static void address_found(void *owner);

static void begin_round(struct store *store, int64_t after_ms)
{
	resolve_begin(store->resolve);
	store->reasons.text[0] = '\0';
	store->round_ms = clock_mono_ms() + after_ms;
	loop_timer_start(store->timer, after_ms);
}

struct store *store_new(struct loop *loop, const struct store_options *options,
	const struct store_events *events, void *owner)
{
	struct store *store = memory_new(sizeof(*store));

	store->magic = STORE_MAGIC;
	store->loop = loop;
	store->allow_unsafe_fsync = options->allow_unsafe_fsync;
	store->setup = options->setup ? memory_copy(options->setup) : NULL;
	store->events = events;
	store->owner = owner;
	store->timer = loop_timer_new(loop, timer_fired, store);
	store->breaking = loop_task_new(loop, sending_failed, store);
	store->resolve = resolve_new(loop, options->conninfo,
		options->application_name ? options->application_name : "orderd", address_found,
		store);
	problem_say(&store->problem, "not connected yet");
	begin_round(store, 0);
	return store;
}

static void close_connection(struct store *store)
{
	loop_watch_free(store->watch);
	store->watch = NULL;
	PQclear(store->run.last);
	store->run = (struct run){ .expected = 0 };
	PQfinish(store->conn);
	store->conn = NULL;
	store->statements_count = 0;
	store->broken = false;
	store->server_ends = false;
	if (store->phase == PHASE_IDLE || store->phase == PHASE_RUNNING) {
		metrics_add(METRIC_DATABASE_CONNECTED, -1);
	}
	store->phase = PHASE_WAITING;
}

void store_free(struct store *store)
{
	if (!store) {
		return;
	}
	close_connection(store);
	free(store->setup);
	resolve_free(store->resolve);
	loop_timer_free(store->timer);
	loop_task_free(store->breaking);
	store->magic = 0;
	if (store->calling_out) {
		store->freed = true;
	} else {
		free(store);
	}
}

bool store_ready(const struct store *store)
{
	return store->phase == PHASE_IDLE && !store->server_ends;
}

const char *store_problem(const struct store *store)
{
	return store->phase == PHASE_IDLE || store->phase == PHASE_RUNNING ? ""
									   : store->problem.text;
}

/* Losing it. */

static int64_t jitter(int64_t ms)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) {
		number = UINT32_MAX / 2;
	}
	return ms / 2 + ms / 2 * (int64_t)number / UINT32_MAX;
}

static void add_reason(struct store *store)
{
	const char *others = store->reasons.text;

	if (!strstr(others, store->reason.text)) {
		problem_say(&store->reasons, "%s%s%s", others, others[0] ? "; " : "",
			store->reason.text);
	}
}

/* Every host was tried in vain. */
static void round_ended(struct store *store)
{
	unsigned doublings = store->rounds < 8 ? store->rounds : 8;
	int64_t pause_ms = (int64_t)STORE_BACKOFF_MIN_MS << doublings;

	store->rounds++;
	pause_ms = jitter(pause_ms < STORE_BACKOFF_MAX_MS ? pause_ms : STORE_BACKOFF_MAX_MS);
	pause_ms -= clock_mono_ms() - store->round_ms;
	if (resolve_problem(store->resolve)[0] != '\0') {
		set_reason(store, resolve_problem(store->resolve));
		add_reason(store);
	}

	bool other = strcmp(store->problem.text, store->reasons.text) != 0;

	store->problem = store->reasons;
	begin_round(store, pause_ms > 0 ? pause_ms : 0);
	if (other && store->events->connect_failed) {
		store->events->connect_failed(store->owner);
	}
}

/* For the reason in reason. The last thing its caller does. */
static void attempt_failed(struct store *store)
{
	add_reason(store);
	close_connection(store);
	loop_timer_start(store->timer, 0);
}

/* The connection has gone for the reason in reason, and with it the transaction under way, if
 * there is one. The last thing its caller does. */
static void connection_lost(struct store *store, enum store_end end)
{
	struct run run = store->run;
	bool running = store->phase == PHASE_RUNNING;
	struct store_result result = { .end = end };

	if (store->phase < PHASE_IDLE) {
		attempt_failed(store);
		return;
	}
	memcpy(result.sqlstate, run.sqlstate, sizeof(result.sqlstate));
	result.message = text_of(run.message.text[0] ? run.message.text : store->reason.text);
	close_connection(store);
	store->problem = store->reason;
	/* Not at once: it may be we who make the server fall. */
	begin_round(store, jitter(STORE_BACKOFF_MIN_MS));

	store->calling_out = true;
	if (running) {
		run.done(run.tag, &result);
	}
	store->calling_out = false;
	if (store->freed) {
		free(store);
	} else {
		store->events->disconnected(store->owner);
	}
}

/* Connecting. */

static void descriptor_ready(void *owner, unsigned ready);

static void watch(struct store *store, unsigned want)
{
	store->watch = loop_watch_new(store->loop, PQsocket(store->conn), descriptor_ready, store);
	loop_watch_want(store->watch, want);
}

static int64_t silence_ms(const struct store *store)
{
	int64_t left_ms = store->attempt_ms + STORE_CONNECT_TOTAL_MS - clock_mono_ms();
	int64_t silence =
		store->attempts % STORE_PATIENT_EVERY == 0 ? STORE_PATIENT_MS : STORE_CONNECT_MS;

	if (left_ms < 0) {
		return 0;
	}
	return left_ms < silence ? left_ms : silence;
}

static void notice_arrived(void *owner, const PGresult *notice);
static void check_session(struct store *store);

/* The watch is new for each step: libpq may have closed the socket and opened another one under
 * the same number, which the old watch would know nothing of. */
static void continue_connecting(struct store *store)
{
	loop_watch_free(store->watch);
	store->watch = NULL;
	loop_timer_start(store->timer, silence_ms(store));
	switch (PQconnectPoll(store->conn)) {
	case PGRES_POLLING_READING:
		watch(store, LOOP_READ);
		return;
	case PGRES_POLLING_WRITING:
		watch(store, LOOP_WRITE);
		return;
	case PGRES_POLLING_OK:
		watch(store, LOOP_READ);
		check_session(store);
		return;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		break;
	}
	set_reason(store, PQerrorMessage(store->conn));
	attempt_failed(store);
}

static void connect_to(struct store *store, const struct resolve_words *words)
{
	store->phase = PHASE_CONNECTING;
	store->attempts++;
	store->attempt_ms = clock_mono_ms();
	store->conn = PQconnectStartParams(words->keywords, words->values, 0);
	if (!store->conn) {
		die("no memory for a database connection");
	}
	PQsetErrorVerbosity(store->conn, PQERRORS_TERSE);
	PQsetNoticeReceiver(store->conn, notice_arrived, store);
	if (PQstatus(store->conn) == CONNECTION_BAD) {
		set_reason(store, PQerrorMessage(store->conn));
		attempt_failed(store);
		return;
	}
	loop_timer_start(store->timer, silence_ms(store));
	watch(store, LOOP_WRITE);
}

static void try_next_host(struct store *store)
{
	struct resolve_words words;

	if (resolve_next(store->resolve, &words)) {
		connect_to(store, &words);
	} else {
		round_ended(store);
	}
}

/* No need to wait for the next round. */
static void address_found(void *owner)
{
	struct store *store = owner;

	assert(store->magic == STORE_MAGIC);
	if (store->phase == PHASE_WAITING) {
		loop_timer_start(store->timer, 0);
	}
}

/* Running, the checks included. */

static int statement_index(struct store *store, const char *text)
{
	size_t i = 0;

	while (i < store->statements_count && strcmp(store->statements[i].text, text) != 0) {
		i++;
	}
	if (i == store->statements_count) {
		assert(i < STORE_STATEMENTS_MAX);
		store->statements[i] = (struct statement){ .text = text };
		store->statements_count++;
	}
	return (int)i;
}

static bool is_being_prepared(const struct run *run, int index)
{
	for (size_t i = 0; i < run->expected; i++) {
		if (run->prepares[i] == index) {
			return true;
		}
	}
	return false;
}

static void expect(struct run *run, int prepares)
{
	assert(run->expected < STORE_RESULTS_MAX);
	run->prepares[run->expected++] = prepares;
}

static char *copy_text_param(const struct store_param *param)
{
	/* libpq takes text up to its NUL. */
	assert(!memchr(param->bytes, '\0', param->len));
	return memory_copy_text((struct text){ param->bytes, param->len });
}

static bool send_execute(struct store *store, const char *name, const struct store_call *call)
{
	const char *values[STORE_PARAMS_MAX];
	char *copies[STORE_PARAMS_MAX] = { NULL };
	int lengths[STORE_PARAMS_MAX];
	int formats[STORE_PARAMS_MAX];

	assert(call->param_count <= STORE_PARAMS_MAX);
	for (size_t i = 0; i < call->param_count; i++) {
		const struct store_param *param = &call->params[i];

		assert(param->len <= INT32_MAX);
		if (param->bytes && !param->binary) {
			copies[i] = copy_text_param(param);
		}
		values[i] = copies[i] ? copies[i] : param->bytes;
		lengths[i] = (int)param->len;
		formats[i] = param->binary;
	}
	bool sent = PQsendQueryPrepared(store->conn, name, (int)call->param_count, values, lengths,
			    formats, 0) == 1;

	for (size_t i = 0; i < call->param_count; i++) {
		free(copies[i]);
	}
	return sent;
}

static bool send_call(struct store *store, const struct store_call *call)
{
	int index = statement_index(store, call->statement);
	char name[STORE_NAME_MAX];

	snprintf(name, sizeof(name), "orderd%d", index);
	if (!store->statements[index].prepared && !is_being_prepared(&store->run, index)) {
		if (PQsendPrepare(store->conn, name, call->statement, 0, NULL) != 1) {
			return false;
		}
		expect(&store->run, index);
	}
	expect(&store->run, -1);
	return send_execute(store, name, call);
}

/* What does not fit into the socket goes when there is room; we keep reading meanwhile, as the
 * server may be unable to read before it has written. */
static bool flush(struct store *store)
{
	int left = PQflush(store->conn);

	if (left < 0) {
		set_reason(store, PQerrorMessage(store->conn));
		return false;
	}
	loop_watch_want(store->watch, left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

static bool send_calls(struct store *store, const struct store_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!send_call(store, &calls[i])) {
			set_reason(store, PQerrorMessage(store->conn));
			return false;
		}
	}
	if (PQpipelineSync(store->conn) != 1) {
		set_reason(store, PQerrorMessage(store->conn));
		return false;
	}
	return flush(store);
}

static void start_run(struct store *store, const struct store_call *calls, size_t count,
	store_done *done, void *tag)
{
	assert(count > 0 && count <= STORE_CALLS_MAX);
	store->run = (struct run){ .done = done, .tag = tag };
	loop_timer_start(
		store->timer, store->phase == PHASE_CHECKING ? silence_ms(store) : STORE_RUN_MS);
	if (!send_calls(store, calls, count)) {
		store->broken = true; /* nobody is called from inside store_run() */
		loop_task_post(store->breaking);
	}
}

static void sending_failed(void *owner)
{
	struct store *store = owner;

	assert(store->magic == STORE_MAGIC);
	if (store->broken) {
		connection_lost(store, STORE_UNSURE);
	}
}

bool store_run(struct store *store, const struct store_call *calls, size_t count, store_done *done,
	void *tag)
{
	if (!store_ready(store)) {
		return false;
	}
	store->phase = PHASE_RUNNING;
	start_run(store, calls, count, done, tag);
	return true;
}

static const char *field(const PGresult *result, int code)
{
	const char *value = PQresultErrorField(result, code);

	return value ? value : "";
}

/* From inside libpq: only remember.
 *
 * A commit that a standby has not confirmed ends like any other, but for a WARNING. It may come
 * before libpq has handed out the last result, so its place does not tell it from one that a
 * function raised, which does no harm. Its context does: a function's names the function. */
static void notice_arrived(void *owner, const PGresult *notice)
{
	struct store *store = owner;
	const char *severity = field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

	assert(store->magic == STORE_MAGIC);
	if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
		set_reason(store, field(notice, PG_DIAG_MESSAGE_PRIMARY));
		store->server_ends = true;
	} else if (strcmp(severity, "WARNING") == 0 && store->phase == PHASE_RUNNING &&
		   field(notice, PG_DIAG_CONTEXT)[0] == '\0') {
		session_one_line(&store->run.message, field(notice, PG_DIAG_MESSAGE_PRIMARY));
		store->run.warned = true;
	}
}

static void read_row(const PGresult *rows, struct store_result *result)
{
	result->column_count = rows && PQntuples(rows) > 0 ? (size_t)PQnfields(rows) : 0;
	assert(result->column_count <= STORE_COLUMNS_MAX);
	for (int i = 0; i < (int)result->column_count; i++) {
		result->columns[i].ptr = PQgetisnull(rows, 0, i) ? NULL : PQgetvalue(rows, 0, i);
		result->columns[i].len = (size_t)PQgetlength(rows, 0, i);
	}
	result->value = result->columns[0];
}

/* A setting that the server tells unasked, at the latest before the SYNC. */
static bool is_on(const struct store *store, const char *setting)
{
	const char *value = PQparameterStatus(store->conn, setting);

	return value && strcmp(value, "on") == 0;
}

static void check_answered(struct store *store, const struct store_result *result);

/* The SYNC has come: the transaction has ended. The last thing its caller does. */
static void run_ended(struct store *store)
{
	struct run run = store->run;
	struct store_result result = { .end = STORE_COMMITTED };

	if (run.failed && store->phase == PHASE_RUNNING &&
		session_is_spent(run.sqlstate, run.raised_inside,
			is_on(store, "default_transaction_read_only") ||
				is_on(store, "in_hot_standby"))) {
		set_reason(store, run.message.text);
		connection_lost(store, STORE_REFUSED);
		return;
	}
	if (run.failed) {
		result.end = STORE_REFUSED;
	} else if (run.warned) {
		result.end = STORE_UNSURE;
		metrics_add(METRIC_COMMIT_WARNINGS, 1);
	}
	memcpy(result.sqlstate, run.sqlstate, sizeof(result.sqlstate));
	result.message = text_of(run.message.text);
	read_row(run.last, &result);
	store->run = (struct run){ .expected = 0 };
	if (store->phase == PHASE_CHECKING) {
		check_answered(store, &result);
	} else {
		store->phase = PHASE_IDLE;
		loop_timer_stop(store->timer);
		run.done(run.tag, &result);
	}
	PQclear(run.last);
}

/* What a function raises, which may be a trigger of the merchant's, may be in the words of a
 * customer, under any code. Context is what tells. A FATAL is always the server's own. */
static void note_error(struct run *run, const PGresult *result)
{
	if (run->failed) {
		return; /* what follows the first error follows from it */
	}
	run->failed = true;
	snprintf(run->sqlstate, sizeof(run->sqlstate), "%s", field(result, PG_DIAG_SQLSTATE));
	run->raised_inside = strcmp(field(result, PG_DIAG_SEVERITY_NONLOCALIZED), "ERROR") == 0 &&
			     field(result, PG_DIAG_CONTEXT)[0] != '\0';
	if (run->raised_inside) {
		problem_say(&run->message, "error %s inside a function", run->sqlstate);
		return;
	}
	session_one_line(&run->message, field(result, PG_DIAG_MESSAGE_PRIMARY));
	if (run->message.text[0] == '\0') { /* libpq's own */
		session_one_line(&run->message, PQresultErrorMessage(result));
	}
}

/* False: this is not what was asked for. Takes result. */
static bool take_result(struct store *store, PGresult *result)
{
	struct run *run = &store->run;
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_FATAL_ERROR) {
		note_error(run, result);
		run->seen++; /* that of a commit is one more than expected */
	} else if (run->seen == run->expected) {
		PQclear(result);
		return false;
	} else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
		int prepared = run->prepares[run->seen++];

		if (prepared >= 0) {
			store->statements[prepared].prepared = true;
		} else if (run->seen == run->expected) {
			run->last = result;
			return true;
		}
	} else if (status == PGRES_PIPELINE_ABORTED) {
		run->seen++;
	} else {
		PQclear(result);
		return false;
	}
	PQclear(result);
	return true;
}

/* What the server said last is a better reason than that it is gone. */
static void server_gone(struct store *store)
{
	if (store->run.failed) {
		set_reason(store, store->run.message.text);
	} else if (!store->server_ends) {
		set_reason(store, PQerrorMessage(store->conn));
	}
	connection_lost(store, STORE_UNSURE);
}

/* A SYNC is a success only when every result before it was one. NULLs between results mean
 * nothing; a connection that has gone gives nothing else. */
static void read_results(struct store *store)
{
	unsigned nothing = 0;
	bool expected = true;

	while (expected && nothing < 3 && !PQisBusy(store->conn)) {
		PGresult *result = PQgetResult(store->conn);

		if (!result) {
			nothing++;
		} else if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
			nothing = 0;
			expected = take_result(store, result);
		} else if (store->run.failed || store->run.seen == store->run.expected) {
			PQclear(result);
			run_ended(store);
			return;
		} else {
			PQclear(result);
			expected = false;
		}
	}
	if (!expected) {
		set_reason(store, "the server answered what was not asked");
		connection_lost(store, STORE_UNSURE);
	} else if (nothing >= 3 || PQstatus(store->conn) == CONNECTION_BAD) {
		server_gone(store);
	}
}

/* The FATAL of a server that goes is read first and leaves the connection well in libpq's eyes;
 * only the next read finds the end. Either may be what we see. */
static void read_idle(struct store *store)
{
	PGnotify *notification;

	if (!PQisBusy(store->conn)) { /* for what it parses */
		while ((notification = PQnotifies(store->conn))) {
			PQfreemem(notification);
		}
	}
	if (store->server_ends || PQstatus(store->conn) == CONNECTION_BAD) {
		server_gone(store);
	}
}

static void descriptor_ready(void *owner, unsigned ready)
{
	struct store *store = owner;

	(void)ready;
	assert(store->magic == STORE_MAGIC);
	if (store->phase == PHASE_CONNECTING) {
		continue_connecting(store);
	} else if (PQconsumeInput(store->conn) != 1) {
		server_gone(store);
	} else if (!flush(store)) {
		connection_lost(store, STORE_UNSURE);
	} else if (store->phase == PHASE_IDLE) {
		read_idle(store);
	} else {
		read_results(store);
	}
}

static void timer_fired(void *owner)
{
	struct store *store = owner;

	assert(store->magic == STORE_MAGIC);
	switch (store->phase) {
	case PHASE_WAITING:
		try_next_host(store);
		return;
	case PHASE_CONNECTING:
	case PHASE_CHECKING:
		problem_say(&store->reason, "%s does not answer", PQhost(store->conn));
		attempt_failed(store);
		return;
	case PHASE_RUNNING:
		problem_say(&store->reason, "no answer within %d ms", STORE_RUN_MS);
		connection_lost(store, STORE_UNSURE);
		return;
	case PHASE_IDLE:
		break;
	}
	die("a deadline for an idle connection");
}

/* Checking: three transactions, one after the other. */

static void start_check(struct store *store, enum session_step step)
{
	struct store_call calls[2] = { { .statement = session_statement(step) } };
	size_t count = 1;

	store->check = step;
	if (step == SESSION_SETTINGS && store->setup) {
		calls[count++].statement = store->setup;
	}
	start_run(store, calls, count, NULL, NULL);
}

static void check_session(struct store *store)
{
	store->phase = PHASE_CHECKING;
	if (PQsetnonblocking(store->conn, 1) != 0 || PQenterPipelineMode(store->conn) != 1) {
		set_reason(store, PQerrorMessage(store->conn));
		attempt_failed(store);
		return;
	}
	start_check(store, SESSION_SETTINGS);
}

static void session_ready(struct store *store)
{
	store->phase = PHASE_IDLE;
	store->attempts = 0;
	store->rounds = 0;
	loop_timer_stop(store->timer);
	metrics_add(METRIC_DATABASE_CONNECTED, 1);
	metrics_add(METRIC_DATABASE_CONNECTS, 1);
	store->events->connected(store->owner);
}

static void check_answered(struct store *store, const struct store_result *result)
{
	struct problem problem;
	bool fit = result->end == STORE_COMMITTED;

	if (!fit) {
		session_refused(store->check, result->sqlstate, result->message, &problem);
	} else {
		fit = session_judge(
			store->check, result->value, store->allow_unsafe_fsync, &problem);
	}
	if (!fit) {
		set_reason(store, problem.text);
		attempt_failed(store);
	} else if (store->check + 1 < SESSION_STEPS) {
		start_check(store, store->check + 1);
	} else {
		session_ready(store);
	}
}
