/* TLS handshakes: newest first, a few in a round, and no more than the bound at one time. */
#include "http/handshake.h"

#include "base/metrics.h"
#include "http/exchange.h"

enum { HANDSHAKES_A_ROUND = 8 };

void handshake_ask(struct connection *connection)
{
	connection_enter(connection, CONNECTION_KNOCKING);
	loop_task_post(connection->set->chores);
}

static void make_room(struct connection_set *set)
{
	if (set->shaking_count >= set->limits.handshakes_max) {
		metrics_add(METRIC_CONNECTIONS_EVICTED, 1);
		exchange_note_refusal(0, "tls_handshakes_full");
		exchange_lose(TAILQ_FIRST(&set->shaking));
	}
}

void handshake_begin_some(struct connection_set *set)
{
	struct connection *connection;

	for (int i = 0; i < HANDSHAKES_A_ROUND && (connection = TAILQ_FIRST(&set->knocking)); i++) {
		make_room(set);
		connection_enter(connection, CONNECTION_SHAKING);
		if (!stream_shake(connection->stream)) {
			exchange_lose(connection);
		}
	}
	if (!TAILQ_EMPTY(&set->knocking)) {
		loop_task_post(set->chores);
	}
}
