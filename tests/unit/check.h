/* check.h - promises and whether they hold, in the Test Anything Protocol.
 *
 *	CHECK(got == 3, "%s (got %d)", promise, got);   any number of these
 *	return check_done();                            once, at the end of main()
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition, ...) check_promise((condition), __FILE__, __LINE__, __VA_ARGS__)

enum { CHECK_TEXT_MAX = 1024 };

static int check_count;
static int check_broken;

static inline bool check_promise(bool holds, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Returns holds, so that a test can leave out what makes no sense any more. */
static inline bool check_promise(bool holds, const char *file, int line, const char *format, ...)
{
	char promise[CHECK_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(promise, sizeof(promise), format, arguments);
	va_end(arguments);
	/* A newline would end the line, "#" would begin a directive. */
	for (char *c = promise; *c; c++) {
		*c = (*c >= 0 && *c < ' ') || *c == '#' ? '?' : *c;
	}

	check_count++;
	printf("%sok %d - %s\n", holds ? "" : "not ", check_count, promise);
	if (!holds) {
		check_broken++;
		printf("# %s:%d: does not hold\n", file, line);
	}
	fflush(stdout); /* a crash must not take the lines before it along */
	return holds;
}

/* A run without a single promise is no success. */
static inline int check_done(void)
{
	printf("1..%d\n", check_count);
	return check_broken > 0 || check_count == 0;
}
