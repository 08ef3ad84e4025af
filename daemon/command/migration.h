/* migration.h - bring a database's schema to what this program needs.
 *
 * The SQL files are part of the program (sql/meson.build). Numbered ones run once; the others hold
 * functions, views and grants and are replaced whole each time. All in one transaction, one
 * migration at a time, as torque_owner; roles.sql runs first and as the user who connects.
 * Blocking.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/problem.h"

enum { MIGRATION_FILES_MAX = 64 };

struct migration_options {
	const char *conninfo;
	bool as_invoker; /* user and password of conninfo are left out */
	/* The API and the business ("": not known) whose database it is from then on; NULL: it
	 * stays whose it is. */
	const char *adopt_base_url;
	const char *adopt_business_id; /* valid with the other */
	bool allow_unsafe_fsync;
};

enum migration_end {
	MIGRATION_FINE,
	MIGRATION_UNREACHABLE,
	MIGRATION_FORBIDDEN, /* the user who connects may not */
	MIGRATION_BUSY,      /* another migration, or a lock that was not to be had: try again */
	MIGRATION_REFUSED,   /* the database has what this program does not know */
	MIGRATION_FAILED,    /* a file did not run */
};

enum migration_action {
	MIGRATION_NOTHING, /* numbered, and has run */
	MIGRATION_RUN,
	MIGRATION_REPLACE,
};

struct migration_file {
	const char *name; /* static */
	enum migration_action action;
	bool differs; /* the database has another one of that name, or none */
};

struct migration_state {
	bool installed;
	bool files_known; /* whoever connects may not read them all: then files is not valid */
	int version_here; /* what this program needs */
	int version_there;
	bool functions_differ; /* the database has those of another program */
	size_t files_count;
	struct migration_file files[MIGRATION_FILES_MAX]; /* in the order in which they run */
	struct problem problem;                           /* "" with MIGRATION_FINE */
};

/* Change nothing. MIGRATION_FINE and MIGRATION_REFUSED fill in all of *ret_state. */
enum migration_end migration_look(
	const struct migration_options *options, struct migration_state *ret_state);

/* Nothing to do: installed, and all files are this program's. */
bool migration_is_complete(const struct migration_state *state);

/* Do it. *ret_state says what was done; after anything but MIGRATION_FINE that is nothing. */
enum migration_end migration_run(
	const struct migration_options *options, struct migration_state *ret_state);

/* The SQL that migration_run() would run in that state, for psql. */
void migration_print(const struct migration_state *state, FILE *out);
