/* A file is read whole, whatever read(2) gives at a time. */
#include "base/file.h"

#include <errno.h>
#include <unistd.h>

ssize_t file_read(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read(fd, buffer + used, size - used);

		if (got == 0) {
			break;
		}
		if (got < 0 && errno != EINTR) {
			return -errno;
		}
		used += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)used;
}
