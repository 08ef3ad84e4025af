/* parray.h - write one-dimensional arrays in PostgreSQL's binary format.
 *
 * One array goes to the server as one parameter, and needs neither quoting nor escaping there:
 * every element is a length and its bytes. An array that outgrows PARRAY_BYTES_MAX or the memory
 * there is stays as it was and remembers it: parray_bytes() then says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { PARRAY_BYTES_MAX = 64 * 1024 * 1024 };

enum parray_type { PARRAY_TEXT, PARRAY_BYTEA, PARRAY_TIMESTAMPTZ, PARRAY_JSON };

/* Embedded; parray_init() / parray_fini(). The fields are the module's own. */
struct parray {
	enum parray_type type;
	char *bytes;
	size_t len, size;
	uint32_t count;
	bool has_null;
	bool overflowed;
};

void parray_init(struct parray *array, enum parray_type type);
void parray_fini(struct parray *array);

/* Empty again; keeps its memory. */
void parray_clear(struct parray *array);

/* Copies. For every type but timestamptz; the server judges the bytes. */
void parray_add(struct parray *array, struct text element);
/* timestamptz only: microseconds since 1970. */
void parray_add_time(struct parray *array, int64_t us);
void parray_add_null(struct parray *array);

/* The whole parameter, borrowed until the array is changed. False: an element did not fit. */
bool parray_bytes(struct parray *array, struct text *ret_bytes);
