/* claim -> wait -> call -> end. */
#include "command/api_session.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/memory.h"
#include "base/stamp.h"
#include "command/print.h"
#include "flow/call_record.h"
#include "settings/options.h"

enum {
	STATEMENT_TIMEOUT_S = 30,
	WAIT_MAX_MS = 60000, /* then the budget is asked again: others may have left room */
	WAIT_SAID_MS = 2000, /* a wait that a person at a terminal would wonder about */
};

struct api_session {
	struct loop *loop;
	struct torque *torque;
	struct blocking *session;
	struct loop_timer *waiting;
	struct call_record call_record; /* of the last call, as are the next two */
	struct torque_answer answer;
	char *body; /* its body, with a NUL; NULL: none */
	struct call_record_facts facts;
};

/* Setting up. */

static int say(const char *sentence, int code)
{
	fprintf(stderr, "orderd: %s\n", sentence);
	return code;
}

int api_session_database_failed(struct api_session *ask)
{
	return say(blocking_problem(ask->session),
		verb_database_code(blocking_sqlstate(ask->session)));
}

/* True: the database has answered. */
static bool tell(struct api_session *ask, const struct store_call call)
{
	const char *values[STORE_PARAMS_MAX];
	int lengths[STORE_PARAMS_MAX], formats[STORE_PARAMS_MAX];

	for (size_t i = 0; i < call.param_count; i++) {
		values[i] = call.params[i].bytes; /* each that is a text ends with a NUL */
		lengths[i] = (int)call.params[i].len;
		formats[i] = call.params[i].binary;
	}
	return blocking_ask_binary(
		ask->session, call.statement, values, lengths, formats, call.param_count);
}

static int check_shop(struct api_session *ask, const struct reconcile_options *options)
{
	const char *sentence;

	if (!tell(ask, reconcile_shop(options, false))) {
		return api_session_database_failed(ask);
	}
	sentence = blocking_cell(ask->session, 0, 0);
	return sentence ? say(sentence, EX_CONFIG) : EX_OK;
}

static int open_session(struct api_session *ask, const struct config *config)
{
	struct reconcile_options options = options_reconcile(config_settings(config));
	char setup[SCHEDULE_SETUP_MAX];
	struct problem problem;

	ask->session = blocking_new(options.store.conninfo, false, &problem);
	if (!ask->session ||
		!blocking_check(ask->session, options.store.allow_unsafe_fsync, STATEMENT_TIMEOUT_S,
			&problem) ||
		!blocking_check_schema(ask->session, &problem)) {
		return say(problem.text, EX_UNAVAILABLE);
	}
	schedule_setup(&options.schedule, setup);
	if (!blocking_run(ask->session, setup)) {
		return api_session_database_failed(ask);
	}
	return check_shop(ask, &options);
}

static void wait_over(void *owner)
{
	struct api_session *ask = owner;

	loop_stop(ask->loop);
}

struct api_session *api_session_open(
	const struct config *config, struct faults *faults, int *ret_code)
{
	struct api_session *ask = memory_new(sizeof(*ask));

	ask->loop = loop_new();
	call_record_facts_init(&ask->facts);
	ask->waiting = loop_timer_new(ask->loop, wait_over, ask);
	ask->torque = options_torque(ask->loop, config, faults);
	*ret_code = ask->torque ? open_session(ask, config) : EX_CONFIG;
	if (*ret_code != EX_OK) {
		api_session_free(ask);
		return NULL;
	}
	return ask;
}

struct api_session *api_session_new(const struct command *command, int *ret_code)
{
	struct faults faults = { .count = 0 };
	struct api_session *ask = api_session_open(command->config, &faults, ret_code);

	fault_print(&faults, stderr);
	fault_fini(&faults);
	return ask;
}

void api_session_free(struct api_session *ask)
{
	if (!ask) {
		return;
	}
	torque_free(ask->torque);
	blocking_free(ask->session);
	loop_timer_free(ask->waiting);
	loop_free(ask->loop);
	call_record_facts_fini(&ask->facts);
	free(ask->body);
	free(ask);
}

