/* Bounds of what a parser is given. */
#include "order/shape.h"

#include "check.h"

enum { DEPTH = 3, TOKENS = 5 };

static const struct {
	const char *promise;
	const char *json;
	enum shape expected;
} cases[] = {
	{ "nothing is fine", "", SHAPE_FINE },
	{ "as deep as allowed is fine", "[[[]]]", SHAPE_FINE },
	{ "deeper is not", "[[[[", SHAPE_TOO_DEEP },
	{ "objects count as arrays do", "{\"a\":{\"b\":{\"", SHAPE_TOO_MANY },
	{ "what is closed is no longer deep", "[[][][]]", SHAPE_FINE },
	{ "closing what is not open makes no room", "]]][[[[", SHAPE_TOO_DEEP },
	{ "as many values as allowed are fine", "[1,2,3,4]", SHAPE_FINE },
	{ "one more is not", "[1,2,3,4,5]", SHAPE_TOO_MANY },
	{ "keys count", "{\"a\":1,\"b\":2}", SHAPE_FINE },
	{ "keys count as values do", "{\"a\":1,\"b\":2,\"c\":3}", SHAPE_TOO_MANY },
	{ "brackets in a string are none", "\"[[[[[[[[\"", SHAPE_FINE },
	{ "an escaped quote does not end a string", "\"\\\"[[[[[[[[\"", SHAPE_FINE },
	{ "an escaped backslash does not escape the quote", "\"\\\\\"[[[[", SHAPE_TOO_DEEP },
	{ "a word is one value however long", "[truefalsenull123]", SHAPE_FINE },
	{ "white space parts words", "1 2\t3\r4\n5 6", SHAPE_TOO_MANY },
	{ "an open string ends with the text", "\"\\", SHAPE_FINE },
};

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum shape got = shape_scan(text_of(cases[i].json), DEPTH, TOKENS);

		CHECK(got == cases[i].expected, "%s (got %d)", cases[i].promise, (int)got);
	}
	return check_done();
}
