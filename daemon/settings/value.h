/* value.h - the kinds of value a setting can have, and the words that say what is wrong with one.
 *
 * Pure. Durations and sizes carry a unit: 500ms, 30s, 5min, 2h, 1d; 512B, 64KiB, 1MiB.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"

enum {
	VALUE_EXPECTED_MAX = 128,
	VALUE_WORDS_MAX = 5,
	VALUE_TEXT_MAX = 1024, /* bytes of any value */
};

enum value_type {
	VALUE_TEXT,
	VALUE_CHOICE,   /* number: index of the word */
	VALUE_YES_NO,   /* number: 1 or 0 */
	VALUE_COUNT,    /* a plain number */
	VALUE_DURATION, /* number: milliseconds */
	VALUE_SIZE,     /* number: bytes */
	VALUE_ADDRESS,  /* IPv4:port or [IPv6]:port */
	VALUE_NETWORKS, /* addresses and prefixes, with spaces between */
	VALUE_FILE,     /* /absolute/path or credential:NAME */
	VALUE_SECRET,   /* credential:NAME or file:/absolute/path */
	VALUE_PATH,     /* the path of a URL */
	VALUE_URL,      /* http:// or https:// */
	VALUE_HEADER,   /* name of an HTTP field */
	VALUE_CONNINFO, /* of libpq, without a password */
};

struct value_rule {
	enum value_type type;
	bool optional;                          /* may be empty */
	int64_t min, max;                       /* counts, ms, bytes; length of text */
	const char *words[VALUE_WORDS_MAX + 1]; /* VALUE_CHOICE: up to the first NULL */
};

/* False with what is wrong, and what it should be, without a subject: "is empty; ...". The value is
 * quoted only where it can be no secret. *ret_number is 0 for the types that have none. */
bool value_parse(const struct value_rule *rule, struct text value, int64_t *ret_number,
	struct problem *problem);

/* What it should be, e.g. "a duration from 100ms to 2500ms". */
void value_expected(const struct value_rule *rule, char out[VALUE_EXPECTED_MAX]);

/* NULL, or what is wrong with the bytes: not UTF-8 (RFC 3629), or a control character. */
const char *value_bad_bytes(struct text value);
