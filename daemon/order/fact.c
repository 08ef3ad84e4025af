/* The words for what a fact says and for what becomes of it, and a copy of all it borrows. */
#include "order/fact.h"

#include <assert.h>

static const char *const outcome_names[] = {
	[OUTCOME_APPLIED] = "applied",
	[OUTCOME_DUPLICATE] = "duplicate",
	[OUTCOME_RECORDED] = "recorded",
	[OUTCOME_HELD] = "held",
	[OUTCOME_IGNORED] = "ignored",
	[OUTCOME_QUARANTINED] = "quarantined",
	[OUTCOME_BUSY] = "busy",
};

static const size_t outcome_count = sizeof(outcome_names) / sizeof(outcome_names[0]);

const char *fact_outcome_name(enum outcome outcome)
{
	assert(outcome < outcome_count);
	return outcome_names[outcome];
}

bool fact_outcome_from(struct text name, enum outcome *ret_outcome)
{
	for (size_t i = 0; i < outcome_count; i++) {
		if (text_equal(name, text_of(outcome_names[i]))) {
			*ret_outcome = (enum outcome)i;
			return true;
		}
	}
	return false;
}

static bool is_id_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || c == '.' || c == ':' || c == '-';
}

bool fact_order_id_valid(struct text id)
{
	if (id.len == 0 || id.len > FACT_ORDER_ID_MAX) {
		return false;
	}
	for (size_t i = 0; i < id.len; i++) {
		if (!is_id_byte(id.ptr[i])) {
			return false;
		}
	}
	return !text_equal(id, TEXT(".")) && !text_equal(id, TEXT(".."));
}

/* kind and at: of columns only. */
static const struct {
	const char *name;
	enum fact_kind kind;
	size_t at; /* in struct details */
} fields[FACT_FIELDS] = {
#define COLUMN(kind, member)                                                                       \
	{                                                                                          \
#member, (kind), offsetof(struct details, member)                                  \
	}
	[FACT_BUSINESS_ID] = COLUMN(FACT_TEXT, business_id),
	[FACT_SESSION_ID] = COLUMN(FACT_TEXT, session_id),
	[FACT_CREATED_AT] = COLUMN(FACT_TIME, created_at),
	[FACT_UPDATED_AT] = COLUMN(FACT_TIME, updated_at),
	[FACT_CANCELLED_AT] = COLUMN(FACT_TIME, cancelled_at),
	[FACT_CANCELLATION_REASON] = COLUMN(FACT_TEXT, cancellation_reason),
	[FACT_CUSTOMER_EMAIL] = COLUMN(FACT_TEXT, customer_email),
	[FACT_CUSTOMER_FIRST_NAME] = COLUMN(FACT_TEXT, customer_first_name),
	[FACT_CUSTOMER_LAST_NAME] = COLUMN(FACT_TEXT, customer_last_name),
	[FACT_CUSTOMER_PHONE] = COLUMN(FACT_TEXT, customer_phone),
	[FACT_CUSTOMER_ADDRESS] = COLUMN(FACT_JSON, customer_address),
	[FACT_CURRENCY] = COLUMN(FACT_TEXT, currency),
	[FACT_SUBTOTAL] = COLUMN(FACT_NUMERIC, subtotal),
	[FACT_DISCOUNTS] = COLUMN(FACT_NUMERIC, discounts),
	[FACT_SHIPPING] = COLUMN(FACT_NUMERIC, shipping),
	[FACT_TOTAL] = COLUMN(FACT_NUMERIC, total),
	[FACT_ITEM_COUNT] = COLUMN(FACT_INTEGER, item_count),
	[FACT_ITEMS] = COLUMN(FACT_JSON, items),
	[FACT_ITEMS_HASH] = COLUMN(FACT_INTEGER, items_hash),
	[FACT_PAYMENT_METHOD] = COLUMN(FACT_TEXT, payment_method),
	[FACT_PAYMENT_TRANSACTION_ID] = COLUMN(FACT_TEXT, payment_transaction_id),
	[FACT_PAYMENT_AMOUNT] = COLUMN(FACT_NUMERIC, payment_amount),
	[FACT_PAYMENT_STATUS] = COLUMN(FACT_TEXT, payment_status),
#undef COLUMN
	[FACT_EVENT_ID] = { .name = "event_id" },
	[FACT_EVENT_TYPE] = { .name = "event_type" },
	[FACT_STATUS] = { .name = "status" },
	[FACT_OCCURRED_AT] = { .name = "occurred_at" },
	[FACT_CUSTOMER] = { .name = "customer" },
	[FACT_CART] = { .name = "cart" },
	[FACT_PAYMENT] = { .name = "payment" },
	[FACT_ITEMS_PRODUCT_ID] = { .name = "items.product_id" },
	[FACT_ITEMS_VARIANT] = { .name = "items.variant" },
	[FACT_ITEMS_QUANTITY] = { .name = "items.quantity" },
	[FACT_ITEMS_PRICE] = { .name = "items.price" },
	[FACT_ITEMS_TOTAL] = { .name = "items.total" },
	[FACT_ITEMS_METADATA] = { .name = "items.metadata" },
};

