/* notify.h - talk with the service manager: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
 *
 * Own code, a datagram and three environment variables, instead of libsystemd. Everything is a
 * no-op when nobody asked for it.
 */
#pragma once

#include <stdint.h>

enum { NOTIFY_FDS_MAX = 16, NOTIFY_FIRST_FD = 3 };

/* One or more "NAME=value" lines, e.g. "READY=1\nSTATUS=…". Negative errno on failure. */
int notify_send(const char *lines);

/* How many sockets were handed over (from NOTIFY_FIRST_FD on, at most NOTIFY_FDS_MAX are taken),
 * made non-blocking and close-on-exec; 0: none. Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out
 * of the environment. */
int notify_listen_fds(void);

/* How often to send WATCHDOG=1 (a third of WATCHDOG_USEC), or 0: not wanted. */
int64_t notify_watchdog_ms(void);
