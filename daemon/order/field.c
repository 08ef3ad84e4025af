/* The table of what is read, and the one pass that finds it. */
#include "order/field.h"

#include <assert.h>

/* clang-format off */
#define FOUND(place_, name_) .place = PLACE_##place_, .name = TEXT_INIT(name_)
#define READ(place_, name_, type_, max_, column_)                                                  \
	FOUND(place_, name_), .type = AS_##type_, .max = (max_), .column = FACT_##column_

/* FOUND: where it is. READ: as what, of how many bytes, for which column. */
static const struct field_row rows[FIELD_COUNT] = {
	/* Both forms of an event. */
	[FIELD_EVENT]      = { FOUND(EVENT, "event") },
	[FIELD_TYPE]       = { FOUND(EVENT, "type") },
	[FIELD_EVENT_ID]   = { READ(EVENT, "id", ID, 0, EVENT_ID) },
	[FIELD_TIMESTAMP]  = { READ(EVENT, "timestamp", TIME, 0, OCCURRED_AT) },
	[FIELD_CREATED]    = { READ(EVENT, "created", TIME, 0, OCCURRED_AT) },
	[FIELD_DATA]       = { FOUND(EVENT, "data"), .inside = PLACE_ORDER },

	/* Answers of the API: a page, an order-status, a cancel, a link, an error. */
	[FIELD_SUCCESS]        = { FOUND(ANSWER, "success") },
	[FIELD_ROWS]           = { FOUND(ANSWER, "orders"), .type = AS_ELEMENTS },
	[FIELD_PAGINATION]     = { FOUND(ANSWER, "pagination"), .inside = PLACE_PAGINATION },
	[FIELD_ANSWER_ORDER]   = { FOUND(ANSWER, "order"), .inside = PLACE_ORDER },
	[FIELD_CHECKOUT_URL]   = { FOUND(ANSWER, "checkoutUrl") },
	[FIELD_ERROR]          = { FOUND(ANSWER, "error"), .inside = PLACE_ERROR },
	[FIELD_CODE]           = { FOUND(ANSWER, "code") },
	[FIELD_REQUEST_ID]     = { FOUND(ANSWER, "requestId") },
	[FIELD_ANSWER_DETAILS] = { FOUND(ANSWER, "details") },

	[FIELD_PAGE_TOTAL]  = { FOUND(PAGINATION, "total") },
	[FIELD_PAGE_LIMIT]  = { FOUND(PAGINATION, "limit") },
	[FIELD_PAGE_OFFSET] = { FOUND(PAGINATION, "offset") },
	[FIELD_HAS_MORE]    = { FOUND(PAGINATION, "hasMore") },

	[FIELD_ERROR_MESSAGE] = { FOUND(ERROR, "message") },
	[FIELD_ERROR_CODE]    = { FOUND(ERROR, "code") },
	[FIELD_ERROR_DETAILS] = { FOUND(ERROR, "details") },

	[FIELD_ERROR_FIELD]    = { FOUND(ERROR_DETAILS, "field") },
	[FIELD_ERROR_SENTENCE] = { FOUND(ERROR_DETAILS, "message") },

	/* An order: data of the first form, data.order of the second, a row, order of an answer. */
	[FIELD_ORDER_ID]       = { FOUND(ORDER, "orderId"), .type = AS_ID },
	[FIELD_ID]             = { FOUND(ORDER, "id"), .type = AS_ID },
	[FIELD_ORDER]          = { FOUND(ORDER, "order"), .inside = PLACE_ORDER },
	[FIELD_STATUS]         = { FOUND(ORDER, "status"), .column = FACT_STATUS },
	[FIELD_BUSINESS_ID]    = { READ(ORDER, "businessId", ID, FIELD_ID_MAX, BUSINESS_ID) },
	[FIELD_SESSION_ID]     = { READ(ORDER, "sessionId", ID, FIELD_ID_MAX, SESSION_ID) },
	[FIELD_CREATED_AT]     = { READ(ORDER, "createdAt", TIME, 0, CREATED_AT) },
	[FIELD_UPDATED_AT]     = { READ(ORDER, "updatedAt", TIME, 0, UPDATED_AT) },
	[FIELD_CANCELLED_AT]   = { READ(ORDER, "cancelledAt", TIME, 0, CANCELLED_AT) },
	[FIELD_REASON]         = { READ(ORDER, "cancellationReason", TEXT, FIELD_REASON_MAX, CANCELLATION_REASON) },
	[FIELD_CUSTOMER]       = { READ(ORDER, "customerData", GROUP, 0, CUSTOMER), .inside = PLACE_CUSTOMER },
	[FIELD_BUYER]          = { READ(ORDER, "customer", GROUP, 0, CUSTOMER), .inside = PLACE_BUYER, .second_form = true },
	[FIELD_CART]           = { READ(ORDER, "cart", GROUP, 0, CART), .inside = PLACE_CART },
	[FIELD_PAYMENT]        = { READ(ORDER, "payment", GROUP, 0, PAYMENT), .inside = PLACE_PAYMENT },

	[FIELD_AMOUNT]         = { READ(ORDER, "amount", AMOUNT, 0, TOTAL), .second_form = true },
	[FIELD_ORDER_CURRENCY] = { READ(ORDER, "currency", CURRENCY, 0, CURRENCY), .second_form = true },

	[FIELD_EMAIL]      = { READ(CUSTOMER, "email", TEXT, FIELD_TEXT_MAX, CUSTOMER_EMAIL) },
	[FIELD_FIRST_NAME] = { READ(CUSTOMER, "firstName", TEXT, FIELD_TEXT_MAX, CUSTOMER_FIRST_NAME) },
	[FIELD_LAST_NAME]  = { READ(CUSTOMER, "lastName", TEXT, FIELD_TEXT_MAX, CUSTOMER_LAST_NAME) },
	[FIELD_PHONE]      = { READ(CUSTOMER, "phone", TEXT, FIELD_TEXT_MAX, CUSTOMER_PHONE) },
	[FIELD_ADDRESS]    = { READ(CUSTOMER, "address", OBJECT, FIELD_OBJECT_MAX, CUSTOMER_ADDRESS) },

	[FIELD_BUYER_EMAIL]      = { READ(BUYER, "email", TEXT, FIELD_TEXT_MAX, CUSTOMER_EMAIL), .second_form = true },
	[FIELD_BUYER_FIRST_NAME] = { READ(BUYER, "firstName", TEXT, FIELD_TEXT_MAX, CUSTOMER_FIRST_NAME), .second_form = true },
	[FIELD_BUYER_LAST_NAME]  = { READ(BUYER, "lastName", TEXT, FIELD_TEXT_MAX, CUSTOMER_LAST_NAME), .second_form = true },
	[FIELD_BUYER_PHONE]      = { READ(BUYER, "phone", TEXT, FIELD_TEXT_MAX, CUSTOMER_PHONE), .second_form = true },

	[FIELD_ITEMS]      = { READ(CART, "items", LINES, 0, ITEMS) },
	[FIELD_ITEM_COUNT] = { READ(CART, "itemCount", COUNT, 0, ITEM_COUNT) },
	[FIELD_SUBTOTAL]   = { READ(CART, "subtotal", AMOUNT, 0, SUBTOTAL) },
	[FIELD_DISCOUNTS]  = { READ(CART, "discounts", DISCOUNTS, 0, DISCOUNTS) },
	[FIELD_SHIPPING]   = { READ(CART, "shipping", AMOUNT, 0, SHIPPING), .inside = PLACE_SHIPPING },
	[FIELD_TOTAL]      = { READ(CART, "total", AMOUNT, 0, TOTAL) },
	[FIELD_CURRENCY]   = { READ(CART, "currency", CURRENCY, 0, CURRENCY) },

	[FIELD_SHIPPING_COST] = { READ(SHIPPING, "cost", AMOUNT, 0, SHIPPING) },

	[FIELD_DISCOUNT_AMOUNT] = { FOUND(DISCOUNT, "amount") },
	[FIELD_DISCOUNT_TYPE]   = { FOUND(DISCOUNT, "type") },

	[FIELD_LINE_PRODUCT]  = { READ(LINE, "productId", ID, FIELD_ID_MAX, ITEMS_PRODUCT_ID) },
	[FIELD_LINE_VARIANT]  = { READ(LINE, "variant", TEXT, FIELD_TEXT_MAX, ITEMS_VARIANT) },
	[FIELD_LINE_QUANTITY] = { READ(LINE, "quantity", QUANTITY, 0, ITEMS_QUANTITY) },
	[FIELD_LINE_PRICE]    = { READ(LINE, "price", AMOUNT, 0, ITEMS_PRICE) },
	[FIELD_LINE_TOTAL]    = { READ(LINE, "total", AMOUNT, 0, ITEMS_TOTAL) },
	[FIELD_LINE_METADATA] = { READ(LINE, "metadata", OBJECT, 0, ITEMS_METADATA) },

	[FIELD_PAYMENT_METHOD] = { READ(PAYMENT, "method", TEXT, FIELD_ID_MAX, PAYMENT_METHOD) },
	[FIELD_TRANSACTION_ID] = { READ(PAYMENT, "transactionId", TEXT, FIELD_ID_MAX, PAYMENT_TRANSACTION_ID) },
	[FIELD_PAYMENT_AMOUNT] = { READ(PAYMENT, "amount", AMOUNT, 0, PAYMENT_AMOUNT) },
	[FIELD_PAYMENT_STATUS] = { READ(PAYMENT, "status", TEXT, FIELD_ID_MAX, PAYMENT_STATUS) },
};
/* clang-format on */

