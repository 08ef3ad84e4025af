/* The results of one transaction, as a script tells them: what is a success, and what is not. */
#include "pg/pipeline.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "check.h"

enum { SCRIPT_MAX = 12 };

/* One answer of PQgetResult(). */
struct pg_result {
	ExecStatusType status;
	const char *sqlstate, *message, *context, *severity; /* of an error */
	const char *value;                                   /* of a row; NULL = no row */
	unsigned cleared;
};

enum { NOTHING = -1, BUSY = -2 }; /* statuses that libpq does not know: NULL, and later */

static struct pg_result script[SCRIPT_MAX];
static size_t next, prepared, executed;
static bool connected, fails;
static const char *read_only;

PGresult *__wrap_PQgetResult(PGconn *conn);
int __wrap_PQisBusy(PGconn *conn);
ConnStatusType __wrap_PQstatus(const PGconn *conn);
ExecStatusType __wrap_PQresultStatus(const PGresult *result);
char *__wrap_PQresultErrorField(const PGresult *result, int code);
char *__wrap_PQresultErrorMessage(const PGresult *result);
void __wrap_PQclear(PGresult *result);
int __wrap_PQsendPrepare(
	PGconn *conn, const char *name, const char *query, int count, const Oid *types);
int __wrap_PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
	const int *lengths, const int *formats, int format);
int __wrap_PQpipelineSync(PGconn *conn);
int __wrap_PQntuples(const PGresult *result);
int __wrap_PQnfields(const PGresult *result);
int __wrap_PQgetisnull(const PGresult *result, int row, int column);
char *__wrap_PQgetvalue(const PGresult *result, int row, int column);
int __wrap_PQgetlength(const PGresult *result, int row, int column);
const char *__wrap_PQparameterStatus(const PGconn *conn, const char *name);

PGresult *__wrap_PQgetResult(PGconn *conn)
{
	(void)conn;
	if (next == SCRIPT_MAX || script[next].status == (ExecStatusType)NOTHING) {
		next += next < SCRIPT_MAX;
		return NULL;
	}
	return &script[next++];
}

int __wrap_PQisBusy(PGconn *conn)
{
	(void)conn;
	if (next < SCRIPT_MAX && script[next].status == (ExecStatusType)BUSY) {
		next++;
		return 1;
	}
	return 0;
}

ConnStatusType __wrap_PQstatus(const PGconn *conn)
{
	(void)conn;
	return connected ? CONNECTION_OK : CONNECTION_BAD;
}

ExecStatusType __wrap_PQresultStatus(const PGresult *result)
{
	return result->status;
}

/* libpq returns what its caller may not change as char *. */
static char *as_returned(const char *string)
{
	char *returned;

	memcpy(&returned, &string, sizeof(returned));
	return returned;
}

char *__wrap_PQresultErrorField(const PGresult *result, int code)
{
	switch (code) {
	case PG_DIAG_SQLSTATE:
		return as_returned(result->sqlstate);
	case PG_DIAG_MESSAGE_PRIMARY:
		return as_returned(result->message);
	case PG_DIAG_CONTEXT:
		return as_returned(result->context);
	default:
		return as_returned(result->severity);
	}
}

char *__wrap_PQresultErrorMessage(const PGresult *result)
{
	(void)result;
	return as_returned("libpq's own\n");
}

void __wrap_PQclear(PGresult *result)
{
	if (result) {
		result->cleared++;
	}
}

int __wrap_PQsendPrepare(
	PGconn *conn, const char *name, const char *query, int count, const Oid *types)
{
	(void)conn;
	(void)name;
	(void)query;
	(void)count;
	(void)types;
	prepared++;
	return !fails;
}

int __wrap_PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
	const int *lengths, const int *formats, int format)
{
	(void)conn;
	(void)name;
	(void)count;
	(void)values;
	(void)lengths;
	(void)formats;
	(void)format;
	executed++;
	return !fails;
}

int __wrap_PQpipelineSync(PGconn *conn)
{
	(void)conn;
	return !fails;
}

int __wrap_PQntuples(const PGresult *result)
{
	return result->value != NULL;
}

int __wrap_PQnfields(const PGresult *result)
{
	(void)result;
	return 1;
}

int __wrap_PQgetisnull(const PGresult *result, int row, int column)
{
	(void)row;
	(void)column;
	return result->value[0] == '\0';
}

char *__wrap_PQgetvalue(const PGresult *result, int row, int column)
{
	(void)row;
	(void)column;
	return as_returned(result->value);
}

