#include "order/fact.h"

#include <stdlib.h>

#include "base/cleanup.h"
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

/* The order is that of the columns in SQL. */
static void check_columns(void)
{
	static const struct {
		const char *name;
		enum fact_kind kind;
	} columns[] = {
		{ "business_id", FACT_TEXT },
		{ "session_id", FACT_TEXT },
		{ "created_at", FACT_TIME },
		{ "updated_at", FACT_TIME },
		{ "cancelled_at", FACT_TIME },
		{ "cancellation_reason", FACT_TEXT },
		{ "customer_email", FACT_TEXT },
		{ "customer_first_name", FACT_TEXT },
		{ "customer_last_name", FACT_TEXT },
		{ "customer_phone", FACT_TEXT },
		{ "customer_address", FACT_JSON },
		{ "currency", FACT_TEXT },
		{ "subtotal", FACT_NUMERIC },
		{ "discounts", FACT_NUMERIC },
		{ "shipping", FACT_NUMERIC },
		{ "total", FACT_NUMERIC },
		{ "item_count", FACT_INTEGER },
		{ "items", FACT_JSON },
		{ "items_hash", FACT_INTEGER },
		{ "payment_method", FACT_TEXT },
		{ "payment_transaction_id", FACT_TEXT },
		{ "payment_amount", FACT_NUMERIC },
		{ "payment_status", FACT_TEXT },
	};

	CHECK(sizeof(columns) / sizeof(columns[0]) == FACT_COLUMNS, "there are %d columns",
		FACT_COLUMNS);
	for (size_t i = 0; i < FACT_COLUMNS; i++) {
		CHECK(strcmp(fact_field_name((enum fact_field)i), columns[i].name) == 0 &&
				fact_column_kind((enum fact_field)i) == columns[i].kind,
			"column %zu is %s", i + 1, columns[i].name);
	}
}

static void check_field_names(void)
{
	char names[FACT_FIELD_NAMES_MAX];

	fact_field_names(0, names);
	CHECK(strcmp(names, "{}") == 0, "no field has no name (%s)", names);
	fact_field_names(1 << FACT_TOTAL | 1 << FACT_CURRENCY, names);
	CHECK(strcmp(names, "{currency,total}") == 0, "two fields have two names (%s)", names);
	fact_field_names((UINT64_C(1) << FACT_FIELDS) - 1, names);
	CHECK(names[strlen(names) - 1] == '}', "all names fit (%zu bytes)", strlen(names));
	for (size_t i = 0; i < FACT_FIELDS; i++) {
		const char *name = fact_field_name((enum fact_field)i);

		CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz_.") == strlen(name),
			"%s needs no quotes in an array", name);
	}
}

static bool is_copy(struct text value, struct text of, const char *memory, size_t size)
{
	return text_equal(value, of) && value.ptr >= memory &&
	       value.ptr + value.len <= memory + size;
}

static void check_copy(void)
{
	char body[] = "{\"total\":59.98,\"currency\":\"\"}";
	char room[] = "Zo\xc3\xab";
	struct fact fact = { .order_id = "o1", .body = { body, sizeof(body) - 1 } };
	struct fact copy;

	fact.details.total = (struct text){ body + 9, 5 };
	fact.details.currency = (struct text){ body + sizeof(body) - 3, 0 };
	fact.details.customer_first_name = (struct text){ room, sizeof(room) - 1 };
	fact.details.created_at = (struct fact_integer){ true, 7 };

	size_t size = fact_borrowed_bytes(&fact);
	CLEANUP(cleanup_free) char *memory = malloc(size);
	if (!CHECK(size == fact.body.len + 4 && memory, "what is in the body counts once")) {
		return;
	}
	fact_copy(&fact, memory, &copy);
	memset(body, 'x', sizeof(body));
	memset(room, 'x', sizeof(room));
	CHECK(is_copy(copy.body, TEXT("{\"total\":59.98,\"currency\":\"\"}"), memory, size),
		"the body is copied");
	CHECK(is_copy(copy.details.total, TEXT("59.98"), memory, size),
		"a slice of the body is one of the copy");
	CHECK(is_copy(copy.details.customer_first_name, TEXT("Zo\xc3\xab"), memory, size),
		"a text beside the body is copied");
	CHECK(copy.details.currency.ptr && copy.details.currency.len == 0 &&
			!copy.details.subtotal.ptr,
		"an empty text stays one, an unknown one too");
	CHECK(copy.details.created_at.known && copy.details.created_at.value == 7 &&
			strcmp(copy.order_id, "o1") == 0,
		"all else is the same");
}

int main(void)
{
	for (size_t i = 0; i < sizeof(id_cases) / sizeof(id_cases[0]); i++) {
		CHECK(fact_order_id_valid(id_cases[i].id) == id_cases[i].expected, "id: %s",
			id_cases[i].promise);
	}
	check_outcomes();
	check_columns();
	check_field_names();
	check_copy();
	return check_done();
}
