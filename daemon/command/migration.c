/* Look at what the database has, decide which files run, run them in one transaction. */
#include "command/migration.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "pg/blocking.h"
#include "sql.h"

/* What has run; a name, a hash and a version are of our own making. */
#define REMEMBER                                                                                   \
	"insert into torque_internal.migration (name, sha256, version)\n"                          \
	"values ('%s', pg_catalog.decode('%s', 'hex'), '%s')\n"                                    \
	"on conflict (name) do update\n"                                                           \
	"set sha256 = excluded.sha256, applied_at = excluded.applied_at,\n"                        \
	"    version = excluded.version;\n"

enum { REMEMBER_MAX = 1024 };

/* Another migration, and each table, is waited for so long. The key of the advisory lock is
 * "orderd" in ASCII. */
static const char begin[] = "begin;\n"
			    "set local lock_timeout = '5s';\n"
			    "set local client_min_messages = warning;\n"
			    "select pg_catalog.pg_advisory_xact_lock(122537101324900);\n";
static const char become_owner[] = "set local role torque_owner;\n";
/* What is wrong with the oldest file is what is told. */
static const char history[] =
	"select name, pg_catalog.encode(sha256, 'hex') from torque_internal.migration "
	"order by name desc";
static const char adoption[] =
	"insert into torque_internal.shop (base_url, business_id) values ($1, nullif($2, ''))"
	" on conflict (only_row) do update"
	" set base_url = excluded.base_url, business_id = excluded.business_id";
static const char forget[] = "delete from torque_internal.migration where name = $1";

/* Is there a schema, and may we be its owner? Asked of the catalogue, which everybody may read. */
static const char standing[] =
	"select exists (select from pg_catalog.pg_class c"
	" join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
	" where n.nspname = 'torque_internal' and c.relname = 'migration'),"
	" coalesce((select pg_catalog.pg_has_role(current_user, r.oid, 'member')"
	" from pg_catalog.pg_roles r where r.rolname = 'torque_owner'), false)";
static const char said[] =
	"select coalesce(s.version, 0), coalesce(s.sources, '') from torque.schema_state() s";

static void cleanup_session(struct blocking **session)
{
	blocking_free(*session);
}

static bool is_numbered(const char *name)
{
	return isdigit((unsigned char)name[0]) != 0;
}

static void state_init(struct migration_state *state)
{
	*state = (struct migration_state){ .version_here = SQL_VERSION };
	for (const struct sql_file *file = sql_files; file->name; file++) {
		assert(state->files_count < MIGRATION_FILES_MAX);
		state->files[state->files_count++] = (struct migration_file){
			.name = file->name,
			.action = is_numbered(file->name) ? MIGRATION_RUN : MIGRATION_REPLACE,
			.differs = true,
		};
	}
}

static enum migration_end fail(
	struct migration_state *state, enum migration_end end, const char *sentence)
{
	problem_say(&state->problem, "%s", sentence);
	return end;
}

/* file may be NULL. */
static enum migration_end sql_failed(
	struct migration_state *state, const struct blocking *session, const char *file)
{
	const char *sqlstate = blocking_sqlstate(session);
	const char *problem = blocking_problem(session);

	if (file && blocking_line(session) > 0) {
		problem_say(&state->problem, "%s:%zu: %s (%s)", file, blocking_line(session),
			problem, sqlstate);
	} else {
		problem_say(&state->problem, "%s%s%s%s%s%s", file ? file : "", file ? ": " : "",
			problem, sqlstate[0] ? " (" : "", sqlstate, sqlstate[0] ? ")" : "");
	}
	if (sqlstate[0] == '\0' || strncmp(sqlstate, "57P", 3) == 0) {
		return MIGRATION_UNREACHABLE;
	}
	if (strcmp(sqlstate, "42501") == 0) {
		return MIGRATION_FORBIDDEN;
	}
	return strcmp(sqlstate, "55P03") == 0 ? MIGRATION_BUSY : MIGRATION_FAILED;
}

static enum migration_end connect_to(const struct migration_options *options,
	struct migration_state *state, struct blocking **ret_session)
{
	state_init(state);
	*ret_session = blocking_new(options->conninfo, options->as_invoker, &state->problem);
	if (!*ret_session) {
		return MIGRATION_UNREACHABLE;
	}
	return blocking_check(*ret_session, options->allow_unsafe_fsync, 0, &state->problem)
		       ? MIGRATION_FINE
		       : MIGRATION_REFUSED;
}

