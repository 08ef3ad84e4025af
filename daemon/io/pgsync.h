/* pgsync.h - PostgreSQL for verbs that may wait: one statement after the other, blocking.
 *
 * Nothing that serves a loop uses this; that is store.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	PGSYNC_PROBLEM_MAX = 512,
	PGSYNC_SQLSTATE_MAX = 6,
	PGSYNC_CONNECT_S = 10, /* unless conninfo says connect_timeout */
	PGSYNC_SERVER_MIN = 140000,
};

struct pgsync; /* heap */

/* as_invoker: user and password of conninfo are left out, so that it is the user who runs this who
 * connects. NULL with a sentence in problem, which holds no password. Warnings of the server go to
 * stderr. */
struct pgsync *pgsync_new(const char *conninfo, bool as_invoker, char problem[PGSYNC_PROBLEM_MAX]);
void pgsync_free(struct pgsync *session);

/* Any number of statements. False: see problem and sqlstate. */
bool pgsync_run(struct pgsync *session, const char *sql);
/* One statement with count parameters in text format, NULL = SQL null. */
bool pgsync_ask(struct pgsync *session, const char *sql, const char *const *values, size_t count);

/* Of the last pgsync_ask(), borrowed until the next call. NULL = SQL null. */
size_t pgsync_rows(const struct pgsync *session);
const char *pgsync_cell(const struct pgsync *session, size_t row, size_t column);

/* Of the last call that failed. The sqlstate is "" when the connection was lost, the line, in what
 * was run, 0 when the server did not say. */
const char *pgsync_problem(const struct pgsync *session);
const char *pgsync_sqlstate(const struct pgsync *session);
size_t pgsync_line(const struct pgsync *session);
