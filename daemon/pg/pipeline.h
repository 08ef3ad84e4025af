/* pipeline.h - one transaction on a connection in pipeline mode: its calls leave together, its
 * results are read as they come.
 *
 * Nothing here waits or calls out: the store says when there may be something to read, and what
 * follows from it for the connection.
 */
#pragma once

#include "pg/call.h"

struct pg_conn;   /* libpq's */
struct pg_result; /* likewise */

/* What a connection has prepared. Embedded; zeroed with each new connection. The fields are the
 * module's own. */
struct pipeline_statements {
	size_t count;
	struct {
		const char *text;     /* static */
		bool prepared;        /* the server has said so */
	} list[STORE_STATEMENTS_MAX]; /* the index is part of the name */
};

struct pipeline; /* heap */

enum pipeline_state {
	PIPELINE_RUNNING, /* more is to come */
	PIPELINE_ENDED,   /* committed or rolled back: pipeline_result() */
	PIPELINE_UNASKED, /* the server answered what it was not asked */
	PIPELINE_GONE,    /* there is no connection any more */
};

/* Both are borrowed until pipeline_free(). */
struct pipeline *pipeline_new(struct pg_conn *conn, struct pipeline_statements *statements);
void pipeline_free(struct pipeline *pipeline);

/* Once; copies the parameters. False: libpq would not take it, and has the reason. */
bool pipeline_send(struct pipeline *pipeline, const struct store_call *calls, size_t count);

/* What libpq has received by now. */
enum pipeline_state pipeline_read(struct pipeline *pipeline);

/* The server has warned, outside of all functions: a commit that came with a warning is none. */
void pipeline_warn(struct pipeline *pipeline, const char *message);

/* The first error in the server's words; "" = none yet. */
const char *pipeline_error(const struct pipeline *pipeline);

/* Borrowed from pipeline. Before the end: what is known by then, with an end that means nothing. */
void pipeline_result(const struct pipeline *pipeline, struct store_result *ret_result);

/* The error is libpq's own, which had no memory for an answer, say: what the server did, and what
 * it has prepared, is not known. */
bool pipeline_is_doubtful(const struct pipeline *pipeline);

/* It was refused for what is wrong with the session: a new one will do better. */
bool pipeline_is_stale(const struct pipeline *pipeline);

/* A PG_DIAG_ field of an error or a notice; "" = it has none. */
const char *pipeline_field(const struct pg_result *result, int code);
