/* witness.h - a second connection that tells whether the first has its server process for itself.
 *
 * A pooler in transaction or statement mode hands the process on with each transaction. As long as
 * nobody else comes, it hands out the same again, and all seems well: so somebody else comes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

enum { WITNESS_MS = 1000 }; /* then nothing is known */

struct pg_conn; /* libpq's */
struct witness; /* heap */

/* Whether it is to be asked: who answers is not the process that the connection was told of. */
bool witness_is_needed(const struct pg_conn *conn, uint64_t server_pid);

/* pooled: the process of a connection that is idle was given to the witness, or no transaction may
 * be begun. Else the witness keeps a process busy until it is freed: if the connection still has
 * its own then, it has it to itself. */
typedef void witness_told(void *owner, bool pooled);

/* Connects as conn has, which is idle; told runs once, from the loop. */
struct witness *witness_new(struct loop *loop, struct pg_conn *conn, uint64_t server_pid,
	witness_told *told, void *owner);
void witness_free(struct witness *witness); /* also from inside told */
