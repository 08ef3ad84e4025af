/* claim -> wait -> call -> end. */
#include "command/ask.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/stamp.h"
#include "command/keys.h"
#include "command/poll.h"
#include "command/screen.h"
#include "flow/record.h"
#include "io/session.h"

enum {
	ASK_WAIT_MAX_MS = 60000, /* then the budget is asked again: others may have left room */
	ASK_SAID_MS = 2000,      /* a wait that a person at a terminal would wonder about */
};

#define CLAIM_CALL                                                                                 \
	"select call_id, wait_ms from torque.claim_call('operator', $1::text, $2::text, "          \
	"$3::timestamptz)"

static const char settings[] = "select set_config('search_path', '', false),"
			       " set_config('timezone', 'UTC', false),"
			       " set_config('statement_timeout', '30s', false)";

struct ask {
	struct loop *loop;
	struct torque *torque;
	struct pgsync *session;
	struct loop_timer *waiting;
	struct record record; /* of the last call, as are the next two */
	struct torque_answer answer;
	char *body; /* its body, with a NUL; NULL: none */
};

/* Setting up. */

static struct torque *open_torque(
	struct loop *loop, const struct config *config, struct faults *faults)
{
	struct secret *key = keys_load_api_key(config, faults);
	struct torque *torque = key ? poll_torque(loop, config, key, faults) : NULL;

	secret_free(key);
	return torque;
}

static int say(const char *sentence, int code)
{
	fprintf(stderr, "orderd: %s\n", sentence);
	return code;
}

int ask_session_failed(struct ask *ask)
{
	const char *sqlstate = pgsync_sqlstate(ask->session);

	say(pgsync_problem(ask->session), EX_UNAVAILABLE);
	if (strncmp(sqlstate, "42501", 5) == 0) { /* insufficient_privilege */
		return EX_NOPERM;
	}
	if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0) {
		return EX_DATAERR;
	}
	return EX_UNAVAILABLE;
}

/* The schema has to be the one that this program was made for. */
static int check_schema(struct ask *ask)
{
	char reason[SESSION_REASON_MAX];
	const char *state;

	if (!pgsync_ask(ask->session, session_statement(SESSION_SCHEMA), NULL, 0)) {
		session_refused(SESSION_SCHEMA, pgsync_sqlstate(ask->session),
			text_of(pgsync_problem(ask->session)), reason);
		return say(reason, EX_UNAVAILABLE);
	}
	state = pgsync_rows(ask->session) > 0 ? pgsync_cell(ask->session, 0, 0) : NULL;
	if (!session_judge(SESSION_SCHEMA, text_of(state), false, reason)) {
		return say(reason, EX_UNAVAILABLE);
	}
	return EX_OK;
}

static int open_session(struct ask *ask, const struct config *config)
{
	struct reconcile_options options = poll_options(config);
	char setup[RECONCILE_SETUP_MAX], problem[PGSYNC_PROBLEM_MAX];

	ask->session = pgsync_new(options.store.conninfo, false, problem);
	if (!ask->session) {
		return say(problem, EX_UNAVAILABLE);
	}
	reconcile_setup(&options.schedule, setup);
	if (!pgsync_run(ask->session, settings) || !pgsync_run(ask->session, setup)) {
		return ask_session_failed(ask);
	}
	return check_schema(ask);
}

static void wait_over(void *owner)
{
	struct ask *ask = owner;

	loop_stop(ask->loop);
}

struct ask *ask_open(const struct config *config, struct faults *faults, int *ret_code)
{
	struct ask *ask = new_or_die(sizeof(*ask));

	ask->loop = loop_new();
	ask->waiting = loop_timer_new(ask->loop, wait_over, ask);
	ask->torque = open_torque(ask->loop, config, faults);
	*ret_code = ask->torque ? open_session(ask, config) : EX_CONFIG;
	if (*ret_code != EX_OK) {
		ask_free(ask);
		return NULL;
	}
	return ask;
}

struct ask *ask_new(const struct command *command, int *ret_code)
{
	struct faults faults = { .count = 0 };
	struct ask *ask = ask_open(command->config, &faults, ret_code);

	faults_print(&faults, stderr);
	faults_fini(&faults);
	return ask;
}

void ask_free(struct ask *ask)
{
	if (!ask) {
		return;
	}
	torque_free(ask->torque);
	pgsync_free(ask->session);
	loop_timer_free(ask->waiting);
	loop_free(ask->loop);
	free(ask->body);
	free(ask);
}

struct pgsync *ask_session(struct ask *ask)
{
	return ask->session;
}

/* A place in the budget. */

static void wait_for(struct ask *ask, int64_t wait_ms)
{
	loop_timer_start(ask->waiting, wait_ms < ASK_WAIT_MAX_MS ? wait_ms : ASK_WAIT_MAX_MS);
	loop_run(ask->loop);
}

