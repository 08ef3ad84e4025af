/* Reads the body of a webhook: which form, which order, what it says. */
#include "order/event.h"

#include <assert.h>

#include "order/details.h"
#include "order/scalar.h"
#include "order/signature.h"

enum reason {
	USABLE,
	TOO_DEEP,
	BAD_JSON,
	NO_ENVELOPE,
	NO_DATA,
	WRONG_BUSINESS,
	NO_ORDER_ID,
	BAD_ORDER_ID,
	TWO_ORDERS,
	REASON_COUNT,
};

static const char *const reason_names[REASON_COUNT] = {
	[USABLE] = NULL,
	[TOO_DEEP] = "too_deep",
	[BAD_JSON] = "bad_json",       /* syntax, encoding, a name twice */
	[NO_ENVELOPE] = "no_envelope", /* neither an event nor a status */
	[NO_DATA] = "no_data",
	[WRONG_BUSINESS] = "wrong_business",
	[NO_ORDER_ID] = "no_order_id",
	[BAD_ORDER_ID] = "bad_order_id",
	[TWO_ORDERS] = "two_orders", /* the id in one form's place is not that in the other's */
};

static_assert(FACT_KEY_BYTES == (int)SIGNATURE_DIGEST_BYTES, "the key of a fact is a digest");

/* What of a body is read: the envelope and data, and data.order. */
struct event {
	struct field_values outer;
	struct field_values inner;
	bool second_form;
	struct field_values *order; /* the one of them that tells the order */
	enum field order_id;        /* where in it */
};

static enum reason gather(struct text body, struct json_room *room, struct event *event)
{
	event->outer.order = &event->inner;
	switch (field_read(body, room, PLACE_EVENT, &event->outer)) {
	case JSON_TOO_DEEP:
		return TOO_DEEP;
	case JSON_BAD:
		return BAD_JSON;
	case JSON_FINE:
		break;
	}
	return USABLE;
}

/* By the name of its type; with none or with both, by the place of its order's id. */
static enum reason find_form(struct event *event)
{
	bool first = field_given(&event->outer, FIELD_EVENT);
	bool second = field_given(&event->outer, FIELD_TYPE);

	event->second_form = first == second ? !field_given(&event->outer, FIELD_ORDER_ID) : second;
	event->order = event->second_form ? &event->inner : &event->outer;
	event->order_id = event->second_form ? FIELD_ID : FIELD_ORDER_ID;
	if (!first && !second && !field_given(event->order, FIELD_STATUS)) {
		return NO_ENVELOPE;
	}
	return event->outer.at[FIELD_DATA].kind == JSON_KIND_OBJECT ? USABLE : NO_DATA;
}

static void copy_word(struct text word, char out[FACT_WORD_MAX + 1])
{
	struct text cut = text_cut_utf8(word, FACT_WORD_MAX);

	memcpy(out, cut.ptr, cut.len);
	out[cut.len] = '\0';
}

static void read_envelope(const struct event *event, struct json_room *room, struct fact *fact)
{
	const struct json *at = event->outer.at;
	const struct json *time = &at[event->second_form ? FIELD_CREATED : FIELD_TIMESTAMP];
	enum scalar read;
	struct text word;

	read = scalar_word(&at[event->second_form ? FIELD_TYPE : FIELD_EVENT], room, &word);
	details_note(&fact->details, FACT_EVENT_TYPE, read);
	fact->has_event_type = read == SCALAR_READ;
	if (fact->has_event_type) {
		copy_word(word, fact->event_type);
	}
	if (event->second_form) {
		read = scalar_id(&at[FIELD_EVENT_ID], room, SIZE_MAX, &word);
		details_note(&fact->details, FACT_EVENT_ID, read);
		if (read == SCALAR_READ) {
			copy_word(word, fact->event_id);
		}
	}
	/* The second form is documented to tell it as a number. */
	read = scalar_time(
		time, room, event->second_form ? SCALAR_READ : SCALAR_ASSUMED, &fact->occurred_us);
	details_note(&fact->details, FACT_OCCURRED_AT, read);
	fact->has_occurred = read == SCALAR_READ || read == SCALAR_ASSUMED;
}

