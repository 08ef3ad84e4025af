/* Look at what the database has, decide what runs, run it. */
#include "command/migration.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/die.h"
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
/* What is there under that name may not be replaceable by it, as its result is another. */
#define REPLACE                                                                                    \
	"do $orderd$\nbegin\n    execute $text$\n%s$text$;\n"                                      \
	"exception\n    when invalid_function_definition or invalid_table_definition then\n"       \
	"        perform torque_internal.drop_object('%s', '%s');\n"                               \
	"        execute $text$\n%s$text$;\nend\n$orderd$;\n"
/* torque_internal.drop_types() has dropped it if it is another one. */
#define MAKE_TYPE                                                                                  \
	"do $orderd$\nbegin\n    if pg_catalog.to_regclass('%s') is null then\n"                   \
	"        execute $text$\n%s$text$;\n    end if;\nend\n$orderd$;\n"
#define OBJECTS "pg_catalog.current_setting('orderd.objects')::jsonb"

enum {
	LOCK_TRIES = 20,
	LOCK_PAUSE_MS = 500, /* in which facts are taken that waited behind us */
};

/* Another migration is waited for longer than a table. The key of the advisory lock is "orderd" in
 * ASCII. */
static const char begin[] = "begin;\n"
			    "set local lock_timeout = '5s';\n"
			    "set local client_min_messages = warning;\n"
			    "set local search_path = pg_catalog, pg_temp;\n"
			    "select pg_catalog.pg_advisory_xact_lock(122537101324900);\n"
			    "set local lock_timeout = '250ms';\n";
static const char become_owner[] = "set local role torque_owner;\n"
				   "set local check_function_bodies = off;\n";
static const char note_grants[] =
	"select pg_catalog.set_config('orderd.grants', coalesce((select"
	" pg_catalog.jsonb_agg(g.statement) from torque_internal.grants() as g)::text, '[]'),"
	" true);\n";
static const char keep_grants[] =
	"select torque_internal.keep_grants(array(select pg_catalog.jsonb_array_elements_text("
	"pg_catalog.current_setting('orderd.grants')::jsonb)));\n";
static const char drop_types[] = "select torque_internal.drop_types(" OBJECTS ");\n";
static const char drop_leftovers[] = "select torque_internal.drop_leftovers(" OBJECTS ", true);\n";
static const char drop_the_rest[] = "select torque_internal.drop_leftovers(" OBJECTS ", false);\n";
static const char note_made[] = "select torque_internal.note_made(" OBJECTS ");\n";
static const char commit[] = "commit;\n";

static const char adoption[] =
	"insert into torque_internal.shop (base_url, business_id) values ($1, nullif($2, ''))"
	" on conflict (only_row) do update"
	" set base_url = excluded.base_url, business_id = excluded.business_id";

/* Who has what we waited for; $1: a view, or empty. */
static const char holder[] =
	"select format('session %s of %s holds %s', l.pid, a.usename, c.oid::regclass), l.pid"
	" from pg_locks l join pg_stat_activity a on a.pid = l.pid"
	" join pg_class c on c.oid = l.relation"
	" join pg_namespace n on n.oid = c.relnamespace"
	" where l.granted and l.locktype = 'relation' and l.pid <> pg_backend_pid()"
	" and n.nspname in ('torque', 'torque_internal')"
	" and l.database = (select d.oid from pg_database d where d.datname = current_database())"
	" and ($1 = '' or c.oid::regclass::text = $1)"
	" order by a.xact_start limit 1";

static void cleanup_session(struct blocking **session)
{
	blocking_free(*session);
}

static void cleanup_text(char **text)
{
	free(*text);
}

static enum migration_end fail(struct survey *state, enum migration_end end, const char *sentence)
{
	problem_say(&state->problem, "%s", sentence);
	return end;
}

static enum migration_end connect_to(const struct migration_options *options, struct survey *state,
	struct blocking **ret_session)
{
	survey_init(state);
	*ret_session = blocking_new(options->conninfo, options->as_invoker, &state->problem);
	if (!*ret_session) {
		return MIGRATION_UNREACHABLE;
	}
	if (!blocking_check(*ret_session, options->allow_unsafe_fsync, 0, &state->problem)) {
		return MIGRATION_REFUSED;
	}
	return blocking_run(*ret_session, "set search_path = pg_catalog, pg_temp")
		       ? MIGRATION_FINE
		       : survey_failed(state, *ret_session, NULL);
}

/* Looking. */

enum migration_end migration_look(const struct migration_options *options, struct survey *ret_state)
{
	CLEANUP(cleanup_session) struct blocking *session = NULL;
	enum migration_end end = connect_to(options, ret_state, &session);

