/* The statements that begin a session, and the verdict on their answers. */
#include "pg/session.h"

#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "sql.h"

/* A setting that makes a commit wait for more than "on" is left as it is. Warnings have to come
 * through: one of them says that a commit is not safe. The server gives up a statement before we
 * give up the connection. */
static const char settings[] =
	"select set_config('synchronous_commit', case current_setting('synchronous_commit')"
	" when 'remote_apply' then 'remote_apply' else 'on' end, false),"
	" set_config('lock_timeout', '300ms', false),"
	" set_config('statement_timeout', '1500ms', false),"
	" set_config('idle_in_transaction_session_timeout', '5s', false),"
	" set_config('default_transaction_isolation', 'read committed', false),"
	" set_config('client_min_messages', 'warning', false),"
	" set_config('search_path', 'pg_catalog, pg_temp', false),"
	" set_config('timezone', 'UTC', false),"
	" set_config('jit', 'off', false)";
static const char server_state[] =
	"select case when pg_is_in_recovery() then 'standby'"
	" when current_setting('transaction_read_only') = 'on' then 'readonly'"
	" when current_setting('fsync') <> 'on' then 'unsafe' else 'good' end";
static const char schema_state[] = "select coalesce(s.version, 0) || ' ' || coalesce(s.sources, "
				   "'') from torque.schema_state() s";

static const char *const statements[SESSION_STEPS] = {
	[SESSION_SETTINGS] = settings,
	[SESSION_SERVER] = server_state,
	[SESSION_SCHEMA] = schema_state,
};

/* invalid_schema_name, undefined_function, undefined_table */
static const char *const no_schema[] = { "3F000", "42883", "42P01" };

/* feature_not_supported ("cached plan must not change result type"),
 * invalid_sql_statement_name */
static const char *const stale[] = { "0A000", "26000" };
static const char read_only_sql_transaction[] = "25006";

const char *session_statement(enum session_step step)
{
	return statements[step];
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

bool session_judge(
	enum session_step step, struct text value, bool allow_unsafe_fsync, struct problem *problem)
{
	switch (step) {
	case SESSION_SERVER:
		return judge_server(value, allow_unsafe_fsync, problem);
	case SESSION_SCHEMA:
		return judge_schema(value, problem);
	case SESSION_SETTINGS:
	case SESSION_STEPS:
		break;
	}
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

void session_refused(
	enum session_step step, const char *sqlstate, struct text message, struct problem *problem)
{
	if (step == SESSION_SCHEMA &&
		is_one_of(sqlstate, no_schema, sizeof(no_schema) / sizeof(no_schema[0]))) {
		problem_say(problem, "there is no schema torque: run orderd migrate");
		return;
	}
	problem_say(problem, "%.*s%s", (int)message.len, message.ptr,
		step == SESSION_SCHEMA ? ": run orderd migrate, and connect as orderd" : "");
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
