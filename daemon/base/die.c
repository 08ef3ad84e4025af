/* The program ends here, with a sentence and a core. */
#include "base/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sink.h"

void die(const char *format, ...)
{
	char reason[512], line[sizeof("orderd: \n") + sizeof(reason)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	sink_put(line, (size_t)snprintf(line, sizeof(line), "orderd: %s\n", reason));
	abort();
}
