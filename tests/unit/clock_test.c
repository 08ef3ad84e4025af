#include "base/clock.h"

#include <poll.h>
#include <time.h>

#include "check.h"

static int64_t boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
	int64_t earlier_ms = boot_ms();
	int64_t before_ms = clock_mono_ms();
	int64_t wall_us = clock_wall_us();
	int64_t reference_us = (int64_t)time(NULL) * 1000000;

	CHECK(wall_us > reference_us - 2000000 && wall_us < reference_us + 2000000,
		"wall time is that of time(2), in microseconds");
	CHECK(before_ms >= earlier_ms && before_ms <= boot_ms(),
		"waiting is on the clock that nobody sets");
	poll(NULL, 0, 20); /* the passing of time is what is tested */

	int64_t passed_ms = clock_mono_ms() - before_ms;

	CHECK(passed_ms >= 19 && passed_ms < 5000, "20 ms pass as 20 ms (got %lld)",
		(long long)passed_ms);
	CHECK(clock_wall_us() >= wall_us + 19000, "wall time passes too");
	return check_done();
}
