/* libpq as a verb that may wait uses it: a statement, its answer, its error. */
#include "pg/blocking.h"

#include <assert.h>
#include <ctype.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "pg/conninfo.h"
#include "pg/session.h"
#include "pg/witness.h"

enum { WORDS_MAX = 64, PARAMS_MAX = 100, NUMBER_MAX = 16, TIMEOUTS_MAX = 128 };

struct blocking {
	PGconn *conn;
	PGresult *result; /* of the last call; NULL before the first */
	struct problem problem;
	char sqlstate[BLOCKING_SQLSTATE_MAX];
	size_t line;
	struct session check;
};

/* What stands on the first line, without the space at its end. */
static void say_first_line(struct problem *problem, const char *message)
{
	size_t len = strcspn(message, "\n");

	while (len > 0 && isspace((unsigned char)message[len - 1])) {
		len--;
	}
	problem_say(problem, "%.*s", (int)len, message);
}

static bool is_left_out(const PQconninfoOption *option, bool as_invoker)
{
	return !option->val || option->val[0] == '\0' ||
	       (as_invoker && (strcmp(option->keyword, "user") == 0 ||
				      strcmp(option->keyword, "password") == 0));
}

static PGconn *open_connection(const PQconninfoOption *options, bool as_invoker)
{
	char connect_timeout[NUMBER_MAX];
	const char *keywords[WORDS_MAX + 1] = { "connect_timeout", "fallback_application_name",
		"client_encoding" };
	const char *values[WORDS_MAX + 1] = { connect_timeout, "orderd", "UTF8" };
	size_t count = 3;

	snprintf(connect_timeout, sizeof(connect_timeout), "%d", BLOCKING_CONNECT_S);
	for (; options->keyword; options++) {
		if (!is_left_out(options, as_invoker)) {
			assert(count < WORDS_MAX);
			keywords[count] = options->keyword;
			values[count++] = options->val;
		}
	}
	return PQconnectdbParams(keywords, values, 0);
}

/* NULL: it is fit for use. */
static const char *connection_fault(const PGconn *conn)
{
	if (PQstatus(conn) != CONNECTION_OK) {
		return PQerrorMessage(conn);
	}
	if (PQserverVersion(conn) < BLOCKING_SERVER_MIN) {
		return "the server is older than PostgreSQL 14";
	}
	return NULL;
}

struct blocking *blocking_new(const char *conninfo, bool as_invoker, struct problem *problem)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	if (!options) {
		struct problem why;

		conninfo_judge(conninfo, &why);
		problem_say(problem, "conninfo %s", why.text);
		return NULL;
	}
	PGconn *conn = open_connection(options, as_invoker);
	const char *fault = connection_fault(conn);

	PQconninfoFree(options);
	if (fault) {
		say_first_line(problem, fault);
		PQfinish(conn);
		return NULL;
	}
	struct blocking *session = memory_new(sizeof(*session));

	session->conn = conn;
	return session;
}

void blocking_free(struct blocking *session)
{
	if (!session) {
		return;
	}
	PQclear(session->result);
	PQfinish(session->conn);
	free(session);
}

/* position counts characters from 1. */
static size_t line_at(const char *sql, const char *position)
{
	uint64_t left;
	size_t line = 1;

	if (!position || !text_to_u64(text_of(position), &left)) {
		return 0;
	}
	for (; *sql != '\0' && left > 1; sql++) {
		line += *sql == '\n';
		left -= ((unsigned char)sql[1] & 0xc0U) != 0x80U;
	}
	return line;
}

/* Takes result. */
static bool judge(struct blocking *session, PGresult *result, const char *sql)
{
	ExecStatusType status = PQresultStatus(result);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	PQclear(session->result);
	session->result = result;
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
		return true;
	}
	say_first_line(&session->problem, message ? message : PQerrorMessage(session->conn));
	snprintf(session->sqlstate, sizeof(session->sqlstate), "%s", sqlstate ? sqlstate : "");
	session->line = line_at(sql, PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION));
	return false;
}

bool blocking_run(struct blocking *session, const char *sql)
{
	return judge(session, PQexec(session->conn, sql), sql);
}

bool blocking_ask(
	struct blocking *session, const char *sql, const char *const *values, size_t count)
{
	return blocking_ask_binary(session, sql, values, NULL, NULL, count);
}

bool blocking_ask_binary(struct blocking *session, const char *sql, const char *const *values,
	const int *lengths, const int *formats, size_t count)
{
	assert(count <= PARAMS_MAX);
	return judge(session,
		PQexecParams(session->conn, sql, (int)count, NULL, values, lengths, formats, 0),
		sql);
}

/* A session that is checked. */

static bool check_until(struct blocking *session, enum session_step end, struct problem *problem)
{
	while (session->check.step < end) {
		const char *statement = session_statement(&session->check);

		if (!blocking_ask(session, statement, NULL, 0)) {
			session_refused(&session->check, session->sqlstate,
				text_of(session->problem.text), problem);
			return false;
		}
		if (!session_judge(
			    &session->check, text_of(PQgetvalue(session->result, 0, 0)), problem)) {
			return false;
		}
	}
	return true;
}

struct asked {
	struct loop *loop;
	bool pooled;
};

static void witness_has_told(void *owner, bool pooled)
{
	struct asked *asked = owner;

	asked->pooled = pooled;
	loop_stop(asked->loop);
}

/* True: the server process is this session's alone. */
static bool ask_witness(struct blocking *session, struct problem *problem)
{
	struct asked asked = { .loop = loop_new() };
	struct witness *witness = witness_new(
		asked.loop, session->conn, session->check.server_pid, witness_has_told, &asked);
	bool alone;

	loop_run(asked.loop);
	session->check.step = SESSION_SERVER;
	alone = asked.pooled ? session_say_pooled(problem)
			     : check_until(session, SESSION_SCHEMA, problem);
	witness_free(witness);
	loop_free(asked.loop);
	return alone;
}

bool blocking_check(struct blocking *session, bool allow_unsafe_fsync, unsigned statement_timeout_s,
	struct problem *problem)
{
	char timeouts[TIMEOUTS_MAX];

	session_begin(&session->check, allow_unsafe_fsync);
	if (!check_until(session, SESSION_SCHEMA, problem) ||
		(witness_is_needed(session->conn, session->check.server_pid) &&
			!ask_witness(session, problem))) {
		return false;
	}
	snprintf(timeouts, sizeof(timeouts),
		"set statement_timeout = '%us'; set lock_timeout = 0; "
		"set idle_in_transaction_session_timeout = 0",
		statement_timeout_s);
	if (!blocking_run(session, timeouts)) {
		problem_say(problem, "%s", session->problem.text);
		return false;
	}
	return true;
}

bool blocking_check_schema(struct blocking *session, struct problem *problem)
{
	return check_until(session, SESSION_CHECKED, problem);
}

size_t blocking_rows(const struct blocking *session)
{
	return (size_t)PQntuples(session->result);
}

const char *blocking_cell(const struct blocking *session, size_t row, size_t column)
{
	assert(row < blocking_rows(session) && column <= INT_MAX);
	return PQgetisnull(session->result, (int)row, (int)column)
		       ? NULL
		       : PQgetvalue(session->result, (int)row, (int)column);
}

const char *blocking_problem(const struct blocking *session)
{
	return session->problem.text;
}

const char *blocking_sqlstate(const struct blocking *session)
{
	return session->sqlstate;
}

size_t blocking_line(const struct blocking *session)
{
	return session->line;
}
