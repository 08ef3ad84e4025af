/* apply.h - what the API told a verb about an order becomes a fact like any other. */
#pragma once

#include "command/ask.h"

enum { APPLY_OUTCOME_MAX = 24 };

/* source: "lookup" or "operator". answer: good, to a call about one order; its order is taken in as
 * of the start of the request. The outcome is one word: applied, recorded, duplicate, … An exit
 * code, after saying on stderr what is wrong. */
int apply_order(struct ask *ask, const char *source, const char *order_id,
	const struct torque_answer *answer, char ret_outcome[APPLY_OUTCOME_MAX]);