int __wrap_PQgetlength(const PGresult *result, int row, int column)
{
	(void)row;
	(void)column;
	return (int)strlen(result->value);
}

const char *__wrap_PQparameterStatus(const PGconn *conn, const char *name)
{
	(void)conn;
	return strcmp(name, "default_transaction_read_only") == 0 ? read_only : "off";
}

static const struct store_call ask = { .statement = "select 1" };
static const struct store_call other = { .statement = "select 2" };

static struct pipeline_statements statements;
static struct pipeline *pipeline;
static struct store_result result;

/* On a connection that has prepared nothing. */
static bool send_calls(const struct store_call *calls, size_t count)
{
	static char conn;

	pipeline_free(pipeline);
	pipeline = pipeline_new((struct pg_conn *)&conn, &statements);
	prepared = executed = next = 0;
	connected = true;
	memset(script, 0, sizeof(script));
	for (size_t i = 0; i < SCRIPT_MAX; i++) {
		script[i].status = (ExecStatusType)BUSY;
	}
	return pipeline_send(pipeline, calls, count);
}

static void send_first(void)
{
	statements.count = 0;
	send_calls(&ask, 1);
}

static enum pipeline_state read_all(void)
{
	enum pipeline_state state = pipeline_read(pipeline);

	pipeline_result(pipeline, &result);
	return state;
}

static void check_committed(void)
{
	const struct store_call twice[] = { ask, other, ask };

	send_first();
	CHECK(prepared == 1 && executed == 1, "a statement is prepared and executed");
	script[0].status = PGRES_COMMAND_OK;
	script[1] = (struct pg_result){ .status = PGRES_TUPLES_OK, .value = "seven" };
	CHECK(pipeline_read(pipeline) == PIPELINE_RUNNING, "its results are no end");
	script[next] = (struct pg_result){ .status = PGRES_PIPELINE_SYNC };
	CHECK(read_all() == PIPELINE_ENDED && result.end == STORE_COMMITTED &&
			text_equal(result.value, TEXT("seven")) && result.column_count == 1,
		"but the SYNC behind them is, and the row is there");
	CHECK(script[1].cleared == 0, "as long as the transaction is");
	send_calls(&ask, 1);
	CHECK(prepared == 0 && executed == 1, "a second time it is executed only");
	script[0] = (struct pg_result){ .status = PGRES_TUPLES_OK, .value = "" };
	script[1].status = PGRES_PIPELINE_SYNC;
	CHECK(read_all() == PIPELINE_ENDED && !result.value.ptr && result.column_count == 1,
		"a null is a null");
	statements.count = 0;
	send_calls(twice, 3);
	CHECK(prepared == 2 && executed == 3, "and in one transaction prepared once");
}

