/* shape.h - how deep and how much: bounds what a JSON parser may allocate, before it does.
 *
 * One pass that knows nothing of JSON but its strings. Up to the first error of syntax, where the
 * parser stops, both see the same tokens. Pure.
 */
#pragma once

#include "base/text.h"

enum shape {
	SHAPE_FINE, /* which does not say that it is JSON */
	SHAPE_TOO_DEEP,
	SHAPE_TOO_MANY,
};

/* depth: nested arrays and objects. tokens: values and keys. */
enum shape shape_scan(struct text json, size_t depth_max, size_t tokens_max);
