/* The classes of PostgreSQL's appendix A, by whom they blame. */
#include "flow/refusal.h"

#include <stddef.h>
#include <string.h>

/* The first prefix that fits counts. */
enum refusal refusal_of(const char *sqlstate)
{
	static const struct {
		const char *prefix;
		enum refusal refusal;
	} table[] = {
		{ "22", REFUSAL_DATA },         /* data exception */
		{ "23", REFUSAL_DATA },         /* integrity constraint violation */
		{ "3F", REFUSAL_OPERATOR },     /* invalid schema name */
		{ "42", REFUSAL_OPERATOR },     /* syntax error or access rule violation */
		{ "08", REFUSAL_TRANSIENT },    /* connection exception */
		{ "0A000", REFUSAL_TRANSIENT }, /* a plan that a new connection makes anew */
		{ "25", REFUSAL_TRANSIENT },    /* invalid transaction state: read-only */
		{ "26", REFUSAL_TRANSIENT },    /* the same as 0A000 */
		{ "40", REFUSAL_TRANSIENT },    /* serialization, deadlock */
		{ "55", REFUSAL_TRANSIENT },    /* lock not available */
		{ "57014", REFUSAL_SIZE },      /* statement_timeout */
		{ "57", REFUSAL_TRANSIENT },    /* the server goes down, or comes up */
		{ "53200", REFUSAL_SIZE },      /* out of memory */
		{ "53", REFUSAL_TRANSIENT },    /* disk full, too many connections */
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0) {
			return table[i].refusal;
		}
	}
	return REFUSAL_OTHER;
}

bool refusal_quotes_data(enum refusal refusal)
{
	return refusal == REFUSAL_DATA || refusal == REFUSAL_OTHER;
}
