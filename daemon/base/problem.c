/* A sentence about a failure, built where the failure is known. */
#include "base/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

bool problem_say(struct problem *problem, const char *format, ...)
{
	char sentence[PROBLEM_MAX]; /* an argument may be the problem's own text */
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);

	size_t len = strlen(sentence);

	if (length >= PROBLEM_MAX) { /* cut between bytes, perhaps within a character */
		len = text_cut_utf8((struct text){ sentence, len }, len - 1).len;
	}
	memcpy(problem->text, sentence, len);
	problem->text[len] = '\0';
	return false;
}
