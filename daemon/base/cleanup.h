/* cleanup.h - owning locals release what they hold when they go out of scope. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(release) __attribute__((cleanup(release)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
}
