/* migration.h - bring a database's schema to what this program needs.
 *
 * The SQL files are part of the program (sql/meson.build). roles.sql runs first, as the user who
 * connects; all others as torque_owner. Numbered ones run once. The others make functions, types,
 * triggers and views, of which those that differ are replaced, and those that no file makes any
 * more dropped; what was granted stays.
 *
 * Facts are taken meanwhile. All is one transaction but for views that are there already and are to
 * be others: each has its own, as readers of it are waited for. No lock is waited for longer than
 * facts can wait; what cannot be had is tried again for a while, and then told. One migration at a
 * time. Blocking.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "command/survey.h"

struct migration_options {
	const char *conninfo;
	bool as_invoker; /* user and password of conninfo are left out */
	/* The API and the business ("": not known) whose database it is from then on; NULL: it
	 * stays whose it is. */
	const char *adopt_base_url;
	const char *adopt_business_id; /* valid with the other */
	bool allow_unsafe_fsync;
};

/* Change nothing. MIGRATION_FINE and MIGRATION_REFUSED fill in all of *ret_state. */
enum migration_end migration_look(
	const struct migration_options *options, struct survey *ret_state);

/* Nothing to do: installed, all objects are this program's, and so are roles, owners and grants. */
bool migration_is_complete(const struct survey *state);

/* Do it. *ret_state says what was to be done. With MIGRATION_BUSY the views that the problem names
 * may be all that is left, with other ends but MIGRATION_FINE nothing was done. */
enum migration_end migration_run(const struct migration_options *options, struct survey *ret_state);

/* The SQL that migration_run() would run in that state, for psql. */
void migration_print(const struct survey *state, FILE *out);