	return end == MIGRATION_FINE ? survey_take(ret_state, session) : end;
}

bool migration_is_complete(const struct survey *state)
{
	return state->installed && state->version_there == state->version_here &&
	       !state->functions_differ && state->standing.text[0] == '\0' &&
	       !(state->files_known && state->grants_missing);
}

/* Running, or printing what would be run: the same statements. */

struct run {
	struct survey *state;
	struct blocking *session; /* NULL: */
	FILE *out;                /* they are printed */
	bool alone;               /* no other migration is running */
};

static enum migration_end put(struct run *run, const char *sql, const char *label)
{
	if (!run->session) {
		fputs(sql, run->out);
		return MIGRATION_FINE;
	}
	return blocking_run(run->session, sql) ? MIGRATION_FINE
					       : survey_failed(run->state, run->session, label);
}

/* The statements up to a NULL, as far as they go. */
static enum migration_end put_all(struct run *run, const char *const *list)
{
	enum migration_end end = MIGRATION_FINE;

	for (; *list && end == MIGRATION_FINE; list++) {
		end = put(run, *list, NULL);
	}
	return end;
}

static enum migration_end put_formatted(struct run *run, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum migration_end put_formatted(struct run *run, const char *label, const char *format, ...)
{
	CLEANUP(cleanup_text) char *sql = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&sql, format, arguments) < 0) {
		die("no memory for a statement");
	}
	va_end(arguments);
	return put(run, sql, label);
}

static enum migration_end put_file(struct run *run, size_t index)
{
	const struct sql_file *file = &sql_files[index];

	if (!run->session) {
		fprintf(run->out, "\n-- %s\n", file->name);
	}
	return put(run, file->text, file->name);
}

static enum migration_end put_object(struct run *run, size_t index)
{
	const struct sql_object *object = &sql_objects[index];

	if (strcmp(object->kind, "type") == 0) {
		return put_formatted(run, object->name, MAKE_TYPE, object->name, object->text);
	}
	if (run->state->objects[index] != SURVEY_REPLACE) {
		return put_formatted(run, object->name, "%s\n", object->text);
	}
	return put_formatted(
		run, object->name, REPLACE, object->text, object->kind, object->name, object->text);
}

static bool is_view(size_t index)
{
	return strcmp(sql_objects[index].kind, "view") == 0;
}

/* Has a transaction of its own. */
static bool is_waited_for(const struct survey *state, size_t index)
{
	return is_view(index) && state->objects[index] == SURVEY_REPLACE;
}

static bool is_any_waited_for(const struct survey *state)
{
	for (size_t i = 0; i < SQL_OBJECTS_COUNT; i++) {
		if (is_waited_for(state, i)) {
			return true;
		}
	}
	return false;
}

/* All that makes something, when a type is to be another one: it takes others with it. */
static bool is_run(const struct survey *state, size_t index)
{
	bool all = strcmp(sql_objects[index].kind, "do") == 0;

	for (size_t i = 0; i < SQL_OBJECTS_COUNT && !all; i++) {
		all = strcmp(sql_objects[i].kind, "type") == 0 &&
		      state->objects[i] == SURVEY_REPLACE && !is_view(index) &&
		      (strcmp(sql_objects[index].kind, "type") != 0 || i == index);
	}
	return (all || state->objects[index] != SURVEY_NOTHING) && !is_waited_for(state, index);
}

static enum migration_end put_objects(struct run *run, bool first)
{
	enum migration_end end = MIGRATION_FINE;

	for (size_t i = 0; i < SQL_OBJECTS_COUNT && end == MIGRATION_FINE; i++) {
		if (sql_objects[i].is_first == first && (first || is_run(run->state, i))) {
			end = put_object(run, i);
		}
	}
	return end;
}

static enum migration_end put_kind(struct run *run, enum sql_kind kind)
{
	enum migration_end end = MIGRATION_FINE;

	for (size_t i = 0; i < run->state->files_count && end == MIGRATION_FINE; i++) {
		if (sql_files[i].kind == kind &&
			(kind != SQL_NUMBERED || run->state->files[i].action != SURVEY_NOTHING)) {
			end = put_file(run, i);
		}
	}
	return end;
}

static enum migration_end put_list(struct run *run)
{
	return put_formatted(run, NULL,
		"select pg_catalog.set_config('orderd.objects', '%s', true),\n"
		"    pg_catalog.set_config('orderd.tables', '%s', true);\n",
		sql_objects_json, sql_tables);
}

