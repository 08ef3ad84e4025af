/* stamp.h - times as the provider writes them: RFC 3339 section 5.6, years 2000 to 2100 (in UTC).
 *
 * Pure. A leap second, which only the last day of a month (in UTC) can have, counts as the first
 * second of the next one. A fraction is cut to microseconds. "T" and "Z" in either case, as the
 * grammar says; a space for the "T" is not in the grammar and is refused. PostgreSQL never reads a
 * time that was not read here first: it would take 'now' and 'infinity'.
 */
#pragma once

#include "base/text.h"

enum { STAMP_TEXT_MAX = 32 }; /* "2024-01-15T10:00:00.123456Z" and its NUL */

/* Microseconds since 1970-01-01T00:00:00Z. */
bool stamp_parse(struct text rfc3339, int64_t *ret_us);

/* Whole seconds since 1970 between the years 2000 and 2100. */
bool stamp_from_unix(double seconds, int64_t *ret_us);

/* Always UTC with six digits of a fraction; "invalid" outside the years 0 to 9999. */
void stamp_format(int64_t us, char out[STAMP_TEXT_MAX]);
