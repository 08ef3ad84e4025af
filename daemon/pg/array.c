/* Elements are appended as they come; the head is written when their number is known. */
#include "pg/array.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

enum {
	HEAD_BYTES = 20, /* dimensions, has nulls, element type, length, lower bound */
	LENGTH_BYTES = 4,
	FIRST_SIZE = 1024,
};

/* PostgreSQL counts from 2000-01-01. */
static const int64_t epoch_us = INT64_C(946684800) * 1000000;

/* Of the server's catalogue pg_type; fixed for ever. */
static const uint32_t element_oids[] = {
	[ARRAY_TEXT] = 25,
	[ARRAY_BYTEA] = 17,
	[ARRAY_TIMESTAMPTZ] = 1184,
	[ARRAY_JSON] = 114,
	[ARRAY_BIGINT] = 20,
};

static void put_u32(char *at, uint32_t value)
{
	uint32_t wire = htobe32(value);

	memcpy(at, &wire, sizeof(wire));
}

void array_init(struct array *array, enum array_type type)
{
	*array = (struct array){ .type = type };
}

void array_fini(struct array *array)
{
	free(array->bytes);
	array->bytes = NULL;
	array->len = array->size = 0;
}

void array_clear(struct array *array)
{
	array->len = 0;
	array->count = 0;
	array->has_null = false;
	array->has_value = false;
	array->overflowed = false;
}

static bool grow(struct array *array, size_t needed)
{
	size_t size = array->size > 0 ? array->size : FIRST_SIZE;

	while (size < needed) {
		size *= 2;
	}
	char *bytes = realloc(array->bytes, size);

	if (!bytes) {
		return false;
	}
	array->bytes = bytes;
	array->size = size;
	return true;
}

/* Room for len bytes more (and for the head, when it is the first). NULL: there is none. */
static char *reserve(struct array *array, size_t len)
{
	size_t begin = array->len > 0 ? array->len : HEAD_BYTES;
	size_t end;

	if (__builtin_add_overflow(begin, len, &end) || end > ARRAY_BYTES_MAX ||
		(end > array->size && !grow(array, end))) {
		array->overflowed = true;
		return NULL;
	}
	array->len = end;
	return array->bytes + begin;
}

/* Where the len bytes of the next element go. NULL: it does not fit. */
static char *next_element(struct array *array, size_t len)
{
	size_t needed;

	if (__builtin_add_overflow(len, (size_t)LENGTH_BYTES, &needed)) {
		array->overflowed = true;
		return NULL;
	}
	char *at = reserve(array, needed);

	if (!at) {
		return NULL;
	}
	put_u32(at, (uint32_t)len);
	array->count++;
	array->has_value = true;
	return at + LENGTH_BYTES;
}

void array_add(struct array *array, struct text element)
{
	char *at = next_element(array, element.len);

	if (at && element.len > 0) {
		memcpy(at, element.ptr, element.len);
	}
}

/* What is out of its range is -infinity there: no clock says so. */
int64_t array_wire_time(int64_t us)
{
	int64_t since;

	return __builtin_sub_overflow(us, epoch_us, &since) ? INT64_MIN : since;
}

void array_add_time(struct array *array, int64_t us)
{
	int64_t since = array_wire_time(us);
	uint64_t wire = htobe64((uint64_t)since);

	assert(array->type == ARRAY_TIMESTAMPTZ);
	if (since == INT64_MIN) {
		array->overflowed = true;
		return;
	}
	array_add(array, (struct text){ (const char *)&wire, sizeof(wire) });
}

void array_add_null(struct array *array)
{
	char *at = reserve(array, LENGTH_BYTES);

	if (at) {
		put_u32(at, UINT32_MAX);
		array->count++;
		array->has_null = true;
	}
}

bool array_bytes(struct array *array, struct text *ret_bytes)
{
	static const char empty[12]; /* no dimension; the element type stands behind two zeros */

	if (array->overflowed) {
		return false;
	}
	if (array->count == 0) {
		if (!reserve(array, 0)) {
			return false;
		}
		memcpy(array->bytes, empty, sizeof(empty));
		put_u32(array->bytes + 8, element_oids[array->type]);
		*ret_bytes = (struct text){ array->bytes, sizeof(empty) };
		array->len = 0;
		return true;
	}
	put_u32(array->bytes, 1);
	put_u32(array->bytes + 4, array->has_null);
	put_u32(array->bytes + 8, element_oids[array->type]);
	put_u32(array->bytes + 12, array->count);
	put_u32(array->bytes + 16, 1);
	*ret_bytes = (struct text){ array->bytes, array->len };
	return true;
}
