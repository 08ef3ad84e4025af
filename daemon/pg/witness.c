/* connecting -> asked -> told. */
#include "pg/witness.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

enum { WITNESS_MAGIC = 0x5749544e, WITNESS_WORDS_MAX = 64 };

struct witness {
	unsigned magic;
	struct loop *loop;
	uint64_t server_pid; /* of the other connection */
	witness_told *told;
	void *owner;
	PGconn *conn;             /* NULL: there could be none */
	struct loop_watch *watch; /* NULL inside PQconnectPoll(), and once it has told */
	struct loop_timer *timer;
	size_t asked; /* statements that were sent */
	bool pooled;
};

/* Twice: a pooler that hands out in turn may have had a process to spare the first time. */
static const char take_process[] = "begin; select pg_catalog.pg_backend_pid()";
static const char *const statements[] = { take_process, "commit", take_process };

bool witness_is_needed(const struct pg_conn *conn, uint64_t server_pid)
{
	return (uint64_t)PQbackendPID(conn) != server_pid;
}

/* The last thing its caller does. */
static void tell(struct witness *witness)
{
	loop_watch_free(witness->watch);
	witness->watch = NULL;
	loop_timer_stop(witness->timer);
	witness->told(witness->owner, witness->pooled);
}

static void time_is_up(void *owner)
{
	struct witness *witness = owner;

	assert(witness->magic == WITNESS_MAGIC);
	tell(witness);
}

/* A transaction is refused by a pooler in statement mode, in words of its own, and by a server that
 * goes down (class 57). */
static bool shows_pooler(const struct witness *witness, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	uint64_t pid;

	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		return PQntuples(result) == 1 &&
		       text_to_u64(text_of(PQgetvalue(result, 0, 0)), &pid) &&
		       pid == witness->server_pid;
	}
	return sqlstate && strncmp(sqlstate, "57", 2) != 0;
}

static void ask(struct witness *witness);

static void read_results(struct witness *witness)
{
	PGresult *result;

	while (!PQisBusy(witness->conn)) {
		result = PQgetResult(witness->conn);
		if (!result) {
			ask(witness);
			return;
		}
		witness->pooled |= shows_pooler(witness, result);
		PQclear(result);
	}
}

/* The next statement, while nothing is found; so few bytes go at once. */
static void ask(struct witness *witness)
{
	if (witness->pooled || witness->asked == sizeof(statements) / sizeof(statements[0]) ||
		PQsendQuery(witness->conn, statements[witness->asked++]) != 1) {
		tell(witness);
	}
}

static void descriptor_ready(void *owner, unsigned ready);

static void watch(struct witness *witness, unsigned want)
{
	witness->watch =
		loop_watch_new(witness->loop, PQsocket(witness->conn), descriptor_ready, witness);
	loop_watch_want(witness->watch, want);
}

static void continue_connecting(struct witness *witness)
{
	loop_watch_free(witness->watch);
	witness->watch = NULL;
	switch (PQconnectPoll(witness->conn)) {
	case PGRES_POLLING_READING:
		watch(witness, LOOP_READ);
		return;
	case PGRES_POLLING_WRITING:
		watch(witness, LOOP_WRITE);
		return;
	case PGRES_POLLING_OK:
		watch(witness, LOOP_READ);
		ask(witness);
		return;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		break;
	}
	tell(witness);
}

static void descriptor_ready(void *owner, unsigned ready)
{
	struct witness *witness = owner;

	(void)ready;
	assert(witness->magic == WITNESS_MAGIC);
	if (witness->asked == 0) {
		continue_connecting(witness);
	} else {
		PQconsumeInput(witness->conn); /* an end is a result as well */
		read_results(witness);
	}
}

/* NULL when there is no memory. */
static PGconn *connect_alike(PGconn *conn)
{
	const char *keywords[WITNESS_WORDS_MAX + 1] = { NULL };
	const char *values[WITNESS_WORDS_MAX + 1] = { NULL };
	PQconninfoOption *options = PQconninfo(conn);
	size_t count = 0;

	for (const PQconninfoOption *i = options; i && i->keyword; i++) {
		if (i->val && i->val[0] != '\0') {
			assert(count < WITNESS_WORDS_MAX);
			keywords[count] = i->keyword;
			values[count++] = i->val;
		}
	}
	PGconn *alike = PQconnectStartParams(keywords, values, 0);

	PQconninfoFree(options);
	return alike;
}

struct witness *witness_new(struct loop *loop, struct pg_conn *conn, uint64_t server_pid,
	witness_told *told, void *owner)
{
	struct witness *witness = memory_new(sizeof(*witness));

	witness->magic = WITNESS_MAGIC;
	witness->loop = loop;
	witness->server_pid = server_pid;
	witness->told = told;
	witness->owner = owner;
	witness->timer = loop_timer_new(loop, time_is_up, witness);
	witness->conn = connect_alike(conn);
	if (witness->conn && PQstatus(witness->conn) != CONNECTION_BAD) {
		loop_timer_start(witness->timer, WITNESS_MS);
		watch(witness, LOOP_WRITE);
	} else {
		loop_timer_start(witness->timer, 0);
	}
	return witness;
}

void witness_free(struct witness *witness)
{
	if (!witness) {
		return;
	}
	loop_watch_free(witness->watch);
	loop_timer_free(witness->timer);
	PQfinish(witness->conn);
	witness->magic = 0;
	free(witness);
}
