/* problem.h - why something could not be done: one sentence of one size, for a log or a person.
 *
 * Whoever fails says it once, where it is known; the callers above hand it on. What a peer said is
 * escaped by those who print it, never here.
 */
#pragma once

#include <stdbool.h>

enum { PROBLEM_MAX = 1024 }; /* bytes with the NUL; a longer sentence is cut between characters */

/* "" = nothing to say. */
struct problem {
	char text[PROBLEM_MAX];
};

/* Always false, so that a function can end in `return problem_say(problem, ...)`. */
bool problem_say(struct problem *problem, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
