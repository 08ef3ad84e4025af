/* orderd show: ids are checked, the order is asked for and its fields are printed. */
#include "command/show.h"

#include "command/api_session.h"
#include "command/pick.h"
#include "command/print.h"
#include "order/fact.h"

int show_check_ids(const struct command *command)
{
	for (unsigned i = 0; i < command->arguments_count; i++) {
		if (!fact_order_id_valid(text_of(command->arguments[i]))) {
			return verb_usage(command,
				"an order id is 1 to %d characters of letters, digits and _.:-",
				FACT_ORDER_ID_MAX);
		}
	}
	return EX_OK;
}

void show_print(const struct command *command, struct text answer)
{
	if (verb_has(command, "json")) {
		print_json(stdout, answer);
		putchar('\n');
	} else {
		print_fields(stdout, "", pick_member(answer, "order"));
	}
}

int show_run(const struct command *command)
{
	struct torque_call call = {
		.kind = TORQUE_SHOW,
		.order_id = text_of(command->argument),
		.details = verb_has(command, "details"),
	};
	const struct torque_answer *answer;
	struct api_session *ask;
	int code = show_check_ids(command);

	if (code != EX_OK) {
		return code;
	}
	ask = api_session_new(command, &code);
	if (!ask) {
		return code;
	}
	code = api_session_call(ask, &call, "show", &answer);
	if (code == EX_OK) {
		show_print(command, answer->body);
	}
	api_session_free(ask);
	return code;
}
