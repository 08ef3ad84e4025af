/* file.h - read what is in a file. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* From where fd stands up to its end, but at most size bytes: how many they are, or negative errno.
 * Whoever has to know that a file is longer asks for one byte more. */
ssize_t file_read(int fd, char *buffer, size_t size);