static bool is_of_business(
	const struct field_values *order, struct json_room *room, struct text business)
{
	struct text id;

	room->used = 0;
	return business.len == 0 ||
	       scalar_id(&order->at[FIELD_BUSINESS_ID], room, FIELD_ID_MAX, &id) != SCALAR_READ ||
	       text_equal(id, business);
}

/* Every byte may be sent as an escape. */
static enum scalar read_id(const struct json *value, struct json_room *room, struct text *ret_id)
{
	return scalar_id(value, room, 6 * FACT_ORDER_ID_MAX, ret_id);
}

static enum reason read_order_id(
	const struct event *event, struct json_room *room, struct fact *fact)
{
	struct text id;

	room->used = 0;
	enum scalar read = read_id(&event->order->at[event->order_id], room, &id);
	if (read == SCALAR_ABSENT) {
		return NO_ORDER_ID;
	}
	if (read != SCALAR_READ || !fact_order_id_valid(id)) {
		return BAD_ORDER_ID;
	}
	memcpy(fact->order_id, id.ptr, id.len);
	return USABLE;
}

/* Whose money would it be? */
static bool names_two_orders(const struct event *event, struct json_room *room)
{
	struct text one, two;

	room->used = 0;
	return read_id(&event->outer.at[FIELD_ORDER_ID], room, &one) == SCALAR_READ &&
	       read_id(&event->inner.at[FIELD_ID], room, &two) == SCALAR_READ &&
	       !text_equal(one, two);
}

/* What the envelope and data know of an order stands in for what the order does not tell. */
static void read_details(const struct event *event, struct json_room *room, struct fact *fact)
{
	struct details *details = &fact->details;

	details_read(event->order, event->second_form, room, details);
	if (!details->business_id.ptr) {
		scalar_id(&event->outer.at[FIELD_BUSINESS_ID], room, FIELD_ID_MAX,
			&details->business_id);
	}
	if (!details->created_at.known && fact->has_occurred &&
		strcmp(fact->event_type, "order.created") == 0) {
		bool assumed = details->assumed >> FACT_OCCURRED_AT & 1;

		details->created_at = (struct fact_integer){ true, fact->occurred_us };
		details_note(details, FACT_CREATED_AT, assumed ? SCALAR_ASSUMED : SCALAR_READ);
	}
}

static enum reason read_event(
	struct text body, struct text business, struct json_room *room, struct fact *fact)
{
	struct event event = { .second_form = false };
	enum reason reason = gather(body, room, &event);

	if (reason == USABLE) {
		reason = find_form(&event);
	}
	if (reason != USABLE) {
		return reason;
	}
	read_envelope(&event, room, fact);
	details_read_status(event.order, room, fact);
	if (!fact->has_event_type && !fact->has_status) {
		return NO_ENVELOPE;
	}
	if (!is_of_business(&event.outer, room, business) ||
		!is_of_business(&event.inner, room, business)) {
		return WRONG_BUSINESS;
	}
	reason = read_order_id(&event, room, fact);
	if (reason == USABLE && names_two_orders(&event, room)) {
		reason = TWO_ORDERS;
	}
	if (reason == USABLE) {
		/* Only what is read from here on is borrowed from the room: each string once. */
		room->used = 0;
		read_details(&event, room, fact);
	}
	return reason;
}

bool event_parse(struct text body, int64_t received_us, struct text business,
	struct json_room *room, struct fact *ret_fact)
{
	*ret_fact = (struct fact){ .received_us = received_us, .body = body };
	if (!signature_digest(body, ret_fact->key)) {
		return false;
	}
	room->unhashed = false;

	struct fact usable = *ret_fact;
	enum reason reason = read_event(body, business, room, &usable);
	if (reason == USABLE) {
		*ret_fact = usable;
	} else {
		ret_fact->unusable = reason_names[reason];
	}
	return !room->unhashed;
}

const char *event_reason(size_t index)
{
	return index < REASON_COUNT - 1 ? reason_names[index + 1] : NULL;
}