static enum migration_end remember_files(struct run *run, bool numbered_alone)
{
	enum migration_end end = MIGRATION_FINE;

	for (size_t i = 0; i < run->state->files_count && end == MIGRATION_FINE; i++) {
		if (run->state->files[i].action != SURVEY_NOTHING &&
			(!numbered_alone || sql_files[i].kind == SQL_NUMBERED)) {
			end = put_formatted(run, NULL, REMEMBER, sql_files[i].name,
				sql_files[i].sha256, ORDERD_VERSION);
		}
	}
	return end;
}

static enum migration_end forget_files(struct run *run)
{
	CLEANUP(cleanup_text) char *names = memory_copy("");

	for (size_t i = 0; i < run->state->files_count; i++) {
		char *more;

		if (asprintf(&more, "%s%s'%s'", names, i > 0 ? ", " : "", sql_files[i].name) < 0) {
			die("no memory for a statement");
		}
		free(names);
		names = more;
	}
	return put_formatted(run, NULL,
		"delete from torque_internal.migration where name not in (%s);\n", names);
}

/* Nothing is written where nothing differs. */
static bool is_needed(const struct survey *state)
{
	return !state->installed || state->functions_differ || state->grants_missing;
}

static enum migration_end put_named(struct run *run)
{
	static const char *const before[] = { note_grants, drop_types, NULL };
	enum migration_end end = put_objects(run, true);

	/* Where it could not be compared till then, it is now. */
	if (end == MIGRATION_FINE && run->session) {
		end = survey_take(run->state, run->session);
	}
	if (end == MIGRATION_FINE) {
		end = put_all(run, before);
	}
	if (end == MIGRATION_FINE) {
		end = put_objects(run, false);
	}
	if (end == MIGRATION_FINE) {
		end = put(run, drop_leftovers, NULL);
	}
	if (end == MIGRATION_FINE) {
		end = put_kind(run, SQL_GRANTS);
	}
	if (end == MIGRATION_FINE) {
		end = put_all(run, (const char *const[]){ keep_grants, note_made, NULL });
	}
	return end;
}

static enum migration_end put_first(struct run *run)
{
	enum migration_end end = put_kind(run, SQL_NUMBERED);

	if (end == MIGRATION_FINE) {
		end = put_named(run);
	}
	if (end == MIGRATION_FINE) {
		end = forget_files(run);
	}
	if (end == MIGRATION_FINE) {
		end = remember_files(run, is_any_waited_for(run->state));
	}
	return end;
}

static enum migration_end put_begin(struct run *run)
{
	return put_all(run, (const char *const[]){ begin, become_owner, NULL });
}

/* A view that is there and is to be another one. */
static enum migration_end put_view(struct run *run, size_t index)
{
	enum migration_end end = put_begin(run);

	if (end == MIGRATION_FINE) {
		end = put_list(run);
	}
	if (end == MIGRATION_FINE) {
		end = put(run, note_grants, NULL);
	}
	if (end == MIGRATION_FINE) {
		end = put_object(run, index);
	}
	if (end == MIGRATION_FINE) {
		end = put_kind(run, SQL_GRANTS);
	}
	if (end == MIGRATION_FINE) {
		end = put(run, keep_grants, NULL);
	}
	if (end == MIGRATION_FINE) {
		end = put_formatted(run, NULL,
			"select torque_internal.note_made(" OBJECTS ", '%s');\n",
			sql_objects[index].name);
	}
	return end == MIGRATION_FINE ? put(run, commit, NULL) : end;
}

static enum migration_end put_rest(struct run *run)
{
	enum migration_end end = put_begin(run);

	if (end == MIGRATION_FINE) {
		end = put_list(run);
	}
	if (end == MIGRATION_FINE) {
		end = put_all(run, (const char *const[]){ drop_the_rest, note_made, NULL });
	}
	if (end == MIGRATION_FINE) {
		end = remember_files(run, false);
	}
	return end == MIGRATION_FINE ? put(run, commit, NULL) : end;
}

/* Running. */

static enum migration_end adopt(const struct migration_options *options, struct run *run)
{
	const char *values[] = { options->adopt_base_url, options->adopt_business_id };

	if (!options->adopt_base_url || blocking_ask(run->session, adoption, values, 2)) {
		return MIGRATION_FINE;
	}
	return survey_failed(run->state, run->session, NULL);
}

static enum migration_end run_first(const struct migration_options *options, struct run *run)
{
	enum migration_end end = put(run, begin, NULL);

