#include "order/event.h"

#include <assert.h>
#include <errno.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "base/stamp.h"
#include "order/shape.h"
#include "order/signature.h"

enum reason {
	USABLE,
	TOO_DEEP,
	TOO_MANY_VALUES,
	BAD_JSON,
	NO_MEMORY,
	NO_ENVELOPE,
	TWO_ENVELOPES,
	BAD_EVENT_TYPE,
	BAD_EVENT_ID,
	BAD_TIME,
	NO_DATA,
	WRONG_BUSINESS,
	NO_ORDER_ID,
	BAD_ORDER_ID,
	TWO_ORDERS,
	BAD_STATUS,
	REASON_COUNT,
};

static const char *const reason_names[REASON_COUNT] = {
	[USABLE] = NULL,
	[TOO_DEEP] = "too_deep",
	[TOO_MANY_VALUES] = "too_many_values",
	[BAD_JSON] = "bad_json",   /* syntax, encoding, a key twice, a number beyond any double */
	[NO_MEMORY] = "no_memory", /* nothing is wrong with the body: it can be replayed */
	[NO_ENVELOPE] = "no_envelope",
	[TWO_ENVELOPES] = "two_envelopes",
	[BAD_EVENT_TYPE] = "bad_event_type",
	[BAD_EVENT_ID] = "bad_event_id",
	[BAD_TIME] = "bad_time",
	[NO_DATA] = "no_data",
	[WRONG_BUSINESS] = "wrong_business",
	[NO_ORDER_ID] = "no_order_id",
	[BAD_ORDER_ID] = "bad_order_id",
	[TWO_ORDERS] = "two_orders", /* the id in one form's place is not that in the other's */
	[BAD_STATUS] = "bad_status",
};

static_assert(FACT_KEY_BYTES == (int)SIGNATURE_DIGEST_BYTES, "the key of a fact is a digest");

/* Bounds what jansson may allocate. */
static enum reason judge_shape(struct text body)
{
	switch (shape_scan(body, EVENT_DEPTH_MAX, EVENT_TOKENS_MAX)) {
	case SHAPE_TOO_DEEP:
		return TOO_DEEP;
	case SHAPE_TOO_MANY:
		return TOO_MANY_VALUES;
	case SHAPE_FINE:
		break;
	}
	return USABLE;
}

static void free_json(json_t **json)
{
	json_decref(*json);
}

static bool is_given(const json_t *value)
{
	return value && !json_is_null(value);
}

static struct text string_of(const json_t *string)
{
	return (struct text){ json_string_value(string), json_string_length(string) };
}

/* Cut at FACT_WORD_MAX bytes; jansson lets no NUL and no broken UTF-8 through. */
static bool read_word(const json_t *value, char out[FACT_WORD_MAX + 1])
{
	if (!json_is_string(value)) {
		return false;
	}
	struct text word = text_cut_utf8(string_of(value), FACT_WORD_MAX);
	memcpy(out, word.ptr, word.len);
	out[word.len] = '\0';
	return true;
}

static bool read_stamp(const json_t *value, int64_t *ret_us)
{
	return json_is_string(value) && stamp_parse(string_of(value), ret_us);
}

/* 1640995200.0 is the same JSON number as 1640995200; one with a fraction is refused. */
static bool read_unix(const json_t *value, int64_t *ret_us)
{
	return json_is_real(value) && stamp_from_unix(json_real_value(value), ret_us);
}

/* Where each of the two envelopes keeps what we read. */
struct form {
	const char *type;
	const char *event_id; /* NULL: it has none */
	const char *time;
	bool (*read_time)(const json_t *value, int64_t *ret_us);
	const char *order; /* inside data; NULL: data is the order */
	const char *order_id;
};

static const struct form form_1 = {
	.type = "event",
	.time = "timestamp",
	.read_time = read_stamp,
	.order_id = "orderId",
};

static const struct form form_2 = {
	.type = "type",
	.event_id = "id",
	.time = "created",
	.read_time = read_unix,
	.order = "order",
	.order_id = "id",
};

