/* The statements that begin a session, and the verdict on their answers. */
#include "pg/session.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "sql.h"

/* Before the rest: until then a name may mean something else, and a statement have a millisecond.
 */
static const char begin[] =
	"select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),"
	" pg_catalog.set_config('statement_timeout', '1500ms', false),"
	" pg_catalog.set_config('idle_session_timeout', '0', false)";

/* All that a role, a database or a server can set and that our SQL depends on: what it takes a text
 * for, how it writes a value, what it does in a transaction and how long, what a table is made
 * with. What a planner may do is left to it; what this server does not know is passed over.
 *
 * A setting that makes a commit wait for more than "on" is left as it is. Warnings have to come
 * through: one of them says that a commit is not safe. The server gives up a statement before we
 * give up the connection. */
static const char settings[] = "select count(set_config(name, value, false)) from (values"
			       " ('synchronous_commit', case current_setting('synchronous_commit')"
			       " when 'remote_apply' then 'remote_apply' else 'on' end),"
			       " ('lock_timeout', '300ms'),"
			       " ('idle_in_transaction_session_timeout', '5s'),"
			       " ('transaction_timeout', '0'),"
			       " ('default_transaction_isolation', 'read committed'),"
			       " ('default_transaction_read_only', 'off'),"
			       " ('default_transaction_deferrable', 'off'),"
			       " ('client_min_messages', 'warning'),"
			       " ('exit_on_error', 'off'),"
			       " ('row_security', 'on'),"
			       " ('restrict_nonsystem_relation_kind', ''),"
			       " ('datestyle', 'ISO, YMD'),"
			       " ('intervalstyle', 'postgres'),"
			       " ('timezone', 'UTC'),"
			       " ('timezone_abbreviations', 'Default'),"
			       " ('extra_float_digits', '1'),"
			       " ('bytea_output', 'hex'),"
			       " ('xmloption', 'content'),"
			       " ('xmlbinary', 'base64'),"
			       " ('lc_monetary', 'C'),"
			       " ('lc_numeric', 'C'),"
			       " ('lc_time', 'C'),"
			       " ('default_text_search_config', 'pg_catalog.simple'),"
			       " ('array_nulls', 'on'),"
			       " ('transform_null_equals', 'off'),"
			       " ('standard_conforming_strings', 'on'),"
			       " ('backslash_quote', 'safe_encoding'),"
			       " ('quote_all_identifiers', 'off'),"
			       " ('gin_fuzzy_search_limit', '0'),"
			       " ('plpgsql.extra_errors', 'none'),"
			       " ('plpgsql.extra_warnings', 'none'),"
			       " ('plpgsql.check_asserts', 'on'),"
			       " ('plan_cache_mode', 'auto'),"
			       " ('jit', 'off'),"
			       " ('check_function_bodies', 'on'),"
			       " ('default_tablespace', ''),"
			       " ('temp_tablespaces', ''),"
			       " ('default_table_access_method', 'heap'),"
			       " ('createrole_self_grant', '')"
			       ") s (name, value) where current_setting(name, true) is not null";
static const char server_state[] =
	"select pg_backend_pid() || ' ' || case when pg_is_in_recovery() then 'standby'"
	" when current_setting('transaction_read_only') = 'on' then 'readonly'"
	" when current_setting('server_encoding') <> 'UTF8'"
	" then current_setting('server_encoding')"
	" when current_setting('fsync') <> 'on' then 'unsafe' else 'good' end";
static const char schema_state[] =
	"select pg_backend_pid() || ' ' || coalesce(s.version, 0) || ' ' || coalesce(s.sources, '')"
	" from torque.schema_state() s";

static const char *const statements[SESSION_CHECKED] = {
	[SESSION_BEGIN] = begin,
	[SESSION_SETTINGS] = settings,
	[SESSION_SERVER] = server_state,
	[SESSION_SCHEMA] = schema_state,
};

/* invalid_schema_name, undefined_function, undefined_table */
static const char *const no_schema[] = { "3F000", "42883", "42P01" };

/* feature_not_supported ("cached plan must not change result type"),
 * invalid_sql_statement_name, duplicate_prepared_statement */
static const char *const stale[] = { "0A000", "26000", "42P05" };
/* The last two: names are not the session's own. */
static const char *const *const pooled = &stale[1];
static const char read_only_sql_transaction[] = "25006";

void session_begin(struct session *session, bool allow_unsafe_fsync)
{
	*session = (struct session){ .allow_unsafe_fsync = allow_unsafe_fsync };
}

void session_look(struct session *session)
{
	session->step = SESSION_SERVER;
	session->again = true;
}

const char *session_statement(const struct session *session)
{
	assert(session->step < SESSION_CHECKED);
	return statements[session->step];
}

