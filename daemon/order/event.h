/* event.h - read an authentic webhook body into a fact.
 *
 * Both envelopes that Torque documents:
 *   {"event":…,"timestamp":RFC 3339,"data":{"orderId":…,"status":…,"businessId":…}}
 *   {"id":…,"type":…,"created":unix seconds,"data":{"order":{"id":…,"status":…}}}
 * Only what routes a fact is read here; money and all descriptive fields are read by PostgreSQL
 * from the same bytes. Pure: no I/O, no logging, no clock.
 */
#pragma once

#include "order/fact.h"

enum {
	EVENT_DEPTH_MAX = 64,     /* nested arrays and objects */
	EVENT_TOKENS_MAX = 20000, /* values and keys, counted before jansson allocates for them */
};

/* Never fails: a body that cannot be used becomes a fact with `unusable` set, for the quarantine,
 * and every field but key, received_us and body zero. key, received_us and body are set in every
 * case; body stays borrowed. business: the configured business id, or len 0 for any. Dies when
 * OpenSSL cannot hash: without a key nothing can be kept. */
void event_parse(
	struct text body, int64_t received_us, struct text business, struct fact *ret_fact);

/* The words `unusable` can be, one after the other, for manual and tests; NULL behind the last. */
const char *event_reason(size_t index);
