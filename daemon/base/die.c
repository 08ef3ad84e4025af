#include "base/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...)
{
	char reason[512]; /* one write, so that the line stays in one piece */
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	fprintf(stderr, "orderd: %s\n", reason);
	abort();
}

void *new_or_die(size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	if (!memory) {
		die("no memory for %zu bytes", size);
	}
	return memory;
}

char *copy_or_die(const char *string)
{
	char *copy = strdup(string);

	if (!copy) {
		die("no memory for a string of %zu bytes", strlen(string));
	}
	return copy;
}

char *copy_text_or_die(struct text text)
{
	char *copy = new_or_die(text.len + 1);

	if (text.len > 0) {
		memcpy(copy, text.ptr, text.len);
	}
	return copy;
}
