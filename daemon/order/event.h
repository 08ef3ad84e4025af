/* event.h - read an authentic webhook body into a fact.
 *
 * Both forms that Torque documents:
 *   {"event":…,"timestamp":RFC 3339,"data":{"orderId":…,"status":…,"businessId":…}}
 *   {"id":…,"type":…,"created":unix seconds,"data":{"order":{"id":…,"status":…}}}
 * A body is of no use when it is no JSON, tells no usable order id, neither an event nor a status,
 * is of another business, or of both forms. Whatever else is odd in it is a fault of the fact.
 * Pure: no I/O, no logging, no clock, no allocation.
 */
#pragma once

#include "order/fact.h"
#include "order/json.h"

/* A body that cannot be used becomes a fact with `unusable` set, for the quarantine,
 * and every field but key, received_us and body zero. key, received_us and body are set in every
 * case. What the fact says is borrowed from body and room, until the room is used again.
 * business: the configured business id, or len 0 for any. room: of json_room_size(body.len) bytes;
 * what it held is gone. False: OpenSSL cannot hash, and without a key nothing can be kept. */
bool event_parse(struct text body, int64_t received_us, struct text business,
	struct json_room *room, struct fact *ret_fact);

/* The words `unusable` can be, one after the other, for manual and tests; NULL behind the last. */
const char *event_reason(size_t index);
