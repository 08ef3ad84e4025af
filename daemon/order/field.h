/* field.h - the one table of what is read of a body: names, places, types, bounds.
 *
 * Gathering puts the values of an object and of the objects in it into their places, in one pass.
 * What becomes of them is said by type: details.h for those of an order.
 */
#pragma once

#include "order/fact.h"
#include "order/json.h"

enum {
	FIELD_ID_MAX = 255, /* bytes as sent, like those below */
	FIELD_TEXT_MAX = 1024,
	FIELD_REASON_MAX = 16 * 1024,
	FIELD_OBJECT_MAX = 64 * 1024,
};

enum field_place {
	PLACE_NONE,
	PLACE_EVENT,
	PLACE_ANSWER,
	PLACE_PAGINATION,
	PLACE_ERROR,
	PLACE_ERROR_DETAILS,
	PLACE_ORDER, /* data of the first form, data.order of the second, a row, order of an answer
		      */
	PLACE_CUSTOMER,
	PLACE_BUYER, /* the second form's */
	PLACE_CART,
	PLACE_SHIPPING,
	PLACE_DISCOUNT,
	PLACE_LINE,
	PLACE_PAYMENT,
};

/* Those of a place stand together. */
enum field {
	FIELD_EVENT,
	FIELD_TYPE,
	FIELD_EVENT_ID,
	FIELD_TIMESTAMP,
	FIELD_CREATED,
	FIELD_DATA,

	FIELD_SUCCESS,
	FIELD_ROWS,
	FIELD_PAGINATION,
	FIELD_ANSWER_ORDER,
	FIELD_CHECKOUT_URL,
	FIELD_ERROR,
	FIELD_CODE,
	FIELD_REQUEST_ID,
	FIELD_ANSWER_DETAILS,

	FIELD_PAGE_TOTAL,
	FIELD_PAGE_LIMIT,
	FIELD_PAGE_OFFSET,
	FIELD_HAS_MORE,

	FIELD_ERROR_MESSAGE,
	FIELD_ERROR_CODE,
	FIELD_ERROR_DETAILS,

	FIELD_ERROR_FIELD,
	FIELD_ERROR_SENTENCE,

	FIELD_ORDER_ID, /* in data */
	FIELD_ID,       /* in an order */
	FIELD_ORDER,    /* in data: the order of the second form */
	FIELD_STATUS,
	FIELD_BUSINESS_ID,
	FIELD_SESSION_ID,
	FIELD_CREATED_AT,
	FIELD_UPDATED_AT,
	FIELD_CANCELLED_AT,
	FIELD_REASON,
	FIELD_CUSTOMER,
	FIELD_BUYER,
	FIELD_CART,
	FIELD_PAYMENT,
	FIELD_AMOUNT,
	FIELD_ORDER_CURRENCY,

	FIELD_EMAIL,
	FIELD_FIRST_NAME,
	FIELD_LAST_NAME,
	FIELD_PHONE,
	FIELD_ADDRESS,

	FIELD_BUYER_EMAIL,
	FIELD_BUYER_FIRST_NAME,
	FIELD_BUYER_LAST_NAME,
	FIELD_BUYER_PHONE,

	FIELD_ITEMS,
	FIELD_ITEM_COUNT,
	FIELD_SUBTOTAL,
	FIELD_DISCOUNTS,
	FIELD_SHIPPING,
	FIELD_TOTAL,
	FIELD_CURRENCY,

	FIELD_SHIPPING_COST,

	FIELD_DISCOUNT_AMOUNT,
	FIELD_DISCOUNT_TYPE,

	FIELD_LINE_PRODUCT,
	FIELD_LINE_VARIANT,
	FIELD_LINE_QUANTITY,
	FIELD_LINE_PRICE,
	FIELD_LINE_TOTAL,
	FIELD_LINE_METADATA,

	FIELD_PAYMENT_METHOD,
	FIELD_TRANSACTION_ID,
	FIELD_PAYMENT_AMOUNT,
	FIELD_PAYMENT_STATUS,

	FIELD_COUNT,
};

enum field_type {
	AS_FOUND,    /* whoever has it gathered judges it */
	AS_ELEMENTS, /* an array whose elements are read one by one later: passed over here */
	AS_GROUP,    /* an object with fields of its own */
	AS_ID,       /* a string, or a whole number of up to 19 digits */
	AS_TEXT,     /* a string; a number as its digits */
	AS_TIME,
	AS_AMOUNT,
	AS_QUANTITY,
	AS_COUNT,
	AS_CURRENCY,
	AS_OBJECT,    /* JSON as sent */
	AS_DISCOUNTS, /* an amount, or an array of one at most */
	AS_LINES,     /* of a cart */
};

struct field_row {
	enum field_place place;
	struct text name;
	enum field_type type;
	size_t max;              /* bytes as sent; 0: by its type alone */
	enum fact_field column;  /* what it is for, and is called when it is at fault */
	enum field_place inside; /* the place of its members, when it is an object */
	bool second_form;        /* stands in for the first form's name, in the second alone */
};

const struct field_row *field_row(enum field field);

/* Zeroed: all absent. */
struct field_values {
	struct json at[FIELD_COUNT];
	struct field_values *order; /* where FIELD_ORDER is gathered into; NULL: nowhere */
	bool is_object;             /* what field_read() read */
};

/* Reads a text of JSON from end to end, and gathers if it is an object. values are zeroed but for
 * order. room: of json_room_size(text.len) bytes at least; what it held is gone. */
enum json_fault field_read(struct text text, struct json_room *room, enum field_place place,
	struct field_values *values);

/* The members of the next value, which is an object, and of the objects in it. False: it is no
 * object, or a fault of the reader. */
bool field_gather(struct json_reader *reader, enum field_place place, struct field_values *values);

/* null is absent, everywhere. */
bool field_given(const struct field_values *values, enum field field);
