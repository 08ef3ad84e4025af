/* ask.h - one call to the API on behalf of a verb: its place in the budget, the call, its end.
 *
 * The budget is shared with the poller through the database, so that there is no call without it.
 * Blocks; what goes wrong is said on stderr, in one line.
 */
#pragma once

#include "command/verb.h"
#include "flow/torque.h"
#include "io/pgsync.h"

struct ask; /* heap: the API's key, a database session, a connection to the API */

/* NULL: it has been said why, and *ret_code is the exit code. */
struct ask *ask_new(const struct command *command, int *ret_code);
/* The same, with what is wrong with the settings in faults. */
struct ask *ask_open(const struct config *config, struct faults *faults, int *ret_code);
void ask_free(struct ask *ask);

/* Waits for a place in the budget as an operator, makes the call, and tells the database how it
 * ended. purpose is the verb. An exit code: EX_OK with TORQUE_GOOD, and a line on stderr for
 * everything else.
 *
 * *ret_answer is borrowed until the next call; NULL when no call was made. */
int ask_call(struct ask *ask, const struct torque_call *call, const char *purpose,
	const struct torque_answer **ret_answer);
/* The same, but what is wrong with the answer is left for the caller to say. */
int ask_quietly(struct ask *ask, const struct torque_call *call, const char *purpose,
	const struct torque_answer **ret_answer);

enum { ASK_OUTCOME_MAX = 24 };

/* Looks an order up in the same way; the database takes the answer in as it does the poller's. The
 * outcome is the word of torque.reconcile_lookup(), "" when there was nothing to take in. EX_OK
 * with any outcome; order_id is valid. */
int ask_lookup(struct ask *ask, const char *order_id, const struct torque_answer **ret_answer,
	char ret_outcome[ASK_OUTCOME_MAX]);

/* EX_NOPERM, EX_TEMPFAIL, … for a call that ended so. */
int ask_exit_code(enum torque_end end);

/* For what a verb has to say to the database itself. Borrowed. Its settings are the poller's. */
struct pgsync *ask_session(struct ask *ask);
/* A statement failed: says why on stderr. The exit code. */
int ask_session_failed(struct ask *ask);
