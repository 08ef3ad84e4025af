/* slow_disk - preloaded into a PostgreSQL it makes each flush of the log take 5 ms longer, as on a
 * disk that keeps no cache.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd)
{
	struct timespec left = { .tv_nsec = 5000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR) {
	}
	return (int)syscall(SYS_fdatasync, fd);
}
