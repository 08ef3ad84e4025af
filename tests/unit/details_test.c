/* What an order says, field by field: the table of field.c, place by place. */
#include "order/details.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "check.h"
#include "order/signature.h"
#include "say.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define CART(members) "{\"cart\":{" members "}}"
#define LINE(members) CART("\"items\":[{" members "}]")

/* clang-format off */
static const struct {
	const char *promise, *order, *wanted;
} orders[] = {
	{ "nothing says nothing", "{}", "" },
	{ "what nobody knows is passed over", "{\"x\":1,\"cart\":{\"y\":{\"total\":5}}}", "" },
	{ "every place of the first form",
		"{\"businessId\":\"b\",\"sessionId\":\"s\",\"createdAt\":\"2024-01-15T10:00:00Z\","
		"\"updatedAt\":\"2024-01-15T10:05:00Z\",\"cancelledAt\":\"2024-01-15T10:10:00Z\","
		"\"cancellationReason\":\"r\",\"customerData\":{\"email\":\"e\",\"firstName\":\"f\","
		"\"lastName\":\"l\",\"phone\":\"p\",\"address\":{\"city\" : \"c\"}},\"cart\":{"
		"\"items\":[],\"itemCount\":3,\"subtotal\":1.10,\"discounts\":[{\"code\":\"c\","
		"\"amount\":0.20,\"type\":\"fixed\"}],\"shipping\":{\"method\":\"m\",\"cost\":5.99},"
		"\"total\":2.20,\"currency\":\"USD\"},\"payment\":{\"method\":\"crypto\","
		"\"transactionId\":\"tx\",\"amount\":3.30,\"status\":\"confirmed\"}}",
		"business_id=b session_id=s created_at=2024-01-15T10:00:00.000000Z"
		" updated_at=2024-01-15T10:05:00.000000Z cancelled_at=2024-01-15T10:10:00.000000Z"
		" cancellation_reason=r customer_email=e customer_first_name=f customer_last_name=l"
		" customer_phone=p customer_address={\"city\" : \"c\"} currency=USD subtotal=1.10"
		" discounts=0.20 shipping=5.99 total=2.20 item_count=3 items=[]"
		" payment_method=crypto payment_transaction_id=tx payment_amount=3.30"
		" payment_status=confirmed" },
	{ "null is absent, everywhere",
		"{\"businessId\":null,\"sessionId\":null,\"createdAt\":null,\"updatedAt\":null,"
		"\"cancelledAt\":null,\"cancellationReason\":null,\"customerData\":{\"email\":null,"
		"\"firstName\":null,\"lastName\":null,\"phone\":null,\"address\":null},\"cart\":{"
		"\"items\":null,\"itemCount\":null,\"subtotal\":null,\"discounts\":null,"
		"\"shipping\":null,\"total\":null,\"currency\":null},\"payment\":null}",
		"" },
	{ "what cannot be used is at fault, everywhere",
		"{\"businessId\":[],\"sessionId\":{},\"createdAt\":\"now\",\"updatedAt\":true,"
		"\"cancelledAt\":\"\",\"cancellationReason\":[],\"customerData\":{\"email\":{},"
		"\"firstName\":[],\"lastName\":true,\"phone\":false,\"address\":\"a\"},\"cart\":{"
		"\"items\":{},\"itemCount\":-1,\"subtotal\":[],\"discounts\":true,"
		"\"shipping\":\"x\",\"total\":{},\"currency\":\"$\"},\"payment\":{\"method\":[],"
		"\"transactionId\":{},\"amount\":\"x\",\"status\":true}}",
		"faults={business_id,session_id,created_at,updated_at,cancelled_at,cancellation_reason,"
		"customer_email,customer_first_name,customer_last_name,customer_phone,customer_address,"
		"currency,subtotal,discounts,shipping,total,item_count,items,payment_method,"
		"payment_transaction_id,payment_amount,payment_status}" },
	{ "what is no object is at fault as such",
		"{\"customerData\":\"e\",\"cart\":[],\"payment\":5}", "faults={customer,cart,payment}" },
	{ "one odd field costs no other",
		CART("\"total\":1e400,\"subtotal\":5,\"currency\":\"eur\""),
		"currency=EUR subtotal=5 faults={total}" },
	{ "half a character costs its field alone",
		"{\"customerData\":{\"firstName\":\"\\ud83d\",\"lastName\":\"L\"}}",
		"customer_last_name=L faults={customer_first_name}" },
	{ "half a character in an address costs the address",
		"{\"customerData\":{\"email\":\"e\",\"address\":{\"city\":[\"\\ud83d\"]}}}",
		"customer_email=e faults={customer_address}" },
	{ "what is assumed is marked",
		"{\"createdAt\":1705312800,\"updatedAt\":\"2024-01-15\",\"cart\":{\"total\":\"5\","
		"\"itemCount\":\"2\"}}",
		"created_at=2024-01-15T10:00:00.000000Z updated_at=2024-01-15T00:00:00.000000Z total=5"
		" item_count=2 assumed={created_at,updated_at,total,item_count}" },
	{ "numbers are texts and ids",
		"{\"sessionId\":17,\"customerData\":{\"phone\":436641234567,\"firstName\":1.50}}",
		"session_id=17 customer_first_name=1.50 customer_phone=436641234567" },
	{ "but not every number is an id", "{\"sessionId\":1.5}", "faults={session_id}" },
	{ "escapes are decoded", "{\"customerData\":{\"firstName\":\"Zo\\u00eb\",\"lastName\":\"\\n\"}}",
		"customer_first_name=Zo\xc3\xab customer_last_name=\n" },
	{ "escaped names are names", "{\"c\\u0061rt\":{\"tot\\u0061l\":5}}", "total=5" },
	{ "the second form's names mean nothing in the first",
		"{\"amount\":5,\"currency\":\"USD\",\"customer\":{\"email\":\"e\"}}", "" },
	{ "not even as a fault", "{\"amount\":[],\"currency\":5,\"customer\":[]}", "" },

	{ "no discount is a discount of 0", CART("\"discounts\":[]"), "discounts=0" },
	{ "a discount may be an amount", CART("\"discounts\":5"), "discounts=5" },
	{ "a discount may be an amount in a string", CART("\"discounts\":\"5\""),
		"discounts=5 assumed={discounts}" },
	{ "a percentage is no amount", CART("\"discounts\":[{\"amount\":20,\"type\":\"percentage\"}]"),
		"faults={discounts}" },
	{ "a discount of no type is no amount", CART("\"discounts\":[{\"amount\":20}]"),
		"faults={discounts}" },
	{ "a discount of no amount is none", CART("\"discounts\":[{\"type\":\"fixed\"}]"),
		"faults={discounts}" },
	{ "two discounts are not added up",
		CART("\"discounts\":[{\"amount\":1,\"type\":\"fixed\"},{\"amount\":1,\"type\":\"fixed\"}]"),
		"faults={discounts}" },
	{ "a discount that is no object is none", CART("\"discounts\":[5]"), "faults={discounts}" },
	{ "shipping may be an amount", CART("\"shipping\":5.99"), "shipping=5.99" },
	{ "shipping without a cost is unknown", CART("\"shipping\":{\"method\":\"m\"}"), "" },
	{ "an odd cost is at fault", CART("\"shipping\":{\"cost\":[]}"), "faults={shipping}" },

	{ "an empty cart", CART("\"items\":[ ]"), "item_count=0 items=[]" },
	{ "an empty line", CART("\"items\":[{}]"), "item_count=0 items=[{}]" },
	{ "a line in another order",
		LINE(" \"metadata\" : {\"a\" : [1, 2]} , \"total\":59.98,\"price\":29.99,\"x\":1,"
		     "\"quantity\":2,\"variant\":\"v\",\"productId\":\"p\""),
		"item_count=2 items=[{\"product_id\":\"p\",\"variant\":\"v\",\"quantity\":2,"
		"\"price\":29.99,\"total\":59.98,\"metadata\":{\"a\" : [1, 2]}}]" },
	{ "two lines", CART("\"items\":[{\"quantity\":2}, {\"quantity\":3.0}]"),
		"item_count=5 items=[{\"quantity\":2},{\"quantity\":3.0}]" },
	{ "strings stay as sent", LINE("\"productId\":\"\\u0070\\n\xc3\xa9\",\"variant\":\"\\/\""),
		"item_count=0 items=[{\"product_id\":\"\\u0070\\n\xc3\xa9\",\"variant\":\"\\/\"}]" },
	{ "numbers become ids and texts", LINE("\"productId\":5,\"variant\":1.50"),
		"item_count=0 items=[{\"product_id\":\"5\",\"variant\":\"1.50\"}]" },
	{ "numbers in strings become numbers",
		LINE("\"quantity\":\"2\",\"price\":\"1\\u002e50\",\"total\":\"3\""),
		"item_count=2 items=[{\"quantity\":2,\"price\":1.50,\"total\":3}]"
		" assumed={items.quantity,items.price,items.total}" },
	{ "null is absent in a line", LINE("\"productId\":null,\"quantity\":null,\"metadata\":null"),
		"item_count=0 items=[{}]" },
	{ "what cannot be used is left out of a line",
		LINE("\"productId\":1.5,\"variant\":[],\"quantity\":true,\"price\":\"x\",\"total\":1e400,"
		     "\"metadata\":[]"),
		"items=[{}] faults={items.product_id,items.variant,items.quantity,items.price,"
		"items.total,items.metadata}" },
	{ "of two lines it is named once",
		CART("\"items\":[{\"price\":[]},{\"price\":1},{\"price\":{}}]"),
		"item_count=0 items=[{},{\"price\":1},{}] faults={items.price}" },
	{ "metadata that jsonb refuses is at fault", LINE("\"price\":1,\"metadata\":{\"a\":\"\\u0000\"}"),
		"item_count=0 items=[{\"price\":1}] faults={items.metadata}" },
	{ "numbers of any size in metadata are fine", LINE("\"metadata\":{\"a\":1e400}"),
		"item_count=0 items=[{\"metadata\":{\"a\":1e400}}]" },
	{ "a part of a piece is no count", LINE("\"quantity\":0.35"), "items=[{\"quantity\":0.35}]" },
	{ "nor is what was taken back", LINE("\"quantity\":-1"), "items=[{\"quantity\":-1}]" },
	{ "the cart's own count goes first", CART("\"items\":[{\"quantity\":2}],\"itemCount\":9"),
		"item_count=9 items=[{\"quantity\":2}]" },
	{ "an odd count of the cart's gives way to the sum",
		CART("\"items\":[{\"quantity\":2}],\"itemCount\":\"x\""),
		"item_count=2 items=[{\"quantity\":2}] faults={item_count}" },
	{ "a line that is no object leaves the lines unknown",
		CART("\"total\":7,\"items\":[{\"price\":[]},5]"), "total=7 faults={items}" },
	{ "a line of null leaves the lines unknown", CART("\"items\":[null]"), "faults={items}" },
};