struct blocking *api_session_database(struct api_session *ask)
{
	return ask->session;
}

/* A place in the budget. */

static void wait_for(struct api_session *ask, int64_t wait_ms)
{
	loop_timer_start(ask->waiting, wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
	loop_run(ask->loop);
}

/* "" in ask->call_record.call_id: not yet, *ret_wait_ms says when. */
static bool try_claim(
	struct api_session *ask, const char *purpose, const char *order_id, int64_t *ret_wait_ms)
{
	char now[STAMP_TEXT_MAX], uptime[CALL_RECORD_NUMBER_MAX];
	const char *id, *wait;
	uint64_t wait_ms = 0;

	call_record_now(now, uptime);
	if (!tell(ask, call_record_claim(purpose, order_id, now, uptime)) ||
		blocking_rows(ask->session) == 0) {
		return false;
	}
	id = blocking_cell(ask->session, 0, 0);
	wait = blocking_cell(ask->session, 0, 1);
	snprintf(ask->call_record.call_id, CALL_RECORD_NUMBER_MAX, "%s", id ? id : "");
	if (!text_to_u64(text_of(wait), &wait_ms) || wait_ms > WAIT_MAX_MS) {
		wait_ms = WAIT_MAX_MS;
	}
	*ret_wait_ms = wait_ms > 0 ? (int64_t)wait_ms : 1;
	return true;
}

static int claim(struct api_session *ask, const char *purpose, const char *order_id)
{
	bool said = false;

	for (;;) {
		int64_t wait_ms = 0;

		if (!try_claim(ask, purpose, order_id, &wait_ms)) {
			return api_session_database_failed(ask);
		}
		if (ask->call_record.call_id[0] != '\0') {
			return EX_OK;
		}
		if (!said && wait_ms > WAIT_SAID_MS) {
			fprintf(stderr,
				"orderd: waiting %" PRId64 " s for a place in the API's budget\n",
				(wait_ms + 999) / 1000);
			said = true;
		}
		wait_for(ask, wait_ms);
	}
}

/* The call. */

static void call_answered(void *tag, const struct torque_answer *answer)
{
	struct api_session *ask = tag;

	free(ask->body);
	ask->body = memory_copy_text(answer->body); /* CLIENT_BODY_MAX at most */
	ask->answer = *answer;
	ask->answer.body.ptr = ask->body;
	call_record_answer(&ask->call_record, answer);
	loop_stop(ask->loop);
}

static int exit_code(enum torque_end end)
{
	switch (end) {
	case TORQUE_GOOD:
		return EX_OK;
	case TORQUE_RATE_LIMITED:
	case TORQUE_SERVER_ERROR:
		return EX_TEMPFAIL;
	case TORQUE_UNAUTHORIZED:
		return EX_NOPERM;
	case TORQUE_NOT_FOUND:
	case TORQUE_REFUSED:
		return EX_DATAERR;
	case TORQUE_UNREACHABLE:
	case TORQUE_UNTRUSTED:
	case TORQUE_LATE:
	case TORQUE_MALFORMED:
	case TORQUE_DROPPED:
		break;
	}
	return EX_UNAVAILABLE;
}

/* order_id: as torque.claim_call() takes it; NULL: the answer is not taken in. */
static int make_call(struct api_session *ask, const struct torque_call *call, const char *purpose,
	const char *order_id)
{
	if (!torque_can_ask(call)) {
		return say("that is no order id, or more rows than the API gives", EX_USAGE);
	}
	for (;;) {
		int code = claim(ask, purpose, order_id);

		if (code != EX_OK) {
			return code;
		}
		if (!torque_ask(ask->torque, call, call_answered, ask)) {
			die("a call is made while another one runs");
		}
		loop_run(ask->loop);
		if (ask->answer.end != TORQUE_DROPPED) {
			return EX_OK;
		}
		/* Once: the next connection is a fresh one. */
		if (!tell(ask, call_record_failed(&ask->call_record, TORQUE_DROPPED))) {
			return api_session_database_failed(ask);
		}
	}
}

static void say_problem(const struct api_session *ask)
{
	if (ask->answer.end != TORQUE_GOOD) {
		fputs("orderd: ", stderr);
		print_put(stderr, text_of(ask->answer.problem.text), PROBLEM_MAX);
		fputc('\n', stderr);
	}
}

int api_session_quietly(struct api_session *ask, const struct torque_call *call,
	const char *purpose, const struct torque_answer **ret_answer)
{
	int code = make_call(ask, call, purpose, NULL);

	*ret_answer = code == EX_OK ? &ask->answer : NULL;
	if (code != EX_OK) {
		return code;
	}
	if (!tell(ask, call_record_ended(&ask->call_record))) {
		/* The answer is good all the same; its place stays taken for longer. */
		api_session_database_failed(ask);
	}
	return exit_code(ask->answer.end);
}

int api_session_call(struct api_session *ask, const struct torque_call *call, const char *purpose,
	const struct torque_answer **ret_answer)
{
	int code = api_session_quietly(ask, call, purpose, ret_answer);

	if (*ret_answer) {
		say_problem(ask);
	}
	return code;
}

/* What the database cannot take in is an answer that cannot be used. */
static int lookup_refused(struct api_session *ask)
{
	int code = api_session_database_failed(ask);

	if (code != EX_DATAERR) {
		return code;
	}
	problem_say(&ask->call_record.problem, "the database refused the answer");
	return tell(ask, call_record_failed(&ask->call_record, TORQUE_MALFORMED))
		       ? code
		       : api_session_database_failed(ask);
}

int api_session_lookup(struct api_session *ask, const char *order_id,
	const struct torque_answer **ret_answer, char ret_outcome[API_SESSION_OUTCOME_MAX])
{
	const struct torque_call call = {
		.kind = TORQUE_SHOW,
		.order_id = text_of(order_id),
		.details = true,
	};
	int code = make_call(ask, &call, "lookup", order_id);

	*ret_answer = code == EX_OK ? &ask->answer : NULL;
	ret_outcome[0] = '\0';
	if (code != EX_OK) {
		return code;
	}
	say_problem(ask);
	if (ask->answer.end != TORQUE_GOOD) {
		if (!tell(ask, call_record_failed(&ask->call_record, ask->answer.end))) {
			return api_session_database_failed(ask);
		}
		return exit_code(ask->answer.end);
	}
	struct store_call record;

	if (!call_record_lookup(
		    &ask->call_record, ask->answer.body, text_of(order_id), &ask->facts, &record)) {
		die("no memory for an answer");
	}
	if (!tell(ask, record)) {
		return lookup_refused(ask);
	}
	const char *outcome = blocking_cell(ask->session, 0, 0);

	snprintf(ret_outcome, API_SESSION_OUTCOME_MAX, "%s", outcome ? outcome : "");
	return EX_OK;
}

bool api_session_note_cancelled(struct api_session *ask, const char *order_id)
{
	struct store_call record;

	if (!call_record_cancelled(
		    &ask->call_record, ask->answer.body, text_of(order_id), &ask->facts, &record)) {
		return false;
	}
	if (!tell(ask, record)) {
		api_session_database_failed(ask);
		return false;
	}
	struct text outcome = text_of(blocking_cell(ask->session, 0, 0));

	return !text_equal(outcome, TEXT("busy")) && !text_equal(outcome, TEXT("quarantined"));
}

bool api_session_resync(struct api_session *ask, const char *order_id)
{
	const struct store_call resync = {
		.statement = "select torque.resync($1::text)",
		.param_count = 1,
		.params = { { .bytes = order_id, .len = strlen(order_id) } },
	};

	if (!tell(ask, resync)) {
		api_session_database_failed(ask);
		return false;
	}
	return true;
}
