/* api_session.h - one call to the API on behalf of a verb: its place in the budget, the call, its
 * end.
 *
 * The budget is shared with the poller through the database, so that there is no call without it.
 * Blocks; what goes wrong is said on stderr, in one line.
 */
#pragma once

#include "command/verb.h"
#include "flow/torque.h"
#include "pg/blocking.h"

struct api_session; /* heap: the API's key, a database session, a connection to the API */

/* NULL: it has been said why, and *ret_code is the exit code. */
struct api_session *api_session_new(const struct command *command, int *ret_code);
/* The same, with what is wrong with the settings in faults. */
struct api_session *api_session_open(
	const struct config *config, struct faults *faults, int *ret_code);
void api_session_free(struct api_session *ask);

/* Waits for a place in the budget as an operator, makes the call, and tells the database how it
 * ended. purpose is the verb. An exit code: EX_OK with TORQUE_GOOD, and a line on stderr for
 * everything else.
 *
 * *ret_answer is borrowed until the next call; NULL when no call was made. */
int api_session_call(struct api_session *ask, const struct torque_call *call, const char *purpose,
	const struct torque_answer **ret_answer);
/* The same, but what is wrong with the answer is left for the caller to say. */
int api_session_quietly(struct api_session *ask, const struct torque_call *call,
	const char *purpose, const struct torque_answer **ret_answer);

enum { API_SESSION_OUTCOME_MAX = 24 };

/* Looks an order up in the same way; the database takes the answer in as it does the poller's. The
 * outcome is the word of torque.reconcile_lookup(), "" when there was nothing to take in. EX_OK
 * with any outcome; order_id is valid. */
int api_session_lookup(struct api_session *ask, const char *order_id,
	const struct torque_answer **ret_answer, char ret_outcome[API_SESSION_OUTCOME_MAX]);

/* The last call has cancelled the order: the database takes the answer in. False: it does not know,
 * and why has been said when it failed. */
bool api_session_note_cancelled(struct api_session *ask, const char *order_id);

/* Has the poller look the order up, next. False: why has been said. */
bool api_session_resync(struct api_session *ask, const char *order_id);

/* For what a verb has to say to the database itself. Borrowed. Its settings are the poller's. */
struct blocking *api_session_database(struct api_session *ask);
/* A statement failed: says why on stderr. The exit code. */
int api_session_database_failed(struct api_session *ask);
