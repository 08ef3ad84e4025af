/* blocking.h - PostgreSQL for verbs that may wait: one statement after the other, blocking.
 *
 * Nothing that serves a loop uses this; that is store.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"

enum {
	BLOCKING_SQLSTATE_MAX = 6,
	BLOCKING_CONNECT_S = 10, /* unless conninfo says connect_timeout */
	BLOCKING_SERVER_MIN = 140000,
};

struct blocking; /* heap */

/* as_invoker: user and password of conninfo are left out, so that it is the user who runs this who
 * connects. NULL with a sentence in problem, which holds no password. Warnings of the server go to
 * stderr. */
struct blocking *blocking_new(const char *conninfo, bool as_invoker, struct problem *problem);
void blocking_free(struct blocking *session);

/* Sets what each session sets (session.h), with statement_timeout_s instead of its own, 0 = none,
 * and without the others; then judges the server. False, with a sentence: it will not do. */
bool blocking_check(struct blocking *session, bool allow_unsafe_fsync, unsigned statement_timeout_s,
	struct problem *problem);
/* Likewise of the schema: it has to be the one that this program was made for. */
bool blocking_check_schema(struct blocking *session, struct problem *problem);

/* Any number of statements. False: see problem and sqlstate. */
bool blocking_run(struct blocking *session, const char *sql);
/* One statement with count parameters in text format, NULL = SQL null. */
bool blocking_ask(
	struct blocking *session, const char *sql, const char *const *values, size_t count);
/* The same; those that are binary, as formats says by 1, have lengths. */
bool blocking_ask_binary(struct blocking *session, const char *sql, const char *const *values,
	const int *lengths, const int *formats, size_t count);

/* Of the last blocking_ask(), borrowed until the next call. NULL = SQL null. */
size_t blocking_rows(const struct blocking *session);
const char *blocking_cell(const struct blocking *session, size_t row, size_t column);

/* Of the last call that failed. The sqlstate is "" when the connection was lost, the line, in what
 * was run, 0 when the server did not say. */
const char *blocking_problem(const struct blocking *session);
const char *blocking_sqlstate(const struct blocking *session);
size_t blocking_line(const struct blocking *session);
