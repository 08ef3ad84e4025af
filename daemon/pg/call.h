/* call.h - a transaction of function calls, and what the server made of it: the words of store.h
 * that its pipeline needs as well. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum {
	STORE_CALLS_MAX = 4,
	STORE_STATEMENTS_MAX = 16,
	STORE_PARAMS_MAX = 100,
	STORE_COLUMNS_MAX = 16,
	STORE_SQLSTATE_MAX = 6,
};

/* One function call of a transaction. Parameters are in PostgreSQL's binary format (see array.h)
 * or, with len and a type the server infers, in text format. */
struct store_param {
	const char *bytes; /* NULL = SQL null */
	size_t len;
	bool binary;
};

struct store_call {
	const char *statement; /* static; prepared once for each connection */
	size_t param_count;
	struct store_param params[STORE_PARAMS_MAX]; /* borrowed until store_run() returns */
};

enum store_end {
	STORE_COMMITTED, /* the transaction has committed, durably as configured */
	STORE_REFUSED,   /* rolled back, for the reason in sqlstate */
	STORE_UNSURE,    /* the connection or the standby's word was lost: it may have happened */
};

struct store_result {
	enum store_end end;
	char sqlstate[STORE_SQLSTATE_MAX];
	bool raised_inside;  /* by a function, which may be a trigger of the merchant's */
	struct text message; /* server's primary message, which may quote data with class 22 or 23;
				never a DETAIL, which does so more often, nor what was raised
				inside a function, of which only the code is told */
	struct text value; /* STORE_COMMITTED: first column of the first row of the LAST call, text
			      format; borrowed during the callback */
	/* STORE_COMMITTED: that row; ptr NULL = SQL null. 0: no row. */
	size_t column_count;
	struct text columns[STORE_COLUMNS_MAX];
};
