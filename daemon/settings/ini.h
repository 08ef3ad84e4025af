/* ini.h - read a configuration text strictly: [section] and key = value, one a line.
 *
 * A line whose first character is # or ; is a comment; there are no comments behind a value, no
 * quotes, no escapes and no continuation lines. Lines may end in CR LF. Pure: nothing is allocated,
 * items borrow from the text.
 */
#pragma once

#include "base/text.h"

enum ini_kind { INI_END, INI_SECTION, INI_VALUE, INI_FAULT };

struct ini {
	struct text rest;
	unsigned line; /* the one read last, from 1 */
};

struct ini_item {
	enum ini_kind kind;
	unsigned line;
	struct text name;  /* of the section or the key: 1.. bytes of [a-z_] */
	struct text value; /* INI_VALUE: trimmed UTF-8 without control characters, may be empty */
	const char *fault; /* INI_FAULT: a sentence, static */
};

struct ini ini_start(struct text whole);

/* INI_END again and again at the end; a faulty line does not end the reading. */
struct ini_item ini_next(struct ini *ini);
