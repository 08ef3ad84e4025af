/* Questions to the catalogue and to what migrations have noted. */
#include "command/survey.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sql.h"

/* What is wrong with the oldest file is what is told. */
static const char history[] =
	"select name, pg_catalog.encode(sha256, 'hex') from torque_internal.migration "
	"order by name desc";
/* Is there a schema, may we be its owner, and is it the owner? Asked of the catalogue, which
 * everybody may read. $1: the tables; $2: the objects of the named files. */
static const char standing[] =
	"with ours as (select r.oid from pg_roles r where r.rolname = 'torque_owner'),"
	" strange as ("
	" select 'schema ' || n.nspname as name, n.nspowner as owner from pg_namespace n"
	" where n.nspname in ('torque', 'torque_internal')"
	" union all select c.oid::regclass::text, c.relowner from pg_class c"
	" join pg_namespace n on n.oid = c.relnamespace"
	" where n.nspname in ('torque', 'torque_internal') and c.relkind in ('r', 'v', 'c')"
	" and (c.oid::regclass::text = any ($1::text[]) or c.oid::regclass::text in ("
	" select o.name from jsonb_to_recordset($2::jsonb) as o(kind text, name text)))"
	" union all select p.oid::regprocedure::text, p.proowner from pg_proc p"
	" join pg_namespace n on n.oid = p.pronamespace"
	" where n.nspname in ('torque', 'torque_internal') and p.oid::regprocedure::text in ("
	" select o.name from jsonb_to_recordset($2::jsonb) as o(kind text, name text)))"
	" select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace"
	" where n.nspname = 'torque_internal' and c.relname = 'migration'),"
	" coalesce((select pg_has_role(current_user, o.oid, 'member') from ours o), false),"
	" (select string_agg(w, ', ') from unnest(array['torque_owner', 'orderd', 'torque_reader',"
	" 'torque_analyst', 'torque_operator']) as w"
	" where not exists (select from pg_roles r where r.rolname = w)),"
	" (select format('%s of the objects belong to %s and not to torque_owner, as %s',"
	" count(*), string_agg(distinct s.owner::regrole::text, ', '), min(s.name))"
	" from strange s where s.owner is distinct from (select o.oid from ours o)"
	" having count(*) > 0)";
static const char said[] =
	"select coalesce(s.version, 0), coalesce(s.sources, '') from torque.schema_state() s";

/* What compares is there itself, whatever else is. */
static const char can_compare[] =
	"select to_regprocedure('torque_internal.definition(text,text)') is not null"
	" and to_regprocedure('torque_internal.leftovers(jsonb)') is not null"
	" and to_regprocedure('torque_internal.grants()') is not null";
static const char compared[] =
	"select case when d.d is null then 'run' when m.sha256 is distinct from"
	" decode(o.sha256, 'hex') or m.definition is distinct from d.d then 'replace' end"
	" from rows from (jsonb_to_recordset($1::jsonb) as (kind text, name text, sha256 text))"
	" with ordinality as o(kind, name, sha256, n)"
	" left join torque_internal.made m on m.kind = o.kind and m.name = o.name"
	" cross join lateral (select torque_internal.definition(o.kind, o.name)) as d(d)"
	" order by o.n";
static const char others[] = "select coalesce(string_agg(l.kind || ' ' || l.name || e'\\n', '' "
			     "order by l.kind, l.name), '')"
			     " from torque_internal.leftovers($1::jsonb) as l";
static const char grants[] = "select exists (select g.statement from torque_internal.granted g"
			     " except select g.statement from torque_internal.grants() as g)";

void survey_init(struct survey *state)
{
	static_assert((int)SQL_OBJECTS_COUNT <= (int)SURVEY_OBJECTS_MAX, "the objects do not fit");
	*state = (struct survey){ .version_here = SQL_VERSION };
	for (const struct sql_file *file = sql_files; file->name; file++) {
		assert(state->files_count < SURVEY_FILES_MAX);
		state->files[state->files_count++] = (struct survey_file){
			.name = file->name,
			.action = SURVEY_RUN,
		};
	}
	for (size_t i = 0; i < SQL_OBJECTS_COUNT; i++) {
		state->objects[i] = SURVEY_RUN;
	}
}

static bool is_numbered(const char *name)
{
	return isdigit((unsigned char)name[0]) != 0;
}

static enum migration_end fail(struct survey *state, enum migration_end end, const char *sentence)
{
	problem_say(&state->problem, "%s", sentence);
	return end;
}

/* label: what was run; may be NULL. */
enum migration_end survey_failed(
	struct survey *state, const struct blocking *session, const char *label)
{
	const char *sqlstate = blocking_sqlstate(session);
	const char *problem = blocking_problem(session);

