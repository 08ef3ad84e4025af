/* The clocks of the kernel: one to wait by, one to date facts by. */
#include "base/clock.h"

#include <time.h>

#include "base/die.h"

static struct timespec ask(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0) {
		die("the kernel has no clock %d", (int)clock);
	}
	return now;
}

int64_t clock_mono_ms(void)
{
	struct timespec now = ask(CLOCK_MONOTONIC);

	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_us(void)
{
	struct timespec now = ask(CLOCK_REALTIME);

	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
