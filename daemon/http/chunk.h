/* chunk.h - read the line before a chunk: its size, and extensions nobody uses.
 *
 * Pure. Extensions are read so that no line end can be hidden in one, and dropped. The white space
 * that RFC 9112 calls bad is refused; so is a size that no 64-bit reader agrees about.
 */
#pragma once

#include "http/grammar.h"

/* Zeroed for a new body. */
struct chunk_line {
	uint64_t size;           /* of the chunk, when the line is whole */
	uint32_t len;            /* bytes of this line */
	uint32_t extensions_len; /* bytes of all lines but their sizes */
	uint8_t state;           /* enum in chunk.c */
};

enum chunk_step {
	CHUNK_MORE,
	CHUNK_SIZED, /* size is complete, the line is not: larger than allowed can be refused now */
	CHUNK_WHOLE, /* the line has ended; the next byte given begins another one */
	CHUNK_REFUSED,
};

enum chunk_step chunk_line_take(
	struct chunk_line *line, unsigned char byte, struct refusal *refusal);
