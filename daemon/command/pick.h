/* pick.h - parts of a JSON text, byte for byte: amounts keep the digits they came with.
 *
 * Only for a text that a parser has taken as valid; nothing else is believed of it. Names are
 * compared as they are written: one with an escape in it is not found. Pure.
 */
#pragma once

#include "base/text.h"

/* The value of a member of an object. len 0: no object, or no such member. */
struct text pick_member(struct text object, const char *name);
/* A path of names: pick_path(answer, "pagination", "total", NULL). */
struct text pick_path(struct text object, ...) __attribute__((sentinel));

bool pick_is_object(struct text value);
bool pick_is_array(struct text value);

/* What stands between the brackets of an array or object; len 0: neither of them, or empty. */
struct text pick_content(struct text container);
/* Takes the next element off the content of an array; false at its end. */
bool pick_element(struct text *content, struct text *ret_value);
/* Takes the next member off the content of an object; the name in its quotes. */
bool pick_pair(struct text *content, struct text *ret_name, struct text *ret_value);
