/* die.h - the two ends that cannot be handled: our own bug, and no memory for a small fixed thing.
 *
 * What a peer can make large is never allocated here: it has a maximum and its failure an answer.
 */
#pragma once

#include <stddef.h>

#include "base/text.h"

/* Says why on stderr, then aborts, so that the service manager restarts us. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed. */
void *new_or_die(size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *copy_or_die(const char *string) __attribute__((returns_nonnull, warn_unused_result));
/* With a NUL behind it. */
char *copy_text_or_die(struct text text) __attribute__((returns_nonnull, warn_unused_result));
