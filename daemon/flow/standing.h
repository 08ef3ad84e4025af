/* standing.h - how the poller stands, as the database told it last: whether it polls, whether the
 * API takes its key, whether it sees the newest orders. What changes is logged, all of it measured.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "base/text.h"

/* Embedded; zero: nothing is known. */
struct standing {
	bool begun;           /* it is known whether this process polls */
	bool standby;         /* valid once begun: another process does */
	bool stopped;         /* the API refuses our key */
	struct problem blind; /* why the newest orders are not seen; or "" */
};

void standing_note_standby(struct standing *standing, bool standby);
/* problem: why. */
void standing_note_stopped(struct standing *standing, bool stopped, const char *problem);
/* By how many seconds our clock is ahead of the database's; "-5": behind. */
void standing_note_clock(struct text ahead_s);
/* because: "" or why the newest orders are not seen; behind_s: for how long nothing has said that
 * they are. */
void standing_note_sight(
	struct standing *standing, struct text because, int64_t behind_s, int64_t alarms);
