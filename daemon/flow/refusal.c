/* The classes of PostgreSQL's appendix A, by whom they blame. */
#include "flow/refusal.h"

#include <stddef.h>
#include <string.h>

/* The first prefix that fits counts. take_each() in SQL believes the same codes. */
enum refusal refusal_of(const char *sqlstate, bool raised_inside)
{
	static const struct {
		const char *prefix;
		enum refusal refusal;
		bool believed; /* also when a function raised it */
	} table[] = {
		/* data exception */
		{ "22", REFUSAL_DATA, true },
		/* integrity constraint violation */
		{ "23", REFUSAL_DATA, true },
		/* invalid schema name */
		{ "3F", REFUSAL_OPERATOR, false },
		/* syntax error or access rule violation */
		{ "42", REFUSAL_OPERATOR, false },
		/* connection exception: inside a function it is another connection's */
		{ "08", REFUSAL_TRANSIENT, false },
		/* a plan that a new connection makes anew, unless a function raises it */
		{ "0A000", REFUSAL_TRANSIENT, false },
		/* invalid transaction state: read-only */
		{ "25", REFUSAL_TRANSIENT, false },
		/* the same as 0A000 */
		{ "26", REFUSAL_TRANSIENT, false },
		/* serialization, deadlock */
		{ "40", REFUSAL_TRANSIENT, true },
		/* lock not available */
		{ "55P03", REFUSAL_TRANSIENT, true },
		/* an object is not in the right state */
		{ "55", REFUSAL_TRANSIENT, false },
		/* statement_timeout */
		{ "57014", REFUSAL_SIZE, true },
		/* the server goes down, or comes up, and says so as FATAL */
		{ "57", REFUSAL_TRANSIENT, false },
		/* out of memory */
		{ "53200", REFUSAL_SIZE, true },
		/* disk full, too many connections */
		{ "53", REFUSAL_TRANSIENT, true },
		/* input or output has failed */
		{ "58", REFUSAL_TRANSIENT, true },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0) {
			return raised_inside && !table[i].believed ? REFUSAL_RAISED
								   : table[i].refusal;
		}
	}
	return raised_inside ? REFUSAL_RAISED : REFUSAL_OTHER;
}

bool refusal_quotes_data(enum refusal refusal)
{
	return refusal == REFUSAL_DATA || refusal == REFUSAL_RAISED || refusal == REFUSAL_OTHER;
}
