/* reconcile.h - the table is right even when no webhook comes: plan, ask, judge, commit, again.
 *
 * What to ask next, and what an answer means, is decided in SQL (torque.reconcile_next and its
 * companions), where the state of every walk lives: a poller that dies at any page is resumed by
 * the next one. Here is only the road between PostgreSQL and the API, one call at a time.
 *
 * An answer is kept until the database has it: a lost connection never makes the next call come
 * earlier than the API said.
 */
#pragma once

#include "flow/schedule.h"
#include "flow/torque.h"
#include "pg/store.h"

struct reconcile; /* heap */

struct reconcile_options {
	struct store_options store; /* of a connection of its own; its setup is schedule_setup() */
	struct schedule schedule;
	const char *base_url;    /* whose orders are polled: they are no other shop's database */
	const char *business_id; /* "": not known */
};

/* The call that answers with a sentence unless the database is that shop's; claims: it is from then
 * on, where it was nobody's. Its strings are those of options. */
struct store_call reconcile_shop(const struct reconcile_options *options, bool claims);

/* Takes torque; the strings of options are borrowed until reconcile_change() or reconcile_free().
 * Starts at once and keeps trying. */
struct reconcile *reconcile_new(
	struct loop *loop, const struct reconcile_options *options, struct torque *torque);

/* The running call is abandoned; its place in the budget stays taken for as long as the API may
 * count it. */
void reconcile_free(struct reconcile *reconcile);

/* Takes torque, for every call but the one that is running; options as in reconcile_new(), for the
 * same database. Another schedule is that of a new connection. Where the key or the API is another
 * one, it is asked at once although it has refused us. */
void reconcile_change(struct reconcile *reconcile, const struct reconcile_options *options,
	struct torque *torque);

/* Finish the call that is running, begin none; drained runs once, from the loop. */
void reconcile_drain(struct reconcile *reconcile, loop_fired *drained, void *owner);

bool reconcile_connected(const struct reconcile *reconcile);
bool reconcile_standby(const struct reconcile *reconcile); /* another process polls */
/* "" or why the newest orders have not been seen for longer than the manual allows. */
const char *reconcile_blind(const struct reconcile *reconcile);
/* "" or why there is no polling now: the database, the API's refusal, the last call's failure. */
const char *reconcile_problem(const struct reconcile *reconcile);