static const enum field first_of[] = {
	[PLACE_EVENT] = FIELD_EVENT,
	[PLACE_ANSWER] = FIELD_SUCCESS,
	[PLACE_PAGINATION] = FIELD_PAGE_TOTAL,
	[PLACE_ERROR] = FIELD_ERROR_MESSAGE,
	[PLACE_ERROR_DETAILS] = FIELD_ERROR_FIELD,
	[PLACE_ORDER] = FIELD_ORDER_ID,
	[PLACE_CUSTOMER] = FIELD_EMAIL,
	[PLACE_BUYER] = FIELD_BUYER_EMAIL,
	[PLACE_CART] = FIELD_ITEMS,
	[PLACE_SHIPPING] = FIELD_SHIPPING_COST,
	[PLACE_DISCOUNT] = FIELD_DISCOUNT_AMOUNT,
	[PLACE_LINE] = FIELD_LINE_PRODUCT,
	[PLACE_PAYMENT] = FIELD_PAYMENT_METHOD,
};

const struct field_row *field_row(enum field field)
{
	assert(field < FIELD_COUNT);
	return &rows[field];
}

bool field_given(const struct field_values *values, enum field field)
{
	return values->at[field].kind != JSON_KIND_ABSENT &&
	       values->at[field].kind != JSON_KIND_NULL;
}

