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

static int64_t milliseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return milliseconds(ask(CLOCK_MONOTONIC));
}

int64_t clock_uptime_ms(void)
{
	return milliseconds(ask(CLOCK_BOOTTIME));
}

int64_t clock_wall_us(void)
{
	struct timespec now = ask(CLOCK_REALTIME);

	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
