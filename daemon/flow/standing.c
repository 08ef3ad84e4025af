/* Each change is told once. */
#include "flow/standing.h"

#include "base/log.h"
#include "base/metrics.h"

void standing_note_standby(struct standing *standing, bool standby)
{
	if (standing->begun && standing->standby == standby) {
		return;
	}
	standing->begun = true;
	standing->standby = standby;
	metrics_set(METRIC_RECONCILE_STANDBY, standby);
	log_event(LOG_INFO, standby ? "reconcile_standby" : "reconcile_active", NULL);
}

void standing_note_stopped(struct standing *standing, bool stopped, const char *problem)
{
	if (standing->stopped == stopped) {
		return;
	}
	standing->stopped = stopped;
	metrics_set(METRIC_RECONCILE_STOPPED, stopped);
	if (stopped) {
		log_event(LOG_ERROR, "reconcile_stopped", LOG_FIELDS(LOG_STRING("error", problem)));
	} else {
		log_event(LOG_INFO, "reconcile_resumed", NULL);
	}
}

void standing_note_sight(
	struct standing *standing, struct text because, int64_t behind_s, int64_t alarms)
{
	bool was_blind = standing->blind.text[0] != '\0';

	metrics_set(METRIC_RECONCILE_BEHIND, behind_s);
	metrics_set(METRIC_ALARMS_OPEN, alarms);
	problem_say(&standing->blind, "%.*s", (int)because.len, because.len > 0 ? because.ptr : "");
	if (because.len > 0 && !was_blind) {
		log_event(LOG_ERROR, "reconcile_blind",
			LOG_FIELDS(LOG_STRING("error", standing->blind.text)));
	} else if (because.len == 0 && was_blind) {
		log_event(LOG_INFO, "reconcile_sees", NULL);
	}
}

void standing_note_clock(struct text ahead_s)
{
	bool behind = text_has_prefix(ahead_s, TEXT("-"));
	uint64_t apart_s = 0;

	if (text_to_u64(text_without_prefix(ahead_s, TEXT("-")), &apart_s) &&
		apart_s <= INT32_MAX) {
		metrics_set(METRIC_CLOCK_AHEAD_OF_DATABASE,
			behind ? -(int64_t)apart_s : (int64_t)apart_s);
	}
}