/* Looking. */

static struct migration_file *file_named(struct migration_state *state, const char *name)
{
	for (size_t i = 0; i < state->files_count; i++) {
		if (strcmp(state->files[i].name, name) == 0) {
			return &state->files[i];
		}
	}
	return NULL;
}

static enum migration_end refuse(
	struct migration_state *state, const char *name, const char *sentence)
{
	problem_say(&state->problem, "%s: %s", name, sentence);
	return MIGRATION_REFUSED;
}

/* One row of the history. */
static enum migration_end judge_row(
	struct migration_state *state, const char *name, const char *sha256)
{
	struct migration_file *file = file_named(state, name);
	int number = (int)strtol(name, NULL, 10);

	if (is_numbered(name) && number > state->version_there) {
		state->version_there = number;
	}
	if (!file && is_numbered(name)) {
		return refuse(state, name,
			"the database has it and this orderd does not know it: install a newer "
			"one");
	}
	if (!file) {
		state->functions_differ = true; /* of an older program; it goes with the next run */
		return MIGRATION_FINE;
	}
	file->differs = strcmp(sha256, sql_files[file - state->files].sha256) != 0;
	if (!is_numbered(name)) {
		return MIGRATION_FINE;
	}
	file->action = MIGRATION_NOTHING;
	return !file->differs ? MIGRATION_FINE
			      : refuse(state, name,
					"the database ran another file of that name, of a version "
					"that was never released: "
					"give orderd a new one, or drop schemas torque and "
					"torque_internal first");
}

static enum migration_end read_history(struct migration_state *state, struct blocking *session)
{
	enum migration_end end = MIGRATION_FINE;

	if (!blocking_ask(session, history, NULL, 0)) {
		return sql_failed(state, session, NULL);
	}
	state->installed = true;
	state->files_known = true;
	for (size_t row = 0; row < blocking_rows(session); row++) {
		enum migration_end found = judge_row(
			state, blocking_cell(session, row, 0), blocking_cell(session, row, 1));

		end = found != MIGRATION_FINE ? found : end;
	}
	for (size_t i = 0; i < state->files_count; i++) {
		const struct migration_file *file = &state->files[i];

		if (!is_numbered(file->name) && file->differs) {
			state->functions_differ = true;
		}
	}
	return end;
}

/* What everybody may know who may use the schema. */
static enum migration_end read_version(struct migration_state *state, struct blocking *session)
{
	if (!blocking_ask(session, said, NULL, 0)) {
		return sql_failed(state, session, NULL);
	}
	if (blocking_rows(session) != 1) {
		return fail(state, MIGRATION_FAILED, "torque.schema_state() has no answer");
	}
	state->installed = true;
	state->version_there = (int)strtol(blocking_cell(session, 0, 0), NULL, 10);
	state->functions_differ = strcmp(blocking_cell(session, 0, 1), sql_sources) != 0;
	if (state->version_there > state->version_here) {
		return fail(state, MIGRATION_REFUSED,
			"the database is newer than this orderd: install a newer one");
	}
	return MIGRATION_FINE;
}

static enum migration_end look(struct migration_state *state, struct blocking *session)
{
	if (!blocking_ask(session, standing, NULL, 0)) {
		return sql_failed(state, session, NULL);
	}
	bool installed = strcmp(blocking_cell(session, 0, 0), "t") == 0;
	bool owner = strcmp(blocking_cell(session, 0, 1), "t") == 0;

	state->functions_differ = !installed;
	if (!installed) {
		state->files_known = true;
		return MIGRATION_FINE;
	}
	if (!owner) {
		return read_version(state, session);
	}
	if (!blocking_run(session, "set role torque_owner")) {
		return sql_failed(state, session, NULL);
	}
	return read_history(state, session);
}

enum migration_end migration_look(
	const struct migration_options *options, struct migration_state *ret_state)
{
	CLEANUP(cleanup_session) struct blocking *session = NULL;
	enum migration_end end = connect_to(options, ret_state, &session);

	return end == MIGRATION_FINE ? look(ret_state, session) : end;
}

bool migration_is_complete(const struct migration_state *state)
{
	return state->installed && state->version_there == state->version_here &&
	       !state->functions_differ;
}

/* Running. */

static enum migration_end run_sql(
	struct migration_state *state, struct blocking *session, const char *sql, const char *file)
{
	return blocking_run(session, sql) ? MIGRATION_FINE : sql_failed(state, session, file);
}

