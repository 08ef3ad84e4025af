/* Each order is looked up and taken in by itself; the worst end is the verb's. */
#include "command/sync.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "command/api_session.h"
#include "command/pick.h"
#include "command/print.h"
#include "command/show.h"

static void print_outcome(const struct command *command, const char *order_id,
	const struct torque_answer *answer, const char *outcome)
{
	CLEANUP(cleanup_free) char *status = NULL;

	if (answer && answer->end == TORQUE_GOOD) {
		status = print_value(
			pick_path(answer->body, "order", "status", NULL), PRINT_CELL_MAX);
	}
	if (verb_has(command, "json")) {
		print_packed(PRINT_LINE, "{s:s, s:s*, s:s}", "order", order_id, "status", status,
			"outcome", outcome);
	} else {
		printf("%s %s %s\n", order_id, status ? status : "-", outcome);
	}
	fflush(stdout);
}

static int judge(const char *order_id, const char *outcome)
{
	if (strcmp(outcome, "applied") == 0 || strcmp(outcome, "agreed") == 0) {
		return EX_OK;
	}
	if (strcmp(outcome, "quarantined") == 0) {
		fprintf(stderr,
			"orderd: %s: the API's answer cannot be used; torque.quarantine says why\n",
			order_id);
		return EX_DATAERR;
	}
	if (strcmp(outcome, "older") == 0) {
		fprintf(stderr,
			"orderd: %s: something newer than the answer is known, and it says "
			"otherwise; try again, and orderd check --online compares the clocks\n",
			order_id);
		return EX_TEMPFAIL;
	}
	fprintf(stderr, "orderd: %s: the answer was not taken in (%s); try again\n", order_id,
		outcome);
	return EX_TEMPFAIL;
}

static int sync_one(struct api_session *ask, const struct command *command, const char *order_id)
{
	char outcome[API_SESSION_OUTCOME_MAX];
	const struct torque_answer *answer;
	int code = api_session_lookup(ask, order_id, &answer, outcome);

	if (outcome[0]) {
		print_outcome(command, order_id, answer, outcome);
		code = judge(order_id, outcome);
	} else if (answer && answer->end != TORQUE_GOOD) {
		print_outcome(command, order_id, answer, torque_end_name(answer->end));
	}
	return code;
}

/* An order that the API does not know, or says nonsense about, says nothing of the next one. */
int sync_run(const struct command *command)
{
	int code = show_check_ids(command);
	int worst = EX_OK;
	struct api_session *ask;

	if (code != EX_OK) {
		return code;
	}
	ask = api_session_new(command, &code);
	if (!ask) {
		return code;
	}
	for (unsigned i = 0; i < command->arguments_count; i++) {
		code = sync_one(ask, command, command->arguments[i]);
		worst = code == EX_OK ? worst : code;
		if (code != EX_OK && code != EX_DATAERR) {
			break;
		}
	}
	api_session_free(ask);
	return worst;
}