	if (label && blocking_line(session) > 0) {
		problem_say(&state->problem, "%s:%zu: %s (%s)", label, blocking_line(session),
			problem, sqlstate);
	} else {
		problem_say(&state->problem, "%s%s%s%s%s%s", label ? label : "", label ? ": " : "",
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

static struct survey_file *file_named(struct survey *state, const char *name)
{
	for (size_t i = 0; i < state->files_count; i++) {
		if (strcmp(state->files[i].name, name) == 0) {
			return &state->files[i];
		}
	}
	return NULL;
}

static enum migration_end refuse(struct survey *state, const char *name, const char *sentence)
{
	problem_say(&state->problem, "%s: %s", name, sentence);
	return MIGRATION_REFUSED;
}

/* One row of the history. */
static enum migration_end judge_row(struct survey *state, const char *name, const char *sha256)
{
	struct survey_file *file = file_named(state, name);
	int number = (int)strtol(name, NULL, 10);
	bool same = file && strcmp(sha256, sql_files[file - state->files].sha256) == 0;

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
	file->action = same || is_numbered(name) ? SURVEY_NOTHING : SURVEY_REPLACE;
	return same || !is_numbered(name)
		       ? MIGRATION_FINE
		       : refuse(state, name,
				 "the database ran another file of that name, of a version "
				 "that was never released: "
				 "give orderd a new one, or drop schemas torque and "
				 "torque_internal first");
}

static enum migration_end read_files(struct survey *state, struct blocking *session)
{
	enum migration_end end = MIGRATION_FINE;

	if (!blocking_ask(session, history, NULL, 0)) {
		return survey_failed(state, session, NULL);
	}
	state->installed = true;
	state->files_known = true;
	for (size_t row = 0; row < blocking_rows(session); row++) {
		enum migration_end found = judge_row(
			state, blocking_cell(session, row, 0), blocking_cell(session, row, 1));

		end = found != MIGRATION_FINE ? found : end;
	}
	for (size_t i = 0; i < state->files_count; i++) {
		if (state->files[i].action != SURVEY_NOTHING) {
			state->functions_differ = true;
		}
	}
	return end;
}

static bool says_true(const struct blocking *session, size_t column)
{
	return text_equal(text_of(blocking_cell(session, 0, column)), TEXT("t"));
}

static void judge_objects(struct survey *state, const struct blocking *session)
{
	size_t row = 0;

	for (size_t i = 0; i < SQL_OBJECTS_COUNT; i++) {
		state->objects[i] = SURVEY_NOTHING;
		if (strcmp(sql_objects[i].kind, "do") == 0) {
			continue;
		}
		const char *differs = blocking_cell(session, row++, 0);

		if (differs) {
			state->objects[i] =
				strcmp(differs, "run") == 0 ? SURVEY_RUN : SURVEY_REPLACE;
			state->functions_differ = true;
		}
	}
}

static enum migration_end read_objects(struct survey *state, struct blocking *session)
{
	const char *values[] = { sql_objects_json };

	state->grants_missing = true;
	if (!blocking_ask(session, can_compare, NULL, 0)) {
		return survey_failed(state, session, NULL);
	}
	if (!says_true(session, 0)) {
		for (size_t i = 0; i < SQL_OBJECTS_COUNT; i++) {
			state->objects[i] = SURVEY_REPLACE;
		}
		state->functions_differ = true;
		return MIGRATION_FINE;
	}
	if (!blocking_ask(session, compared, values, 1)) {
		return survey_failed(state, session, NULL);
	}
	judge_objects(state, session);
	if (!blocking_ask(session, others, values, 1)) {
		return survey_failed(state, session, NULL);
	}
	snprintf(state->leftovers, sizeof(state->leftovers), "%s", blocking_cell(session, 0, 0));
	state->functions_differ = state->functions_differ || state->leftovers[0] != '\0';
	if (!blocking_ask(session, grants, NULL, 0)) {
		return survey_failed(state, session, NULL);
	}
	state->grants_missing = says_true(session, 0);
	return MIGRATION_FINE;
}

/* What everybody may know who may use the schema. */
static enum migration_end read_version(struct survey *state, struct blocking *session)
{
	if (!blocking_ask(session, said, NULL, 0)) {
		return survey_failed(state, session, NULL);
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

static void judge_standing(struct survey *state, const struct blocking *session)
{
	const char *missing = blocking_cell(session, 0, 2), *strange = blocking_cell(session, 0, 3);

	if (missing || strange) {
		problem_say(&state->standing, "%s%s%s%s", missing ? "there is no role " : "",
			missing ? missing : "", missing && strange ? "; " : "",
			strange ? strange : "");
	}
}

enum migration_end survey_take(struct survey *state, struct blocking *session)
{
	const char *values[] = { sql_tables, sql_objects_json };
	enum migration_end end;

	if (!blocking_ask(session, standing, values, 2)) {
		return survey_failed(state, session, NULL);
	}
	bool installed = says_true(session, 0), owner = says_true(session, 1);

	state->functions_differ = !installed;
	if (!installed) {
		state->files_known = true;
		return MIGRATION_FINE;
	}
	judge_standing(state, session);
	if (!owner || state->standing.text[0] != '\0') {
		return read_version(state, session);
	}
	if (!blocking_run(session, "set role torque_owner")) {
		return survey_failed(state, session, NULL);
	}
	end = read_files(state, session);
	return end == MIGRATION_FINE ? read_objects(state, session) : end;
}
