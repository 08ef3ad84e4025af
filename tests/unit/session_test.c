#include "pg/session.h"

#include "check.h"

enum { ANSWER_MAX = 512 };

static const struct {
	const char *promise;
	enum session_step step;
	const char *answer;
	bool unsafe_allowed;
	const char *reason; /* a part of it; NULL = the server will do */
} answers[] = {
	{ "names and settings only have to succeed", SESSION_BEGIN, "", false, NULL },
	{ "all of them", SESSION_SETTINGS, "30", false, NULL },
	{ "a good server will do", SESSION_SERVER, "7 good", false, NULL },
	{ "a standby will not", SESSION_SERVER, "7 standby", false, "standby" },
	{ "nor a standby when fsync does not matter", SESSION_SERVER, "7 standby", true,
		"standby" },
	{ "nor a read-only server", SESSION_SERVER, "7 readonly", false, "read-only" },
	{ "nor one with fsync=off", SESSION_SERVER, "7 unsafe", false, "fsync=off" },
	{ "but where that is allowed", SESSION_SERVER, "7 unsafe", true, NULL },
	{ "a database of another encoding will not", SESSION_SERVER, "7 SQL_ASCII", true,
		"the database's encoding is SQL_ASCII and has to be UTF8: make another one, as by "
		"createdb -E UTF8 -T template0" },
	{ "an empty schema is too old", SESSION_SCHEMA, "7 0 ", false, "run orderd migrate" },
	{ "no answer is too old", SESSION_SCHEMA, "7 ", false, "run orderd migrate" },
	{ "a version that is no number is too old", SESSION_SCHEMA, "7 new x", false,
		"run orderd migrate" },
	{ "a newer schema means that we are too old", SESSION_SCHEMA, "7 9999 x", false,
		"this orderd is too old" },
	{ "a process that is another one is a pooler's", SESSION_SERVER, "8 good", true,
		"pool_mode = session" },
	{ "so it is when the schema is asked for", SESSION_SCHEMA, "8 0 ", true,
		"pool_mode = session" },
};

static const struct {
	const char *promise;
	enum session_step step;
	const char *sqlstate;
	const char *reason;
} refusals[] = {
	{ "no schema: migrate", SESSION_SCHEMA, "3F000", "there is no schema torque: run orderd" },
	{ "no function: migrate", SESSION_SCHEMA, "42883", "there is no schema torque" },
	{ "no right: who to connect as", SESSION_SCHEMA, "42501",
		"said so: run orderd migrate, and" },
	{ "a setting: the server's words", SESSION_SETTINGS, "22023", "said so" },
	{ "a statement that is gone: a pooler", SESSION_SERVER, "26000", "pool_mode = session" },
	{ "one that another session made: a pooler", SESSION_SETTINGS, "42P05",
		"pool_mode = session" },
};

static void check_answers(void)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct session session;
		struct problem reason = { .text = "" };
		bool fit;

		session_begin(&session, answers[i].unsafe_allowed);
		session.step = answers[i].step;
		session.server_pid = 7;
		fit = session_judge(&session, text_of(answers[i].answer), &reason);
		CHECK(fit == !answers[i].reason && (fit || strstr(reason.text, answers[i].reason)),
			"%s (%s)", answers[i].promise, reason.text);
		CHECK(session.step == answers[i].step + fit, "%s: %s", answers[i].promise,
			fit ? "the next step comes" : "nothing follows");
	}
}

static const char *statements_of_server(void)
{
	const struct session session = { .step = SESSION_SERVER };

	return session_statement(&session);
}

static void check_course(void)
{
	struct session session;
	struct problem reason;

	session_begin(&session, false);
	CHECK(session_judge(&session, TEXT(""), &reason) &&
			session_judge(&session, TEXT("30"), &reason) &&
			session_judge(&session, TEXT("12 good"), &reason) &&
			session.step == SESSION_SCHEMA && session.server_pid == 12,
		"the first answer says which process it is");
	session_look(&session);
	CHECK(strcmp(session_statement(&session), statements_of_server()) == 0 &&
			session_judge(&session, TEXT("12 good"), &reason) &&
			session.step == SESSION_CHECKED,
		"a look is at the server alone");
	session_look(&session);
	CHECK(!session_judge(&session, TEXT("12 unsafe"), &reason) &&
			strstr(reason.text, "fsync=off"),
		"and finds what has changed");
}

static void check_refusals(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct session session = { .step = refusals[i].step };
		struct problem reason = { .text = "" };

		session_refused(
			&session, refusals[i].sqlstate, TEXT("the server said so"), &reason);
		CHECK(strstr(reason.text, refusals[i].reason) != NULL, "%s (%s)",
			refusals[i].promise, reason.text);
	}
}

static void check_stale(void)
{
	static const struct {
		const char *promise;
		const char *sqlstate;
		bool raised_inside, server_is_read_only;
		bool stale;
	} cases[] = {
		{ "a plan of another result type asks for a new session", "0A000", false, false,
			true },
		{ "so do prepared statements that have gone", "26000", false, false, true },
		{ "so do those that somebody else prepared", "42P05", false, false, true },
		{ "so does a server that has become read-only", "25006", true, true, true },
		{ "a function that raises the first does not", "0A000", true, false, false },
		{ "nor one that raises the second", "26000", true, false, false },
		{ "nor one that raises the third", "25006", true, false, false },
		{ "nor does a deadlock", "40P01", false, false, false },
		{ "nor a statement that took too long", "57014", true, false, false },
		{ "nor a failure without a code", "", false, false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(session_is_stale(cases[i].sqlstate, cases[i].raised_inside,
			      cases[i].server_is_read_only) == cases[i].stale,
			"%s", cases[i].promise);
	}
}

static void check_lines(void)
{
	static const struct {
		const char *promise;
		const char *message;
		const char *line;
	} cases[] = {
		{ "a sentence stays", "as it is", "as it is" },
		{ "spaces, tabs and newlines are one space", "a\n\tb  c", "a b c" },
		{ "at the ends there is none", " \na\n", "a" },
		{ "nothing stays nothing", "\n \n", "" },
	};
	struct problem line;
	char endless[4 * PROBLEM_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		session_one_line(&line, cases[i].message);
		CHECK(strcmp(line.text, cases[i].line) == 0, "%s (%s)", cases[i].promise,
			line.text);
	}
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	session_one_line(&line, endless);
	CHECK(strlen(line.text) > PROBLEM_MAX - 8 && strspn(line.text, "x") == strlen(line.text),
		"what is too long is cut (%zu)", strlen(line.text));
}

int main(void)
{
	check_answers();
	check_course();
	check_refusals();
	check_stale();
	check_lines();
	return check_done();
}
