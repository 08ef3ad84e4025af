/* refusal.h - what the database refused a transaction for, by its SQLSTATE. Pure. */
#pragma once

#include <stdbool.h>

enum refusal {
	REFUSAL_DATA,      /* a fact's data */
	REFUSAL_OPERATOR,  /* what somebody did with the database: no fact is to blame */
	REFUSAL_TRANSIENT, /* the moment */
	REFUSAL_SIZE,      /* the size of the batch, perhaps */
	REFUSAL_RAISED,    /* what a function raised, a trigger of the merchant's perhaps: one fact,
			      until all are seen to be refused alike */
	REFUSAL_OTHER,     /* some fact, perhaps */
};

/* raised_inside: by a function, for facts that were not isolated. Its code is believed where it is
 * about data, the moment or what the server has run out of. */
enum refusal refusal_of(const char *sqlstate, bool raised_inside);

/* The message of such a refusal may repeat what a customer wrote. */
bool refusal_quotes_data(enum refusal refusal);
