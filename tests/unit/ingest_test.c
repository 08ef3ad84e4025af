#include "flow/ingest.h"

#include <endian.h>

#include "check.h"

enum { OUTCOMES_MAX = 8 };

static const struct {
	const char *promise;
	const char *value;
	size_t count;
	bool readable;
	enum outcome first, last;
} answers[] = {
	{ "one word for one fact", "{applied}", 1, true, OUTCOME_APPLIED, OUTCOME_APPLIED },
	{ "words come in the order of the facts", "{busy,held,duplicate}", 3, true, OUTCOME_BUSY,
		OUTCOME_DUPLICATE },
	{ "without facts nothing is read", "", 0, true, 0, 0 },
	{ "too few words are no answer", "{applied}", 2, false, 0, 0 },
	{ "too many words are no answer", "{applied,applied}", 1, false, 0, 0 },
	{ "an unknown word is no answer", "{excellent}", 1, false, 0, 0 },
	{ "a null is no answer", "{NULL}", 1, false, 0, 0 },
	{ "an empty array is no answer", "{}", 1, false, 0, 0 },
	{ "no text is no answer", "", 1, false, 0, 0 },
	{ "what is no array is no answer", "applied", 1, false, 0, 0 },
	{ "half an array is no answer", "{applied", 1, false, 0, 0 },
	{ "an array of arrays is no answer", "{{applied}}", 1, false, 0, 0 },
};

static void check_answers(void)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		enum outcome got[OUTCOMES_MAX] = { OUTCOME_APPLIED };
		size_t count = answers[i].count;
		bool readable = ingest_outcomes(text_of(answers[i].value), count, got);

		CHECK(readable == answers[i].readable &&
				(!readable || count == 0 ||
					(got[0] == answers[i].first &&
						got[count - 1] == answers[i].last)),
			"%s", answers[i].promise);
	}
}

static bool says(const struct store_call *call, const char *function)
{
	return strstr(call->statement, function) != NULL;
}

/* Of an array in binary format. */
static uint32_t elements(const struct store_param *param)
{
	uint32_t count;

	memcpy(&count, param->bytes + 12, sizeof(count));
	return be32toh(count);
}

static void check_calls(void)
{
	struct fact usable = { .order_id = "o1",
		.event_type = "order.paid",
		.body = TEXT("{}"),
		.event_id = "evt_1",
		.has_status = true,
		.has_occurred = true };
	struct fact unusable = { .body = TEXT("x"), .unusable = "json" };
	struct store_call calls[INGEST_CALLS_MAX];
	struct ingest ingest;
	size_t count;

	ingest_init(&ingest);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 0,
		"without facts nothing is called");
	ingest_add(&ingest, &usable);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 1 &&
			says(&calls[0], "torque.take($1::text, $2::bytea, ") &&
			calls[0].param_count == FACTS_SCALARS,
		"a usable fact is one call");
	CHECK(ingest_calls(&ingest, true, calls, &count) && count == 1 &&
			says(&calls[0], "torque.take_each($1::text[], ") &&
			calls[0].param_count == FACTS_COLUMNS,
		"or, when it was refused, another");
	ingest_add(&ingest, &usable);
	ingest_add(&ingest, &usable);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 1 &&
			says(&calls[0], ", torque.take($34::text, ") &&
			says(&calls[0], ", torque.take($67::text, ") &&
			calls[0].param_count == 3 * FACTS_SCALARS,
		"a few are as many calls in one statement");
	ingest_add(&ingest, &usable);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 1 &&
			says(&calls[0], "torque.take_many($1::text[], ") &&
			calls[0].param_count == FACTS_COLUMNS && elements(&calls[0].params[0]) == 4,
		"more of them are one call with arrays");
	CHECK(!calls[0].params[9].bytes, "of which those with nothing in them are null");
	CHECK(ingest_calls(&ingest, true, calls, &count) && count == 1 &&
			says(&calls[0], "torque.take_each(") && elements(&calls[0].params[0]) == 4,
		"and when they were refused, another");
	ingest_clear(&ingest);
	ingest_add(&ingest, &usable);
	ingest_add(&ingest, &unusable);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 2 &&
			says(&calls[0], "ingest_unusable(") && says(&calls[1], "torque.take("),
		"unusable bodies go first: the last call's answer comes back");
	ingest_clear(&ingest);
	ingest_add(&ingest, &unusable);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 1 &&
			says(&calls[0], "ingest_unusable("),
		"unusable bodies alone are one call");
	ingest_clear(&ingest);
	unusable.body = TEXT("");
	ingest_add(&ingest, &unusable);
	CHECK(ingest_calls(&ingest, false, calls, &count) && count == 1 &&
			says(&calls[0], "ingest_unusable("),
		"so is one that is empty");
	usable.body.len = ARRAY_BYTES_MAX;
	ingest_add(&ingest, &usable);
	CHECK(!ingest_calls(&ingest, true, calls, &count), "what does not fit is told");
	ingest_fini(&ingest);
}

/* A scalar, or any element of an array: as it says behind the number of its dimensions. */
static bool has_null(const struct store_call *call, size_t param)
{
	const char *bytes = call->params[param].bytes;

	return !bytes || (call->param_count == FACTS_COLUMNS && bytes[7] != 0);
}

static void check_absent(void)
{
	struct fact fact = { .order_id = "o1",
		.event_type = "order.paid",
		.has_event_type = true,
		.body = TEXT("{}") };
	struct store_call calls[INGEST_CALLS_MAX];
	struct ingest ingest;
	size_t count;

	ingest_init(&ingest);
	ingest_add(&ingest, &fact);
	CHECK(ingest_calls(&ingest, false, calls, &count) && has_null(&calls[0], 2) &&
			has_null(&calls[0], 4) && has_null(&calls[0], 5),
		"an event id, a status and a time that are not there are null");
	CHECK(!has_null(&calls[0], 0) && !has_null(&calls[0], 3), "what is there is not");
	for (size_t i = 0; i < INGEST_FEW_MAX; i++) {
		ingest_add(&ingest, &fact);
	}
	/* Behind the source. */
	CHECK(ingest_calls(&ingest, false, calls, &count) && has_null(&calls[0], 3) &&
			has_null(&calls[0], 5) && has_null(&calls[0], 6) && !has_null(&calls[0], 4),
		"so it is with many facts");
	ingest_fini(&ingest);
}

int main(void)
{
	check_answers();
	check_absent();
	check_calls();
	return check_done();
}