static void check_ends(void)
{
	static const struct {
		const char *promise;
		enum pipeline_state state;
		int statuses[SCRIPT_MAX]; /* after the prepare's; 0 ends them */
	} cases[] = {
		{ "a SYNC before the last result is none that was asked for", PIPELINE_UNASKED,
			{ PGRES_PIPELINE_SYNC } },
		{ "nor is a result too many", PIPELINE_UNASKED,
			{ PGRES_TUPLES_OK, PGRES_TUPLES_OK } },
		{ "nor a COPY", PIPELINE_UNASKED, { PGRES_COPY_IN } },
		{ "nothing between two results is nothing", PIPELINE_ENDED,
			{ NOTHING, NOTHING, PGRES_TUPLES_OK, NOTHING, PGRES_PIPELINE_SYNC } },
		{ "nothing but nothing is a connection that has gone", PIPELINE_GONE,
			{ NOTHING, NOTHING, NOTHING } },
		{ "what has not arrived is waited for", PIPELINE_RUNNING,
			{ PGRES_TUPLES_OK, BUSY } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		send_first();
		script[0].status = PGRES_COMMAND_OK;
		for (size_t n = 0; n + 1 < SCRIPT_MAX && cases[i].statuses[n] != 0; n++) {
			script[n + 1].status = (ExecStatusType)cases[i].statuses[n];
		}
		CHECK(pipeline_read(pipeline) == cases[i].state, "%s", cases[i].promise);
	}
	send_first();
	script[0].status = PGRES_COMMAND_OK;
	connected = false;
	CHECK(pipeline_read(pipeline) == PIPELINE_GONE, "libpq may know that it has gone");
	fails = true;
	statements.count = 0;
	CHECK(!send_calls(&ask, 1), "what libpq does not take is told");
	fails = false;
}

/* The first error of a transaction of two calls, and what follows from it. */
static void refuse(const char *sqlstate, const char *context, const char *severity)
{
	const struct store_call calls[] = { ask, other };

	statements.count = 0;
	send_calls(calls, 2);
	script[0].status = PGRES_COMMAND_OK;
	script[1] = (struct pg_result){ .status = PGRES_FATAL_ERROR,
		.sqlstate = sqlstate,
		.message = "no\n\tway",
		.context = context,
		.severity = severity };
	script[2].status = PGRES_PIPELINE_ABORTED;
	script[3].status = PGRES_PIPELINE_ABORTED;
	script[4].status = PGRES_PIPELINE_SYNC;
}

static void check_refused(void)
{
	refuse("40001", NULL, "ERROR");
	CHECK(read_all() == PIPELINE_ENDED && result.end == STORE_REFUSED &&
			strcmp(result.sqlstate, "40001") == 0 && result.column_count == 0,
		"an error rolls it back, and its code is told");
	CHECK(text_equal(result.message, TEXT("no way")) &&
			strcmp(pipeline_error(pipeline), "no way") == 0,
		"with the server's words on one line");
	CHECK(statements.list[0].prepared && !statements.list[1].prepared,
		"only what the server has prepared is prepared");
	refuse("P0001", "PL/pgSQL function object()", "ERROR");
	CHECK(read_all() == PIPELINE_ENDED &&
			text_equal(result.message, TEXT("error P0001 inside a function")) &&
			result.raised_inside,
		"what a function raises is told by its code alone");
	refuse("57P01", "PL/pgSQL function object()", "FATAL");
	CHECK(read_all() == PIPELINE_ENDED && text_equal(result.message, TEXT("no way")),
		"a FATAL is the server's own, wherever it comes from");
	refuse("", NULL, "ERROR");
	script[1].message = NULL;
	read_all();
	CHECK(text_equal(result.message, TEXT("libpq's own")), "without words they are libpq's");

	send_first();
	script[0].status = PGRES_COMMAND_OK;
	script[1] = (struct pg_result){ .status = PGRES_TUPLES_OK, .value = "x" };
	script[2] = (struct pg_result){ .status = PGRES_FATAL_ERROR, .sqlstate = "23514" };
	script[3].status = PGRES_PIPELINE_SYNC;
	CHECK(read_all() == PIPELINE_ENDED && result.end == STORE_REFUSED &&
			result.column_count == 0,
		"an error of the commit comes behind all results, and is one");
}

static void check_warned(void)
{
	send_first();
	script[0].status = PGRES_COMMAND_OK;
	script[1] = (struct pg_result){ .status = PGRES_TUPLES_OK, .value = "x" };
	pipeline_warn(pipeline, "canceling wait for synchronous replication");
	script[2].status = PGRES_PIPELINE_SYNC;
	CHECK(read_all() == PIPELINE_ENDED && result.end == STORE_UNSURE &&
			result.column_count == 0 && result.message.len > 0,
		"a commit that came with a warning is none");
	CHECK(pipeline_error(pipeline)[0] == '\0', "nor an error");
	refuse("40001", NULL, "ERROR");
	pipeline_warn(pipeline, "x");
	CHECK(read_all() == PIPELINE_ENDED && result.end == STORE_REFUSED,
		"a rollback is a rollback, whatever was warned of");
}

static void check_stale(void)
{
	refuse(NULL, NULL, NULL);
	read_all();
	CHECK(pipeline_is_doubtful(pipeline), "an error of libpq's own says nothing of the server");
	refuse("40001", NULL, "ERROR");
	read_all();
	CHECK(!pipeline_is_doubtful(pipeline), "one of the server's does");
	read_only = "off";
	refuse("0A000", NULL, "ERROR");
	read_all();
	CHECK(pipeline_is_stale(pipeline), "a plan of another type is the session's fault");
	refuse("0A000", "PL/pgSQL function object()", "ERROR");
	read_all();
	CHECK(!pipeline_is_stale(pipeline), "not when a function raises the code");
	refuse("25006", "PL/pgSQL function ingest()", "ERROR");
	read_all();
	CHECK(!pipeline_is_stale(pipeline), "nor a read-only transaction alone");
	read_only = "on";
	CHECK(pipeline_is_stale(pipeline), "but a server that says that it is read-only");
}

int main(void)
{
	check_committed();
	check_ends();
	check_refused();
	check_warned();
	check_stale();
	pipeline_free(pipeline);
	return check_done();
}