static enum migration_end remember_file(
	struct migration_state *state, struct blocking *session, const struct sql_file *file)
{
	char sql[REMEMBER_MAX];

	snprintf(sql, sizeof(sql), REMEMBER, file->name, file->sha256, ORDERD_VERSION);
	return run_sql(state, session, sql, NULL);
}

/* The first file has run by now, before anybody could be torque_owner. */
static enum migration_end run_files(struct migration_state *state, struct blocking *session)
{
	enum migration_end end = MIGRATION_FINE;

	for (size_t i = 1; i < state->files_count && end == MIGRATION_FINE; i++) {
		if (state->files[i].action != MIGRATION_NOTHING) {
			end = run_sql(state, session, sql_files[i].text, sql_files[i].name);
		}
	}
	for (size_t i = 0; i < state->files_count && end == MIGRATION_FINE; i++) {
		if (state->files[i].action != MIGRATION_NOTHING) {
			end = remember_file(state, session, &sql_files[i]);
		}
	}
	return end;
}

/* Files of an older program that this one has no more. */
static enum migration_end forget_files(struct migration_state *state, struct blocking *session)
{
	char *names[MIGRATION_FILES_MAX];
	size_t count = 0;
	enum migration_end end = MIGRATION_FINE;

	if (!blocking_ask(session, history, NULL, 0)) {
		return sql_failed(state, session, NULL);
	}
	for (size_t row = 0; row < blocking_rows(session) && count < MIGRATION_FILES_MAX; row++) {
		if (!file_named(state, blocking_cell(session, row, 0))) {
			names[count++] = memory_copy(blocking_cell(session, row, 0));
		}
	}
	for (size_t i = 0; i < count; i++) {
		const char *values[] = { names[i] };

		if (end == MIGRATION_FINE && !blocking_ask(session, forget, values, 1)) {
			end = sql_failed(state, session, NULL);
		}
		free(names[i]);
	}
	return end;
}

static enum migration_end adopt(const struct migration_options *options,
	struct migration_state *state, struct blocking *session)
{
	const char *values[] = { options->adopt_base_url, options->adopt_business_id };

	if (!options->adopt_base_url || blocking_ask(session, adoption, values, 2)) {
		return MIGRATION_FINE;
	}
	return sql_failed(state, session, NULL);
}

static enum migration_end run(const struct migration_options *options,
	struct migration_state *state, struct blocking *session)
{
	enum migration_end end = run_sql(state, session, begin, NULL);

	if (end == MIGRATION_BUSY) {
		return fail(state, end, "another migration is running");
	}
	if (end == MIGRATION_FINE) {
		end = run_sql(state, session, sql_files[0].text, sql_files[0].name);
	}
	if (end == MIGRATION_FINE) {
		end = run_sql(state, session, become_owner, NULL);
	}
	if (end == MIGRATION_FINE) {
		end = look(state, session);
	}
	if (end == MIGRATION_FINE) {
		end = run_files(state, session);
	}
	if (end == MIGRATION_FINE) {
		end = forget_files(state, session);
	}
	if (end == MIGRATION_FINE) {
		end = adopt(options, state, session);
	}
	return end == MIGRATION_FINE ? run_sql(state, session, "commit", NULL) : end;
}

/* An end without a commit is a rollback. */
enum migration_end migration_run(
	const struct migration_options *options, struct migration_state *ret_state)
{
	CLEANUP(cleanup_session) struct blocking *session = NULL;
	enum migration_end end = connect_to(options, ret_state, &session);

	return end == MIGRATION_FINE ? run(options, ret_state, session) : end;
}

/* Printing. */

static void print_file(const struct sql_file *file, FILE *out)
{
	fprintf(out, "\n-- %s\n%s", file->name, file->text);
}

void migration_print(const struct migration_state *state, FILE *out)
{
	fputs(begin, out);
	print_file(&sql_files[0], out);
	fprintf(out, "\n%s", become_owner);
	for (size_t i = 1; i < state->files_count; i++) {
		if (state->files[i].action != MIGRATION_NOTHING) {
			print_file(&sql_files[i], out);
		}
	}
	for (size_t i = 0; i < state->files_count; i++) {
		if (state->files[i].action != MIGRATION_NOTHING) {
			fprintf(out, "\n" REMEMBER, sql_files[i].name, sql_files[i].sha256,
				ORDERD_VERSION);
		}
	}
	fputs("\ncommit;\n", out);
}
