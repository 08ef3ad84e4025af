/* refusal.h - what the database refused a transaction for, by its SQLSTATE. Pure. */
#pragma once

#include <stdbool.h>

enum refusal {
	REFUSAL_DATA,      /* a fact's data */
	REFUSAL_OPERATOR,  /* what somebody did with the database: no fact is to blame */
	REFUSAL_TRANSIENT, /* the moment */
	REFUSAL_SIZE,      /* the size of the batch, perhaps */
	REFUSAL_OTHER,     /* some fact, perhaps: a trigger of the merchant's raises */
};

enum refusal refusal_of(const char *sqlstate);

/* The message of such a refusal may repeat what a customer wrote. */
bool refusal_quotes_data(enum refusal refusal);
