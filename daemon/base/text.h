/* text.h - a borrowed run of bytes.
 *
 * Never NUL-terminated unless a comment says so, never owned, never NULL when len > 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	const char *ptr;
	size_t len;
};

/* Version 14 takes the first one for a block. */
/* clang-format off */
#define TEXT_INIT(literal) { (literal), sizeof(literal) - 1 } /* static initialisers */
#define TEXT(literal) ((struct text)TEXT_INIT(literal))       /* expressions */
/* clang-format on */

static inline struct text text_of(const char *string)
{
	return string ? (struct text){ string, strlen(string) } : (struct text){ "", 0 };
}

bool text_equal(struct text a, struct text b);

/* ASCII letters only; locale plays no part. */
bool text_equal_nocase(struct text a, struct text b);

bool text_has_prefix(struct text whole, struct text prefix);

/* The rest of whole behind prefix; whole itself when it has no such prefix. */
struct text text_without_prefix(struct text whole, struct text prefix);

/* Without the spaces and tabs at both ends (OWS of RFC 9110 5.6.3). */
struct text text_trim(struct text padded);

/* Up to the next separator; *rest becomes what follows it. False when *rest is used up.
 * "a,,b" gives "a", "", "b"; "a," gives "a"; an empty text gives nothing. */
bool text_next(struct text *rest, char separator, struct text *ret_part);

/* One or more ASCII digits and nothing else, no sign, no space; false on overflow. */
bool text_to_u64(struct text digits, uint64_t *ret_value);

/* Decoded length, or -1: not hex digits, odd length, or more than size bytes; out is then
 * undefined. Either case. */
ptrdiff_t text_from_hex(struct text hex, unsigned char *out, size_t size);

/* Lower-case digits and a NUL: out has room for 2 * len + 1. */
void text_to_hex(const unsigned char *bytes, size_t len, char *out);

/* The longest prefix of at most max bytes that does not cut a UTF-8 sequence. */
struct text text_cut_utf8(struct text whole, size_t max);

/* Takes one code point off the front of a text that is not empty; 0xFFFD with *ret_valid false for
 * a byte that begins none. Overlong forms, surrogates and what is beyond U+10FFFF are no code
 * points (RFC 3629). */
uint32_t text_next_code_point(struct text *rest, bool *ret_valid);
