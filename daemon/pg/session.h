/* session.h - what a new connection is told and asked before it is trusted with facts.
 *
 * Pure: statements out, answers in, a verdict out.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"

/* One transaction each, in this order. */
enum session_step { SESSION_SETTINGS, SESSION_SERVER, SESSION_SCHEMA, SESSION_STEPS };

/* Static; its answer is one row with one text. */
const char *session_statement(enum session_step step);

/* value is the answer. False, with a sentence in problem: this server will not do. */
bool session_judge(enum session_step step, struct text value, bool allow_unsafe_fsync,
	struct problem *problem);

/* The sentence for a statement that failed; message is the server's. */
void session_refused(
	enum session_step step, const char *sqlstate, struct text message, struct problem *problem);

/* A new connection will do better: a function's type has changed, somebody dropped the prepared
 * statements, the server has become read-only.
 *
 * Whatever a function raises may be a trigger's objection to one fact, under any code. What is
 * wrong with the session itself the server says before it enters a function; a server that is
 * read-only says so of itself as well, its objection comes from inside. */
bool session_is_stale(const char *sqlstate, bool raised_inside, bool server_is_read_only);

/* The server's sentence as one line, without the spaces it is laid out with. */
void session_one_line(struct problem *problem, const char *message);
