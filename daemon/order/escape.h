/* escape.h - the characters of a string of JSON, written out or escaped. Pure. */
#pragma once

#include "base/text.h"

enum {
	ESCAPE_END = -1,  /* of the string */
	ESCAPE_NONE = -2, /* \u0000, or half a surrogate pair: no character */
};

/* Four hex digits; -1: they are none. */
int32_t escape_code_unit(const char *at, const char *end);

/* Behind a backslash and a u; *at is then behind the digits, of both halves of a pair. */
int32_t escape_unicode(const char **at, const char *end);

/* The character that stands behind a backslash; '\0': none may. */
char escape_short(char c);

/* The next character of a string that was read and ends with a quote. */
int32_t escape_next(const char **at, const char *end);

/* Up to four bytes; returns what is behind them. */
char *escape_put_utf8(char *out, int32_t code);