/* "" in ask->record.call_id: not yet, *ret_wait_ms says when. */
static bool try_claim(
	struct ask *ask, const char *purpose, const char *order_id, int64_t *ret_wait_ms)
{
	char now[STAMP_TEXT_MAX];
	const char *values[] = { purpose, order_id, now };
	const char *id, *wait;
	uint64_t wait_ms = 0;

	stamp_format(clock_wall_us(), now); /* by the clock that its end is told by */
	if (!pgsync_ask(ask->session, CLAIM_CALL, values, 3) || pgsync_rows(ask->session) == 0) {
		return false;
	}
	id = pgsync_cell(ask->session, 0, 0);
	wait = pgsync_cell(ask->session, 0, 1);
	snprintf(ask->record.call_id, RECORD_NUMBER_MAX, "%s", id ? id : "");
	if (!text_to_u64(text_of(wait), &wait_ms) || wait_ms > ASK_WAIT_MAX_MS) {
		wait_ms = ASK_WAIT_MAX_MS;
	}
	*ret_wait_ms = wait_ms > 0 ? (int64_t)wait_ms : 1;
	return true;
}

static int claim(struct ask *ask, const char *purpose, const char *order_id)
{
	bool said = false;

	for (;;) {
		int64_t wait_ms = 0;

		if (!try_claim(ask, purpose, order_id, &wait_ms)) {
			return ask_session_failed(ask);
		}
		if (ask->record.call_id[0] != '\0') {
			return EX_OK;
		}
		if (!said && wait_ms > ASK_SAID_MS) {
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
	struct ask *ask = tag;

	free(ask->body);
	ask->body = copy_text_or_die(answer->body); /* HTTPS_BODY_MAX at most */
	ask->answer = *answer;
	ask->answer.body.ptr = ask->body;
	record_answer(&ask->record, answer);
	loop_stop(ask->loop);
}

/* True: the database has answered. */
static bool tell(struct ask *ask, const struct store_call call)
{
	const char *values[STORE_PARAMS_MAX];

	for (size_t i = 0; i < call.param_count; i++) {
		values[i] = call.params[i].bytes; /* each ends with a NUL, the body as well */
	}
	return pgsync_ask(ask->session, call.statement, values, call.param_count);
}

int ask_exit_code(enum torque_end end)
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
		break;
	}
	return EX_UNAVAILABLE;
}

/* order_id: as torque.claim_call() takes it; NULL: the answer is not taken in. */
static int make_call(
	struct ask *ask, const struct torque_call *call, const char *purpose, const char *order_id)
{
	int code;

	if (!torque_can_ask(call)) {
		return say("that is no order id, or more rows than the API gives", EX_USAGE);
	}
	code = claim(ask, purpose, order_id);
	if (code != EX_OK) {
		return code;
	}
	if (!torque_ask(ask->torque, call, call_answered, ask)) {
		die("a call is made while another one runs");
	}
	loop_run(ask->loop);
	return EX_OK;
}

static void say_problem(const struct ask *ask)
{
	if (ask->answer.end != TORQUE_GOOD) {
		fputs("orderd: ", stderr);
		screen_put(stderr, text_of(ask->answer.problem), TORQUE_PROBLEM_MAX);
		fputc('\n', stderr);
	}
}

int ask_quietly(struct ask *ask, const struct torque_call *call, const char *purpose,
	const struct torque_answer **ret_answer)
{
	int code = make_call(ask, call, purpose, NULL);

	*ret_answer = code == EX_OK ? &ask->answer : NULL;
	if (code != EX_OK) {
		return code;
	}
	if (!tell(ask, record_ended(&ask->record))) {
		/* The answer is good all the same; its place stays taken for longer. */
		ask_session_failed(ask);
	}
	return ask_exit_code(ask->answer.end);
}

int ask_call(struct ask *ask, const struct torque_call *call, const char *purpose,
	const struct torque_answer **ret_answer)
{
	int code = ask_quietly(ask, call, purpose, ret_answer);

	if (*ret_answer) {
		say_problem(ask);
	}
	return code;
}

/* What the database cannot take in is an answer that cannot be used. */
static int lookup_refused(struct ask *ask)
{
	int code = ask_session_failed(ask);

	if (code != EX_DATAERR) {
		return code;
	}
	snprintf(ask->record.problem, sizeof(ask->record.problem),
		"the database refused the answer");
	return tell(ask, record_failed(&ask->record, TORQUE_MALFORMED)) ? code
									: ask_session_failed(ask);
}

int ask_lookup(struct ask *ask, const char *order_id, const struct torque_answer **ret_answer,
	char ret_outcome[ASK_OUTCOME_MAX])
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
		if (!tell(ask, record_failed(&ask->record, ask->answer.end))) {
			return ask_session_failed(ask);
		}
		return ask_exit_code(ask->answer.end);
	}
	if (!tell(ask, record_lookup(&ask->record, ask->answer.body))) {
		return lookup_refused(ask);
	}
	const char *outcome = pgsync_cell(ask->session, 0, 0);

	snprintf(ret_outcome, ASK_OUTCOME_MAX, "%s", outcome ? outcome : "");
	return EX_OK;
}
