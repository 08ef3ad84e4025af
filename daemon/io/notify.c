/* What systemd is told over its socket, and what it hands over: descriptors and the watchdog. */
#include "io/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"

/* "/path", or "@name" in the abstract namespace. */
static int socket_address(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_len)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2) {
		return -EAFNOSUPPORT;
	}
	if (len >= sizeof(ret_address->sun_path)) {
		return -ENAMETOOLONG;
	}
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, name, len);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (name[0] == '@') {
		ret_address->sun_path[0] = '\0';
	} else {
		(*ret_len)++;
	}
	return 0;
}

int notify_send(const char *lines)
{
	/* A service manager that does not read must not stop the loop for long. */
	static const struct timeval patience = { .tv_usec = 500000 };
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t address_len;

	if (!name) {
		return 0;
	}

	int error = socket_address(name, &address, &address_len);

	if (error < 0) {
		return error;
	}

	CLEANUP(cleanup_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
		sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&address,
			address_len) < 0) {
		return -errno;
	}
	return 0;
}

static bool number_in(const char *variable, uint64_t *ret_value)
{
	return text_to_u64(text_of(getenv(variable)), ret_value);
}

/* Also the proof that the descriptor is open. */
static bool make_ours(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	       fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int notify_listen_fds(void)
{
	uint64_t pid;
	uint64_t count;
	int taken = 0;

	/* The variables reach children, who are not meant: hence the process id. */
	if (number_in("LISTEN_PID", &pid) && pid == (uint64_t)getpid() &&
		number_in("LISTEN_FDS", &count)) {
		while (taken < NOTIFY_FDS_MAX && (uint64_t)taken < count &&
			make_ours(NOTIFY_FIRST_FD + taken)) {
			taken++;
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return taken;
}

int64_t notify_watchdog_ms(void)
{
	const char *whose = getenv("WATCHDOG_PID");
	uint64_t pid;
	uint64_t period_us;

	if (whose && (!number_in("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid())) {
		return 0;
	}
	if (!number_in("WATCHDOG_USEC", &period_us) || period_us == 0 || period_us > INT64_MAX) {
		return 0;
	}

	int64_t third_ms = (int64_t)(period_us / 3 / 1000);

	return third_ms > 0 ? third_ms : 1;
}
