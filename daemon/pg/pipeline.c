/* One run of calls and its results: send -> read -> result. A SYNC ends it, and is a success only
 * when every result before it was one. */
#include "pg/pipeline.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/problem.h"
#include "pg/session.h"

enum {
	PIPELINE_RESULTS_MAX = 2 * STORE_CALLS_MAX, /* a prepare and an execute for each call */
	PIPELINE_NAME_MAX = 16,
	/* NULLs between results mean nothing; a connection that has gone gives nothing else. */
	PIPELINE_NOTHING_MAX = 3,
};

struct pipeline {
	PGconn *conn;
	struct pipeline_statements *statements;
	size_t expected; /* results before the SYNC */
	size_t seen;
	int prepares[PIPELINE_RESULTS_MAX]; /* index of the statement that it prepares, or -1 */
	PGresult *last;                     /* of the last call; NULL until it came */
	bool failed;
	bool raised_inside; /* valid once failed: by a function */
	bool warned;        /* a commit that came with a warning is none */
	char sqlstate[STORE_SQLSTATE_MAX];
	struct problem message; /* of the error, or else of the warning */
};

struct pipeline *pipeline_new(struct pg_conn *conn, struct pipeline_statements *statements)
{
	struct pipeline *pipeline = memory_new(sizeof(*pipeline));

	pipeline->conn = conn;
	pipeline->statements = statements;
	return pipeline;
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline) {
		return;
	}
	PQclear(pipeline->last);
	free(pipeline);
}

/* Sending. */

static int statement_index(struct pipeline_statements *statements, const char *text)
{
	size_t i = 0;

	while (i < statements->count && strcmp(statements->list[i].text, text) != 0) {
		i++;
	}
	if (i == statements->count) {
		assert(i < STORE_STATEMENTS_MAX);
		statements->list[i].text = text;
		statements->list[i].prepared = false;
		statements->count++;
	}
	return (int)i;
}

static bool is_being_prepared(const struct pipeline *pipeline, int index)
{
	for (size_t i = 0; i < pipeline->expected; i++) {
		if (pipeline->prepares[i] == index) {
			return true;
		}
	}
	return false;
}

static void expect(struct pipeline *pipeline, int prepares)
{
	assert(pipeline->expected < PIPELINE_RESULTS_MAX);
	pipeline->prepares[pipeline->expected++] = prepares;
}

/* libpq takes text up to its NUL. NULL: no memory. */
static char *copy_text_param(const struct store_param *param)
{
	char *copy = memory_try(param->len + 1);

	assert(!memchr(param->bytes, '\0', param->len));
	if (copy) {
		memcpy(copy, param->bytes, param->len);
		copy[param->len] = '\0';
	}
	return copy;
}

static bool send_execute(PGconn *conn, const char *name, const struct store_call *call)
{
	const char *values[STORE_PARAMS_MAX];
	char *copies[STORE_PARAMS_MAX] = { NULL };
	int lengths[STORE_PARAMS_MAX];
	int formats[STORE_PARAMS_MAX];
	bool complete = true;

	assert(call->param_count <= STORE_PARAMS_MAX);
	for (size_t i = 0; i < call->param_count; i++) {
		const struct store_param *param = &call->params[i];

		assert(param->len <= INT32_MAX);
		if (param->bytes && !param->binary) {
			copies[i] = copy_text_param(param);
			complete = complete && copies[i];
		}
		values[i] = copies[i] ? copies[i] : param->bytes;
		lengths[i] = (int)param->len;
		formats[i] = param->binary;
	}
	bool sent = complete && PQsendQueryPrepared(conn, name, (int)call->param_count, values,
					lengths, formats, 0) == 1;

	for (size_t i = 0; i < call->param_count; i++) {
		free(copies[i]);
	}
	return sent;
}

static bool send_call(struct pipeline *pipeline, const struct store_call *call)
{
	int index = statement_index(pipeline->statements, call->statement);
	char name[PIPELINE_NAME_MAX];

	snprintf(name, sizeof(name), "orderd%d", index);
	if (!pipeline->statements->list[index].prepared && !is_being_prepared(pipeline, index)) {
		if (PQsendPrepare(pipeline->conn, name, call->statement, 0, NULL) != 1) {
			return false;
		}
		expect(pipeline, index);
	}
	expect(pipeline, -1);
	return send_execute(pipeline->conn, name, call);
}

bool pipeline_send(struct pipeline *pipeline, const struct store_call *calls, size_t count)
{
	assert(count > 0 && count <= STORE_CALLS_MAX && pipeline->expected == 0);
	for (size_t i = 0; i < count; i++) {
		if (!send_call(pipeline, &calls[i])) {
			return false;
		}
	}
	return PQpipelineSync(pipeline->conn) == 1;
}

/* Reading. */

const char *pipeline_field(const struct pg_result *result, int code)
{
	const char *value = PQresultErrorField(result, code);

	return value ? value : "";
}

/* What a function raises, which may be a trigger of the merchant's, may be in the words of a
 * customer, under any code. Context is what tells. A FATAL is always the server's own. */
