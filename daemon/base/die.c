/* The program ends here, with a sentence and a core. */
#include "base/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
