/* survey.h - what a database has of what this program needs: files, objects, roles, owners, grants.
 *
 * Reads alone. Blocking.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"
#include "pg/blocking.h"

enum {
	SURVEY_FILES_MAX = 64,
	SURVEY_OBJECTS_MAX = 512,
	SURVEY_LEFTOVERS_MAX = 4096, /* bytes */
};

enum migration_end {
	MIGRATION_FINE,
	MIGRATION_UNREACHABLE,
	MIGRATION_FORBIDDEN, /* the user who connects may not */
	MIGRATION_BUSY,      /* another migration, or a lock that was not to be had: try again */
	MIGRATION_REFUSED,   /* the database has what this program does not know */
	MIGRATION_FAILED,    /* a file did not run */
};

enum survey_action {
	SURVEY_NOTHING, /* it is there as it should be */
	SURVEY_RUN,     /* it is not there */
	SURVEY_REPLACE, /* another one is there */
};

struct survey_file {
	const char *name; /* static */
	enum survey_action action;
};

struct survey {
	bool installed;
	bool files_known; /* whoever connects may not read them all: then what follows "known" below
			     is not valid */
	int version_here; /* what this program needs */
	int version_there;
	bool functions_differ;   /* the database has those of another program */
	struct problem standing; /* which roles are missing, whose the objects are; "": all is so */
	/* known */
	size_t files_count;
	struct survey_file files[SURVEY_FILES_MAX];     /* in the order in which they run */
	enum survey_action objects[SURVEY_OBJECTS_MAX]; /* of sql_objects */
	char leftovers[SURVEY_LEFTOVERS_MAX];           /* of other programs, "KIND NAME" lines */
	bool grants_missing;
	struct problem problem; /* "" with MIGRATION_FINE */
};

/* Nothing is known yet: all is to be run. */
void survey_init(struct survey *survey);

/* Look, in a session whose search_path is pg_catalog; as torque_owner from then on, where that may
 * be. MIGRATION_FINE and MIGRATION_REFUSED fill in all of it. */
enum migration_end survey_take(struct survey *survey, struct blocking *session);

/* What the session's last failure means; label: what was run, or NULL. */
enum migration_end survey_failed(
	struct survey *survey, const struct blocking *session, const char *label);
