#include "command/show.h"

#include "command/ask.h"
#include "command/pick.h"
#include "command/screen.h"
#include "order/fact.h"

int show_check_ids(const struct command *command)
{
	for (unsigned i = 0; i < command->arguments_count; i++) {
		if (!order_id_valid(text_of(command->arguments[i]))) {
			return command_usage(command,
				"an order id is 1 to %d characters of letters, digits and _.:-",
				FACT_ORDER_ID_MAX);
		}
	}
	return EX_OK;
}

int show_run(const struct command *command)
{
	struct torque_call call = {
		.kind = TORQUE_SHOW,
		.order_id = text_of(command->argument),
		.details = command_has(command, "details"),
	};
	const struct torque_answer *answer;
	struct ask *ask;
	int code = show_check_ids(command);

	if (code != EX_OK) {
		return code;
	}
	ask = ask_new(command, &code);
	if (!ask) {
		return code;
	}
	code = ask_call(ask, &call, "show", &answer);
	if (code == EX_OK && command_has(command, "json")) {
		screen_json(stdout, answer->body);
		putchar('\n');
	} else if (code == EX_OK) {
		screen_fields(stdout, "", pick_member(answer->body, "order"));
	}
	ask_free(ask);
	return code;
}
