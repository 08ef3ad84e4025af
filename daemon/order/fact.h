/* fact.h - one statement: source S says order X was in status T at time U, and what else it says.
 *
 * The waist of the program: webhooks and polls both end here, and below nobody knows which way a
 * fact came, nor reads JSON. What it means is decided in SQL.
 */
#pragma once

#include "base/text.h"

enum {
	FACT_ORDER_ID_MAX = 128,    /* bytes of [A-Za-z0-9_.:-] */
	FACT_WORD_MAX = 255,        /* bytes; a longer word is cut, the payload has all of it */
	FACT_KEY_BYTES = 32,        /* SHA-256 */
	FACT_FIELD_NAMES_MAX = 512, /* what fact_field_names() writes, with its NUL */
};

/* What the database made of a fact; the words are those of the answers and of SQL. */
enum outcome {
	OUTCOME_APPLIED,
	OUTCOME_DUPLICATE,
	OUTCOME_RECORDED,
	OUTCOME_HELD,
	OUTCOME_IGNORED,
	OUTCOME_QUARANTINED,
	OUTCOME_BUSY, /* somebody holds the order locked: nothing was kept, offer it again */
};

/* What can be at fault or assumed, one bit each. Up to FACT_COLUMNS it is a column of SQL too. */
enum fact_field {
	FACT_BUSINESS_ID,
	FACT_SESSION_ID,
	FACT_CREATED_AT,
	FACT_UPDATED_AT,
	FACT_CANCELLED_AT,
	FACT_CANCELLATION_REASON,
	FACT_CUSTOMER_EMAIL,
	FACT_CUSTOMER_FIRST_NAME,
	FACT_CUSTOMER_LAST_NAME,
	FACT_CUSTOMER_PHONE,
	FACT_CUSTOMER_ADDRESS,
	FACT_CURRENCY,
	FACT_SUBTOTAL,
	FACT_DISCOUNTS,
	FACT_SHIPPING,
	FACT_TOTAL,
	FACT_ITEM_COUNT,
	FACT_ITEMS,
	FACT_ITEMS_HASH, /* never at fault: it goes with the items */
	FACT_PAYMENT_METHOD,
	FACT_PAYMENT_TRANSACTION_ID,
	FACT_PAYMENT_AMOUNT,
	FACT_PAYMENT_STATUS,
	FACT_COLUMNS,
	FACT_EVENT_ID = FACT_COLUMNS,
	FACT_EVENT_TYPE,
	FACT_STATUS,
	FACT_OCCURRED_AT, /* at fault: the fact counts from its receipt */
	FACT_CUSTOMER,    /* customerData, cart, payment: there, but no object */
	FACT_CART,
	FACT_PAYMENT,
	FACT_ITEMS_PRODUCT_ID, /* of any line, named once */
	FACT_ITEMS_VARIANT,
	FACT_ITEMS_QUANTITY,
	FACT_ITEMS_PRICE,
	FACT_ITEMS_TOTAL,
	FACT_ITEMS_METADATA,
	FACT_FIELDS,
};

/* Zeroed is unknown: null in SQL. A text is unknown when its ptr is NULL. */
struct fact_integer {
	bool known;
	int64_t value; /* of a time: microseconds since 1970, years 2000 to 2100 */
};

/* What a fact says of its order beside its status. Texts are UTF-8 without NUL, decoded. Zeroed:
 * nothing. */
struct details {
	struct text business_id;
	struct text session_id;
	struct fact_integer created_at;
	struct fact_integer updated_at;
	struct fact_integer cancelled_at;
	struct text cancellation_reason;
	struct text customer_email;
	struct text customer_first_name;
	struct text customer_last_name;
	struct text customer_phone;
	struct text customer_address; /* JSON, an object, as sent; jsonb takes it */
	struct text currency;         /* three to five capitals */
	struct text subtotal;         /* amounts: a JSON number as sent; |x| < 1e30, scale <= 30 */
	struct text discounts;
	struct text shipping;
	struct text total;
	struct fact_integer item_count;
	struct text items; /* JSON, canonical (details.h); [] an empty cart, unknown: none told */
	struct fact_integer
		items_hash; /* known when items are: the first 8 bytes of their SHA-256 */
	struct text payment_method;
	struct text payment_transaction_id;
	struct text payment_amount;
	struct text payment_status;
	uint64_t faults;  /* 1 << enum fact_field: there, but not to be used; it is unknown */
	uint64_t assumed; /* read with an assumption: a zone, a unit, a number in a string */
};

struct fact {
	unsigned char
		key[FACT_KEY_BYTES]; /* of a webhook's body; of "source:payload" when polled */
	char order_id[FACT_ORDER_ID_MAX + 1];
	char event_id[FACT_WORD_MAX + 1];   /* "" = the envelope has none */
	char event_type[FACT_WORD_MAX + 1]; /* UTF-8; valid when has_event_type */
	char status[FACT_WORD_MAX + 1];     /* as claimed; valid when has_status */
	bool has_event_type;                /* false: polled, or the envelope has none to be used */
	bool has_status;                    /* false: absent or null, the event's name decides */
	bool has_occurred;
	int64_t occurred_us;    /* valid when has_occurred */
	int64_t received_us;    /* when the request was whole */
	struct details details; /* borrowed from the body and from the room it was read in */
	struct text body;       /* borrowed: the bytes as they came off the wire */
	const char *unusable;   /* NULL, or why it goes to quarantine: a word; borrowed */
};

/* Static; "busy" never reaches a sender. */
const char *fact_outcome_name(enum outcome outcome);
bool fact_outcome_from(struct text name, enum outcome *ret_outcome);

/* 1..128 bytes of [A-Za-z0-9_.:-], compared byte for byte, never trimmed. "." and ".." are refused:
 * in the path of a lookup they would name another resource. */
bool fact_order_id_valid(struct text id);

/* The columns of struct details, FACT_BUSINESS_ID to FACT_COLUMNS - 1, in the order in which SQL
 * takes them; faults and assumed come behind the last. */
enum fact_kind {
	FACT_TEXT,    /* struct text; text in SQL */
	FACT_JSON,    /* struct text; json */
	FACT_NUMERIC, /* struct text; numeric, in its syntax */
	FACT_INTEGER, /* struct fact_integer; bigint */
	FACT_TIME,    /* struct fact_integer; timestamptz */
};

enum fact_kind fact_column_kind(enum fact_field column);

/* Of a column of the kinds that are struct text; of one of the others. */
struct text fact_column_text(const struct details *details, enum fact_field column);
struct fact_integer fact_column_integer(const struct details *details, enum fact_field column);

void fact_set_text(struct details *details, enum fact_field column, struct text value);
void fact_set_integer(struct details *details, enum fact_field column, struct fact_integer value);

/* "total", "items.price", …; static. */
const char *fact_field_name(enum fact_field field);

/* The array literal of PostgreSQL with the names of these fields: "{total,currency}", "{}". */
void fact_field_names(uint64_t fields, char out[FACT_FIELD_NAMES_MAX]);

/* Bytes that a fact borrows. */
size_t fact_borrowed_bytes(const struct fact *fact);

/* Copies a fact and all it borrows: memory has fact_borrowed_bytes(), and is borrowed from then on.
 */
void fact_copy(const struct fact *fact, char *memory, struct fact *ret_fact);
