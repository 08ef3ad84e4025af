#include "command/apply.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "base/stamp.h"
#include "command/pick.h"

enum { APPLY_TRIES_MAX = 20, APPLY_COLUMNS = 5 };

#define INGEST                                                                                     \
	"select (torque.ingest_polled(array[$1::text], array[$2::text], "                          \
	"array[$3::timestamptz], array[$4::timestamptz], array[$5::json]))[1]"

/* The database waits, so that nothing here has to. */
static const char again[] = "select pg_sleep(0.2)";

static char *order_of(const struct torque_answer *answer)
{
	struct text order = pick_member(answer->body, "order");
	char *copy = new_or_die(order.len + 1);

	memcpy(copy, order.ptr, order.len);
	return copy;
}

static int judge(const char *order_id, const char *outcome)
{
	if (strcmp(outcome, "busy") == 0) {
		fprintf(stderr, "orderd: %s: somebody else is writing this order; try again\n",
			order_id);
		return EX_TEMPFAIL;
	}
	if (strcmp(outcome, "quarantined") == 0) {
		fprintf(stderr,
			"orderd: %s: the API's answer cannot be used; torque.quarantine says why\n",
			order_id);
		return EX_DATAERR;
	}
	return EX_OK;
}

int apply_order(struct ask *ask, const char *source, const char *order_id,
	const struct torque_answer *answer, char ret_outcome[APPLY_OUTCOME_MAX])
{
	CLEANUP(cleanup_free) char *order = order_of(answer);
	char asked[STAMP_TEXT_MAX], answered[STAMP_TEXT_MAX];
	const char *values[APPLY_COLUMNS] = { source, order_id, asked, answered, order };
	struct pgsync *session = ask_session(ask);

	stamp_format(answer->asked_us, asked);
	stamp_format(answer->answered_us, answered);
	for (unsigned tries = 0; tries < APPLY_TRIES_MAX; tries++) {
		if (!pgsync_ask(session, INGEST, values, APPLY_COLUMNS)) {
			return ask_session_failed(ask);
		}
		const char *outcome = pgsync_cell(session, 0, 0);

		snprintf(ret_outcome, APPLY_OUTCOME_MAX, "%s", outcome ? outcome : "");
		if (strcmp(ret_outcome, "busy") != 0) {
			break;
		}
		if (!pgsync_run(session, again)) {
			return ask_session_failed(ask);
		}
	}
	return judge(order_id, ret_outcome);
}
