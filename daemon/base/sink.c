/* stderr is written to as its kind allows without waiting: by a flag of the call, or of a
 * description of our own, or after a look. */
#include "base/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static enum {
	WAITS,  /* nobody asked for more, or it is a file, which takes what it is given */
	SOCKET, /* the journal */
	OWN,    /* a pipe or a terminal, opened once more: O_NONBLOCK is ours alone */
	LOOKED, /* one that cannot be opened: another user's. Only another writer of the same pipe
		   can take the room between the look and the write. */
} way;

static int own = -1; /* OWN; stays open */

static struct {
	char bytes[SINK_LINE_MAX];
	size_t len;
} rest; /* of a line of which a terminal took a part */

void sink_never_wait(void)
{
	struct stat status;

	if (way != WAITS || fstat(STDERR_FILENO, &status) != 0) {
		return;
	}
	if (S_ISSOCK(status.st_mode)) {
		way = SOCKET;
	} else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
		own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		way = own >= 0 ? OWN : LOOKED;
	}
}

static ssize_t write_looked(const char *bytes, size_t len)
{
	struct pollfd stream = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&stream, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(STDERR_FILENO, bytes, len);
}

static ssize_t write_some(const char *bytes, size_t len)
{
	switch (way) {
	case WAITS:
		break;
	case SOCKET:
		return send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case OWN:
		return write(own, bytes, len);
	case LOOKED:
		return write_looked(bytes, len);
	}
	return write(STDERR_FILENO, bytes, len);
}

/* How many bytes went. */
static size_t write_all(const char *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t written = write_some(bytes + done, len - done);

		if (written > 0) {
			done += (size_t)written;
		} else if (written == 0 || errno != EINTR) {
			break;
		}
	}
	return done;
}

bool sink_put(const char *line, size_t len)
{
	size_t done = write_all(rest.bytes, rest.len);

	assert(len <= SINK_LINE_MAX);
	rest.len -= done;
	memmove(rest.bytes, rest.bytes + done, rest.len);
	if (rest.len > 0) {
		return false;
	}
	done = write_all(line, len);
	if (done > 0 && done < len) {
		rest.len = len - done;
		memcpy(rest.bytes, line + done, rest.len);
	}
	return done > 0;
}