static void note_error(struct pipeline *pipeline, const PGresult *result)
{
	if (pipeline->failed) {
		return; /* what follows the first error follows from it */
	}
	pipeline->failed = true;
	snprintf(pipeline->sqlstate, sizeof(pipeline->sqlstate), "%s",
		pipeline_field(result, PG_DIAG_SQLSTATE));
	pipeline->raised_inside =
		strcmp(pipeline_field(result, PG_DIAG_SEVERITY_NONLOCALIZED), "ERROR") == 0 &&
		pipeline_field(result, PG_DIAG_CONTEXT)[0] != '\0';
	if (pipeline->raised_inside) {
		problem_say(&pipeline->message, "error %s inside a function", pipeline->sqlstate);
		return;
	}
	session_one_line(&pipeline->message, pipeline_field(result, PG_DIAG_MESSAGE_PRIMARY));
	if (pipeline->message.text[0] == '\0') { /* libpq's own */
		session_one_line(&pipeline->message, PQresultErrorMessage(result));
	}
}

void pipeline_warn(struct pipeline *pipeline, const char *message)
{
	session_one_line(&pipeline->message, message);
	pipeline->warned = true;
}

/* False: this is not what was asked for. Takes result. */
static bool take_result(struct pipeline *pipeline, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_FATAL_ERROR) {
		note_error(pipeline, result);
		pipeline->seen++; /* that of a commit is one more than expected */
	} else if (pipeline->seen == pipeline->expected) {
		PQclear(result);
		return false;
	} else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
		int prepared = pipeline->prepares[pipeline->seen++];

		if (prepared >= 0) {
			pipeline->statements->list[prepared].prepared = true;
		} else if (pipeline->seen == pipeline->expected) {
			pipeline->last = result;
			return true;
		}
	} else if (status == PGRES_PIPELINE_ABORTED) {
		pipeline->seen++;
	} else {
		PQclear(result);
		return false;
	}
	PQclear(result);
	return true;
}

/* Takes result. */
static enum pipeline_state take_next(struct pipeline *pipeline, PGresult *result)
{
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		return take_result(pipeline, result) ? PIPELINE_RUNNING : PIPELINE_UNASKED;
	}
	PQclear(result);
	return pipeline->failed || pipeline->seen == pipeline->expected ? PIPELINE_ENDED
									: PIPELINE_UNASKED;
}

enum pipeline_state pipeline_read(struct pipeline *pipeline)
{
	enum pipeline_state state = PIPELINE_RUNNING;
	unsigned nothing = 0;

	while (state == PIPELINE_RUNNING && nothing < PIPELINE_NOTHING_MAX &&
		!PQisBusy(pipeline->conn)) {
		PGresult *result = PQgetResult(pipeline->conn);

		if (result) {
			nothing = 0;
			state = take_next(pipeline, result);
		} else {
			nothing++;
		}
	}
	if (state == PIPELINE_RUNNING &&
		(nothing >= PIPELINE_NOTHING_MAX || PQstatus(pipeline->conn) == CONNECTION_BAD)) {
		return PIPELINE_GONE;
	}
	return state;
}

/* What became of it. */

const char *pipeline_error(const struct pipeline *pipeline)
{
	return pipeline->failed ? pipeline->message.text : "";
}

static void read_row(const PGresult *rows, struct store_result *result)
{
	result->column_count = PQntuples(rows) > 0 ? (size_t)PQnfields(rows) : 0;
	assert(result->column_count <= STORE_COLUMNS_MAX);
	for (int i = 0; i < (int)result->column_count; i++) {
		result->columns[i].ptr = PQgetisnull(rows, 0, i) ? NULL : PQgetvalue(rows, 0, i);
		result->columns[i].len = (size_t)PQgetlength(rows, 0, i);
	}
	result->value = result->columns[0];
}

void pipeline_result(const struct pipeline *pipeline, struct store_result *ret_result)
{
	*ret_result = (struct store_result){
		.end = pipeline->failed   ? STORE_REFUSED
		       : pipeline->warned ? STORE_UNSURE
					  : STORE_COMMITTED,
		.raised_inside = pipeline->raised_inside,
		.message = text_of(pipeline->message.text),
	};
	memcpy(ret_result->sqlstate, pipeline->sqlstate, sizeof(ret_result->sqlstate));
	if (ret_result->end == STORE_COMMITTED && pipeline->last) {
		read_row(pipeline->last, ret_result);
	}
}

bool pipeline_is_doubtful(const struct pipeline *pipeline)
{
	return pipeline->failed && pipeline->sqlstate[0] == '\0';
}

/* A setting that the server tells unasked, at the latest before the SYNC. */
static bool is_on(const PGconn *conn, const char *setting)
{
	const char *value = PQparameterStatus(conn, setting);

	return value && strcmp(value, "on") == 0;
}

bool pipeline_is_stale(const struct pipeline *pipeline)
{
	return pipeline->failed && session_is_stale(pipeline->sqlstate, pipeline->raised_inside,
					   is_on(pipeline->conn, "default_transaction_read_only") ||
						   is_on(pipeline->conn, "in_hot_standby"));
}
