/* grammar.h - what the readers of requests and answers share: limits, characters, and how to say
 * no. */
#pragma once

#include "base/text.h"

enum {
	HTTP_HEAD_MAX = 16384,      /* bytes of request line and header fields: 431 */
	HTTP_FIELDS_MAX = 64,       /* header fields: 431 */
	HTTP_TARGET_MAX = 2048,     /* bytes of request target: 414 */
	HTTP_METHOD_MAX = 32,       /* bytes: 400 */
	HTTP_CHUNK_LINE_MAX = 256,  /* bytes of a chunk-size line with its extensions: 400 */
	HTTP_CHUNK_DIGITS_MAX = 16, /* hex digits of a chunk size: 400 */
	HTTP_EXTENSIONS_MAX =
		16384,           /* bytes of all chunk extensions of a body: 400; one-byte
				    chunks could else cost the network 250 times what they bring */
	HTTP_TRAILER_MAX = 4096, /* bytes of the trailer section, which is read and dropped: 431 */
};

/* Classes of characters, RFC 9110 5.6 and RFC 3986 2.3. */
enum {
	GRAMMAR_DIGIT = 1,
	GRAMMAR_TOKEN = 4,   /* tchar: methods, field names, codings */
	GRAMMAR_VISIBLE = 8, /* 0x21 to 0x7e */
	GRAMMAR_VALUE = 16,  /* what a field value may hold: visible, space, tab, obs-text */
	GRAMMAR_HOST = 32,   /* unreserved: what names of hosts are made of */
};

extern const uint8_t grammar_classes[256];

static inline bool grammar_is(unsigned char byte, uint8_t classes)
{
	return grammar_classes[byte] & classes;
}

/* At least one byte, and all of them of one of the classes. */
bool grammar_all(struct text text, uint8_t classes);

/* Value of a hex digit in either case, or -1. */
int grammar_hex(unsigned char byte);

/* Why a request is refused; status 0: it is not. */
struct refusal {
	uint16_t status;
	const char *reason; /* static, snake_case, for the log */
};

/* Both return false, so that what cannot go on ends in one line. */
bool grammar_refuse(struct refusal *refusal, uint16_t status, const char *reason);

/* 400 for a byte that cannot stand where it stands; those that smuggle requests are named. */
bool grammar_refuse_byte(struct refusal *refusal, unsigned char byte, const char *reason);
