/* The phase and the deadline of a connection, and the queues that it stands in. */
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

static bool inside_request(const struct connection *connection)
{
	switch (connection->phase) {
	case CONNECTION_READING:
		return request_reading(connection->reader);
	case CONNECTION_HANDLING:
	case CONNECTION_DEAD:
		return true;
	case CONNECTION_SILENT:
	case CONNECTION_KNOCKING:
	case CONNECTION_SHAKING:
	case CONNECTION_FLUSHING:
	case CONNECTION_FLUSHED:
	case CONNECTION_LINGERING:
		break;
	}
	return false;
}

void connection_note_byte(struct connection *connection)
{
	struct connection_set *set = connection->set;

	if (connection->waits) {
		TAILQ_REMOVE(&set->waiting, connection, waiter);
	}
	connection->waits = !inside_request(connection);
	if (connection->waits) {
		connection->waits_since_ms = clock_mono_ms();
		TAILQ_INSERT_TAIL(&set->waiting, connection, waiter);
	}
}

static void leave_handshakes(struct connection *connection)
{
	struct connection_set *set = connection->set;

	if (connection->phase == CONNECTION_KNOCKING) {
		TAILQ_REMOVE(&set->knocking, connection, turn);
	} else if (connection->phase == CONNECTION_SHAKING) {
		TAILQ_REMOVE(&set->shaking, connection, turn);
		set->shaking_count--;
	}
}

static void join_handshakes(struct connection *connection)
{
	struct connection_set *set = connection->set;

	if (connection->phase == CONNECTION_KNOCKING) {
		TAILQ_INSERT_HEAD(&set->knocking, connection, turn);
	} else if (connection->phase == CONNECTION_SHAKING) {
		TAILQ_INSERT_TAIL(&set->shaking, connection, turn);
		set->shaking_count++;
	}
}

/* One that reads again may have bytes that nobody has looked at yet: it waits when they are used
 * up, which exchange_advance() says. */
void connection_enter(struct connection *connection, enum connection_phase phase)
{
	leave_handshakes(connection);
	connection->phase = phase;
	join_handshakes(connection);
	if (phase != CONNECTION_READING) {
		connection_note_byte(connection);
	}
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

static void wait_for_request(struct connection *connection, int64_t after_ms)
{
	const struct connection_set *set = connection->set;

	connection_enter(connection, CONNECTION_READING);
	connection_set_deadline(connection, set->draining ? set->limits.drain_idle_ms : after_ms);
}

void connection_wait_first(struct connection *connection)
{
	wait_for_request(connection, connection->set->limits.first_ms);
	connection_note_byte(connection);
}

void connection_wait(struct connection *connection)
{
	wait_for_request(connection, connection->set->limits.idle_ms);
}
