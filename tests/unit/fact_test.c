#include "order/fact.h"

#include "check.h"

/* 129 bytes; the last 128 of them are as long as an id may be. */
#define LONG_ID                                                                                    \
	"o1234567890123456789012345678901234567890123456789012345678901234"                        \
	"1234567890123456789012345678901234567890123456789012345678901234"

static const struct {
	const char *promise;
	struct text id;
	bool expected;
} id_cases[] = {
	{ "the documented form is valid", TEXT_INIT("order_abc123"), true },
	{ "one byte is valid", TEXT_INIT("1"), true },
	{ "every class of byte is valid", TEXT_INIT("AZaz09_.:-"), true },
	{ "128 bytes are valid", { &LONG_ID[1], 128 }, true },
	{ "dots inside are valid", TEXT_INIT("a..b"), true },
	{ "three dots are valid", TEXT_INIT("..."), true },
	{ "129 bytes are not", TEXT_INIT(LONG_ID), false },
	{ "nothing is not", { NULL, 0 }, false },
	{ "a dot segment is not", TEXT_INIT("."), false },
	{ "a double dot segment is not", TEXT_INIT(".."), false },
	{ "a space in front is not", TEXT_INIT(" order"), false },
	{ "a space behind is not", TEXT_INIT("order "), false },
	{ "a slash is not", TEXT_INIT("a/b"), false },
	{ "a percent sign is not", TEXT_INIT("a%2fb"), false },
	{ "an at sign is not", TEXT_INIT("a@b"), false },
	{ "a bracket next to Z is not", TEXT_INIT("a[b"), false },
	{ "a backquote next to a is not", TEXT_INIT("a`b"), false },
	{ "a brace next to z is not", TEXT_INIT("a{b"), false },
	{ "a semicolon is not", TEXT_INIT("a;b"), false },
	{ "a NUL behind is not", TEXT_INIT("order\0"), false },
	{ "a line end behind is not", TEXT_INIT("order\n"), false },
	{ "a letter beyond ASCII is not", TEXT_INIT("\xd0\xb0"), false },
	{ "a byte of 255 is not", TEXT_INIT("a\xff"), false },
};

static void check_outcomes(void)
{
	static const char *const names[] = { "applied", "duplicate", "recorded", "held", "ignored",
		"quarantined", "busy" };
	enum outcome outcome = OUTCOME_BUSY;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK(strcmp(fact_outcome_name((enum outcome)i), names[i]) == 0,
			"outcome %zu is named %s", i, names[i]);
		CHECK(fact_outcome_from(text_of(names[i]), &outcome) && outcome == (enum outcome)i,
			"%s is read back", names[i]);
	}

	outcome = OUTCOME_HELD;
	CHECK(!fact_outcome_from(TEXT("Applied"), &outcome), "case matters");
	CHECK(!fact_outcome_from(TEXT("applie"), &outcome), "a prefix is no name");
	CHECK(!fact_outcome_from(TEXT("applied "), &outcome), "nothing is trimmed");
	CHECK(!fact_outcome_from(TEXT(""), &outcome), "nothing is no name");
	CHECK(outcome == OUTCOME_HELD, "a refused word changes nothing");
}

int main(void)
{
	for (size_t i = 0; i < sizeof(id_cases) / sizeof(id_cases[0]); i++) {
		CHECK(fact_order_id_valid(id_cases[i].id) == id_cases[i].expected, "id: %s",
			id_cases[i].promise);
	}
	check_outcomes();
	return check_done();
}