static const struct {
	const char *promise, *order, *wanted;
} second_orders[] = {
	{ "its own names are read", "{\"id\":\"o\",\"amount\":59.98,\"currency\":\"usd\",\"customer\":"
		"{\"email\":\"e\",\"firstName\":\"f\",\"lastName\":\"l\",\"phone\":\"p\"}}",
		"customer_email=e customer_first_name=f customer_last_name=l customer_phone=p"
		" currency=USD total=59.98" },
	{ "the first form's names go first",
		"{\"amount\":1,\"currency\":\"EUR\",\"customer\":{\"email\":\"b\",\"phone\":\"2\"},"
		"\"customerData\":{\"email\":\"a\"},\"cart\":{\"total\":2,\"currency\":\"USD\"}}",
		"customer_email=a customer_phone=2 currency=USD total=2" },
	{ "where those say nothing", "{\"amount\":1,\"cart\":{\"total\":null}}", "total=1" },
	{ "or nothing of use", "{\"amount\":1,\"cart\":{\"total\":[]}}", "total=1 faults={total}" },
	{ "its own faults are faults", "{\"amount\":\"x\",\"currency\":5,\"customer\":[]}",
		"faults={currency,total,customer}" },
};
/* clang-format on */

static struct json_room room;

/* From an order that ends where its memory ends, in a room of exactly the size asked for. */
static void say_order(const char *order, bool second_form, char got[SAY_MAX])
{
	size_t len = strlen(order);
	CLEANUP(cleanup_free) char *copy = malloc(len);
	CLEANUP(cleanup_free) char *memory = malloc(json_room_size(len));
	struct json_room exact = { memory, json_room_size(len), 0, false };
	struct field_values values = { .order = NULL };
	struct details details = { .faults = 0 };

	if (!copy || !memory) {
		return;
	}
	memcpy(copy, order, len);
	enum json_fault fault =
		field_read((struct text){ copy, len }, &exact, PLACE_ORDER, &values);
	details_read(&values, second_form, &exact, &details);
	say_details(&details, got);
	if (fault != JSON_FINE || !values.is_object) {
		snprintf(got, SAY_MAX, "no object");
	}
}