static_assert(FACT_FIELDS <= 64, "faults and assumed have a bit for each field");

static bool is_text(enum fact_field column)
{
	assert(column < FACT_COLUMNS);
	return fields[column].kind == FACT_TEXT || fields[column].kind == FACT_JSON ||
	       fields[column].kind == FACT_NUMERIC;
}

enum fact_kind fact_column_kind(enum fact_field column)
{
	assert(column < FACT_COLUMNS);
	return fields[column].kind;
}

struct text fact_column_text(const struct details *details, enum fact_field column)
{
	struct text value;

	assert(is_text(column));
	memcpy(&value, (const char *)details + fields[column].at, sizeof(value));
	return value;
}

struct fact_integer fact_column_integer(const struct details *details, enum fact_field column)
{
	struct fact_integer value;

	assert(!is_text(column));
	memcpy(&value, (const char *)details + fields[column].at, sizeof(value));
	return value;
}

void fact_set_text(struct details *details, enum fact_field column, struct text value)
{
	assert(is_text(column));
	memcpy((char *)details + fields[column].at, &value, sizeof(value));
}

void fact_set_integer(struct details *details, enum fact_field column, struct fact_integer value)
{
	assert(!is_text(column));
	memcpy((char *)details + fields[column].at, &value, sizeof(value));
}

const char *fact_field_name(enum fact_field field)
{
	assert(field < FACT_FIELDS);
	return fields[field].name;
}

void fact_field_names(uint64_t set, char out[FACT_FIELD_NAMES_MAX])
{
	size_t len = 0;

	out[len++] = '{';
	for (size_t i = 0; i < FACT_FIELDS; i++) {
		if (set >> i & 1) {
			size_t name_len = strlen(fields[i].name);

			assert(len + name_len + sizeof(",}") <= FACT_FIELD_NAMES_MAX);
			if (len > 1) {
				out[len++] = ',';
			}
			memcpy(out + len, fields[i].name, name_len);
			len += name_len;
		}
	}
	memcpy(out + len, "}", sizeof("}"));
}

static bool is_within(struct text inner, struct text outer)
{
	return inner.ptr && outer.ptr && inner.ptr >= outer.ptr &&
	       inner.ptr + inner.len <= outer.ptr + outer.len;
}

size_t fact_borrowed_bytes(const struct fact *fact)
{
	size_t bytes = fact->body.len;

	for (enum fact_field column = 0; column < FACT_COLUMNS; column++) {
		if (is_text(column)) {
			struct text value = fact_column_text(&fact->details, column);

			bytes += is_within(value, fact->body) ? 0 : value.len;
		}
	}
	return bytes;
}

static struct text append(char **memory, struct text bytes)
{
	struct text copy = { *memory, bytes.len };

	if (bytes.len > 0) {
		memcpy(*memory, bytes.ptr, bytes.len);
	}
	*memory += bytes.len;
	return copy;
}

void fact_copy(const struct fact *fact, char *memory, struct fact *ret_fact)
{
	*ret_fact = *fact;
	ret_fact->body = append(&memory, fact->body);
	for (enum fact_field column = 0; column < FACT_COLUMNS; column++) {
		struct text value;

		if (!is_text(column)) {
			continue;
		}
		value = fact_column_text(&fact->details, column);
		if (is_within(value, fact->body)) {
			value.ptr = ret_fact->body.ptr + (value.ptr - fact->body.ptr);
		} else if (value.ptr) {
			value = append(&memory, value);
		}
		fact_set_text(&ret_fact->details, column, value);
	}
}
