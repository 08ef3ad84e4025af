#include "flow/refusal.h"

#include "check.h"

static const struct {
	const char *promise;
	const char *sqlstate;
	enum refusal expected;
} refusals[] = {
	{ "invalid UTF-8 is the data's fault", "22021", REFUSAL_DATA },
	{ "a broken constraint is the data's fault", "23514", REFUSAL_DATA },
	{ "a missing function is the operator's", "42883", REFUSAL_OPERATOR },
	{ "a missing right is the operator's", "42501", REFUSAL_OPERATOR },
	{ "a missing schema is the operator's", "3F000", REFUSAL_OPERATOR },
	{ "a serialization failure passes", "40001", REFUSAL_TRANSIENT },
	{ "a deadlock passes", "40P01", REFUSAL_TRANSIENT },
	{ "a lock that is not to be had passes", "55P03", REFUSAL_TRANSIENT },
	{ "a shutdown passes", "57P01", REFUSAL_TRANSIENT },
	{ "a full disk passes", "53100", REFUSAL_TRANSIENT },
	{ "a read-only server passes", "25006", REFUSAL_TRANSIENT },
	{ "a statement that takes too long may be too large", "57014", REFUSAL_SIZE },
	{ "no memory: it may be too large", "53200", REFUSAL_SIZE },
	{ "an exception that somebody raised may be about a fact", "P0001", REFUSAL_OTHER },
	{ "an internal error may be about a fact", "XX000", REFUSAL_OTHER },
	{ "no code says nothing", "", REFUSAL_OTHER },
};

static void check_classes(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		CHECK(refusal_of(refusals[i].sqlstate) == refusals[i].expected, "%s",
			refusals[i].promise);
	}
}

static void check_quotes(void)
{
	CHECK(refusal_quotes_data(REFUSAL_DATA),
		"what is wrong with data may be said by quoting it");
	CHECK(refusal_quotes_data(REFUSAL_OTHER), "so may what a trigger raises");
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
