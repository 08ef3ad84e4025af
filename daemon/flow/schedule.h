/* schedule.h - what SQL plans by, as settings of a session. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULE_SETUP_MAX = 640 };

struct schedule {
	int64_t requests_per_minute;
	int64_t floor; /* X-RateLimit-Remaining that is left to others */
	int64_t sweep_every_s;
	int64_t lookback_s;
	int64_t open_every_s;
	int64_t history_s;
	bool notify; /* NOTIFY torque_orders */
};

/* The select that gives them to a session, for every session that claims calls. */
void schedule_setup(const struct schedule *schedule, char out[SCHEDULE_SETUP_MAX]);
