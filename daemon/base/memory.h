/* memory.h - memory for small fixed things; where there is none the program ends (base/die.h).
 *
 * What a peer can make large is never allocated here: it has a maximum and its failure an answer.
 */
#pragma once

#include <stddef.h>

#include "base/text.h"

/* Zeroed. */
void *memory_new(size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *memory_copy(const char *string) __attribute__((returns_nonnull, warn_unused_result));
/* With a NUL behind it. */
char *memory_copy_text(struct text text) __attribute__((returns_nonnull, warn_unused_result));
