#include "io/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char directory[] = "/tmp/notify_test.XXXXXX";

static int manager_socket(const struct sockaddr_un *address, size_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)address, (socklen_t)len) != 0) {
		perror("manager socket");
		exit(1);
	}
	return fd;
}

static bool manager_read(int fd, const char *expected)
{
	char message[256];
	ssize_t len = recv(fd, message, sizeof(message), 0);

	return len == (ssize_t)strlen(expected) && memcmp(message, expected, (size_t)len) == 0;
}

static void check_send_to_path(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);

	int fd = manager_socket(&address, sizeof(address));

	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	CHECK(notify_send("READY=1\nSTATUS=listening") == 0, "a message is sent to a path");
	CHECK(manager_read(fd, "READY=1\nSTATUS=listening"), "and arrives as it is");
	close(fd);
	CHECK(notify_send("READY=1") == -ECONNREFUSED, "a manager that has gone is an error");
	unlink(address.sun_path);
	CHECK(notify_send("READY=1") == -ENOENT, "a socket that has gone is an error");
}

static void check_send_to_name(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64];
	size_t len =
		(size_t)snprintf(name, sizeof(name), "@orderd-notify-test-%ld", (long)getpid());

	memcpy(address.sun_path + 1, name + 1, len - 1);

	int fd = manager_socket(&address, offsetof(struct sockaddr_un, sun_path) + len);

	setenv("NOTIFY_SOCKET", name, 1);
	CHECK(notify_send("WATCHDOG=1") == 0, "a message is sent to an abstract name");
	CHECK(manager_read(fd, "WATCHDOG=1"), "and arrives as it is");

	int sent = 0;
	while (sent < 10000 && notify_send("WATCHDOG=1") == 0) {
		sent++;
	}
	CHECK(sent < 10000, "a manager that does not read holds us up only so long");
	close(fd);
}

static void check_send_nowhere(void)
{
	char name[200];

	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	CHECK(notify_send("READY=1") == -ENAMETOOLONG, "a name that is too long is an error");
	setenv("NOTIFY_SOCKET", "relative", 1);
	CHECK(notify_send("READY=1") == -EAFNOSUPPORT, "a relative path is an error");
	setenv("NOTIFY_SOCKET", "", 1);
	CHECK(notify_send("READY=1") == -EAFNOSUPPORT, "an empty name is an error");
	unsetenv("NOTIFY_SOCKET");
	CHECK(notify_send("READY=1") == 0, "nobody asked: nothing to do");
}

static void set_number(const char *variable, long value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%ld", value);
	setenv(variable, digits, 1);
}

static void check_listen_fds(void)
{
	int ends[2];

	/* Two descriptors where a manager would put them. */
	if (pipe(ends) != 0 || dup2(ends[0], NOTIFY_FIRST_FD) < 0 ||
		dup2(ends[1], NOTIFY_FIRST_FD + 1) < 0) {
		perror("pipe");
		exit(1);
	}
	close(NOTIFY_FIRST_FD + 2);

	CHECK(notify_listen_fds() == 0, "without the variables there is nothing");

	set_number("LISTEN_PID", (long)getpid() + 1);
	setenv("LISTEN_FDS", "2", 1);
	CHECK(notify_listen_fds() == 0, "what is meant for another process is not ours");
	CHECK(!getenv("LISTEN_FDS"), "and is not passed on");

	set_number("LISTEN_PID", (long)getpid());
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "http:admin", 1);
	CHECK(notify_listen_fds() == 2, "two descriptors are taken");
	CHECK(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"),
		"the variables are gone afterwards");
	CHECK((fcntl(NOTIFY_FIRST_FD, F_GETFL) & O_NONBLOCK) != 0, "they do not block");
	CHECK((fcntl(NOTIFY_FIRST_FD + 1, F_GETFD) & FD_CLOEXEC) != 0, "they close on exec");

	set_number("LISTEN_PID", (long)getpid());
	setenv("LISTEN_FDS", "99999999999999999999", 1);
	CHECK(notify_listen_fds() == 0, "a number that is none is no descriptors");
	set_number("LISTEN_PID", (long)getpid());
	setenv("LISTEN_FDS", "3", 1);
	CHECK(notify_listen_fds() == 2, "a descriptor that is not open is not taken");

	for (int fd = NOTIFY_FIRST_FD + 2; fd <= NOTIFY_FIRST_FD + NOTIFY_FDS_MAX; fd++) {
		dup2(ends[0], fd);
	}
	set_number("LISTEN_PID", (long)getpid());
	set_number("LISTEN_FDS", NOTIFY_FDS_MAX + 1);
	CHECK(notify_listen_fds() == NOTIFY_FDS_MAX, "of more than the maximum it is taken");
}

static const struct {
	const char *promise;
	const char *usec; /* NULL = not set */
	int64_t ms;
} periods[] = {
	{ "no watchdog is wanted", NULL, 0 },
	{ "a third of the time", "30000000", 10000 },
	{ "a short time is at least a millisecond", "100", 1 },
	{ "zero is none", "0", 0 },
	{ "a negative time is none", "-1", 0 },
	{ "words are none", "30s", 0 },
	{ "a time beyond all bounds is none", "18446744073709551615", 0 },
};

static void check_watchdog(void)
{
	unsetenv("WATCHDOG_PID");
	for (size_t i = 0; i < COUNT(periods); i++) {
		unsetenv("WATCHDOG_USEC");
		if (periods[i].usec) {
			setenv("WATCHDOG_USEC", periods[i].usec, 1);
		}
		CHECK(notify_watchdog_ms() == periods[i].ms, "watchdog: %s", periods[i].promise);
	}
	setenv("WATCHDOG_USEC", "30000000", 1);
	set_number("WATCHDOG_PID", (long)getpid());
	CHECK(notify_watchdog_ms() == 10000, "a watchdog for this process is ours");
	set_number("WATCHDOG_PID", (long)getpid() + 1);
	CHECK(notify_watchdog_ms() == 0, "one for another process is not");
}

int main(void)
{
	if (!mkdtemp(directory)) {
		perror(directory);
		return 1;
	}
	check_send_to_path();
	check_send_to_name();
	check_send_nowhere();
	check_listen_fds();
	check_watchdog();
	rmdir(directory);
	return check_done();
}