static void check_orders(void)
{
	static char got[SAY_MAX];

	for (size_t i = 0; i < COUNT(orders); i++) {
		say_order(orders[i].order, false, got);
		CHECK(strcmp(got, orders[i].wanted) == 0, "order: %s (%s)", orders[i].promise, got);
	}
	for (size_t i = 0; i < COUNT(second_orders); i++) {
		say_order(second_orders[i].order, true, got);
		CHECK(strcmp(got, second_orders[i].wanted) == 0, "second form: %s (%s)",
			second_orders[i].promise, got);
	}
}

/* The longest that may be, and one byte more. */
static void check_bounds(void)
{
	static const struct {
		const char *before, *behind;
		size_t max;
		enum fact_field column;
	} bounds[] = {
		{ "{\"sessionId\":\"", "\"}", FIELD_ID_MAX, FACT_SESSION_ID },
		{ "{\"customerData\":{\"email\":\"", "\"}}", FIELD_TEXT_MAX, FACT_CUSTOMER_EMAIL },
		{ "{\"cancellationReason\":\"", "\"}", FIELD_REASON_MAX, FACT_CANCELLATION_REASON },
		{ "{\"payment\":{\"status\":\"", "\"}}", FIELD_ID_MAX, FACT_PAYMENT_STATUS },
		{ "{\"customerData\":{\"address\":{\"a\":\"", "\"}}}",
			FIELD_OBJECT_MAX - sizeof("{\"a\":\"\"}") + 1, FACT_CUSTOMER_ADDRESS },
	};
	enum { SIZE = 2 * FIELD_OBJECT_MAX };
	CLEANUP(cleanup_free) char *text = malloc(SIZE);

	for (size_t i = 0; text && i < COUNT(bounds) * 2; i++) {
		size_t n = i / 2, more = i % 2;
		struct field_values values = { .order = NULL };
		struct details details = { .faults = 0 };
		size_t len = (size_t)snprintf(text, SIZE, "%s", bounds[n].before);

		memset(text + len, 'x', bounds[n].max + more);
		len += bounds[n].max + more;
		len += (size_t)snprintf(text + len, SIZE - len, "%s", bounds[n].behind);
		field_read((struct text){ text, len }, &room, PLACE_ORDER, &values);
		details_read(&values, false, &room, &details);
		CHECK((fact_column_text(&details, bounds[n].column).ptr == NULL) == (more == 1) &&
				details.faults == more << bounds[n].column,
			"%s of %zu bytes is %s", fact_field_name(bounds[n].column),
			bounds[n].max + more, more ? "at fault" : "read");
	}
}