static enum reason read_envelope(const struct form *form, const json_t *root, struct fact *fact)
{
	const json_t *event_id = form->event_id ? json_object_get(root, form->event_id) : NULL;
	const json_t *time = json_object_get(root, form->time);

	if (!read_word(json_object_get(root, form->type), fact->event_type)) {
		return BAD_EVENT_TYPE;
	}
	if (is_given(event_id) && !read_word(event_id, fact->event_id)) {
		return BAD_EVENT_ID;
	}
	fact->has_occurred = is_given(time);
	if (fact->has_occurred && !form->read_time(time, &fact->occurred_us)) {
		return BAD_TIME;
	}
	return USABLE;
}

static bool is_of_business(const json_t *object, struct text business)
{
	const json_t *id = json_object_get(object, "businessId");

	return business.len == 0 || !is_given(id) ||
	       (json_is_string(id) && text_equal(string_of(id), business));
}

static enum reason read_order_id(const json_t *value, struct fact *fact)
{
	if (!is_given(value)) {
		return NO_ORDER_ID;
	}
	if (!json_is_string(value) || !fact_order_id_valid(string_of(value))) {
		return BAD_ORDER_ID;
	}
	memcpy(fact->order_id, json_string_value(value), json_string_length(value) + 1);
	return USABLE;
}

/* Whose money would it be? */
static bool names_two_orders(const json_t *data)
{
	const json_t *one = json_object_get(data, form_1.order_id);
	const json_t *two = json_object_get(json_object_get(data, form_2.order), form_2.order_id);

	return is_given(one) && is_given(two) && !json_equal(one, two);
}

static enum reason read_order(
	const struct form *form, const json_t *data, struct text business, struct fact *fact)
{
	const json_t *order = form->order ? json_object_get(data, form->order) : data;
	const json_t *status = json_object_get(order, "status");

	if (!json_is_object(data)) {
		return NO_DATA;
	}
	if (!is_of_business(data, business) || !is_of_business(order, business)) {
		return WRONG_BUSINESS;
	}
	enum reason reason = read_order_id(json_object_get(order, form->order_id), fact);
	if (reason != USABLE) {
		return reason;
	}
	if (names_two_orders(data)) {
		return TWO_ORDERS;
	}
	fact->has_status = is_given(status);
	if (fact->has_status && !read_word(status, fact->status)) {
		return BAD_STATUS;
	}
	return USABLE;
}

static enum reason read_event(const json_t *root, struct text business, struct fact *fact)
{
	bool has_form_1 = json_object_get(root, form_1.type);
	bool has_form_2 = json_object_get(root, form_2.type);
	const struct form *form = has_form_1 ? &form_1 : &form_2;

	if (!has_form_1 && !has_form_2) {
		return NO_ENVELOPE;
	}
	if (has_form_1 && has_form_2) {
		return TWO_ENVELOPES;
	}
	enum reason reason = read_envelope(form, root, fact);
	if (reason != USABLE) {
		return reason;
	}
	return read_order(form, json_object_get(root, "data"), business, fact);
}

/* jansson calls many a failed allocation an invalid token; malloc's own word is to be trusted. */
static enum reason read_body(struct text body, struct text business, struct fact *fact)
{
	enum reason reason = judge_shape(body);
	if (reason != USABLE) {
		return reason;
	}
	errno = 0;
	CLEANUP(free_json)
	json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	if (!root) {
		return errno == ENOMEM ? NO_MEMORY : BAD_JSON;
	}
	return read_event(root, business, fact);
}

void event_parse(struct text body, int64_t received_us, struct text business, struct fact *ret_fact)
{
	*ret_fact = (struct fact){ .received_us = received_us, .body = body };
	if (!signature_digest(body, ret_fact->key)) {
		die("no SHA-256: OpenSSL failed");
	}

	struct fact usable = *ret_fact;
	enum reason reason = read_body(body, business, &usable);
	if (reason == USABLE) {
		*ret_fact = usable;
	} else {
		ret_fact->unusable = reason_names[reason];
	}
}

const char *event_reason(size_t index)
{
	return index < REASON_COUNT - 1 ? reason_names[index + 1] : NULL;
}
