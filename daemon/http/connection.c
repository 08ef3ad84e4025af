/* The phase and the deadline of a connection, and the queue of those to be seen to. */
#include "http/connection.h"

#include "base/clock.h"

void connection_put_off(struct connection *connection)
{
	struct connection_set *set = connection->set;

	if (!connection->chore_due) {
		connection->chore_due = true;
		TAILQ_INSERT_TAIL(&set->chores_due, connection, chore);
		loop_task_post(set->chores);
	}
}

void connection_enter(struct connection *connection, enum connection_phase phase)
{
	connection->phase = phase;
	if (phase == CONNECTION_FLUSHED || phase == CONNECTION_DEAD) {
		connection_put_off(connection);
	}
}

static void start_timer(struct connection *connection, int64_t after_ms)
{
	connection->timer_due_ms = connection->deadline_ms;
	loop_timer_start(connection->timer, after_ms);
}

/* The timer is moved only when it would fire too late: most deadlines are met, and a connection
 * whose requests are answered in time hardly ever touches it. */
void connection_set_deadline(struct connection *connection, int64_t after_ms)
{
	connection->deadline_ms = clock_mono_ms() + after_ms;
	if (!connection->timer_due_ms || connection->timer_due_ms > connection->deadline_ms) {
		start_timer(connection, after_ms);
	}
}

void connection_set_peer_deadline(struct connection *connection, int64_t after_ms)
{
	const struct connection_set *set = connection->set;
	bool cut = set->draining && after_ms > set->limits.drain_ms;

	connection_set_deadline(connection, cut ? set->limits.drain_ms : after_ms);
}

bool connection_is_late(struct connection *connection)
{
	int64_t left_ms = connection->deadline_ms - clock_mono_ms();

	connection->timer_due_ms = 0;
	if (left_ms > 0) {
		start_timer(connection, left_ms);
	}
	return left_ms <= 0;
}

void connection_wait(struct connection *connection)
{
	const struct connection_set *set = connection->set;

	connection_enter(connection, CONNECTION_READING);
	connection_set_deadline(
		connection, set->draining ? set->limits.drain_idle_ms : set->limits.idle_ms);
}