	if (end == MIGRATION_BUSY) {
		return fail(run->state, end, "another migration is running");
	}
	run->alone = true;
	survey_init(run->state);
	if (end == MIGRATION_FINE) {
		end = put_list(run);
	}
	if (end == MIGRATION_FINE) {
		end = put_kind(run, SQL_ROLES);
	}
	if (end == MIGRATION_FINE) {
		end = put(run, become_owner, NULL);
	}
	if (end == MIGRATION_FINE) {
		end = survey_take(run->state, run->session);
	}
	if (end == MIGRATION_FINE && run->state->standing.text[0] != '\0') {
		return fail(run->state, MIGRATION_FORBIDDEN, run->state->standing.text);
	}
	if (end == MIGRATION_FINE && is_needed(run->state)) {
		end = put_first(run);
	}
	if (end == MIGRATION_FINE) {
		end = adopt(options, run);
	}
	return end == MIGRATION_FINE ? put(run, commit, NULL) : end;
}

static bool is_worth_another(struct run *run, unsigned tries)
{
	static const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };

	if (tries >= LOCK_TRIES || strcmp(blocking_sqlstate(run->session), "55P03") != 0 ||
		!blocking_run(run->session, "rollback; reset role")) {
		return false;
	}
	nanosleep(&pause, NULL);
	return true;
}

/* Who is in the way of what; view: "" or its name. */
static enum migration_end say_holder(struct run *run, const char *view)
{
	const char *values[] = { view };
	const char *who = NULL, *pid = NULL;

	if (blocking_run(run->session, "rollback; reset role") &&
		blocking_ask(run->session, holder, values, 1) && blocking_rows(run->session) > 0) {
		who = blocking_cell(run->session, 0, 0);
		pid = blocking_cell(run->session, 0, 1);
	}
	problem_say(&run->state->problem,
		"%s%s%s in an open transaction: let it end%s%s%s, and migrate again",
		view[0] ? "all but some views is done; " : "nothing is done; ",
		who ? who : "a session holds ", who ? "" : (view[0] ? view : "a table"),
		pid ? ", or end it by select pg_terminate_backend(" : "", pid ? pid : "",
		pid ? ")" : "");
	return MIGRATION_BUSY;
}

static enum migration_end run_patiently(struct run *run, size_t view)
{
	const char *name = view < SQL_OBJECTS_COUNT ? sql_objects[view].name : "";
	enum migration_end end;
	unsigned tries = 0;

	do {
		end = view < SQL_OBJECTS_COUNT ? put_view(run, view) : put_rest(run);
	} while (end == MIGRATION_BUSY && is_worth_another(run, ++tries));
	return end == MIGRATION_BUSY ? say_holder(run, name) : end;
}

static enum migration_end run_views(struct run *run)
{
	enum migration_end end = MIGRATION_FINE;

	for (size_t i = 0; i < SQL_OBJECTS_COUNT && end == MIGRATION_FINE; i++) {
		if (is_waited_for(run->state, i)) {
			end = run_patiently(run, i);
		}
	}
	if (end == MIGRATION_FINE &&
		(is_any_waited_for(run->state) || run->state->leftovers[0] != '\0')) {
		end = run_patiently(run, SQL_OBJECTS_COUNT);
	}
	return end;
}

static enum migration_end run_all(const struct migration_options *options, struct run *run)
{
	enum migration_end end;
	unsigned tries = 0;

	do {
		end = run_first(options, run);
	} while (end == MIGRATION_BUSY && run->alone && is_worth_another(run, ++tries));
	if (end == MIGRATION_BUSY && run->alone) {
		return say_holder(run, "");
	}
	return end == MIGRATION_FINE ? run_views(run) : end;
}

/* An end without a commit is a rollback. */
enum migration_end migration_run(const struct migration_options *options, struct survey *ret_state)
{
	CLEANUP(cleanup_session) struct blocking *session = NULL;
	enum migration_end end = connect_to(options, ret_state, &session);
	struct run run = { .state = ret_state, .session = session };

	return end == MIGRATION_FINE ? run_all(options, &run) : end;
}

/* Printing. */

void migration_print(const struct survey *state, FILE *out)
{
	struct survey copy = *state;
	struct run run = { .state = &copy, .out = out };

	put(&run, begin, NULL);
	put_list(&run);
	put_kind(&run, SQL_ROLES);
	put(&run, become_owner, NULL);
	if (is_needed(state)) {
		put_first(&run);
	}
	put(&run, commit, NULL);
	for (size_t i = 0; i < SQL_OBJECTS_COUNT; i++) {
		if (is_waited_for(state, i)) {
			put_view(&run, i);
		}
	}
	if (is_any_waited_for(state) || state->leftovers[0] != '\0') {
		put_rest(&run);
	}
}
