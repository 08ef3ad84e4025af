#include "flow/refusal.h"

#include "check.h"

static const struct {
	const char *promise;
	const char *sqlstate;
	bool raised_inside;
	enum refusal expected;
} refusals[] = {
	{ "invalid UTF-8 is the data's fault", "22021", false, REFUSAL_DATA },
	{ "a broken constraint is the data's fault", "23514", false, REFUSAL_DATA },
	{ "a missing function is the operator's", "42883", false, REFUSAL_OPERATOR },
	{ "a missing right is the operator's", "42501", false, REFUSAL_OPERATOR },
	{ "a missing schema is the operator's", "3F000", false, REFUSAL_OPERATOR },
	{ "a serialization failure passes", "40001", false, REFUSAL_TRANSIENT },
	{ "a deadlock passes", "40P01", false, REFUSAL_TRANSIENT },
	{ "a lock that is not to be had passes", "55P03", false, REFUSAL_TRANSIENT },
	{ "a shutdown passes", "57P01", false, REFUSAL_TRANSIENT },
	{ "a full disk passes", "53100", false, REFUSAL_TRANSIENT },
	{ "a read-only server passes", "25006", false, REFUSAL_TRANSIENT },
	{ "a statement that takes too long may be too large", "57014", false, REFUSAL_SIZE },
	{ "no memory: it may be too large", "53200", false, REFUSAL_SIZE },
	{ "an exception that somebody raised may be about a fact", "P0001", false, REFUSAL_OTHER },
	{ "an internal error may be about a fact", "XX000", false, REFUSAL_OTHER },
	{ "no code says nothing", "", false, REFUSAL_OTHER },
	{ "a function's broken constraint is the data's fault", "23514", true, REFUSAL_DATA },
	{ "a function's deadlock passes", "40P01", true, REFUSAL_TRANSIENT },
	{ "so does its wait for a lock", "55P03", true, REFUSAL_TRANSIENT },
	{ "a function that takes too long may have too much to do", "57014", true, REFUSAL_SIZE },
	{ "a disk is as full inside a function", "53100", true, REFUSAL_TRANSIENT },
	{ "and as broken", "58030", true, REFUSAL_TRANSIENT },
	{ "what a function does not support is about a fact", "0A000", true, REFUSAL_RAISED },
	{ "so is a name it does not find", "42703", true, REFUSAL_RAISED },
	{ "so is a server of its own that is away", "08006", true, REFUSAL_RAISED },
	{ "so is an end of the server that it only pretends", "57P01", true, REFUSAL_RAISED },
	{ "so is a transaction that it finds read-only", "25006", true, REFUSAL_RAISED },
	{ "so is the state of an object", "55000", true, REFUSAL_RAISED },
	{ "so is an exception of its own", "P0001", true, REFUSAL_RAISED },
	{ "so is an internal error", "XX000", true, REFUSAL_RAISED },
};

static void check_classes(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		CHECK(refusal_of(refusals[i].sqlstate, refusals[i].raised_inside) ==
				refusals[i].expected,
			"%s", refusals[i].promise);
	}
}

static void check_quotes(void)
{
	CHECK(refusal_quotes_data(REFUSAL_DATA),
		"what is wrong with data may be said by quoting it");
	CHECK(refusal_quotes_data(REFUSAL_RAISED) && refusal_quotes_data(REFUSAL_OTHER),
		"so may what a trigger raises");
	CHECK(!refusal_quotes_data(REFUSAL_OPERATOR) && !refusal_quotes_data(REFUSAL_TRANSIENT) &&
			!refusal_quotes_data(REFUSAL_SIZE),
		"the server's own words quote nobody");
}

int main(void)
{
	check_classes();
	check_quotes();
	return check_done();
}
