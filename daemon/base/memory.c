/* Memory comes zeroed, or the program ends; copies are made in it. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/die.h"

void *memory_new(size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	if (!memory) {
		die("no memory for %zu bytes", size);
	}
	return memory;
}

char *memory_copy(const char *string)
{
	char *copy = strdup(string);

	if (!copy) {
		die("no memory for a string of %zu bytes", strlen(string));
	}
	return copy;
}

char *memory_copy_text(struct text text)
{
	char *copy = memory_new(text.len + 1);

	if (text.len > 0) {
		memcpy(copy, text.ptr, text.len);
	}
	return copy;
}