bool session_say_pooled(struct problem *problem)
{
	return problem_say(problem,
		"a pooler in transaction or statement mode stands before the server, where "
		"settings "
		"and prepared statements do not outlive a transaction: connect past it, or let it "
		"pool sessions (pool_mode = session)");
}

/* Takes the number of the process off the answer. False: it is another one than before. */
static bool same_process(struct session *session, struct text *answer)
{
	struct text digits;
	uint64_t pid = 0;

	if (!text_next(answer, ' ', &digits) || !text_to_u64(digits, &pid)) {
		pid = 0;
	}
	if (session->server_pid == 0) {
		session->server_pid = pid;
	}
	return pid == session->server_pid;
}

static bool judge_server(struct text state, bool allow_unsafe_fsync, struct problem *problem)
{
	if (text_equal(state, TEXT("standby"))) {
		return problem_say(problem, "the server is a standby");
	}
	if (text_equal(state, TEXT("readonly"))) {
		return problem_say(problem, "the server is read-only");
	}
	if (text_equal(state, TEXT("unsafe")) && !allow_unsafe_fsync) {
		return problem_say(problem,
			"the server runs with fsync=off and may forget what it "
			"acknowledged: set it on, or [database] allow_unsafe_fsync = yes");
	}
	if (!text_equal(state, TEXT("unsafe")) && !text_equal(state, TEXT("good"))) {
		return problem_say(problem,
			"the database's encoding is %.*s and has to be UTF8: make another one, as "
			"by "
			"createdb -E UTF8 -T template0",
			(int)state.len, state.ptr);
	}
	return true;
}

static bool judge_schema(struct text state, struct problem *problem)
{
	struct text digits;
	uint64_t version = 0;

	if (!text_next(&state, ' ', &digits) || !text_to_u64(digits, &version)) {
		version = 0;
	}
	if (version < SQL_VERSION) {
		return problem_say(problem,
			"the schema is at version %llu, this orderd needs %d: run orderd migrate",
			(unsigned long long)version, SQL_VERSION);
	}
	if (version > SQL_VERSION) {
		return problem_say(problem,
			"the schema is at version %llu, this orderd is too old and knows %d: "
			"install a newer one",
			(unsigned long long)version, SQL_VERSION);
	}
	if (!text_equal(state, text_of(sql_sources))) {
		log_event(LOG_WARNING, "schema_differs",
			LOG_FIELDS(LOG_STRING("advice",
				"its functions are those of another orderd: run orderd migrate")));
	}
	return true;
}

static bool judge_step(const struct session *session, struct text answer, struct problem *problem)
{
	switch (session->step) {
	case SESSION_SERVER:
		return judge_server(answer, session->allow_unsafe_fsync, problem);
	case SESSION_SCHEMA:
		return judge_schema(answer, problem);
	case SESSION_BEGIN:
	case SESSION_SETTINGS:
	case SESSION_CHECKED:
		break;
	}
	return true;
}

bool session_judge(struct session *session, struct text value, struct problem *problem)
{
	if (session->step >= SESSION_SERVER && !same_process(session, &value)) {
		return session_say_pooled(problem);
	}
	if (!judge_step(session, value, problem)) {
		return false;
	}
	session->step = session->again ? SESSION_CHECKED : session->step + 1;
	return true;
}

static bool is_one_of(const char *sqlstate, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(sqlstate, list[i]) == 0) {
			return true;
		}
	}
	return false;
}

void session_refused(const struct session *session, const char *sqlstate, struct text message,
	struct problem *problem)
{
	bool schema = session->step == SESSION_SCHEMA;

	if (is_one_of(sqlstate, pooled, 2)) {
		session_say_pooled(problem);
		return;
	}
	if (schema && is_one_of(sqlstate, no_schema, sizeof(no_schema) / sizeof(no_schema[0]))) {
		problem_say(problem, "there is no schema torque: run orderd migrate");
		return;
	}
	problem_say(problem, "%.*s%s", (int)message.len, message.ptr,
		schema ? ": run orderd migrate, and connect as orderd" : "");
}

bool session_is_stale(const char *sqlstate, bool raised_inside, bool server_is_read_only)
{
	if (strcmp(sqlstate, read_only_sql_transaction) == 0) {
		return server_is_read_only;
	}
	return !raised_inside && is_one_of(sqlstate, stale, sizeof(stale) / sizeof(stale[0]));
}

void session_one_line(struct problem *problem, const char *message)
{
	char line[2 * PROBLEM_MAX]; /* more than a problem holds, which cuts between characters */
	size_t len = 0;

	for (; *message != '\0' && len + 1 < sizeof(line); message++) {
		bool space = isspace((unsigned char)*message) != 0;

		if (!space || (len > 0 && line[len - 1] != ' ')) {
			line[len++] = space ? ' ' : *message;
		}
	}
	while (len > 0 && line[len - 1] == ' ') {
		len--;
	}
	problem_say(problem, "%.*s", (int)len, line);
}
