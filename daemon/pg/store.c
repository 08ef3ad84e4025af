/* waiting -> connecting -> checking -> idle <-> running, and from everywhere back to waiting. Read
 * downwards: the functions stand in the order in which a connection meets them. */
#include "pg/store.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "pg/attempts.h"
#include "pg/pipeline.h"
#include "pg/resolve.h"
#include "pg/session.h"
#include "pg/witness.h"

enum { STORE_MAGIC = 0x53544f52 };

enum phase {
	PHASE_WAITING,    /* for the timer: no connection */
	PHASE_CONNECTING, /* libpq's handshake */
	PHASE_CHECKING,   /* is this a server to trust with facts? */
	PHASE_IDLE,
	PHASE_RUNNING,
	PHASE_LOOKING, /* is it still? */
};

struct store {
	unsigned magic;
	struct loop *loop;
	struct resolve *resolve;
	char *name; /* for the log */
	bool quiet;
	char *setup; /* NULL: none */
	const struct store_events *events;
	void *owner;
	enum phase phase;
	PGconn *conn;             /* NULL while waiting */
	struct loop_watch *watch; /* NULL while waiting, and inside PQconnectPoll() */
	struct loop_timer *timer; /* the back-off, or the deadline of what goes on; idle: stopped */
	struct loop_task *breaking; /* gives the connection up when sending has failed */
	struct session session;     /* valid from checking on */
	struct witness *witness;    /* NULL, but while one is asked */
	struct loop_timer *look;    /* begins the next look; stopped while there is no connection */
	bool look_due;              /* as soon as it is idle */
	struct pipeline *pipeline;  /* NULL while idle, or not connected */
	struct pipeline_statements statements;
	store_done *done; /* valid while running, as is its tag */
	void *tag;
	bool broken;      /* sending has failed */
	bool server_ends; /* the server has said on an idle connection that it ends it */
	bool calling_out; /* with more to do then: the memory stays until it is back */
	bool freed;       /* meanwhile; nothing else is valid then */
	struct attempts attempts;
};

static void set_reason(struct store *store, const char *message)
{
	session_one_line(&store->attempts.reason, message);
}

/* Begin and end. */

static void timer_fired(void *owner);
static void look_is_due(void *owner);
static void sending_failed(void *owner);
static void address_found(void *owner);

static void begin_round(struct store *store, int64_t after_ms)
{
	resolve_begin(store->resolve);
	attempts_begin_round(&store->attempts, after_ms);
	loop_timer_start(store->timer, after_ms);
}

struct store *store_new(struct loop *loop, const struct store_options *options,
	const struct store_events *events, void *owner)
{
	const char *name = options->application_name ? options->application_name : "orderd";
	struct store *store = memory_new(sizeof(*store));

	store->magic = STORE_MAGIC;
	store->loop = loop;
	store->name = memory_copy(name);
	store->quiet = options->quiet;
	store->session.allow_unsafe_fsync = options->allow_unsafe_fsync;
	store->setup = options->setup ? memory_copy(options->setup) : NULL;
	store->events = events;
	store->owner = owner;
	store->timer = loop_timer_new(loop, timer_fired, store);
	store->look = loop_timer_new(loop, look_is_due, store);
	store->breaking = loop_task_new(loop, sending_failed, store);
	store->resolve = resolve_new(loop, options->conninfo, name, address_found, store);
	problem_say(&store->attempts.problem, "not connected yet");
	begin_round(store, 0);
	return store;
}

