/* array.h - write one-dimensional arrays in PostgreSQL's binary format.
 *
 * One array goes to the server as one parameter, and needs neither quoting nor escaping there:
 * every element is a length and its bytes. An array that outgrows ARRAY_BYTES_MAX or the memory
 * there is stays as it was and remembers it: array_bytes() then says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { ARRAY_BYTES_MAX = 64 * 1024 * 1024 };

enum array_type { ARRAY_TEXT, ARRAY_BYTEA, ARRAY_TIMESTAMPTZ, ARRAY_JSON, ARRAY_BIGINT };

/* Embedded; array_init() / array_fini(). The fields are the module's own. */
struct array {
	enum array_type type;
	char *bytes;
	size_t len, size;
	uint32_t count;
	bool has_null;
	bool has_value; /* some element is none */
	bool overflowed;
};

void array_init(struct array *array, enum array_type type);
void array_fini(struct array *array);

/* Empty again; keeps its memory. */
void array_clear(struct array *array);

/* A time, microseconds since 1970, as timestamptz has it in binary format, on this machine. */
int64_t array_wire_time(int64_t us);

/* Copies the bytes of an element in binary format; the server judges them. */
void array_add(struct array *array, struct text element);
/* timestamptz only: microseconds since 1970. */
void array_add_time(struct array *array, int64_t us);
void array_add_null(struct array *array);

/* The whole parameter, borrowed until the array is changed. False: an element did not fit. */
bool array_bytes(struct array *array, struct text *ret_bytes);