/* select ('x' || left(encode(sha256('[]'), 'hex'), 16))::bit(64)::bigint */
static void check_hash(void)
{
	struct field_values values = { .order = NULL };
	struct details details = { .faults = 0 };

	field_read(TEXT("{\"cart\":{\"items\":[ ]}}"), &room, PLACE_ORDER, &values);
	details_read(&values, false, &room, &details);
	CHECK(details.items_hash.known && details.items_hash.value == INT64_C(5716138445788391948),
		"the hash of the lines is of their canonical text (%lld)",
		(long long)details.items_hash.value);
	details = (struct details){ .faults = 0 };
	memset(&values, 0, sizeof(values));
	field_read(TEXT("{\"cart\":{\"total\":1}}"), &room, PLACE_ORDER, &values);
	details_read(&values, false, &room, &details);
	CHECK(!details.items_hash.known, "no lines have no hash");
}

/* Strings that grow when their lines are written: the room is always enough. */
static void check_room(void)
{
	enum { LINES = 5000, SIZE = LINES * 32 };
	static char order[SIZE], got[SAY_MAX];
	static const char *const lines[] = { "{\"productId\":5},",
		"{\"productId\":5,\"variant\":5},", "{\"variant\":5},", "{\"x\":5},", "{}," };

	for (size_t n = 0; n < COUNT(lines); n++) {
		size_t len = (size_t)snprintf(order, SIZE, "{\"cart\":{\"items\":[");

		for (size_t i = 0; i < LINES; i++) {
			len += (size_t)snprintf(order + len, SIZE - len, "%s", lines[n]);
		}
		snprintf(order + len - 1, SIZE - len, "]}}");
		say_order(order, false, got);
		CHECK(strncmp(got, "item_count=0 items=[{", 20) == 0, "%d lines %s fit", LINES,
			lines[n]);
	}
}

