/* details.h - what an order says beside its id and status, as columns.
 *
 * A value that cannot be used is unknown, and its name is among the faults; one that is read with
 * an assumption is among the assumed. Nothing here costs an order.
 *
 * The lines of a cart become canonical JSON: what of them is used, in one spelling, without space,
 *	[{"product_id":"p","variant":"v","quantity":2,"price":29.99,"total":59.98,"metadata":{…}}]
 * in this order, each only where it can be used; strings, numbers and metadata byte for byte as
 * sent, but for numbers in strings. The n-th element is line n.
 */
#pragma once

#include "order/field.h"
#include "order/scalar.h"

/* order: gathered at PLACE_ORDER. details: zeroed but for faults and assumed. second_form: the
 * names of the second form stand in where those of the first say nothing. What is decoded and
 * written is in the room, behind what it holds. Dies when OpenSSL cannot hash. */
void details_read(const struct field_values *order, bool second_form, struct json_room *room,
	struct details *details);

/* status, its letters in lower case when it has no other bytes than letters, _ and -; absent when
 * it is no word. */
void details_read_status(
	const struct field_values *order, struct json_room *room, struct fact *fact);

void details_note(struct details *details, enum fact_field field, enum scalar read);
