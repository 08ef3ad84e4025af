/* clock.h - the only place that asks the kernel what time it is. */
#pragma once

#include <stdint.h>

/* Milliseconds for waiting: CLOCK_MONOTONIC, no meaning between two boots. */
int64_t clock_mono_ms(void);

/* Milliseconds since the host was started, with those in which it slept: CLOCK_BOOTTIME, which
 * nobody sets. */
int64_t clock_uptime_ms(void);

/* Microseconds since 1970 for facts: CLOCK_REALTIME. */
int64_t clock_wall_us(void);
