/* handshake.h - whose TLS handshake is begun, and when.
 *
 * A handshake costs some 45 KiB and a millisecond before anybody is known, so those in flight have
 * a bound, beyond which the one begun longest ago makes room, and few are begun in one round of the
 * loop. The newest peer comes first: where more knock than can be served, those who have waited
 * long are served last, or nobody would be in time.
 */
#pragma once

#include "http/connection.h"

/* Its peer has said something: it waits for its turn. */
void handshake_ask(struct connection *connection);

/* For set->chores, once in a round. */
void handshake_begin_some(struct connection_set *set);