static void check_status(void)
{
	static const struct {
		const char *order, *wanted;
	} cases[] = {
		{ "{\"status\":\"Completed\"}", "completed" },
		{ "{\"status\":\"ON_HOLD-x\"}", "on_hold-x" },
		{ "{\"status\":\"Stufe 2\"}", "Stufe 2" },
		{ "{\"status\":\"\"}", "" },
		{ "{\"status\":null}", "-" },
		{ "{}", "-" },
		{ "{\"status\":[]}", "- fault" },
		{ "{\"status\":\"completed\\u0000\"}", "- fault" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct field_values values = { .order = NULL };
		struct fact fact = { .has_status = false };
		char got[FACT_WORD_MAX + 16];

		field_read(text_of(cases[i].order), &room, PLACE_ORDER, &values);
		details_read_status(&values, &room, &fact);
		snprintf(got, sizeof(got), "%s%s", fact.has_status ? fact.status : "-",
			fact.details.faults == UINT64_C(1) << FACT_STATUS ? " fault" : "");
		CHECK(strcmp(got, cases[i].wanted) == 0, "status: %s (%s)", cases[i].order, got);
	}
}

/* Each row says its place, and stands there. */
static void check_table(void)
{
	for (enum field field = 0; field < FIELD_COUNT; field++) {
		const struct field_row *row = field_row(field);

		CHECK(row->place != PLACE_NONE && row->name.len > 0 &&
				(field == 0 || row->place >= field_row(field - 1)->place),
			"%.*s stands with those of its place", (int)row->name.len, row->name.ptr);
	}
}

int main(void)
{
	room.size = json_room_size(4 * FIELD_OBJECT_MAX);
	room.memory = malloc(room.size);
	if (!CHECK(room.memory != NULL, "there is memory for the room")) {
		return check_done();
	}
	check_table();
	check_orders();
	check_bounds();
	check_hash();
	check_room();
	check_status();
	free(room.memory);
	return check_done();
}