static void close_connection(struct store *store)
{
	loop_watch_free(store->watch);
	store->watch = NULL;
	loop_timer_stop(store->look);
	store->look_due = false;
	witness_free(store->witness);
	store->witness = NULL;
	pipeline_free(store->pipeline);
	store->pipeline = NULL;
	PQfinish(store->conn);
	store->conn = NULL;
	store->statements.count = 0;
	store->broken = false;
	store->server_ends = false;
	if (store->phase >= PHASE_IDLE) {
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
	free(store->name);
	free(store->setup);
	resolve_free(store->resolve);
	loop_timer_free(store->timer);
	loop_timer_free(store->look);
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
	return store->phase >= PHASE_IDLE ? "" : store->attempts.problem.text;
}

/* Losing it. */

/* For another reason than before. The last thing its caller does. */
static void round_failed(struct store *store)
{
	if (!store->quiet) {
		log_event(LOG_ERROR, "database_unreachable",
			LOG_FIELDS(LOG_STRING("connection", store->name),
				LOG_STRING("error", store->attempts.problem.text)));
	}
	if (store->events->connect_failed) {
		store->events->connect_failed(store->owner);
	}
}

/* Every host was tried in vain. */
static void round_ended(struct store *store)
{
	int64_t pause_ms;

	if (resolve_problem(store->resolve)[0] != '\0') {
		set_reason(store, resolve_problem(store->resolve));
		attempts_failed(&store->attempts);
	}

	bool other = attempts_end_round(&store->attempts, &pause_ms);

	begin_round(store, pause_ms);
	if (other) {
		round_failed(store);
	}
}

/* For the reason in reason. The last thing its caller does. */
static void attempt_failed(struct store *store)
{
	attempts_failed(&store->attempts);
	close_connection(store);
	loop_timer_start(store->timer, 0);
}

static void log_lost(const struct store *store)
{
	if (!store->quiet) {
		log_event(LOG_WARNING, "database_lost",
			LOG_FIELDS(LOG_STRING("connection", store->name),
				LOG_STRING("error", store->attempts.problem.text)));
	}
}

/* The connection has gone for the reason in reason, and with it the transaction under way, if
 * there is one. The last thing its caller does. */
static void connection_lost(struct store *store, enum store_end end)
{
	struct pipeline *pipeline = store->pipeline;
	bool running = store->phase == PHASE_RUNNING;
	struct store_result result = { .message = TEXT("") };

	if (store->phase < PHASE_IDLE) {
		attempt_failed(store);
		return;
	}
	store->pipeline = NULL; /* its words are needed when the connection is closed */
	if (pipeline) {
		pipeline_result(pipeline, &result);
	}
	result.end = end;
	if (result.message.len == 0) {
		result.message = text_of(store->attempts.reason.text);
	}
	close_connection(store);
	begin_round(store, attempts_lost_ms(&store->attempts));
	log_lost(store);

	store->calling_out = true;
	if (running) {
		store->done(store->tag, &result);
	}
	pipeline_free(pipeline);
	store->calling_out = false;
	if (store->freed) {
		free(store);
	} else {
		store->events->disconnected(store->owner);
	}
}

/* Connecting. */

static void descriptor_ready(void *owner, unsigned ready);

/* What the kernel does not watch for ends by the timer of its step. */
static void watch(struct store *store, unsigned want)
{
	store->watch = loop_watch_new(store->loop, PQsocket(store->conn), descriptor_ready, store);
	(void)loop_watch_want(store->watch, want);
}

static void notice_arrived(void *owner, const PGresult *notice);
static void check_session(struct store *store);

/* The watch is new for each step: libpq may have closed the socket and opened another one under
 * the same number, which the old watch would know nothing of. */
static void continue_connecting(struct store *store)
{
	loop_watch_free(store->watch);
	store->watch = NULL;
	loop_timer_start(store->timer, attempts_timeout_ms(&store->attempts));
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
	attempts_begin(&store->attempts);
	store->conn = PQconnectStartParams(words->keywords, words->values, 0);
	/* NULL, when there is no memory, is a bad connection to all of these. */
	PQsetErrorVerbosity(store->conn, PQERRORS_TERSE);
	PQsetNoticeReceiver(store->conn, notice_arrived, store);
	if (PQstatus(store->conn) == CONNECTION_BAD) {
		set_reason(store, PQerrorMessage(store->conn));
		attempt_failed(store);
		return;
	}
	loop_timer_start(store->timer, attempts_timeout_ms(&store->attempts));
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

/* What does not fit into the socket goes when there is room; we keep reading meanwhile, as the
 * server may be unable to read before it has written. */
static bool flush(struct store *store)
{
	int left = PQflush(store->conn);

	if (left < 0) {
		set_reason(store, PQerrorMessage(store->conn));
		return false;
	}
	if (!loop_watch_want(store->watch, left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ)) {
		set_reason(store, "the kernel does not watch its socket");
		return false;
	}
	return true;
}

static bool send_calls(struct store *store, const struct store_call *calls, size_t count)
{
	if (!pipeline_send(store->pipeline, calls, count)) {
		set_reason(store, PQerrorMessage(store->conn));
		return false;
	}
	return flush(store);
}

static void start_run(struct store *store, const struct store_call *calls, size_t count)
{
	store->pipeline = pipeline_new(store->conn, &store->statements);
	loop_timer_start(store->timer, store->phase == PHASE_CHECKING
					       ? attempts_timeout_ms(&store->attempts)
					       : STORE_RUN_MS);
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
	store->done = done;
	store->tag = tag;
	start_run(store, calls, count);
	return true;
}

/* From inside libpq: only remember.
 *
 * A commit that a standby has not confirmed ends like any other, but for a WARNING. It may come
 * before libpq has handed out the last result, so its place does not tell it from one that a
 * function raised, which does no harm. Its context does: a function's names the function. */
static void notice_arrived(void *owner, const PGresult *notice)
{
	struct store *store = owner;
	const char *severity = pipeline_field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = pipeline_field(notice, PG_DIAG_MESSAGE_PRIMARY);

	assert(store->magic == STORE_MAGIC);
	if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
		set_reason(store, message);
		store->server_ends = true;
	} else if (strcmp(severity, "WARNING") == 0 && store->phase == PHASE_RUNNING &&
		   pipeline_field(notice, PG_DIAG_CONTEXT)[0] == '\0') {
		pipeline_warn(store->pipeline, message);
	}
}

static void check_answered(struct store *store, const struct store_result *result);
static void begin_look(struct store *store);
static void look_answered(struct store *store, const struct store_result *result);

/* The transaction has ended. The last thing its caller does. */
static void run_ended(struct store *store)
{
	struct pipeline *pipeline = store->pipeline;
	struct store_result result;

	bool doubtful = pipeline_is_doubtful(pipeline);

	if (doubtful || (store->phase >= PHASE_RUNNING && pipeline_is_stale(pipeline))) {
		set_reason(store, pipeline_error(pipeline));
		connection_lost(store, doubtful ? STORE_UNSURE : STORE_REFUSED);
		return;
	}
	pipeline_result(pipeline, &result);
	if (result.end == STORE_UNSURE) {
		metrics_add(METRIC_COMMIT_WARNINGS, 1);
	}
	store->pipeline = NULL;
	if (store->phase == PHASE_CHECKING) {
		check_answered(store, &result);
	} else if (store->phase == PHASE_LOOKING) {
		look_answered(store, &result);
	} else {
		store->phase = PHASE_IDLE;
		loop_timer_stop(store->timer);
		begin_look(store);
		store->done(store->tag, &result);
	}
	pipeline_free(pipeline);
}

/* What the server said last is a better reason than that it is gone. */
static void server_gone(struct store *store)
{
	const char *error = store->pipeline ? pipeline_error(store->pipeline) : "";

	if (error[0]) {
		set_reason(store, error);
	} else if (!store->server_ends) {
		set_reason(store, PQerrorMessage(store->conn));
	}
	connection_lost(store, STORE_UNSURE);
}

static void read_results(struct store *store)
{
	switch (pipeline_read(store->pipeline)) {
	case PIPELINE_RUNNING:
		return;
	case PIPELINE_ENDED:
		run_ended(store);
		return;
	case PIPELINE_UNASKED:
		set_reason(store, "the server answered what was not asked");
		connection_lost(store, STORE_UNSURE);
		return;
	case PIPELINE_GONE:
		server_gone(store);
		return;
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
	} else if (!store->pipeline) {
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
		problem_say(&store->attempts.reason, "%s does not answer", PQhost(store->conn));
		attempt_failed(store);
		return;
	case PHASE_RUNNING:
	case PHASE_LOOKING:
		problem_say(&store->attempts.reason, "no answer within %d ms", STORE_RUN_MS);
		connection_lost(store, STORE_UNSURE);
		return;
	case PHASE_IDLE:
		break;
	}
	die("a deadline for an idle connection");
}

/* Checking: some transactions, one after the other. */

static void run_check(struct store *store)
{
	struct store_call calls[2] = { { .statement = session_statement(&store->session) } };
	size_t count = 1;

	if (store->session.step == SESSION_SETTINGS && store->setup) {
		calls[count++].statement = store->setup;
	}
	start_run(store, calls, count);
}

static void check_session(struct store *store)
{
	store->phase = PHASE_CHECKING;
	if (PQsetnonblocking(store->conn, 1) != 0 || PQenterPipelineMode(store->conn) != 1) {
		set_reason(store, PQerrorMessage(store->conn));
		attempt_failed(store);
		return;
	}
	session_begin(&store->session, store->session.allow_unsafe_fsync);
	run_check(store);
}

static void session_ready(struct store *store)
{
	store->phase = PHASE_IDLE;
	attempts_succeeded(&store->attempts);
	witness_free(store->witness);
	store->witness = NULL;
	loop_timer_stop(store->timer);
	loop_timer_start(store->look, STORE_LOOK_MS);
	metrics_add(METRIC_DATABASE_CONNECTED, 1);
	metrics_add(METRIC_DATABASE_CONNECTS, 1);
	if (!store->quiet) {
		log_event(LOG_INFO, "database_connected",
			LOG_FIELDS(LOG_STRING("connection", store->name)));
	}
	store->events->connected(store->owner);
}

/* The witness holds a process: is ours still ours? */
static void witness_has_told(void *owner, bool pooled)
{
	struct store *store = owner;

	assert(store->magic == STORE_MAGIC);
	if (pooled) {
		session_say_pooled(&store->attempts.reason);
		attempt_failed(store);
	} else {
		session_look(&store->session);
		run_check(store);
	}
}

static void ask_witness(struct store *store)
{
	loop_timer_stop(store->timer);
	store->witness = witness_new(
		store->loop, store->conn, store->session.server_pid, witness_has_told, store);
}

/* False, with a reason: this server will not do. */
static bool answer_will_do(struct store *store, const struct store_result *result)
{
	struct problem *reason = &store->attempts.reason;

	if (result->end == STORE_COMMITTED) {
		return session_judge(&store->session, result->value, reason);
	}
	session_refused(&store->session, result->sqlstate, result->message, reason);
	return false;
}

static void check_answered(struct store *store, const struct store_result *result)
{
	if (!answer_will_do(store, result)) {
		attempt_failed(store);
	} else if (store->session.step < SESSION_CHECKED) {
		run_check(store);
	} else if (!store->witness && witness_is_needed(store->conn, store->session.server_pid)) {
		ask_witness(store);
	} else {
		session_ready(store);
	}
}

/* Looking again, now and then: somebody may have switched fsync off meanwhile. */

static void begin_look(struct store *store)
{
	if (store->look_due && store->phase == PHASE_IDLE) {
		store->look_due = false;
		store->phase = PHASE_LOOKING;
		session_look(&store->session);
		run_check(store);
	}
}

static void look_is_due(void *owner)
{
	struct store *store = owner;

	assert(store->magic == STORE_MAGIC);
	store->look_due = true;
	begin_look(store);
}

/* A server that could not say will be asked again. */
static void look_answered(struct store *store, const struct store_result *result)
{
	if (result->end == STORE_COMMITTED && !answer_will_do(store, result)) {
		connection_lost(store, STORE_REFUSED);
		return;
	}
	store->phase = PHASE_IDLE;
	loop_timer_stop(store->timer);
	loop_timer_start(store->look, STORE_LOOK_MS);
	store->events->connected(store->owner);
}
