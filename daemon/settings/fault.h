/* fault.h - everything that is wrong, collected, so that it is reported in one go. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/text.h"

enum {
	FAULT_TEXT_MAX = 640, /* bytes of one sentence; the rest is cut */
	FAULTS_MAX = 64,      /* kept; what comes after is only counted */
};

struct fault {
	bool warning; /* worth knowing, no reason to stop */
	char text[FAULT_TEXT_MAX];
};

/* Embedded: start from { .count = 0 } and end with fault_fini(). */
struct faults {
	struct fault *list;
	size_t count;   /* in list, warnings included */
	size_t errors;  /* faults that are no warnings, those not kept included */
	size_t dropped; /* not kept */
};

void fault_fini(struct faults *faults);

/* One sentence: what is wrong, and what it should be. */
void fault_add(struct faults *faults, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void fault_warn(struct faults *faults, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One line each: "orderd: SENTENCE", warnings as "orderd: warning: SENTENCE". */
void fault_print(const struct faults *faults, FILE *stream);

/* The candidate that word is a likely slip of the hand for, or NULL. */
const char *fault_nearest_word(struct text word, const char *const *candidates, size_t count);