/* FIELD_COUNT: nothing is read there. A name of more bytes than any of ours, with escapes or
 * without, is none of them. */
static enum field find(enum field_place place, const struct json *name)
{
	enum { ESCAPED_MAX = 6 * sizeof("cancellationReason") };
	char memory[ESCAPED_MAX];
	struct json_room room = { .memory = memory, .size = sizeof(memory) };
	struct text word;

	if (name->raw.len > sizeof(memory) || !json_text(name, &room, &word)) {
		return FIELD_COUNT;
	}
	for (enum field field = first_of[place]; field < FIELD_COUNT; field++) {
		if (rows[field].place != place) {
			break;
		}
		if (rows[field].name.len == word.len &&
			memcmp(rows[field].name.ptr, word.ptr, word.len) == 0) {
			return field;
		}
	}
	return FIELD_COUNT;
}

static void read_elements(struct json_reader *reader, struct json *ret_array)
{
	const char *begin = reader->at;
	struct text element;

	json_enter(reader);
	while (json_next(reader, NULL)) {
		json_skip(reader, &element);
	}
	*ret_array = (struct json){ .kind = JSON_KIND_ARRAY,
		.raw = { begin, (size_t)(reader->at - begin) } };
}

static void gather_value(struct json_reader *reader, enum field field, struct field_values *values)
{
	enum json_kind kind = json_peek(reader);
	struct json unread;
	struct json *value = field < FIELD_COUNT ? &values->at[field] : &unread;
	struct field_values *inner = field == FIELD_ORDER ? values->order : values;

	if (field < FIELD_COUNT && kind == JSON_KIND_ARRAY && rows[field].type == AS_ELEMENTS) {
		read_elements(reader, value);
	} else if (field < FIELD_COUNT && kind == JSON_KIND_OBJECT && rows[field].inside && inner) {
		value->kind = JSON_KIND_OBJECT;
		value->raw.ptr = reader->at;
		field_gather(reader, rows[field].inside, inner);
		value->raw.len = (size_t)(reader->at - value->raw.ptr);
	} else {
		json_read(reader, value);
	}
}

bool field_gather(struct json_reader *reader, enum field_place place, struct field_values *values)
{
	struct json name;

	if (!json_enter(reader)) {
		return false;
	}
	while (json_next(reader, &name)) {
		gather_value(reader, find(place, &name), values);
	}
	return reader->fault == JSON_FINE;
}

enum json_fault field_read(struct text text, struct json_room *room, enum field_place place,
	struct field_values *values)
{
	struct json_reader reader;
	struct json other;

	assert(room->size >= json_room_size(text.len));
	room->used = 0;
	json_begin(&reader, text, room);
	values->is_object = json_peek(&reader) == JSON_KIND_OBJECT;
	if (values->is_object) {
		field_gather(&reader, place, values);
	} else {
		json_read(&reader, &other);
	}
	json_end(&reader);
	return reader.fault;
}
