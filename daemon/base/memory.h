/* memory.h - memory for small fixed things; where there is none the program ends (base/die.h).
 *
 * Not at once, though: whoever holds the work of others keeps a reserve, which is given up piece by
 * piece for what is small, and takes no new work until it is whole again. So the end is left to a
 * start, to a verb of one shot, and to a service that has used up all of it.
 * What a peer can make large is never allocated here: it has a maximum and its failure an answer.
 */
#pragma once

#include <stddef.h>

#include "base/text.h"

enum {
	MEMORY_SMALL_MAX = 96 * 1024, /* bytes; the reserve is for no more at a time */
	MEMORY_RESERVE_PIECES = 4,    /* of that size */
};

/* Zeroed. */
void *memory_new(size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *memory_copy(const char *string) __attribute__((returns_nonnull, warn_unused_result));
/* With a NUL behind it. */
char *memory_copy_text(struct text text) __attribute__((returns_nonnull, warn_unused_result));

/* As malloc() and realloc(), but from the reserve too: for libraries that take such functions. */
void *memory_try(size_t size);
void *memory_try_again(void *memory, size_t size);

/* For a service, at its start. */
void memory_keep_reserve(void);
/* A part of the reserve is gone and cannot be had again yet: take nothing new. Never without
 * memory_keep_reserve(). */
bool memory_is_short(void);
void memory_free_reserve(void);
