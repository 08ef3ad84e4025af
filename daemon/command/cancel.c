/* orderd cancel: the call, the order as it is then, and why it could not be cancelled. */
#include "command/cancel.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "command/api_session.h"
#include "command/pick.h"
#include "command/print.h"
#include "command/show.h"

/* NULL: the reason is not UTF-8. */
static char *make_request(const struct command *command)
{
	const char *reason = verb_value(command, "reason");
	json_t *request = json_pack("{s:b}", "refundCustomer", verb_has(command, "refund"));
	char *text = NULL;

	if (!reason || json_object_set_new(request, "reason", json_string(reason)) == 0) {
		text = json_dumps(request, JSON_COMPACT);
	}
	json_decref(request);
	return text;
}

/* It has happened, whatever becomes of our own note of it. */
static void note(struct api_session *ask, const char *order_id)
{
	if (!api_session_note_cancelled(ask, order_id)) {
		fprintf(stderr,
			"orderd: %s is cancelled all the same; the webhook or the poller will "
			"tell the database\n",
			order_id);
	}
}

/* Words differ between APIs and versions; the order's own status does not. */
static void explain(struct api_session *ask, const char *order_id)
{
	struct torque_call call = { .kind = TORQUE_SHOW, .order_id = text_of(order_id) };
	const struct torque_answer *answer;

	if (api_session_call(ask, &call, "cancel", &answer) != EX_OK) {
		return;
	}
	CLEANUP(cleanup_free)
	char *status =
		print_value(pick_path(answer->body, "order", "status", NULL), PRINT_CELL_MAX);

	if (strcmp(status, "cancelled") == 0) {
		fprintf(stderr, "orderd: %s is cancelled already\n", order_id);
	} else if (strcmp(status, "pending") != 0) {
		fprintf(stderr,
			"orderd: %s was not cancelled: only a pending order can be, and this one "
			"is %s\n",
			order_id, status);
	}
}

/* No answer says that it was not done: the order itself does. It is looked up here and now, and by
 * the poller where that leaves it open. */
static int find_out(struct api_session *ask, const struct command *command, int code)
{
	const char *order_id = command->argument;
	char outcome[API_SESSION_OUTCOME_MAX];
	const struct torque_answer *answer;

	fprintf(stderr, "orderd: %s may have been cancelled all the same; it is looked up\n",
		order_id);
	api_session_lookup(ask, order_id, &answer, outcome);
	if (answer && answer->end == TORQUE_GOOD) {
		CLEANUP(cleanup_free)
		char *status = print_value(
			pick_path(answer->body, "order", "status", NULL), PRINT_CELL_MAX);

		fprintf(stderr, "orderd: %s is %s\n", order_id, status);
		if (strcmp(status, "cancelled") == 0) {
			show_print(command, answer->body);
			return EX_OK;
		}
	}
	if (api_session_resync(ask, order_id)) {
		fprintf(stderr, "orderd: the poller looks %s up again\n", order_id);
	}
	return code;
}

static int cancel(struct api_session *ask, const struct command *command, const char *request)
{
	struct torque_call call = {
		.kind = TORQUE_CANCEL,
		.order_id = text_of(command->argument),
		.body = text_of(request),
	};
	const struct torque_answer *answer;
	int code = api_session_call(ask, &call, "cancel", &answer);

	if (code == EX_OK) {
		show_print(command, answer->body);
		note(ask, command->argument);
	} else if (answer && answer->maybe_done) {
		code = find_out(ask, command, code);
	} else if (answer && answer->end == TORQUE_REFUSED &&
		   (answer->status == 400 || answer->status == 409)) {
		explain(ask, command->argument);
	}
	return code;
}

int cancel_run(const struct command *command)
{
	CLEANUP(cleanup_free) char *request = make_request(command);
	struct api_session *ask;
	int code = show_check_ids(command);

	if (code != EX_OK) {
		return code;
	}
	if (!request) {
		return verb_usage(command, "--reason takes text in UTF-8");
	}
	ask = api_session_new(command, &code);
	if (!ask) {
		return code;
	}
	code = cancel(ask, command, request);
	api_session_free(ask);
	return code;
}
