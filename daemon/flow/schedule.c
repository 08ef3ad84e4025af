/* The poller's settings as those of a session. */
#include "flow/schedule.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/die.h"
#include "flow/torque.h"

void schedule_setup(const struct schedule *schedule, char out[SCHEDULE_SETUP_MAX])
{
	int len = snprintf(out, SCHEDULE_SETUP_MAX,
		"select set_config('orderd.requests_per_minute', '%" PRId64 "', false),"
		" set_config('orderd.floor', '%" PRId64 "', false),"
		" set_config('orderd.sweep_every', '%" PRId64 "', false),"
		" set_config('orderd.lookback', '%" PRId64 "', false),"
		" set_config('orderd.open_every', '%" PRId64 "', false),"
		" set_config('orderd.history', '%" PRId64 "', false),"
		" set_config('orderd.call_ms', '%d', false),"
		" set_config('orderd.notify', '%s', false)",
		schedule->requests_per_minute, schedule->floor, schedule->sweep_every_s,
		schedule->lookback_s, schedule->open_every_s, schedule->history_s, TORQUE_CALL_MS,
		schedule->notify ? "on" : "off");

	if (len >= SCHEDULE_SETUP_MAX) {
		die("the poller's settings do not fit");
	}
}
