/* session.h - what a new connection is told and asked before it is trusted with facts.
 *
 * Pure: statements out, answers in, a verdict out.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"

/* One transaction each, in this order. */
enum session_step {
	SESSION_BEGIN,    /* names mean what they say, and the settings have time */
	SESSION_SETTINGS, /* whatever role, database and server have set */
	SESSION_SERVER,
	SESSION_SCHEMA,
	SESSION_CHECKED, /* it may be used */
};

/* Embedded; session_begin(). */
struct session {
	enum session_step step; /* that comes next */
	bool allow_unsafe_fsync;
	bool again;          /* begun by session_look() */
	uint64_t server_pid; /* of the process that answers; 0: not known yet */
};

void session_begin(struct session *session, bool allow_unsafe_fsync);
/* A connection that is in use is to have its server judged again. */
void session_look(struct session *session);

/* Static; its answer is one row with one text. */
const char *session_statement(const struct session *session);

/* value is the answer, and the next step comes next. False, with a sentence in problem: this
 * server will not do. */
bool session_judge(struct session *session, struct text value, struct problem *problem);

/* The sentence for a statement that failed; message is the server's. */
void session_refused(const struct session *session, const char *sqlstate, struct text message,
	struct problem *problem);

/* The sentence about a server whose processes change under a session. Returns false. */
bool session_say_pooled(struct problem *problem);

/* A new connection will do better: a function's type has changed, somebody dropped the prepared
 * statements, the server has become read-only.
 *
 * Whatever a function raises may be a trigger's objection to one fact, under any code. What is
 * wrong with the session itself the server says before it enters a function; a server that is
 * read-only says so of itself as well, its objection comes from inside. */
bool session_is_stale(const char *sqlstate, bool raised_inside, bool server_is_read_only);

/* The server's sentence as one line, without the spaces it is laid out with. */
void session_one_line(struct problem *problem, const char *message);
