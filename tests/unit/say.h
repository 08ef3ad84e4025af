/* say.h - the columns of a fact in a line, so that a test can say what it wants.
 *
 *	"total=59.98 currency=USD faults={items.price}"    in the order of the columns; unknown
 *ones, empty marks and the hash are left out
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "base/stamp.h"
#include "order/fact.h"

enum { SAY_MAX = 8192 };

static inline void say_value(const struct details *details, enum fact_field column, char *out)
{
	size_t len = strlen(out);
	const char *name = fact_field_name(column);
	char stamp[STAMP_TEXT_MAX];

	if (fact_column_kind(column) == FACT_TIME || fact_column_kind(column) == FACT_INTEGER) {
		struct fact_integer integer = fact_column_integer(details, column);

		if (!integer.known || column == FACT_ITEMS_HASH) {
			return;
		}
		stamp_format(integer.value, stamp);
		if (fact_column_kind(column) == FACT_INTEGER) {
			snprintf(stamp, sizeof(stamp), "%" PRId64, integer.value);
		}
		snprintf(out + len, SAY_MAX - len, "%s%s=%s", len > 0 ? " " : "", name, stamp);
		return;
	}
	struct text text = fact_column_text(details, column);
	if (text.ptr) {
		snprintf(out + len, SAY_MAX - len, "%s%s=%.*s", len > 0 ? " " : "", name,
			(int)text.len, text.ptr);
	}
}

static inline void say_marks(const char *what, uint64_t fields, char *out)
{
	size_t len = strlen(out);
	char names[FACT_FIELD_NAMES_MAX];

	if (fields != 0) {
		fact_field_names(fields, names);
		snprintf(out + len, SAY_MAX - len, "%s%s=%s", len > 0 ? " " : "", what, names);
	}
}

static inline void say_details(const struct details *details, char out[SAY_MAX])
{
	out[0] = '\0';
	for (enum fact_field column = 0; column < FACT_COLUMNS; column++) {
		say_value(details, column, out);
	}
	say_marks("faults", details->faults, out);
	say_marks("assumed", details->assumed, out);
}
